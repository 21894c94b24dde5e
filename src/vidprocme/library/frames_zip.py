"""The frames of a chunk as one uncompressed zip: one blob instead of hundreds, and every frame still in reach.

The same frames give the same bytes (fixed dates and modes, the order as given), so they are kept once.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

from vidprocme.core.errors import Fatal
from vidprocme.library.blobs import writing_aside

_DATE = (1980, 1, 1, 0, 0, 0)  # the oldest a zip can say
_CREATOR_UNIX = 3


def pack(frames: Sequence[tuple[str, Path]], out: Path) -> None:
    """Write frames (member name, file) to `out`, aside and then renamed. No frames make an empty zip.

    Raises:
        ValueError: two frames have one name.
        Retryable: DISK_FULL.
    """
    if len({name for name, _ in frames}) != len(frames):
        raise ValueError("two frames of a chunk have the same name")
    with writing_aside(out) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, path in frames:
            member = zipfile.ZipInfo(name, _DATE)
            member.create_system = _CREATOR_UNIX  # the default is the machine's, which would change the hash
            member.external_attr = 0o644 << 16
            archive.writestr(member, path.read_bytes())


def read(source: bytes | Path) -> list[tuple[str, bytes]]:
    """All frames (member name, JPEG bytes) in the order they were packed.

    Raises:
        Fatal: FRAMES_BROKEN, not a whole zip of frames.
    """
    with _opened(source) as archive:
        try:
            return [(member.filename, archive.read(member)) for member in archive.infolist()]
        except (zipfile.BadZipFile, EOFError) as error:
            raise _broken(error) from error


def read_one(source: bytes | Path, name: str) -> bytes | None:
    """One frame, without reading the others; None when there is none of that name.

    Raises:
        Fatal: FRAMES_BROKEN.
    """
    with _opened(source) as archive:
        try:
            return archive.read(name)
        except KeyError:
            return None
        except (zipfile.BadZipFile, EOFError) as error:
            raise _broken(error) from error


def _opened(source: bytes | Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(io.BytesIO(source) if isinstance(source, bytes) else source)
    except zipfile.BadZipFile as error:
        raise _broken(error) from error


def _broken(error: Exception) -> Fatal:
    return Fatal(
        "FRAMES_BROKEN",
        f"The stored frames of a chunk cannot be read: {error}.",
        "Submit the video again: its frames are then taken anew.",
    )
