"""What writes a journal's parts: a thread of its own, so that a disk that hangs holds up nobody but it.

What it is given waits in order, and in memory, until it is on disk.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOG = logging.getLogger("vidprocme.dispatch")

PARTS = 4  # the folder's bound is for so many of them; the oldest goes when there is no room for another
LIVES_S = 600.0  # a part of another pool that changed so lately may still be written
SUFFIX = ".jsonl"
PIECE = 256 << 10  # characters that are written at once
GATHER_S = 0.05  # lines that come within so long are written together: who gives them is rarely interrupted for it


class Parts:
    """The files of one pool, `<pool>.<nnnn>.jsonl`, one after the other. Each method may hang with the disk, and raises OSError."""

    def __init__(self, folder: Path, pool: str, most_bytes: int) -> None:
        self._folder, self._pool, self._most = folder, pool, most_bytes
        self._fd: int | None = None
        self._number, self._written = 0, 0
        self._path = folder  # of the part that was begun last

    def begin(self) -> None:
        """The next one; the one before has ended."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._make_room()
        self._number += 1
        self._path, self._written = self._folder / f"{self._pool}.{self._number:04d}{SUFFIX}", 0
        self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)

    def write(self, text: str) -> None:
        """To the system, at once: a pool that is killed later has written it. Nothing, where no part is open: one that failed gets no hole."""
        if self._fd is not None:
            if not os.fstat(self._fd).st_nlink:
                raise FileNotFoundError(errno.ENOENT, f"somebody removed {self._path.name}")
            left = memoryview(text.encode("ascii"))
            while left:
                count = os.write(self._fd, left)
                self._written += count
                left = left[count:]

    def end(self) -> None:
        """A part that nothing was written to goes."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)
            if not self._written:
                self._path.unlink(missing_ok=True)

    def _make_room(self) -> None:
        """The oldest parts go, also of other pools: but not what one that lives may be writing."""
        fresh_ns = time.time_ns() - 1_000_000_000 * LIVES_S
        parts = []
        for path in self._folder.glob(f"pool_*{SUFFIX}"):
            with suppress(FileNotFoundError):  # another pool makes room as well
                found = path.stat()
                parts.append((found.st_mtime_ns, path, found.st_size))
        whole = sum(size for _, _, size in parts)
        for changed_ns, path, size in sorted(parts):
            if whole <= self._most - self._most // PARTS:
                return
            if path.name.startswith(self._pool) or changed_ns < fresh_ns:
                path.unlink(missing_ok=True)
                whole -= size


class Writer:
    """The thread. Its methods are for one other thread, and none of them waits for the disk but `close`, and that for so long."""

    def __init__(self, folder: Path, pool: str, most_bytes: int, waiting_bytes: int) -> None:
        """
        Args:
            most_bytes: of all parts in the folder when one is begun.
            waiting_bytes: that are given and not on disk yet, at most.
        """
        self._folder, self._waiting_most = folder, waiting_bytes
        self._parts = Parts(folder, pool, most_bytes)
        self._todo: deque[str | None] = deque()  # lines with their ends; None: a part begins
        # Each of these is changed by one of the two threads alone. Bytes, and one for each part that begins.
        self._given = self._begun = 0  # by the other one
        self._done = self._at = self._failed_at = 0  # by this one; the last two are numbers of parts
        self._said = False
        self._rung, self._over = threading.Event(), threading.Event()
        # A daemon: a process ends although its disk hangs.
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    @property
    def is_done(self) -> bool:
        """Is nothing left of what was given?"""
        return self._done == self._given

    @property
    def has_failed(self) -> bool:
        """Has the part that was begun last been broken off, because it could not be written?"""
        return self._failed_at == self._begun > 0

    def begin(self) -> None:
        """What is put from now on is a new part's."""
        self._begun += 1
        self._give(None, 1)

    def put(self, line: str) -> bool:
        """One more line, ASCII. False: too much waits already, and it is not taken."""
        size = len(line) + 1
        if self._given - self._done + size > self._waiting_most:
            return False
        self._give(line + "\n", size)
        return True

    def close(self, within_s: float) -> bool:
        """Write what is left, and end. False: the disk has not taken it in time; what it takes later is written later, while the process lives."""
        self._over.set()
        self._rung.set()
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def _give(self, what: str | None, size: int) -> None:
        self._given += size
        self._todo.append(what)
        if not self._rung.is_set():
            self._rung.set()

    # -- in the thread -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        over = False
        while not over:
            self._rung.wait()
            self._over.wait(GATHER_S)
            self._rung.clear()
            over = self._over.is_set()  # looked at before: nothing is given after it
            while self._todo:
                self._step()
        with self._kept_going():
            self._parts.end()

    def _step(self) -> None:
        """A part begins, or some lines are written."""
        lines: list[str] = []
        size = 0
        while size < PIECE and self._todo and (line := self._todo[0]) is not None:
            lines.append(line)
            size += len(line)
            self._todo.popleft()
        with self._kept_going():
            if not lines:
                size = 1
                self._todo.popleft()
                self._begin()
            else:
                self._parts.write("".join(lines))
        self._done += size

    def _begin(self) -> None:
        self._at += 1
        self._parts.end()
        if self._failed_at != self._at - 1:  # the one before is whole: what comes next is news
            self._said = False
        self._parts.begin()

    @contextmanager
    def _kept_going(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._failed_at = self._at
            with suppress(OSError):
                self._parts.end()
            if not self._said:
                self._said = True
                words = (
                    "the journal in %s cannot be written (%s): the pool goes on without, and tries again each minute"
                )
                LOG.warning(words, self._folder, error.strerror or error)
