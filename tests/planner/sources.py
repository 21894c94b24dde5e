"""Sources as the planner sees them: picture indexes of every kind, and streams of every size."""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate

from hypothesis import strategies as st

from vidprocme.core.media import FrameIndex, MediaInfo, VideoStream

# time base, ticks of one picture: 29.97, 25, 60, 24 pictures a second; milliseconds as Matroska has them; a coarse clock.
CLOCKS = (
    (Fraction(1, 30000), 1001),
    (Fraction(1, 12800), 512),
    (Fraction(1, 15360), 256),
    (Fraction(1, 24), 1),
    (Fraction(1, 1000), 33),
    (Fraction(1, 90000), 3003),
)


def steady(clock: tuple[Fraction, int], count: int, key_every: int, begin: int = 0) -> FrameIndex:
    """A source with pictures at equal distances."""
    time_base, step = clock
    pts = [begin + number * step for number in range(count)]
    return FrameIndex(time_base, pts, list(range(0, count, key_every)), pts[-1] + step)


@st.composite
def indexes(draw: st.DrawFn, most: int = 400) -> FrameIndex:
    """Steady and variable rates, key frames anywhere (or none), a clock that begins anywhere."""
    time_base, step = draw(st.sampled_from(CLOCKS))
    count = draw(st.integers(1, most))
    begin = draw(st.integers(-(10**6), 10**9))
    # Stretched, so that a few hundred pictures are minutes of video.
    steady_step = step * draw(st.sampled_from((1, 10, 40)))
    steps = (
        [steady_step] * count
        if draw(st.booleans())
        else draw(st.lists(st.integers(1, 60 * step), min_size=count, max_size=count))
    )
    pts = list(accumulate(steps[:-1], initial=begin))
    keys = sorted(draw(st.sets(st.integers(0, count - 1), max_size=40)))
    return FrameIndex(time_base, pts, keys, pts[-1] + steps[-1])


def stream(width_px: int, height_px: int) -> VideoStream:
    return VideoStream(
        0, "h264", width_px, height_px, width_px, height_px, 0, "yuv420p", Fraction(1, 12800), Fraction(25)
    )


def media(index: FrameIndex, *, exact: bool = True, size: tuple[int, int] = (1280, 720)) -> MediaInfo:
    """What probe would say of such a source: it begins with its first picture and has no sound."""
    origin = index.pts[0] * index.time_base
    duration = (index.end_pts - index.pts[0]) * index.time_base
    return MediaInfo("mp4", 1000, duration, origin, len(index.pts), exact, stream(*size))
