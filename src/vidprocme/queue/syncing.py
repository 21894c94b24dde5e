"""The embedded server's file, brought to the disk every second by its keeper instead of by the server.

A server with `appendfsync everysec` puts its writes off, for up to two seconds, while the fsync of an earlier second is not done
(aof.c, flushAppendOnlyFile), and answers all the same: were it killed then, what it had answered would be lost. With a disk that
took 1.5 s for each fsync, 802 of 2,823 answered writes were, and 230 of 3,891. With `appendfsync no` it writes before every answer
and leaves the disk to others: to this thread. A kill then loses nothing, and a machine without power at most the last second or
so, as before.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

EVERY_S = 1.0
# Redis 6.2 and Valkey before 8 keep one file; later ones a folder of several.
FILES = ("appendonly.aof", "appendonlydir/*")


class Syncer:
    """Syncs what has changed among the append-only files below a folder, until it is stopped."""

    def __init__(self, folder: Path, tell: Callable[[str], None]) -> None:
        """
        Args:
            tell: called with a sentence when a sync fails; once for each trouble.
        """
        self._folder, self._tell = folder, tell
        self._synced: dict[Path, tuple[int, int, int]] = {}
        self._told = ""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sync", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """The last sync is the server's own: it syncs its file when it ends in order."""
        self._over.set()

    def sync(self) -> int:
        """Bring to the disk what is not there yet. Returns how many files had changed.

        Raises:
            OSError: the disk is broken.
        """
        found = [path for pattern in FILES for path in self._folder.glob(pattern)]
        changed = 0
        for path in found:
            try:
                stat = path.stat()
                mark = stat.st_ino, stat.st_size, stat.st_mtime_ns
                if self._synced.get(path) == mark:
                    continue
                _sync(path)
                if path not in self._synced:
                    _sync(path.parent)  # its name, too
            except FileNotFoundError:
                continue  # replaced meanwhile by a rewritten one
            self._synced[path] = mark
            changed += 1
        self._synced = {path: mark for path, mark in self._synced.items() if path in found}
        return changed

    def _run(self) -> None:
        while not self._over.wait(EVERY_S):
            try:
                self.sync()
            except OSError as error:
                if str(error) != self._told:
                    self._tell(f"the queue's file cannot be brought to the disk: {error}")
                self._told = str(error)
            else:
                self._told = ""


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
