"""Cut a source at its key frames, so that each chunk can be decoded without the one before it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

from vidprocme.core.media import Chunk, FrameIndex

# Up to here a source is one chunk: a cut costs a start of ffmpeg and a join, and buys nothing on a few cores.
WHOLE_UP_TO_S = 30
# `trim` learns that a chunk is over from the first picture beyond it; by then the decoder, which works ahead in a thread of
# its own, has given a few more. Measured: 1-2 with ffmpeg 5.1.9, 2-4 with 9.0.2.
RUN_OUT = 8


def cut(index: FrameIndex, samples: Sequence[int], target_s: int, *, exact: bool = True) -> tuple[Chunk, ...]:
    """Chunks of about `target_s` seconds that tile the source: no gap, no overlap, none empty.

    Cuts lie on the key frame nearest to each target, and a chunk grows to the next key frame where there is none
    nearby. A source that is not exact (no dependable pts) is always one chunk.

    Args:
        index: pictures and key frames; keys[0] need not be 0 (a file may begin without one).
        samples: pts of the frames to keep, ascending.
        target_s: wished length in seconds.
    """
    count = len(index.pts)
    if count == 0:
        return ()
    length_s = (index.end_pts - index.pts[0]) * index.time_base
    starts = [0] if not exact or length_s <= max(WHOLE_UP_TO_S, target_s) else _starts(index, Fraction(target_s))
    edges = [*starts, count]
    chunks = []
    for number, (first, end) in enumerate(pairwise(edges)):
        last = end == count
        start_pts, end_pts = index.pts[first], index.end_pts if last else index.pts[end]
        inside = tuple(samples[bisect_left(samples, start_pts) : bisect_left(samples, end_pts)])
        chunks.append(
            Chunk(number, start_pts, end_pts, end - first, number > 0, inside, 0, 0 if last else RUN_OUT),
        )
    return tuple(chunks)


def _starts(index: FrameIndex, target_s: Fraction) -> list[int]:
    """Positions of the pictures that begin a chunk. Equal shares, moved to the nearest key frame."""
    begin = index.pts[0]
    length = (index.end_pts - begin) * index.time_base
    parts = max(1, round(length / target_s))
    share = (index.end_pts - begin) / Fraction(parts)
    keys = [index.pts[key] for key in index.keys if key > 0]
    starts = [0]
    for part in range(1, parts):
        want = begin + part * share
        at = bisect_left(keys, want)
        near = min(keys[max(0, at - 1) : at + 1], key=lambda pts: abs(pts - want), default=None)
        # Shorter than half a share: not worth a start of ffmpeg; the chunk grows to the next target instead.
        if near is None or near - index.pts[starts[-1]] < share / 2 or index.end_pts - near < share / 2:
            continue
        starts.append(bisect_left(index.pts, near))
    return starts
