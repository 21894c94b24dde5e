"""A server somewhere as a Client."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import httpx

from vidprocme.client.base import Document, Said
from vidprocme.client.patience import Patience
from vidprocme.client.resume import Resumable
from vidprocme.client.uploading import Uploading
from vidprocme.client.web import WebClient, refusal
from vidprocme.core.errors import BadWish, Retryable

TIMEOUT = httpx.Timeout(30, connect=5)
BEAT_S = 45.0  # a stream that says nothing for so long (it beats every 15 s) is dead


class HttpClient(WebClient):
    """See client.base.Client."""

    def __init__(self, server: str, key: str = "", *, state: Path | None = None) -> None:
        """
        Args:
            server: its address, `http://127.0.0.1:8484`.
            key: an API key; "": none.
            state: a folder where unfinished uploads are remembered; None: they are not.

        Raises:
            BadWish: SERVER_BAD, no address of a server.
        """
        url = server if "://" in server else f"http://{server}"
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL:
            parsed = httpx.URL("")
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise BadWish("SERVER_BAD", f"{server!r} is no address of a server.", "Such as http://127.0.0.1:8484.")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._resumable = Resumable(state, str(parsed)) if state is not None else None
        super().__init__(httpx.Client(base_url=parsed, headers=headers, timeout=TIMEOUT), url.rstrip("/"))

    # -- uploads -------------------------------------------------------------------------------------------------------
    def submit(
        self, path: Path, fields: Mapping[str, str], on_bytes: Callable[[int, int], None] | None = None
    ) -> Document:
        """By tus 1.0, in pieces: whatever is cut goes on from the last byte that the server has."""
        return Uploading(self, path, fields, resumable=self._resumable, on_bytes=on_bytes).sent()

    # -- events --------------------------------------------------------------------------------------------------------
    def events(self, topics: str, after: str = "") -> Iterator[Said]:
        patience = Patience()
        while True:
            headers = {"Accept": "text/event-stream", **({"Last-Event-ID": after} if after else {})}
            try:
                with (
                    self._reaching(),
                    self._http.stream(
                        "GET",
                        "/v1/events",
                        params={"topics": topics},
                        headers=headers,
                        timeout=httpx.Timeout(5, read=BEAT_S),
                    ) as answer,
                ):
                    if answer.is_error:
                        answer.read()
                        raise refusal(answer)
                    for said in parse(answer.iter_lines()):
                        patience.again()
                        after = said.id or after
                        yield said
            except Retryable as error:
                patience.rest(error)


def parse(lines: Iterator[str]) -> Iterator[Said]:
    """Messages of an event stream (https://html.spec.whatwg.org/multipage/server-sent-events.html), data as JSON."""
    id_, event, data = "", "message", ""
    for line in lines:
        if not line:
            if data:
                yield Said(id_, event, json.loads(data))
            id_, event, data = "", "message", ""
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "id":
            id_ = value
        elif name == "event":
            event = value
        elif name == "data":
            data = f"{data}\n{value}" if data else value
