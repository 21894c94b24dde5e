"""What a data folder's Redis files are, written beside them: by which server, and the name of the dataset.

Redis 6.2 started on the files of 7.0 begins empty without a word. So the folder says who wrote it, and the dataset carries
its own name in a key: a server that does not know the name has not read the files.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from vidprocme.core.errors import Fatal

CANARY = "{vp}:dataset"


@dataclass(frozen=True, slots=True)
class Stamp:
    """`sealed`: the canary is in the dataset. A folder whose first start was cut short is not sealed yet."""

    server: str
    version: str
    created_ms: int
    dataset: str
    sealed: bool = False


def read(folder: Path) -> Stamp | None:
    """The folder's stamp; None for a new folder.

    Raises:
        Fatal: QUEUE_DATA_DAMAGED.
    """
    path = folder / "stamp.json"
    try:
        return Stamp(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise Fatal(
            "QUEUE_DATA_DAMAGED",
            f"{path} cannot be read: {error}.",
            "Restore the data folder from a copy, or set VIDPROCME_DATA to another folder.",
            {"path": str(path)},
        ) from error


def write(folder: Path, stamp: Stamp) -> None:
    """Put the stamp there, whole, and on the disk before we go on."""
    path, aside = folder / "stamp.json", folder / "stamp.json.new"
    with aside.open("w", encoding="utf-8") as file:
        file.write(json.dumps(asdict(stamp)))
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def has_files(folder: Path) -> bool:
    """Are there append-only files (6.2: one file; 7.0 and later: a folder)?"""
    return (folder / "appendonly.aof").exists() or (folder / "appendonlydir").is_dir()


def missing(folder: Path, stamp: Stamp) -> Fatal:
    """The error for a dataset that is not there though the stamp stands."""
    return Fatal(
        "QUEUE_DATA_MISSING",
        f"The jobs that {stamp.server} {stamp.version} kept in {folder} are not there any more.",
        f"Restore the files from a copy. To begin anew without them, remove {folder / 'stamp.json'}.",
        {"folder": str(folder), "dataset": stamp.dataset},
    )
