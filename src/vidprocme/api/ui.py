"""The dashboard, as it was built from web/: the page at every path that is nobody else's, and the files it loads."""

from __future__ import annotations

import mimetypes
from pathlib import Path

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

BUILT = Path(__file__).resolve().parent.parent / "ui"
# Paths that are the API's and those who watch it: what is not there is a 404 in JSON, and no page.
TAKEN = ("v1", "metrics", "healthz", "readyz")
# Everything comes from here: no script or style inside the page, and nobody frames it.
POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' blob: data:",
        "media-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
PAGE_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-cache",
    "Vary": "Accept-Encoding",
}
FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
PACKED = (("br", ".br"), ("gzip", ".gz"))  # made beside each file when it was built; the smaller one first

UNBUILT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>vidprocme</title>
<h1>The server runs; its dashboard was not built</h1>
<p>In the source folder: <code>make web</code>, then load this page anew. It needs no node: one comes with it from PyPI.</p>
<p>The command line and the API do everything meanwhile: <code>vidprocme --help</code>, <a href="/v1/openapi.json">/v1/openapi.json</a>.</p>
</html>
"""


class Pages(BaseRoute):
    """The last route: takes GET and HEAD of what the dashboard owns, and leaves all else as unknown as it was."""

    path = "ui"  # as the metrics call it
    name = "ui"

    def __init__(self, folder: Path = BUILT) -> None:
        self._folder = folder

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            return Match.NONE, {}
        return (Match.FULL, {"endpoint": self.answer, "route": self}) if owns(scope["path"]) else (Match.NONE, {})

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.answer(scope["path"], Headers(scope=scope).get("accept-encoding", ""))(scope, receive, send)

    def answer(self, path: str, encodings: str) -> Response:
        """A file of the dashboard, or the page itself.

        Raises:
            HTTPException: 404, there is no such file.
        """
        name = path.lstrip("/")
        page = not is_file(name)
        if page and not (self._folder / "index.html").is_file():
            return HTMLResponse(UNBUILT, headers=PAGE_HEADERS)
        found = self._folder / ("index.html" if page else name)
        if not found.resolve().is_relative_to(self._folder.resolve()) or not found.is_file():
            raise HTTPException(404, "there is no such file")
        headers = dict(FOR_EVER if name.startswith("assets/") else PAGE_HEADERS)
        kind = mimetypes.guess_type(found.name)[0] or "application/octet-stream"
        for encoding, ending in PACKED:
            packed = found.with_name(found.name + ending)
            if takes(encodings, encoding) and packed.is_file():
                return FileResponse(packed, headers={**headers, "Content-Encoding": encoding}, media_type=kind)
        return FileResponse(found, headers=headers, media_type=kind)


def owns(path: str) -> bool:
    """Is this a path of the dashboard? `/jobs/job_1` and `/assets/a.js` are; `/v1/anything` is not."""
    return path.startswith("/") and path.lstrip("/").partition("/")[0] not in TAKEN


def is_file(name: str) -> bool:
    """Whether a path names a file; pages have no dot in their last part."""
    return "." in name.rpartition("/")[2]


def takes(accepted: str, encoding: str) -> bool:
    """Whether a header Accept-Encoding takes this one: named, and not with a weight of nothing."""
    for item in accepted.split(","):
        name, _, weight = item.partition(";")
        if name.strip().lower() == encoding:
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
