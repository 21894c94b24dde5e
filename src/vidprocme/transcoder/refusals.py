"""Files that cannot be used, in sentences: what is wrong, how we know, what to do."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from vidprocme.core.errors import Fatal

HEAD_BYTES = 4096


def check_file(path: Path, name: str) -> int:
    """The size of a file that can be read and is not empty. `name`: what people call it; a stored one lies under its hash.

    Raises:
        Fatal: FILE_MISSING, IS_A_DIRECTORY, NOT_A_FILE, FILE_UNREADABLE, EMPTY_FILE.
    """
    evidence = {"path": str(path)}
    try:
        facts = path.stat()
        if stat.S_ISDIR(facts.st_mode):
            raise Fatal("IS_A_DIRECTORY", f"{name} is a folder, not a video.", "Name a video inside it.", evidence)
        if not stat.S_ISREG(facts.st_mode):
            raise Fatal("NOT_A_FILE", f"{name} is not a file.", "Give a video file.", evidence)
        with path.open("rb") as handle:
            handle.read(1)
    except FileNotFoundError as error:
        raise Fatal("FILE_MISSING", f"There is no file {path}.", "Check the path.", evidence) from error
    except OSError as error:
        text = f"{name} cannot be read: {error.strerror}."
        raise Fatal("FILE_UNREADABLE", text, "Check its permissions and its disk.", evidence) from error
    if facts.st_size == 0:
        raise Fatal("EMPTY_FILE", f"{name} is empty (0 bytes).", "Copy it again from where it came.", evidence)
    return facts.st_size


def unreadable(path: Path, error: Exception, name: str) -> Fatal:
    """Why libav would not open a file, from the file's own first bytes."""
    with path.open("rb") as handle:
        head = handle.read(HEAD_BYTES)
    evidence = {"path": str(path), "bytes": os.path.getsize(path), "libav": str(error)[:300]}  # noqa: PTH202
    if head[4:8] in (b"ftyp", b"mdat", b"moov", b"wide", b"free", b"skip"):
        return Fatal(
            "TRUNCATED",
            f"{name} is an MP4 whose index (moov) is missing or cut off, so its pictures cannot be found.",
            "The recording or the copy stopped early: copy it again, or repair it with a tool that has a sound file of the "
            "same camera.",
            evidence,
        )
    kind = "text, not a video" if _is_text(head) else "not in a video format that is accepted here"
    if head.lstrip().startswith((b"#EXTM3U", b"ffconcat")):
        kind = "a playlist, which names other files instead of holding a video"
    return Fatal("NOT_A_VIDEO", f"{name} is {kind}.", "Give a video file (MP4, MKV, WebM, MOV, TS, AVI ...).", evidence)


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return all(sign.isprintable() or sign in "\r\n\t\f" for sign in text)
