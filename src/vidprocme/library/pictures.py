"""Smaller pictures of kept frames, and a cache for them that keeps itself small. Everything here can be made again."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from vidprocme.core.errors import Fatal
from vidprocme.library.blobs import writing_aside

CACHE_BYTES = 1 << 30
SWEEP_EVERY = 256  # writes


@dataclass(frozen=True, slots=True)
class Light:
    """Brightness of a picture, 0..255: the mean, and how much it varies (standard deviation)."""

    mean: float
    spread: float


class PictureCache:
    """Files by name below a folder. When they are too many, the oldest go."""

    def __init__(self, folder: Path, most_bytes: int = CACHE_BYTES) -> None:
        self._folder, self._most_bytes = folder, most_bytes
        self._lock = threading.Lock()
        self._written = 0

    def get(self, name: str, make: Callable[[], bytes]) -> Path:
        """The file of this name, made when it is not there. `name`: ours, never somebody's words."""
        path = self._folder / name
        if path.exists():
            return path
        content = make()
        self._folder.mkdir(parents=True, exist_ok=True)
        with writing_aside(path) as file:
            file.write(content)
        with self._lock:
            self._written += 1
            due = self._written % SWEEP_EVERY == 1
        if due:
            self.sweep()
        return path

    def sweep(self) -> int:
        """Remove the oldest over the bound. Returns how many."""
        found = []
        for path in self._folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                stat = path.stat()
                found.append((stat.st_mtime_ns, stat.st_size, path))
        over, gone = sum(size for _, size, _ in found) - self._most_bytes, 0
        for _, size, path in sorted(found):
            if over <= 0:
                break
            path.unlink(missing_ok=True)
            over, gone = over - size, gone + 1
        return gone


def resized(jpeg: bytes, width_px: int) -> bytes:
    """A JPEG of at most this width, in the same shape. One that is not wider is given back as it is.

    Raises:
        Fatal: FRAMES_BROKEN.
    """
    frame = _decoded(jpeg)
    if frame.width <= width_px:
        return jpeg
    height_px = max(2, round(frame.height * width_px / frame.width / 2) * 2)
    small = frame.reformat(width_px, height_px, format="yuvj420p", interpolation="AREA")
    small.pts = 0
    encoder = av.CodecContext.create("mjpeg", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width_px, height_px, "yuvj420p"
    encoder.time_base, encoder.options = Fraction(1, 25), {"qmin": "3", "qmax": "5"}
    return b"".join(bytes(packet) for packet in [*encoder.encode(small), *encoder.encode(None)])


def light(jpeg: bytes) -> Light:
    """How bright a picture is, seen at 32 x 18 pixels.

    Raises:
        Fatal: FRAMES_BROKEN.
    """
    gray = _decoded(jpeg).reformat(32, 18, format="gray", interpolation="AREA")
    plane = gray.planes[0]
    rows, stride = bytes(plane), plane.line_size
    values = [rows[y * stride + x] for y in range(18) for x in range(32)]
    mean = sum(values) / len(values)
    return Light(mean, (sum((value - mean) ** 2 for value in values) / len(values)) ** 0.5)


def _decoded(jpeg: bytes) -> av.VideoFrame:
    decoder = av.CodecContext.create("mjpeg", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    try:
        frames = [*decoder.decode(av.Packet(jpeg)), *decoder.decode(None)]
    except av.FFmpegError as error:
        raise _broken(str(error)) from error
    if not frames:
        raise _broken("no picture in it")
    return frames[0]


def _broken(why: str) -> Fatal:
    return Fatal(
        "FRAMES_BROKEN",
        f"A stored frame cannot be read: {why}.",
        "Submit the video again: its frames are then taken anew.",
    )
