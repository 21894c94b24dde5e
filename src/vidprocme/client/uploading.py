"""One file on its way to a server, by tus 1.0, in pieces: whatever is cut goes on from the last byte that the server has."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import httpx

from vidprocme.client.base import Document
from vidprocme.client.patience import Patience
from vidprocme.client.resume import Resumable, fingerprint
from vidprocme.client.web import Refused, WebClient
from vidprocme.core.errors import BadWish, Retryable, VidprocmeError

TUS = {"Tus-Resumable": "1.0.0"}
PIECE_BYTES = 32 << 20  # of one PATCH: what proxies let through, and what is sent again after a cut
PIECE_LEAST_BYTES = 1 << 20  # each cut halves the piece, down to this: some links carry no long one
BLOCK_BYTES = 1 << 18
ANEW_MOST = 3  # a server that forgets one upload after the other is not sent the file for ever
GONE = frozenset({404, 410})
# Refusals that say: ask how far it is, and go on. 408: nothing came for a while; 423: another request still writes; 460: bytes were
# damaged on the way. Of 409 only that it is somewhere else: an upload that has failed stays so.
GO_ON = frozenset({408, 423, 460})
ELSEWHERE = "UPLOAD_OFFSET"
FAILED = 422  # what became of a whole upload, as a POST of the whole would be answered
UNSETTLED = "UPLOAD_UNSETTLED"
LOOKS_S = (0.05, 0.1, 0.2, 0.5, *([1.0] * 600))  # between looks at what becomes of a whole upload

OnBytes = Callable[[int, int], None]


class Uploading:
    """One call's sending of one file."""

    def __init__(
        self,
        client: WebClient,
        path: Path,
        fields: Mapping[str, str],
        *,
        resumable: Resumable | None = None,
        on_bytes: OnBytes | None = None,
    ) -> None:
        """
        Args:
            resumable: where an unfinished upload is remembered; None: nowhere.
            on_bytes: called with (done, total) on the way.

        Raises:
            BadWish: FILE_MISSING, IS_A_DIRECTORY, FILE_UNREADABLE, EMPTY_FILE.
        """
        self._client, self._path, self._fields, self._on_bytes = client, path, fields, on_bytes
        self._size = _size(path)
        self._was = _stamp(path)
        self._resumable, self._mark = resumable, fingerprint(path, fields)
        self._location = resumable.find(self._mark) if resumable else None
        self._offset: int | None = None  # None: the server has to be asked
        self._piece_bytes = PIECE_BYTES
        self._most, self._anew, self._patience = 0, 0, Patience()

    def sent(self) -> Document:
        """The Accepted document, once the server has made a job of it.

        Raises:
            VidprocmeError: what is wrong. A server that is away from the first is not waited for; one that goes away later is, for
                about a minute after the last byte that got through.
        """
        self._open()
        while True:
            try:
                self._send()
                done = self._settled()
                self._forget()
                return done
            except (Retryable, Refused) as error:
                self._go_on_after(error)

    def _open(self) -> None:
        if self._location is not None:
            try:
                self._ask()
            except Refused as error:
                if error.status not in GONE | GO_ON:
                    raise
                if error.status in GONE:
                    self._location = None
        if self._location is None:
            self._begin()

    def _go_on_after(self, error: Retryable | Refused) -> None:
        """
        Raises:
            Retryable, Refused: it, when nothing is left to try.
        """
        if self._offset is not None:
            self._piece_bytes = max(self._piece_bytes // 2, PIECE_LEAST_BYTES)
        self._offset = None
        status = error.status if isinstance(error, Refused) else 0
        gone = status in GONE and error.code != "JOB_UNKNOWN"  # the upload, and not the job that was made of it
        if gone and self._location is not None and self._anew < ANEW_MOST:
            self._anew += 1
            self._forget()
            self._location, self._most = None, 0
            return
        if error.code == "UPLOAD_FAILED" or status == FAILED:
            self._forget()  # the same command, said again, begins anew
        again = isinstance(error, Retryable) or status in GO_ON or error.code == ELSEWHERE
        if not again or error.code == UNSETTLED:
            raise error
        self._patience.rest(error)

    def _forget(self) -> None:
        if self._resumable:
            self._resumable.forget(self._mark)

    # -- what is said to the server ------------------------------------------------------------------------------------

    def _begin(self) -> None:
        name = self._path.name.encode("utf-8", "replace").decode()
        metadata = {"filename": name, **self._fields}
        words = ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in metadata.items())
        headers = {**TUS, "Upload-Length": str(self._size), "Upload-Metadata": words}
        answer = self._client.send("POST", "/v1/uploads", headers=headers)
        self._location, self._offset = httpx.URL(answer.headers["Location"]).path, 0
        if self._resumable:
            self._resumable.keep(self._mark, self._location)

    def _ask(self) -> None:
        assert self._location is not None
        answer = self._client.send("HEAD", self._location, headers=TUS)
        self._advance(int(answer.headers["Upload-Offset"]))

    def _advance(self, offset: int) -> None:
        self._offset = offset
        if offset > self._most:
            self._most = offset
            self._patience.again()

    def _send(self) -> None:
        if self._location is None:
            self._begin()
        if self._offset is None:
            self._ask()
        assert self._location is not None and self._offset is not None
        while self._offset < self._size:
            headers = _piece(self._path, self._offset, min(self._piece_bytes, self._size - self._offset))
            self._check_same()
            content = _blocks(self._path, self._offset, int(headers["Content-Length"]), self._size, self._on_bytes)
            answer = self._client.send("PATCH", self._location, headers=headers, content=content)
            self._advance(int(answer.headers["Upload-Offset"]))
            self._piece_bytes = min(2 * self._piece_bytes, PIECE_BYTES)

    def _check_same(self) -> None:
        """What was sent and what is about to be are of one file. Of what it is now, the checksum that goes along tells.

        Raises:
            BadWish: FILE_CHANGED; what was sent of it is taken back.
        """
        if _stamp(self._path) == self._was:
            return
        with contextlib.suppress(VidprocmeError):
            self._client.send("DELETE", self._location or "", headers=TUS)
        self._forget()
        raise BadWish(
            "FILE_CHANGED", f"{self._path.name} changed while it was sent.", "Send it again when it is whole."
        )

    def _settled(self) -> Document:
        """The Accepted document of an upload that is there: what became of it."""
        assert self._location is not None
        for pause_s in LOOKS_S:
            upload = self._client.ask("GET", self._location)
            if upload["error"]:
                error = upload["error"]
                raise Refused(FAILED, error["code"], error["message"], error["hint"], error["evidence"])
            if upload["job"]:
                return accepted(self._client, upload)
            time.sleep(pause_s)
        raise Retryable(UNSETTLED, "The server has the whole file, and makes no job of it.", "Ask again later.")


def accepted(client: WebClient, upload: Document) -> Document:
    """The Accepted document of an UploadDocument that has its job."""
    job = client.ask("GET", f"/v1/jobs/{upload['job']}")
    return {
        "id": job["id"],
        "video": job["video"],
        "state": job["state"],
        "created": upload.get("created", True),
        "bin": job["bin"],
    }


def _piece(path: Path, offset: int, most: int) -> dict[str, str]:
    """The headers of a PATCH with so many bytes from there on."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(offset)
        for at in range(0, most, BLOCK_BYTES):
            digest.update(file.read(min(BLOCK_BYTES, most - at)))
    return {
        **TUS,
        "Upload-Offset": str(offset),
        "Content-Type": "application/offset+octet-stream",
        "Content-Length": str(most),
        "Upload-Checksum": f"sha256 {base64.b64encode(digest.digest()).decode()}",
    }


def _blocks(path: Path, offset: int, most: int, size: int, on_bytes: OnBytes | None) -> Iterator[bytes]:
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


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """Another one when the file was written to, or is another file; None: it is gone."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


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
