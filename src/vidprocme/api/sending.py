"""Files on their way out: blobs with ranges and ETags, and names that are safe in a header."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import FileResponse, Response, StreamingResponse

from vidprocme.api.desk import Desk

FOREVER = "private, max-age=31536000, immutable"
ASK_AGAIN = "private, no-cache"
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


def send_blob(
    desk: Desk, request: Request, sha256: str, media_type: str, *, cache: str, headers: Mapping[str, str] | None = None
) -> Response:
    """A blob with ranges, or 304. Its hash is its ETag."""
    told = {"ETag": f'"{sha256}"', "Cache-Control": cache, **(headers or {})}
    if has(request, sha256):
        return Response(status_code=304, headers=told)
    path = desk.blobs.local_path(sha256)
    if path is not None:
        return FileResponse(path, headers=told, media_type=media_type)
    return _from_bucket(desk, request, sha256, media_type, told)


def has(request: Request, etag: str) -> bool:
    """Does the asker have this one already?"""
    return f'"{etag}"' in request.headers.get("if-none-match", "")


def _from_bucket(desk: Desk, request: Request, sha256: str, media_type: str, told: Mapping[str, str]) -> Response:
    """Only the bytes that are asked for are read: a player that seeks in an hour of video asks for a few MB of it."""
    size = desk.blobs.size(sha256)
    headers = {**told, "Accept-Ranges": "bytes"}
    start, end, status = 0, size, 200
    asked = request.headers.get("range", "")
    if request.headers.get("if-range", f'"{sha256}"') == f'"{sha256}"' and (span := span_of(asked, size)) is not None:
        start, end, status = *span, 206
        if start >= end:
            return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{size}"})
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    headers["Content-Length"] = str(end - start)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=media_type)
    return StreamingResponse(desk.blobs.pieces(sha256, start, end), status, headers, media_type)


def span_of(asked: str, size: int) -> tuple[int, int] | None:
    """What a Range header asks for of so many bytes: from, up to (that one not); an empty span cannot be served (416).

    None: all of it, also for what is no range, and for several at once, which RFC 9110 lets a server pass over.
    """
    found = _RANGE.fullmatch(asked.replace(" ", ""))
    if found is None or found.group(0) == "bytes=-":
        return None
    first, last = found.groups()
    if not first:
        return max(0, size - int(last)), size
    if last and int(last) < int(first):
        return None
    return min(int(first), size), min(int(last) + 1, size) if last else size


def disposition(name: str, ending: str, *, download: bool) -> str:
    """Content-Disposition (RFC 6266) with a person's name for a file: no path, no quote, no line end, any script."""
    plain = "".join(sign if sign.isprintable() and sign not in "/\\" else "_" for sign in name).strip(" .")[:150]
    stem = (plain.encode("utf-8", "replace").decode() or "video") + ending
    rough = "".join(sign if sign.isascii() and (sign.isalnum() or sign in " ._-()") else "_" for sign in stem)
    kind = "attachment" if download else "inline"
    return f"{kind}; filename=\"{rough}\"; filename*=UTF-8''{quote(stem, safe='')}"
