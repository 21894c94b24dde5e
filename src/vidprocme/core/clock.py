"""Time and chance as arguments, so that rules can be tested without waiting and replayed exactly."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Where a part that acts learns the time."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        ...

    def monotonic_s(self) -> float:
        """Seconds that never go back, for measuring."""
        ...


class Rng(Protocol):
    """The one method of random.Random that rules need."""

    def random(self) -> float:
        """Uniform in [0, 1)."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        return time.monotonic()


class ManualClock:
    """A clock that stands still until it is moved. For tests and the simulator."""

    def __init__(self, now_ms: int = 0) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        return self._now_ms

    def monotonic_s(self) -> float:
        return self._now_ms / 1000

    def advance(self, ms: int) -> None:
        if ms < 0:
            raise ValueError("time does not go back")
        self._now_ms += ms
