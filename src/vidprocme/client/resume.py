"""Which uploads were begun and not ended, so that a second run of the same command goes on with them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path


def fingerprint(path: Path, fields: Mapping[str, str]) -> str:
    """The same file, unchanged, with the same wishes has the same one."""
    stat = path.stat()
    told = [os.fsdecode(os.fsencode(path.absolute())), stat.st_size, stat.st_mtime_ns, sorted(fields.items())]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


class Resumable:
    """One small file for each unfinished upload to one server."""

    def __init__(self, folder: Path, server: str) -> None:
        self._folder = folder / hashlib.sha256(server.encode()).hexdigest()[:16]

    def find(self, mark: str) -> str | None:
        """The path of the upload on its server."""
        try:
            return (self._folder / mark).read_text() or None
        except OSError:
            return None

    def keep(self, mark: str, location: str) -> None:
        """Where that cannot be written, the upload goes all the same: only it cannot be gone on with later."""
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / mark).write_text(location)

    def forget(self, mark: str) -> None:
        with contextlib.suppress(OSError):
            (self._folder / mark).unlink()
