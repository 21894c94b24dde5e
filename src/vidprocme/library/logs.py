"""What attempts wrote while they ran: a bounded log for each, which can be read while it grows.

The log of a task's attempt lies at `logs/<job>/<stage>-<index>.<token>.log`. What comes after its first 64 KiB goes into parts beside it,
named by where in the whole they begin; the oldest part goes when there are more than PARTS. So the beginning and at least
the last 192 KiB stay, nothing is ever written again, and every place keeps its offset while the log grows.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from vidprocme.core.ids import JobId, TaskId

PART_BYTES = 64 << 10
PARTS = 4  # the last one is begun, so at least three whole ones
LINE_CHARS = 2000
YOUNG_S = 60.0  # the folder of a job that nobody knows (yet)
SWEEP_EVERY_S = 3600.0
# What opens a door does not belong into a log: names and passwords in addresses, what stands behind a `?`, keys in headers.
_SECRETS: Sequence[tuple[re.Pattern[str], str]] = (
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^/\s@'\"]*@", re.I), r"\1***@"),
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s?'\"]*)\?[^\s'\"]*", re.I), r"\1?***"),
    (
        re.compile(r"\b(authorization|x-api-key|api[_-]?key|token|password|secret)(['\"]?\s*[:=]\s*)\S.*", re.I),
        r"\1\2***",
    ),
    (re.compile(r"\bBearer\s+\S+", re.I), "Bearer ***"),
)


def path_of(data: Path, task: TaskId, token: int) -> Path:
    """Where the log of an attempt lies, in a data folder."""
    job, stage, index = task.rsplit(":", 2)
    return data / "logs" / job / f"{stage}-{index}.{token}.log"


def without_secrets(text: str) -> str:
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text


class LogWriter:
    """Appends lines, each with its time (UTC). A disk that is full or away costs the log, never the attempt.

    `short` are beginnings of paths and what is written in their place.
    """

    def __init__(self, path: Path, short: Sequence[tuple[str, str]] = ()) -> None:
        self._path = path
        self._short = sorted(((long, said) for long, said in short if long), key=lambda pair: -len(pair[0]))
        self._lock = threading.Lock()  # an engine's words come from a thread of their own
        self._found: list[tuple[int, Path]] | None = None  # the files so far
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)

    def lines(self, text: str) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")[11:23]
        for line in text.splitlines():
            for long, said in self._short:
                line = line.replace(long, said)
            self._append(f"{now}  {without_secrets(line)[:LINE_CHARS]}\n".encode(errors="replace"))

    def _append(self, line: bytes) -> None:
        with self._lock, contextlib.suppress(OSError):
            if self._found is None:
                self._found = _parts(self._path) or [(0, self._path)]
            start, last = self._found[-1]
            size = _size(last)
            if size + len(line) > PART_BYTES and size:
                start, last = start + size, self._path.with_name(f"{self._path.name}.{start + size:012d}")
                self._found.append((start, last))
                while len(self._found) > 1 + PARTS:
                    self._found.pop(1)[1].unlink(missing_ok=True)
            # Opened for each line: whoever removes the log (its job went) takes nothing that is still held open.
            descriptor = os.open(last, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.write(descriptor, line)
            finally:
                os.close(descriptor)


@dataclass(frozen=True, slots=True)
class LogPart:
    """A stretch of a log. Offsets are bytes of all that was ever written; `left_out` bytes before it are no longer kept."""

    text: str
    offset: int
    next_offset: int
    size: int
    left_out: int = 0


class AttemptLogs:
    """The logs of one data folder, for readers and for the sweep."""

    def __init__(self, data: Path) -> None:
        self._data = data

    def tokens(self, task: TaskId) -> list[int]:
        """The attempts of a task that have a log, by their tokens, oldest first."""
        path = path_of(self._data, task, 0)
        stem = path.name.removesuffix(".0.log")
        found = (one.name.removeprefix(f"{stem}.").removesuffix(".log") for one in path.parent.glob(f"{stem}.*.log"))
        return sorted(int(token) for token in found if token.isdigit())

    def has(self, task: TaskId, token: int) -> bool:
        return path_of(self._data, task, token).exists()

    def read(
        self, task: TaskId, token: int, *, offset: int = 0, tail: int | None = None, most: int = 1 << 18
    ) -> LogPart | None:
        """Whole lines from `offset` on, or about the last `tail` bytes; at most `most` bytes. None: there is no such log."""
        parts = _parts(path_of(self._data, task, token))
        if not parts:
            return None
        size = _end(parts)
        if tail is not None:
            offset = max(0, size - tail)
        offset = min(offset, size)
        left_out = 0
        begins = next((start for start, path in parts if start <= offset < start + _size(path)), None)
        if begins is None and offset < size:  # it lies in what is no longer kept
            begins = next((start for start, _ in parts if start > offset), size)
            offset, left_out = begins, begins - offset
        data = b""
        for start, path in parts:
            if start + _size(path) <= offset + len(data) or len(data) >= most:
                continue
            if data and start != offset + len(data):
                break  # what lies between is no longer kept: the next call says so
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                file.seek(max(0, offset - start))
                data += file.read(most - len(data))
        if tail is not None and offset and not left_out and (cut := data.find(b"\n") + 1):
            offset, data = offset + cut, data[cut:]
        if offset + len(data) < size and (cut := data.rfind(b"\n") + 1):
            data = data[:cut]
        return LogPart(data.decode(errors="replace"), offset, offset + len(data), size, left_out)

    def whole(self, task: TaskId, token: int) -> Iterator[str] | None:
        """All that is kept, with a mark where something was left out."""
        first = self.read(task, token)
        return None if first is None else self._rest(task, token, first)

    def _rest(self, task: TaskId, token: int, part: LogPart | None) -> Iterator[str]:
        while part is not None and (part.text or part.left_out):
            yield left_out_mark(part.left_out) + part.text
            part = self.read(task, token, offset=part.next_offset)

    def forget(self, job: JobId) -> None:
        shutil.rmtree(self._data / "logs" / job, ignore_errors=True)

    def unneeded(self, known: Callable[[JobId], bool], older_than_s: float) -> list[Path]:
        """Folders of jobs that nobody knows, and of those in which nothing was written for so long (0: however long)."""
        found, now = [], time.time()
        for folder in sorted((self._data / "logs").glob("job_*")):
            try:
                written = max((one.stat().st_mtime for one in folder.iterdir()), default=folder.stat().st_mtime)
            except OSError:
                continue
            age_s = now - written
            if (older_than_s and age_s > older_than_s) or (age_s > YOUNG_S and not known(JobId(folder.name))):
                found.append(folder)
        return found

    def sweep(self, known: Callable[[JobId], bool], older_than_s: float) -> int:
        folders = self.unneeded(known, older_than_s)
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        return len(folders)

    @contextlib.contextmanager
    def kept_swept(self, known: Callable[[JobId], bool], older_than_s: float) -> Iterator[None]:
        """Sweep now and every hour, in a thread, for as long as the block runs. `known` may raise: the next hour tries again."""
        over = threading.Event()

        def run() -> None:
            while True:
                with contextlib.suppress(Exception):  # a queue that is away, a disk: no work stops for that
                    self.sweep(known, older_than_s)
                if over.wait(SWEEP_EVERY_S):
                    return

        threading.Thread(target=run, name="log-sweep", daemon=True).start()
        try:
            yield
        finally:
            over.set()


def left_out_mark(left_out: int) -> str:
    return f"... {left_out} bytes are left out here ...\n" if left_out else ""


def _parts(path: Path) -> list[tuple[int, Path]]:
    """The log's first file and the parts after it, each with where it begins."""
    if not path.exists():
        return []
    if path.stat().st_size < PART_BYTES - 5 * LINE_CHARS:  # not full: nothing comes after it
        return [(0, path)]
    later = (one for one in path.parent.glob(f"{path.name}.*") if one.suffix[1:].isdigit())
    return [(0, path), *sorted((int(one.suffix[1:]), one) for one in later)]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _end(parts: Sequence[tuple[int, Path]]) -> int:
    start, path = parts[-1]
    return start + _size(path)
