"""The pieces of a command line: lists of words, never a shell, and no stranger's text inside a filter graph."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

from vidprocme.transcoder import sandbox

# Time bases finer than this do not fit an mp4 track (32-bit deltas); 90 kHz then stands in.
FINEST_TIME_BASE = 10_000_000
COARSE_TIMESCALE = 90_000


def ratio(value: Fraction) -> str:
    """`num/den`, as filters and options read it."""
    return f"{value.numerator}/{value.denominator}"


def file_url(path: Path) -> str:
    """An absolute `file:` address: a name may begin with a dash or look like another protocol."""
    return f"file:{path.absolute()}"


def source(path: Path, *, threads: int, seek_s: float | None = None, genpts: bool = False) -> list[str]:
    """The words that open a stranger's file: whitelists, limits, and (when asked) a seek in the container's own clock."""
    words = ["-protocol_whitelist", sandbox.PROTOCOLS, "-format_whitelist", sandbox.DEMUXERS]
    words += ["-max_pixels", str(sandbox.MAX_PIXELS), "-threads", str(threads)]
    if genpts:
        words += ["-fflags", "+genpts"]
    if seek_s is not None:
        words += ["-seek_timestamp", "1", "-noaccurate_seek", "-ss", f"{seek_s:.6f}"]
    return [*words, "-i", file_url(path)]


def timescale(time_base: Fraction) -> int:
    """Ticks per second of our files, so that every pts of `time_base` is a whole number of them."""
    return time_base.denominator if time_base.denominator <= FINEST_TIME_BASE else COARSE_TIMESCALE


def to_ticks(pts: int, time_base: Fraction) -> int:
    """A pts (or a difference of two) in our files' ticks; exact unless the time base was too fine."""
    return round(pts * time_base * timescale(time_base))


def from_ticks(ticks: int, time_base: Fraction) -> int:
    """The inverse of `to_ticks`."""
    return round(Fraction(ticks, timescale(time_base)) / time_base)


def select(moments: Iterable[int]) -> str:
    """A `select` expression that keeps exactly the pictures with these pts.

    A balanced tree of sums: libavfilter's parser recurses on every term of a flat sum and gives up past a hundred.
    """
    terms = [f"eq(pts,{moment})" for moment in moments]
    while len(terms) > 1:
        pairs = [f"({'+'.join(terms[i : i + 2])})" for i in range(0, len(terms), 2)]
        terms = pairs
    return terms[0] if terms else "0"
