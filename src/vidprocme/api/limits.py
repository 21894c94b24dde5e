"""How often somebody may ask: token buckets of this process. Two servers on one queue count apart."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from vidprocme.core.errors import Retryable

CALLERS_MOST = 10_000  # of whom we remember how much they asked; the one heard longest ago starts anew
# Wrong keys. 160 random bits cannot be guessed; this keeps what strangers try out of the log and off the queue.
WRONG_PER_S, WRONG_BURST = 0.5, 20
WRONG_ALL_PER_S, WRONG_ALL_BURST = 1.0, 60  # lines of the audit log about them, from all addresses together


@dataclass(frozen=True, slots=True)
class Level:
    """What is left after asking. `wait_s`: until the same may be asked again; 0: it was allowed."""

    left: int
    wait_s: int
    full_s: int  # until nothing is used any more

    @property
    def ok(self) -> bool:
        return self.wait_s == 0


class Buckets:
    """One bucket for each name: `burst` tokens, `per_s` of which come back each second. per_s 0: no limit."""

    def __init__(self, per_s: float, burst: int, now_s: Callable[[], float] = time.monotonic) -> None:
        self.per_s, self.burst = per_s, max(1, burst)
        self._now_s, self._lock = now_s, threading.Lock()
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, when

    def take(self, name: str, cost: float = 1.0) -> Level:
        if not self.per_s:
            return Level(self.burst, 0, 0)
        now_s = self._now_s()
        with self._lock:
            tokens, then_s = self._levels.pop(name, (float(self.burst), now_s))
            tokens = min(float(self.burst), tokens + (now_s - then_s) * self.per_s)
            enough = tokens >= cost
            tokens -= cost if enough else 0
            self._levels[name] = tokens, now_s
            if len(self._levels) > CALLERS_MOST:
                self._levels.popitem(last=False)
        wait_s = 0 if enough else max(1, math.ceil((cost - tokens) / self.per_s))
        return Level(int(tokens), wait_s, math.ceil((self.burst - tokens) / self.per_s))

    @property
    def policy(self) -> str:
        """As draft-ietf-httpapi-ratelimit-headers writes it."""
        return f'"default";q={self.burst};w={math.ceil(self.burst / self.per_s)}'


class Limits:
    def __init__(self, per_s: int, burst: int) -> None:
        self.callers = Buckets(per_s, burst)
        self.wrong = Buckets(WRONG_PER_S, WRONG_BURST)
        self.wrong_told = Buckets(WRONG_ALL_PER_S, WRONG_ALL_BURST)


def too_many(who: str, level: Level) -> Retryable:
    return Retryable(
        "RATE_LIMITED",
        f"{who} asks too often.",
        f"Wait {level.wait_s} s. VIDPROCME_RATE_PER_S and VIDPROCME_RATE_BURST say how often a key may ask.",
        {"wait_s": level.wait_s},
    )
