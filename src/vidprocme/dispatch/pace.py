"""How often the loop does what, and how much of it at once."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from vidprocme.core.clock import Clock
from vidprocme.queue.base import Keep, Turn
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


class Due:
    """When the queue has something to do by the clock, as the turns told, and whether the next one looks after that.

    The server's clock decides, and may be hours away from ours: only how long it still is can be compared.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._looked_s = float("-inf")
        self._due_ms: int | None = None  # on our clock

    def seen(self, turn: Turn) -> None:
        if turn.looked:
            self._looked_s = time.monotonic()
            due_ms = turn.next_due_ms
            self._due_ms = due_ms and self._clock.now_ms() + max(due_ms - turn.now_ms, DUE_AGAIN_MS)

    def is_now(self) -> bool:
        return self._due_ms is not None and self._clock.now_ms() >= self._due_ms

    def looks(self) -> bool:
        return self.is_now() or time.monotonic() - self._looked_s >= LOOK_EVERY_S

    def within_s(self, timeout_s: float) -> float:
        """How long to wait for it, at most `timeout_s`."""
        due_s = timeout_s if self._due_ms is None else (self._due_ms - self._clock.now_ms()) / 1000
        return min(timeout_s, max(0.0, due_s))
