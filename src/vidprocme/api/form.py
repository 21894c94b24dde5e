"""A multipart form to disk: the file as it arrives, block by block, never held in memory; the small fields beside it."""

from __future__ import annotations

import asyncio
import contextlib
import re
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from vidprocme.core.errors import BadWish, Fatal
from vidprocme.library.blobs import disk_errors

FILE_FIELD = "file"
FIELD_BYTES = 64 << 10  # of all fields together: a prompt has at most 2000 characters
BLOCK_BYTES = 1 << 20  # collected before it is parsed and written on a thread
NAME_CHARACTERS = 255
IDLE_S = 20.0  # a sender that says nothing for so long is gone
LEFT_OVER_S = 3600.0  # an unfinished upload that nobody wrote to for so long belongs to a killed server

Need = Callable[[Mapping[str, str], int, int], None]


@dataclass(frozen=True, slots=True)
class Upload:
    """What a form brought. The file at `path` is the receiver's to give away."""

    fields: dict[str, str]
    name: str
    path: Path
    size_bytes: int


@contextlib.asynccontextmanager
async def received(request: Request, folder: Path, need: Need | None = None) -> AsyncIterator[Upload]:
    """The form of this request, its file in `folder`, gone at the end unless it was moved away.

    Args:
        need: is told before more bytes are written the fields so far, how many bytes there will be and how many are there;
            it may refuse them.

    Raises:
        BadWish: UPLOAD_NOT_A_FORM, UPLOAD_MALFORMED, UPLOAD_CUT, FILE_FIELD_MISSING, FILE_FIELD_TWICE, FILE_FIELD_UNKNOWN,
            FORM_TOO_LARGE, EMPTY_FILE.
        Fatal: UPLOAD_IDLE; Retryable: DISK_FULL.
        starlette.requests.ClientDisconnect: the sender went away.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise BadWish(
            "UPLOAD_NOT_A_FORM",
            "A video is sent as multipart/form-data, with the video in the field `file`.",
            "For example: curl -F file=@VIDEO ADDRESS/v1/videos",
        )
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = tempfile.NamedTemporaryFile(dir=folder, prefix="upload-", delete=False)  # noqa: SIM115
    path = Path(file.name)
    try:
        with file:
            form = _Form(options[b"boundary"], file, need)
            block = bytearray()
            async for piece in _pieces(request):
                block += piece
                if len(block) >= BLOCK_BYTES:
                    await run_in_threadpool(form.write, bytes(block))
                    block.clear()
            await run_in_threadpool(form.write, bytes(block))
            await run_in_threadpool(form.finish)
        yield Upload(form.fields, form.name, path, form.size_bytes)
    finally:
        path.unlink(missing_ok=True)


async def _pieces(request: Request) -> AsyncIterator[bytes]:
    """
    Raises:
        Fatal: UPLOAD_IDLE.
    """
    coming = aiter(request.stream())
    while True:
        try:
            async with asyncio.timeout(IDLE_S):
                piece = await anext(coming)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise Fatal(
                "UPLOAD_IDLE",
                f"Nothing came for {IDLE_S:g} s: the form was given up.",
                "Send it again; an upload to /v1/uploads can go on where it was cut.",
            ) from None
        yield piece


def sweep(folder: Path) -> None:
    """Remove what killed servers left."""
    oldest = time.time() - LEFT_OVER_S
    for path in folder.glob("upload-*"):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < oldest:
                path.unlink()


class _Form:
    """The parser's callbacks: where a part goes is decided when its headers are known."""

    def __init__(self, boundary: bytes, file: IO[bytes], need: Need | None) -> None:
        self.fields: dict[str, str] = {}
        self.name = ""
        self.size_bytes = 0
        self._file, self._need = file, need
        self._has_file = self._ended = False
        self._header, self._value = bytearray(), bytearray()
        self._disposition = b""
        self._field: str | None = None  # None: the part is the file
        self._text = bytearray()
        self._field_bytes = 0
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begins,
                "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                "on_header_end": self._header_ends,
                "on_headers_finished": self._part_is_known,
                "on_part_data": self._data,
                "on_part_end": self._part_ends,
                "on_end": self._end,
            },
        )

    def write(self, data: bytes) -> None:
        try:
            with disk_errors(Path(self._file.name).parent):
                self._parser.write(data)
        except MultipartParseError as error:
            raise BadWish(
                "UPLOAD_MALFORMED", f"The form cannot be read: {error}.", "Send it with an ordinary HTTP client."
            ) from error

    def finish(self) -> None:
        """Raises what is wrong with the whole."""
        with disk_errors(Path(self._file.name).parent):
            self._file.flush()
        if not self._ended:
            raise BadWish(
                "UPLOAD_CUT",
                "The form ended before its last boundary: the file may not be whole, so it was not taken.",
                "Send it again.",
                {"bytes_received": self.size_bytes},
            )
        if not self._has_file:
            raise BadWish(
                "FILE_FIELD_MISSING",
                "The form has no field `file` with a file in it.",
                "For example: curl -F file=@VIDEO ADDRESS/v1/videos",
                {"fields": sorted(self.fields)[:20]},
            )
        if self.size_bytes == 0:
            raise BadWish(
                "EMPTY_FILE", f"{self.name} is empty (0 bytes).", "Check where it came from, and send it again."
            )

    def _part_begins(self) -> None:
        self._disposition = b""
        self._text.clear()

    def _header_ends(self) -> None:
        if bytes(self._header).lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _part_is_known(self) -> None:
        _, options = parse_options_header(self._disposition.decode("latin-1"))
        field = _text(options.get(b"name", b""))
        if b"filename" not in options:
            self._field = field
            return
        if field != FILE_FIELD:
            raise BadWish(
                "FILE_FIELD_UNKNOWN", f"A file came in the field {field[:100]!r}.", "The field is called `file`."
            )
        if self._has_file:
            raise BadWish(
                "FILE_FIELD_TWICE", "The form holds several files.", "Send each video in a request of its own."
            )
        self._field, self._has_file = None, True
        self.name = safe_name(_text(options[b"filename"]))

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._field is None:
            if self._need is not None:
                self._need(self.fields, self.size_bytes + end - start, self.size_bytes)
            self._file.write(memoryview(data)[start:end])
            self.size_bytes += end - start
            return
        self._field_bytes += end - start
        if self._field_bytes > FIELD_BYTES:
            raise BadWish("FORM_TOO_LARGE", f"The form's fields hold more than {FIELD_BYTES >> 10} KiB.", "Send less.")
        self._text += data[start:end]

    def _part_ends(self) -> None:
        if self._field is not None:
            self.fields[self._field] = _text(bytes(self._text))

    def _end(self) -> None:
        self._ended = True


def safe_name(given: str) -> str:
    """A name to show: without folders and control characters, at most 255 characters; never empty."""
    # Browsers write these three so (WHATWG, multipart/form-data encoding algorithm), and nothing else.
    plain = given.replace("%22", '"').replace("%0D", "").replace("%0A", " ")
    last = re.split(r"[/\\]", plain)[-1]
    shown = "".join(sign for sign in last if sign.isprintable()).strip()[:NAME_CHARACTERS]
    return shown if shown not in ("", ".", "..") else "video"


def _text(data: bytes) -> str:
    """What was sent, as UTF-8; the parser gives names as the bytes that were sent."""
    return data.decode("utf-8", errors="replace")
