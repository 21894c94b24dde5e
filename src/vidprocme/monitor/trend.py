"""When a disk will be full at the pace of the last hour: pure, from what was free each minute.

The pace is the median of the slopes between all pairs of samples (Theil and Sen): a file that came and went, or one large video,
does not change it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

EVERY_MS = 60_000
WINDOW_MS = 3_600_000
MOST = 61  # samples of a window
SPAN_MS = 600_000  # less time tells no pace
FEWEST = 5
STILL_MS = 1_200_000  # in so long it must have lost something, else it has stopped
AHEAD_MOST_S = 30 * 86_400  # an hour does not tell what a month brings


@dataclass(frozen=True, slots=True)
class Sample:
    """What was free then."""

    at_ms: int
    free_bytes: int


@dataclass(frozen=True, slots=True)
class Pace:
    """What a disk loses in a second, and when nothing is left of it at that pace."""

    lost_per_s: float
    free_bytes: int
    full_ms: int


def kept(samples: Sequence[Sample], now_ms: int) -> tuple[Sample, ...]:
    """Those of the last hour, the newest MOST. What lies ahead of a clock that was set back is dropped."""
    return tuple(one for one in samples if now_ms - WINDOW_MS <= one.at_ms <= now_ms)[-MOST:]


def pace(samples: Sequence[Sample]) -> Pace | None:
    """None: it does not fill, or nobody can tell yet.

    Args:
        samples: ascending in time; at most MOST, for all pairs are looked at.
    """
    if len(samples) < FEWEST or samples[-1].at_ms - samples[0].at_ms < SPAN_MS:
        return None
    newest = samples[-1]
    before = next((one for one in reversed(samples) if newest.at_ms - one.at_ms >= STILL_MS), samples[0])
    slopes = sorted(
        (late.free_bytes - early.free_bytes) * 1000 / (late.at_ms - early.at_ms)
        for early, late in combinations(samples, 2)
        if late.at_ms > early.at_ms
    )
    # Two pairs in three have to fall: of what goes up and down it is every second one.
    if newest.free_bytes >= before.free_bytes or slopes[len(slopes) * 2 // 3] >= 0:
        return None
    lost_per_s = -slopes[len(slopes) // 2]
    left_s = newest.free_bytes / lost_per_s
    if left_s > AHEAD_MOST_S:
        return None
    return Pace(lost_per_s, newest.free_bytes, newest.at_ms + round(1000 * left_s))
