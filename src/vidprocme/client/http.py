"""A server somewhere as a Client."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import httpx

from vidprocme.client.base import Document, Said
from vidprocme.client.resume import Resumable, fingerprint
from vidprocme.client.web import Refused, WebClient, refusal
from vidprocme.core.errors import BadWish, Retryable

TUS = {"Tus-Resumable": "1.0.0"}
PIECE_BYTES = 32 << 20  # of one PATCH: what proxies let through, and what is sent again after a cut
BLOCK_BYTES = 1 << 18
TIMEOUT = httpx.Timeout(30, connect=5)
PAUSES_S = (0.5, 1, 2, 5, 10, 10, 10, 10, 10)  # between tries to go on with an upload: about a minute
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
        size = _size(path)
        mark = fingerprint(path, fields)
        location = self._resumable.find(mark) if self._resumable else None
        offset = self._offset(location) if location else None
        if location is None or offset is None:
            location, offset = self._create(path, size, fields), 0
            if self._resumable:
                self._resumable.keep(mark, location)
        tries = 0
        while True:
            try:
                while offset < size:
                    offset = self._piece(path, location, offset, size, on_bytes)
                    tries = 0
                break
            except Retryable:
                if tries == len(PAUSES_S):
                    raise
                time.sleep(PAUSES_S[tries])
                tries += 1
                offset = self._offset(location) or 0
        done = self._settled(location)
        if self._resumable:
            self._resumable.forget(mark)
        return done

    def _create(self, path: Path, size: int, fields: Mapping[str, str]) -> str:
        metadata = {"filename": path.name.encode("utf-8", "replace").decode(), **fields}
        words = ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in metadata.items())
        answer = self.send("POST", "/v1/uploads", headers={**TUS, "Upload-Length": str(size), "Upload-Metadata": words})
        return httpx.URL(answer.headers["Location"]).path

    def _offset(self, location: str) -> int | None:
        """How much of it the server has; None when it knows nothing of it any more."""
        try:
            return int(self.send("HEAD", location, headers=TUS).headers["Upload-Offset"])
        except Refused as error:
            if error.status in (404, 410):
                return None
            raise

    def _piece(
        self, path: Path, location: str, offset: int, size: int, on_bytes: Callable[[int, int], None] | None
    ) -> int:
        most = min(PIECE_BYTES, size - offset)
        digest = hashlib.sha256()
        with path.open("rb") as file:
            file.seek(offset)
            for at in range(0, most, BLOCK_BYTES):
                digest.update(file.read(min(BLOCK_BYTES, most - at)))
        headers = {
            **TUS,
            "Upload-Offset": str(offset),
            "Content-Type": "application/offset+octet-stream",
            "Content-Length": str(most),
            "Upload-Checksum": f"sha256 {base64.b64encode(digest.digest()).decode()}",
        }
        answer = self.send("PATCH", location, headers=headers, content=_blocks(path, offset, most, size, on_bytes))
        return int(answer.headers["Upload-Offset"])

    def _settled(self, location: str) -> Document:
        """The Accepted document of an upload that is there: what became of it."""
        for pause_s in (0.05, 0.1, 0.2, 0.5, *([1.0] * 600)):
            upload = self.ask("GET", location)
            if upload["error"]:
                error = upload["error"]
                raise Refused(422, error["code"], error["message"], error["hint"], error["evidence"])
            if upload["job"]:
                job = self.ask("GET", f"/v1/jobs/{upload['job']}")
                return {
                    "id": job["id"],
                    "video": job["video"],
                    "state": job["state"],
                    "created": upload.get("created", True),
                    "bin": job["bin"],
                }
            time.sleep(pause_s)
        raise Retryable(
            "UPLOAD_UNSETTLED", "The server has the whole file, and makes no job of it.", "Ask again later."
        )

    # -- events --------------------------------------------------------------------------------------------------------
    def events(self, topics: str, after: str = "") -> Iterator[Said]:
        pauses = 0
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
                        pauses = 0
                        after = said.id or after
                        yield said
            except Retryable:
                if pauses == len(PAUSES_S):
                    raise
                time.sleep(PAUSES_S[pauses])
                pauses += 1


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


def _blocks(
    path: Path, offset: int, most: int, size: int, on_bytes: Callable[[int, int], None] | None
) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(offset)
        left = most
        while left:
            block = file.read(min(BLOCK_BYTES, left))
            if not block:
                raise BadWish("FILE_CHANGED", f"{path.name} became shorter while it was sent.", "Send it again.")
            left -= len(block)
            yield block
            if on_bytes is not None:
                on_bytes(offset + most - left, size)


def _size(path: Path) -> int:
    """
    Raises:
        BadWish: FILE_MISSING, IS_A_DIRECTORY, FILE_UNREADABLE, EMPTY_FILE.
    """
    if path.is_dir():
        raise BadWish("IS_A_DIRECTORY", f"{path.name} is a folder.", "Give a video, or a folder that holds videos.")
    if not path.exists():
        raise BadWish("FILE_MISSING", f"There is no file {path}.", "Check the path.")
    if not os.access(path, os.R_OK):
        raise BadWish("FILE_UNREADABLE", f"{path.name} may not be read.", "Check its permissions.")
    size = path.stat().st_size
    if not size:
        raise BadWish("EMPTY_FILE", f"{path.name} is empty (0 bytes).", "Check where it came from, and copy it again.")
    return size
