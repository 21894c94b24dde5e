"""A server somewhere as a Client."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import ip_address
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
        # No proxy reaches what listens on this machine alone; certificates are still those of the environment.
        mounts = {"http://": None, "https://": None} if _is_here(parsed.host) else None
        http = httpx.Client(base_url=parsed, headers=headers, timeout=TIMEOUT, mounts=mounts)
        super().__init__(http, url.rstrip("/"))

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
                    for said in parse(answer.iter_bytes()):
                        patience.again()
                        after = said.id or after
                        yield said
            except Retryable as error:
                patience.rest(error)


def parse(pieces: Iterable[bytes]) -> Iterator[Said]:
    """Messages of an event stream (https://html.spec.whatwg.org/multipage/server-sent-events.html), data as JSON."""
    id_, event, data = "", "message", ""
    for line in _lines(pieces):
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


def _lines(pieces: Iterable[bytes]) -> Iterator[str]:
    """Those that have ended. Only a line feed, or a carriage return with one, ends a line: what str.splitlines takes for an end, too,
    such as U+2028, may stand in a title."""
    rest = b""
    for piece in pieces:
        *whole, last = piece.split(b"\n")
        for end in whole:
            yield (rest + end).removesuffix(b"\r").decode("utf-8", "replace")
            rest = b""
        rest += last


def _is_here(host: str) -> bool:
    """Whether this name or address is of this machine alone."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
