"""The bytes of one upload, open for more, and the right to write them."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

from vidprocme.library.blobs import SYNC_BYTES, disk_errors, flush_range


class Held:
    """The right to write to one upload, until it is closed or the process ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class Part:
    """The bytes of an upload, open for more. Its writer holds the upload."""

    def __init__(self, path: Path, digest: Any) -> None:
        self._path = path
        with disk_errors(path.parent):
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.offset = self._flushed = os.lseek(self._descriptor, 0, os.SEEK_END)
        self.digest = digest  # of all up to the offset; None: only a reading of the file can tell
        self._guard = threading.Lock()  # a write on a thread may outlive the request that began it
        self._closed = False

    def write(self, data: bytes) -> None:
        """
        Raises:
            Retryable: DISK_FULL. What had room is kept.
        """
        with self._guard, disk_errors(self._path.parent):
            rest = memoryview(data)
            while rest and not self._closed:
                done = os.write(self._descriptor, rest)
                if self.digest is not None:
                    self.digest.update(rest[:done])
                self.offset += done
                rest = rest[done:]
            if self.offset - self._flushed >= SYNC_BYTES:
                flush_range(self._descriptor, self._flushed, self.offset - self._flushed)
                self._flushed = self.offset

    def sync(self) -> None:
        with self._guard, disk_errors(self._path.parent):
            if not self._closed:
                os.fsync(self._descriptor)

    def cut(self, offset: int, digest: Any) -> None:
        """Throw away what came after `offset`."""
        with self._guard:
            os.ftruncate(self._descriptor, offset)
            os.fsync(self._descriptor)
            self.offset = os.lseek(self._descriptor, offset, os.SEEK_SET)
            self.digest = digest

    def close(self) -> None:
        with self._guard:
            if not self._closed:
                self._closed = True
                os.close(self._descriptor)
