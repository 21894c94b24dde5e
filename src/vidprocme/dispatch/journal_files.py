"""A live pool's journal on disk: what its scheduler is told and decides (scheduler/journal.py), in files of bounded size.

A part is whole in itself: the pool begins its board anew with it, so that it can be replayed without what came before. A disk that is full or
a folder that cannot be written stops no pool: it is said once, and a new part is begun when there is room again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

LOG = logging.getLogger("vidprocme.dispatch")

PARTS = 4  # the bound is for so many of them; the oldest goes when there is no room for another
AGAIN_S = 60.0  # after a part could not be written, until the next is tried
LIVES_S = 600.0  # a part of another pool that changed so lately may still be written
SUFFIX = ".jsonl"

Record = Callable[[str], None]
Renew = Callable[[], bool]


class JournalFiles:
    """The parts of one pool, `<pool>.<nnnn>.jsonl`. For its loop's thread."""

    def __init__(self, folder: Path, pool: str, most_bytes: int, now_s: Callable[[], float] = time.monotonic) -> None:
        """
        Args:
            most_bytes: of all parts in the folder, those of other pools too, when one is begun. A part ends with the turn that fills it.
        """
        self._folder, self._pool, self._most, self._now_s = folder, pool, most_bytes, now_s
        self._file: TextIO | None = None
        self._bytes, self._number = 0, 0
        self._failed_s = float("-inf")
        self._said = False

    def renew(self) -> bool:
        """Asked before what a turn showed is written: True when a new part has been begun for it."""
        if self._file is not None:
            with self._kept_going():
                self._file.flush()
        if self._file is not None and self._bytes < self._most // PARTS:
            return False
        if self._now_s() - self._failed_s < AGAIN_S:
            return False
        self.close()
        with self._kept_going():
            self._folder.mkdir(parents=True, exist_ok=True)
            self._make_room()
            self._number += 1
            path = self._folder / f"{self._pool}.{self._number:04d}{SUFFIX}"
            self._file, self._bytes = path.open("w", encoding="utf-8"), 0
        return self._file is not None

    def write(self, line: str) -> None:
        if self._file is None:
            return
        with self._kept_going():
            self._bytes += self._file.write(line + "\n")  # ASCII: a byte each

    def close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with self._kept_going():
                file.close()
                self._said = False

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

    @contextmanager
    def _kept_going(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            file, self._file, self._failed_s = self._file, None, self._now_s()
            if file is not None:
                with suppress(OSError):
                    file.close()
            if not self._said:
                self._said = True
                words = (
                    "the journal in %s cannot be written (%s): the pool goes on without, and tries again each minute"
                )
                LOG.warning(words, self._folder, error.strerror or error)


@contextmanager
def recording(folder: str, most_mb: int, pool: str) -> Iterator[tuple[Record | None, Renew]]:
    """What a dispatcher is given to write its journal; nothing where no folder is named."""
    if not folder:
        yield None, lambda: False
        return
    files = JournalFiles(Path(folder).expanduser(), pool, most_mb << 20)
    try:
        yield files.write, files.renew
    finally:
        files.close()
