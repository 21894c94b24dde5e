"""Which files a person means: files, folders, globs."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vidprocme.core.errors import BadWish

# Names that a folder's videos have. A file that is named outright is taken whatever it is called.
SUFFIXES = frozenset(
    {".3g2", ".3gp", ".asf", ".avi", ".flv", ".gif", ".ivf", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg"}
    | {".mts", ".mxf", ".ogg", ".ogv", ".ps", ".ts", ".vob", ".webm", ".wmv"}
)


@dataclass(frozen=True, slots=True)
class Input:
    """One video to process, or why there is none. `folder` is its name under --out, unlike any other of the run."""

    given: str
    path: Path
    folder: str
    error: BadWish | None = None


def expand(arguments: Sequence[str]) -> list[Input]:
    """The inputs that these arguments name, in order, each file once.

    A folder stands for the videos directly in it. What is missing stays in the list with its error, so that one wrong name
    never ends a batch.
    """
    found: list[tuple[str, Path, BadWish | None]] = []
    for argument in arguments:
        path = Path(argument)
        if not argument.strip():
            error = BadWish("EMPTY_ARGUMENT", "One of the names given is empty.", "Perhaps a variable was not set.")
            found.append((argument, path, error))
        elif "://" in argument and not path.exists():
            hint = "Download it first; a folder, a file or a glob can be given."
            found.append((argument, path, BadWish("NOT_A_FILE", f"{argument} is an address, not a file.", hint)))
        elif path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.is_file() and p.suffix.lower() in SUFFIXES)
            if not inside:
                hint = (
                    f"Endings looked for: {' '.join(sorted(SUFFIXES))}. Name the file itself if it is called otherwise."
                )
                found.append((argument, path, BadWish("NO_VIDEO_IN_FOLDER", f"{argument} holds no video.", hint)))
            found += [(str(p), p, None) for p in inside]
        elif not path.exists() and any(sign in argument for sign in "*?["):
            matches = [Path(match) for match in sorted(glob.glob(argument, recursive=True))]  # noqa: PTH207
            files = [p for p in matches if p.is_file()]
            if not files:
                found.append(
                    (argument, path, BadWish("NO_MATCH", f"Nothing matches {argument}.", "Check the pattern."))
                )
            found += [(str(p), p, None) for p in files]
        else:
            found.append((argument, path, None))
    return _with_folders(found)


def _with_folders(found: list[tuple[str, Path, BadWish | None]]) -> list[Input]:
    inputs: list[Input] = []
    seen: set[Path] = set()
    taken: set[str] = set()
    for given, path, error in found:
        whole = path.absolute() if given.strip() else Path(f"empty {len(inputs)}")
        if whole in seen:
            continue
        seen.add(whole)
        stem = path.stem or path.name or "video"
        if stem in (".", ".."):
            stem = "video"
        folder, number = stem, 2
        while folder.lower() in taken:  # some file systems do not tell a.mp4 from A.mp4
            folder, number = f"{stem}-{number}", number + 1
        taken.add(folder.lower())
        inputs.append(Input(given, path, folder, error))
    return inputs
