"""Which renditions a source gets. Never larger than the source, always even, square pixels."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from vidprocme.core.media import Rendition, VideoStream

# A source between two steps keeps its own size on top, unless a step is this near to it.
NEAR = 0.85


def ladder(video: VideoStream, steps: Sequence[str]) -> tuple[Rendition, ...]:
    """Renditions for the wished steps, largest first.

    A step is the length of the short side, so a portrait video's 720p is 720 wide. Where the largest wish exceeds the
    source, the source's own size takes its place. A source smaller than every step gets one rendition of its own size.
    """
    short = min(video.width_px, video.height_px)
    wished = sorted((int(step.removesuffix("p")) for step in steps), reverse=True)
    if not wished:
        return ()
    sizes = [step for step in wished if step <= short]
    if wished[0] > short and (not sizes or sizes[0] < short * NEAR):
        sizes.insert(0, short)
    return tuple(_rendition(video, size, short) for size in sizes)


def frame_size(video: VideoStream, width_px: int) -> tuple[int, int]:
    """Width and height of the kept frames: `width_px` wide, or the source's own size when that is smaller. Even."""
    if video.width_px <= width_px:
        return _even(video.width_px), _even(video.height_px)
    return _even(width_px), _nearest_even(Fraction(video.height_px * width_px, video.width_px))


def _rendition(video: VideoStream, size: int, short: int) -> Rendition:
    if size == short:
        return Rendition(f"{short}p", _even(video.width_px), _even(video.height_px))
    width, height = (_nearest_even(Fraction(side * size, short)) for side in (video.width_px, video.height_px))
    return Rendition(f"{size}p", width, height)


def _nearest_even(value: Fraction) -> int:
    return max(2, round(value / 2) * 2)


def _even(value: int) -> int:
    return max(2, value // 2 * 2)
