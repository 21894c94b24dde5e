"""Which pictures are kept as frames: the one on screen at 0, every, 2*every ... seconds, named by its true pts."""

from __future__ import annotations

from bisect import bisect_right
from fractions import Fraction
from math import floor

from vidprocme.core.media import FrameIndex


def sample(index: FrameIndex, origin: Fraction, every: Fraction) -> tuple[int, ...]:
    """The pts of the pictures on screen at k * every on the video's axis, each once, ascending.

    The picture on screen at t is the last one whose pts is not after t. Moments before the first picture show that one.
    Moments at or after `index.end_pts` have none.
    """
    if not index.pts or every <= 0:
        return ()
    kept: list[int] = []
    moment = Fraction(0)
    end = index.end_pts * index.time_base - origin
    while moment < end:
        limit = floor((moment + origin) / index.time_base)
        pts = index.pts[max(0, bisect_right(index.pts, limit) - 1)]
        if not kept or pts > kept[-1]:
            kept.append(pts)
        moment += every
    return tuple(kept)
