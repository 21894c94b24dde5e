"""Files on this machine as sources of jobs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from vidprocme.core.errors import BadWish
from vidprocme.core.job import Source
from vidprocme.library.blobs import hash_file


def source_of(path: Path, on_bytes: Callable[[int], None] | None = None) -> Source:
    """A file on this machine as a source: hashed, referenced in place, never copied.

    `on_bytes(done)` is called while hashing, and may raise to stop.

    Raises:
        BadWish: FILE_MISSING, IS_A_DIRECTORY, FILE_UNREADABLE; EMPTY_FILE.
    """
    path = path.absolute()
    name = path.name
    if path.is_dir():
        raise BadWish(
            "IS_A_DIRECTORY",
            f"{name} is a folder.",
            "Give a video, or a folder that holds videos.",
            {"path": str(path)},
        )
    try:
        stat = path.stat()
        if not path.is_file():
            raise BadWish(
                "NOT_A_FILE", f"{name} is neither a file nor a folder.", "Give a video file.", {"path": str(path)}
            )
        if stat.st_size == 0:
            raise BadWish(
                "EMPTY_FILE",
                f"{name} is empty (0 bytes).",
                "Check where it came from, and copy it again.",
                {"path": str(path)},
            )
        sha256, size = hash_file(path, on_bytes)
    except FileNotFoundError as error:
        raise BadWish("FILE_MISSING", f"There is no file {path}.", "Check the path.", {"path": str(path)}) from error
    except PermissionError as error:
        raise BadWish(
            "FILE_UNREADABLE",
            f"{name} may not be read: {error.strerror}.",
            "Check its permissions.",
            {"path": str(path)},
        ) from error
    return Source(f"file://{quote(os.fsencode(path))}", name, sha256, size, stat.st_mtime_ns)
