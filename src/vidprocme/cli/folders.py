"""Which folder under --out belongs to which video, and which files in it are ours.

A folder is ours when it holds our mark: the content it was made for and the files we wrote. Everything else in it, and every
folder without a mark, is somebody's own and is never touched.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vidprocme.core.errors import BadWish

MARK = ".vidprocme.json"


@dataclass(frozen=True, slots=True)
class Mark:
    """What a folder of ours says of itself. `files`: names below the folder that we wrote, or were about to."""

    sha256: str
    files: frozenset[str]


def prepare_out(out: Path) -> None:
    """Make the folder for results.

    Raises:
        BadWish: OUT_UNWRITABLE.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadWish(
            "OUT_UNWRITABLE",
            f"The folder {out} cannot be made: {error.strerror}.",
            "Name another one with --out.",
            {"path": str(out)},
        ) from error


def claim(out: Path, name: str, sha256: str) -> Path:
    """The folder for this content: `out/name`, or `name-2`, `name-3` ... where that is somebody else's. Made and marked."""
    folder, number = out / name, 2
    while not _is_free_for(folder, sha256):
        folder, number = out / f"{name}-{number}", number + 1
    folder.mkdir(parents=True, exist_ok=True)
    if read_mark(folder) is None:
        write_mark(folder, Mark(sha256, frozenset()))
    return folder


def read_mark(folder: Path) -> Mark | None:
    """None: not ours."""
    try:
        data = json.loads((folder / MARK).read_text())
        return Mark(str(data["sha256"]), frozenset(map(str, data["files"])))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_mark(folder: Path, mark: Mark) -> None:
    aside = folder / f"{MARK}.part"
    aside.write_text(json.dumps({"sha256": mark.sha256, "files": sorted(mark.files)}, indent=0))
    aside.replace(folder / MARK)


def remove(folder: Path, names: Iterable[str]) -> None:
    """Remove files of ours that are no longer part of the result, and folders that are empty after it."""
    for name in names:
        path = folder / name
        path.unlink(missing_ok=True)
        if path.parent != folder and not any(path.parent.iterdir()):
            path.parent.rmdir()


def _is_free_for(folder: Path, sha256: str) -> bool:
    if not folder.exists():
        return True
    mark = read_mark(folder)
    if mark is not None:
        return mark.sha256 == sha256
    return folder.is_dir() and not any(folder.iterdir())
