"""Files on their way out: blobs with ranges and ETags, and names that are safe in a header."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import FileResponse, Response
from starlette.background import BackgroundTask

from vidprocme.api.desk import Desk

FOREVER = "private, max-age=31536000, immutable"
ASK_AGAIN = "private, no-cache"


def send_blob(
    desk: Desk, request: Request, sha256: str, media_type: str, *, cache: str, headers: Mapping[str, str] | None = None
) -> Response:
    """A blob with ranges, or 304. Its hash is its ETag."""
    told = {"ETag": f'"{sha256}"', "Cache-Control": cache, **(headers or {})}
    if has(request, sha256):
        return Response(status_code=304, headers=told)
    path, done = local(desk, sha256)
    return FileResponse(path, headers=told, media_type=media_type, background=done)


def has(request: Request, etag: str) -> bool:
    """Does the asker have this one already?"""
    return f'"{etag}"' in request.headers.get("if-none-match", "")


def local(desk: Desk, sha256: str) -> tuple[Path, BackgroundTask | None]:
    """The blob as a file, and what to do when it was sent: one from a bucket is a copy that goes again."""
    path = desk.blobs.local_path(sha256)
    if path is not None:
        return path, None
    folder = desk.house.data / "uploads"
    folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=folder, prefix="upload-")
    os.close(handle)
    copy = Path(name)
    try:
        desk.blobs.fetch(sha256, copy)
    except BaseException:
        copy.unlink(missing_ok=True)
        raise
    return copy, BackgroundTask(copy.unlink, missing_ok=True)


def disposition(name: str, ending: str, *, download: bool) -> str:
    """Content-Disposition (RFC 6266) with a person's name for a file: no path, no quote, no line end, any script."""
    plain = "".join(sign if sign.isprintable() and sign not in "/\\" else "_" for sign in name).strip(" .")[:150]
    stem = (plain.encode("utf-8", "replace").decode() or "video") + ending
    rough = "".join(sign if sign.isascii() and (sign.isalnum() or sign in " ._-()") else "_" for sign in stem)
    kind = "attachment" if download else "inline"
    return f"{kind}; filename=\"{rough}\"; filename*=UTF-8''{quote(stem, safe='')}"
