"""The house of a data folder as a Client: the API's own routes, run in this process. Nothing listens, nobody is asked for a key:
whoever can open the data folder and its queue could do all of it by hand.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from vidprocme.client.base import Document, Said
from vidprocme.client.web import WebClient
from vidprocme.core.ids import video_id
from vidprocme.wiring import House

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from vidprocme.api.desk import Desk
    from vidprocme.api.operations import Operations

LOOK_EVERY_MS = 500
FLEET_EVERY_S = 1.0


class LocalClient(WebClient):
    """See client.base.Client. The house is the caller's."""

    def __init__(self, house: House) -> None:
        from vidprocme.api.server import create_app

        self._house = house
        app = create_app(house, hosts=None)
        self._desk: Desk = app.state.desk
        self._operations: Operations = app.state.operations
        self._transport = _InProcess(app)
        super().__init__(httpx.Client(transport=self._transport, base_url="http://localhost"), str(house.data))

    def submit(
        self, path: Path, fields: Mapping[str, str], on_bytes: Callable[[int, int], None] | None = None
    ) -> Document:
        """As over HTTP, but that the file is referenced where it is, and never copied."""
        from vidprocme.api.wishes import accept, keep_note, note_of, wish_of

        wished = dict(fields)
        note = note_of(wished)
        wish = wish_of(self._desk, wished)
        size = path.stat().st_size if path.is_file() else 0
        source = self._house.source_of(path, None if on_bytes is None else lambda done: on_bytes(done, size))
        keep_note(self._desk, video_id(source.sha256, wish[1]["tenant"]), note)
        return accept(self._desk, source, wish).model_dump()

    def events(self, topics: str, after: str = "") -> Iterator[Said]:
        from vidprocme.api.schemas.attempts import event_document

        queue = self._house.queue
        jobs = {topic.removeprefix("job:") for topic in topics.split(",") if topic.startswith("job:")}
        last = after or queue.newest_event() or "0"
        fleet, looked_s = None, float("-inf")
        while True:
            for event in queue.events(last, 500, LOOK_EVERY_MS):
                last = event.id
                if not jobs or event.job in jobs:
                    yield Said(event.id, "diary", event_document(event).model_dump())
            if "fleet" in topics.split(",") and time.monotonic() - looked_s >= FLEET_EVERY_S:
                before, fleet, looked_s = fleet, self.ask("GET", "/v1/nodes"), time.monotonic()
                if fleet != before:
                    yield Said("", "fleet", fleet)

    def close(self) -> None:
        super().close()
        self._transport.close()
        self._operations.stop()  # what was begun in this process ends with it
        self._desk.close()


class _InProcess(httpx.BaseTransport):
    """httpx's own way into an ASGI application, for the synchronous client; it says who asks."""

    def __init__(self, app: ASGIApp) -> None:
        from vidprocme.api.access import COMMAND_LINE

        async def known(scope: Scope, receive: Receive, send: Send) -> None:
            scope.setdefault("state", {})["caller"] = COMMAND_LINE
            await app(scope, receive, send)

        self._inner = httpx.ASGITransport(app=known, raise_app_exceptions=False)
        self._runner = asyncio.Runner()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        # It makes of Ctrl-C a cancelled task. An exception in the midst of the loop would lose what was to go on next, and leave
        # threads that this process waits for at its end.
        return self._runner.run(self._send(request))

    async def _send(self, request: httpx.Request) -> httpx.Response:
        asked = httpx.Request(request.method, request.url, headers=request.headers, content=request.read())
        answer = await self._inner.handle_async_request(asked)
        return httpx.Response(answer.status_code, headers=answer.headers, content=await answer.aread())

    def close(self) -> None:
        self._runner.close()
