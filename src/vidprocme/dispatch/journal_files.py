"""A live pool's journal on disk: what its scheduler is told and decides (scheduler/journal.py), in files of bounded size.

A part is whole in itself: it begins with all that the pool's board knows, so that it can be replayed without what came before, as far as it goes. No disk
stops a pool or holds it up (journal_writer.py). One that cannot be written, or is too slow, breaks the part off; that is said once, and a new part is
begun later.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from vidprocme.dispatch.journal_writer import PARTS, Writer

LOG = logging.getLogger("vidprocme.dispatch")

AGAIN_S = 60.0  # after a part was broken off, until the next is tried
WAITING_BYTES = 8 << 20  # that are recorded and not on disk yet
CLOSE_S = 2.0  # so long a pool that stops waits for them

Record = Callable[[str], None]
Renew = Callable[[], bool]


class JournalFiles:
    """The parts of one pool, `<pool>.<nnnn>.jsonl`. For its loop's thread, which no method but `close` holds up."""

    def __init__(
        self,
        folder: Path,
        pool: str,
        most_bytes: int,
        now_s: Callable[[], float] = time.monotonic,
        waiting_bytes: int = WAITING_BYTES,
    ) -> None:
        """
        Args:
            most_bytes: of all parts in the folder, those of other pools too, when one is begun. A part ends with the turn that fills it.
            waiting_bytes: that are not on disk yet, at most.
        """
        self._folder, self._most, self._now_s = folder, most_bytes, now_s
        self._writer = Writer(folder, pool, most_bytes, waiting_bytes)
        self._records = False  # a part is open: what is written is taken
        self._bytes = 0  # of that part
        self._first_bytes = 0  # of its first turn, with all that it begins with
        self._again_s = float("-inf")  # no part is begun before
        self._said = False

    def renew(self) -> bool:
        """Asked before what a turn showed is written: True when a new part begins with it."""
        if self._records and self._writer.has_failed:
            self._break_off()
        if self._records:
            self._first_bytes = self._first_bytes or self._bytes
            # Of a board that knows very much, a part is not all beginning.
            if self._bytes < max(self._most // PARTS, 2 * self._first_bytes):
                return False
            self._said = False  # it became whole
        elif self._now_s() < self._again_s or not self._writer.is_done:
            return False
        self._writer.begin()
        self._records, self._bytes, self._first_bytes = True, 0, 0
        return True

    def write(self, line: str) -> None:
        """One line, ASCII, of the part that is open, if one is."""
        if not self._records:
            return
        if self._writer.put(line):
            self._bytes += len(line) + 1
            return
        self._break_off()
        if not self._said:
            self._said = True
            words = (
                "the disk of the journal in %s is too slow, or hangs: the pool goes on without, and begins again when all is written that waits, "
                "a minute later at the earliest"
            )
            LOG.warning(words, self._folder)

    def close(self) -> None:
        self._records = False
        if not self._writer.close(CLOSE_S):
            words = "the journal in %s lacks its end: its disk has not taken it within %d s"
            LOG.warning(words, self._folder, CLOSE_S)

    def _break_off(self) -> None:
        """The part ends here: one with a hole could not be replayed."""
        self._records, self._again_s = False, self._now_s() + AGAIN_S


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
