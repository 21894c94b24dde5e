"""What becomes of a task whose attempt ended: done, again after a while, or never.

Backoff is exponential with full jitter, U(0, min(cap, base * 2^n)): of the variants compared in Marc Brooker,
"Exponential Backoff And Jitter" (AWS Architecture Blog, 2015) it needs the fewest calls, and it spreads a crowd of
tasks that failed together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from vidprocme.core.clock import Rng
from vidprocme.core.errors import ErrorInfo, Fate
from vidprocme.core.job import Limits, Next, OutcomeKind


@dataclass(frozen=True, slots=True)
class Step:
    """What to settle with. `exhausted`: its limits allow no more; the queue makes it dead, whatever the delay."""

    next: Next
    delay_ms: int = 0
    exhausted: bool = False


@dataclass(frozen=True, slots=True)
class Backoff:
    """The nth wait (n from 0) is uniform in [0, min(cap_ms, base_ms * 2^n)]."""

    base_ms: int
    cap_ms: int

    def delay_ms(self, n: int, rng: Rng) -> int:
        # 2^n of a large n is a huge number for nothing: every cap is reached long before 2^32.
        return round(rng.random() * min(self.cap_ms, self.base_ms << min(n, 32)))


FAILED = Backoff(1_000, 60_000)
LOST = Backoff(250, 10_000)  # the task did nothing wrong; the jitter only keeps a dead machine's tasks apart
OUTSIDE = Backoff(5_000, 60_000)  # somebody has to free a disk or start a server: a second changes nothing
OUTSIDE_CODES = frozenset({"DISK_FULL", "MODEL_SERVER_DOWN"})


def next_step(
    kind: OutcomeKind, error: ErrorInfo | None, tries_used: int, lost_used: int, limits: Limits, rng: Rng
) -> Step:
    """What to do with a task whose attempt ended like this.

    Args:
        tries_used: tries used up before this one (0 when the first try just ended).
        lost_used: attempts lost before this one.
        rng: chance for the jitter.
    """
    match kind:
        case OutcomeKind.OK:
            return Step(Next.SUCCEED)
        case OutcomeKind.CANCELLED:
            return Step(Next.CANCEL)
        case OutcomeKind.LOST:
            return _lost(lost_used, limits, rng)
        case OutcomeKind.FAILED | OutcomeKind.TIMEOUT:
            return _failed(error, tries_used, lost_used, limits, rng)
        case _:
            assert_never(kind)


def _failed(error: ErrorInfo | None, tries_used: int, lost_used: int, limits: Limits, rng: Rng) -> Step:
    match error.fate if error else Fate.RETRY:
        case Fate.NEVER:
            return Step(Next.FAIL)
        case Fate.CANCELLED:
            return Step(Next.CANCEL)
        case Fate.LOST:
            return _lost(lost_used, limits, rng)
        case Fate.RETRY:
            backoff = OUTSIDE if error and error.code in OUTSIDE_CODES else FAILED
            return Step(Next.RETRY, backoff.delay_ms(tries_used, rng), exhausted=tries_used + 1 >= limits.tries)
        case fate:
            assert_never(fate)


def _lost(lost_used: int, limits: Limits, rng: Rng) -> Step:
    return Step(Next.LOST, LOST.delay_ms(lost_used, rng), exhausted=lost_used + 1 > limits.lost)
