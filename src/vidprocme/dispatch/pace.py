"""How often the loop does what, and how much of it at once."""

from __future__ import annotations

from dataclasses import dataclass, field

from vidprocme.queue.base import Keep
from vidprocme.scheduler.retry import LATER_MS

DUE_AGAIN_MS = 20
# Lines seen so short a time ago are good enough to claim by in the call that settles: it halves the calls of tasks of milliseconds.
AHEAD_S = 0.05
# So often, at most, a turn looks after the others; what is due is promoted, and what is late stopped, so much later.
LOOK_EVERY_S = 0.02
# One call claims half of the slots, but at least so many: while the queue works on one half, the other is started and taken in.
HALVES_FROM = 16


@dataclass(frozen=True, slots=True)
class LoopConfig:
    """Times of the loop. A lease outlives many missed beats; a presence three."""

    lease_ms: int = 15_000
    beat_ms: int = 1_000
    presence_ms: int = 3_000
    turn_every_s: float = 1.0  # the longest time between two turns: they sweep and promote
    pause_s: float = 0.5  # after the queue could not be reached
    later_ms: int = LATER_MS  # of the backoff for what somebody has to bring back
    keep: Keep = field(default_factory=Keep)  # of what has ended
