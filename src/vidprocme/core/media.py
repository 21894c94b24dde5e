"""Media as values. Times are exact Fractions of a second on the video's own axis.

The axis: 0 is where the presentation starts (the earlier of first picture and first sound), as a player shows it.
`MediaInfo.origin` is that moment in the container's clock. Inside one stream, `pts` are whole numbers of `time_base`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class VideoStream:
    """The picture. `width_px` and `height_px` are as shown: rotated, and with square pixels."""

    index: int
    codec: str
    width_px: int
    height_px: int
    coded_width_px: int
    coded_height_px: int
    rotation_deg: int  # clockwise quarter turns that a player applies: 0, 90, 180, 270
    pix_fmt: str
    time_base: Fraction
    frame_rate: Fraction | None  # the average; None when unknown
    interlaced: bool = False
    hdr: bool = False  # PQ or HLG transfer


@dataclass(frozen=True, slots=True)
class AudioStream:
    index: int
    codec: str
    sample_rate_hz: int
    channels: int
    start: Fraction  # first sound, on the video's axis


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What probing found. `frames` and `duration` come from the packets, never from the container's claim.

    `exact`: every packet carried a timestamp and each is one picture, so cuts and samples can be named by pts. Not
    exact: the decoder's own clock decides; the file is then one chunk.
    `damage`: sentences about what is wrong with a file that can still be used.
    """

    format: str
    size_bytes: int
    duration: Fraction
    origin: Fraction
    frames: int
    exact: bool
    video: VideoStream
    audio: AudioStream | None = None
    damage: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FrameIndex:
    """Every picture's pts in presentation order, and which of them can start a decode.

    pts: [N] ascending whole numbers of `time_base`, in the container's clock.
    keys: ascending positions into `pts` of key frames.
    end_pts: the moment just after the last picture.
    """

    time_base: Fraction
    pts: Sequence[int]
    keys: Sequence[int]
    end_pts: int


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open: [start, end) in seconds."""

    start: Fraction
    end: Fraction


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stretch of source transcoded on its own: pictures with start_pts <= pts < end_pts.

    `seek`: start decoding at the key frame start_pts instead of the file's beginning. `run_in`: pictures before the start
    that must be decoded first. `run_out`: the most pictures beyond the end that a decoder gives before it can stop (0 for
    the last chunk). A chunk decodes at least `frames` and at most `frames + run_in + run_out` pictures.
    `samples`: pts of the pictures to keep as frames, ascending.
    """

    index: int
    start_pts: int
    end_pts: int
    frames: int
    seek: bool
    samples: tuple[int, ...]
    run_in: int = 0
    run_out: int = 0


@dataclass(frozen=True, slots=True)
class Rendition:
    """One output quality. Even sizes, square pixels, never larger than the source."""

    name: str
    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True)
class RenditionFile:
    """A finished rendition, checked: what is in it was counted, not claimed."""

    name: str
    sha256: str
    width_px: int
    height_px: int
    frames: int
    duration: Fraction
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Frame:
    """One still. `time` is the true pts on the video's axis; `asked` the moments it stands for begin here.

    `name` is its member name inside the chunk's zip of frames.
    """

    time: Fraction
    name: str


@dataclass(frozen=True, slots=True)
class Caption:
    """Words for one Frame, shown from `start` until the next one."""

    start: Fraction
    end: Fraction
    text: str
    frame_time: Fraction
    model: str


def seconds(time: Fraction) -> float | int:
    """A time as JSON shows it: seconds, to the microsecond, whole numbers without a point."""
    value = round(float(time), 6)
    return int(value) if value == int(value) else value


def timestamp(time: Fraction, mark: str = ".") -> str:
    """`HH:MM:SS.mmm`, rounded to the millisecond; `mark` is the decimal sign (SRT wants a comma)."""
    ms = round(time * 1000)
    return f"{ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d}{mark}{ms % 1000:03d}"
