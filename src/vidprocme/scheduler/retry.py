"""What becomes of a task whose attempt ended: done, again after a while, or never.

Backoff is exponential with full jitter, U(0, min(cap, base * 2^n)): of the variants compared in Marc Brooker,
"Exponential Backoff And Jitter" (AWS Architecture Blog, 2015) it needs the fewest calls, and it spreads a crowd of
tasks that failed together. Only for what somebody has to bring back, half of each wait is certain ("equal jitter" there).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from vidprocme.core.clock import Rng
from vidprocme.core.errors import ErrorInfo, Fate
from vidprocme.core.job import Limits, Next, OutcomeKind

# How a failed task is tried again, by the stable code of its error; what is in none of these is tried again as it was. Errors that
# no try can mend say so themselves (Fate.NEVER).
#
# Something that somebody has to bring back is away, or memory that others have.
LATER = frozenset({"DISK_FULL", "BLOBS_UNREACHABLE", "MODEL_SERVER_DOWN", "MODEL_BUSY", "MODEL_MEMORY"})
# The place may be to blame: its driver, its memory, its programs.
ELSEWHERE = frozenset(
    {"MODEL_CRASHED", "MODEL_OUT_OF_MEMORY", "MODEL_MEMORY", "MODEL_TIMEOUT", "FFMPEG_MISSING", "FFMPEG_UNTESTED"}
)
# With fewer threads.
SMALLER = frozenset({"OUT_OF_MEMORY", "FFMPEG_OUT_OF_MEMORY"})

# Deaths of an attempt's own making, seen by the pool that runs it. A task that dies so twice is set aside: a file that makes
# ffmpeg crash would else take down one process after another.
CRASHES = frozenset(
    {
        "PROCESS_CRASHED",
        "OUT_OF_MEMORY",
        "FFMPEG_CRASHED",
        "FFMPEG_OUT_OF_MEMORY",
        "MODEL_CRASHED",
        "MODEL_OUT_OF_MEMORY",
    }
)


@dataclass(frozen=True, slots=True)
class Step:
    """What to settle with.

    exhausted: its limits allow no more; the queue makes it dead, whatever the delay.
    crashed: it was a death of the attempt's own making; the queue counts these and sets the task aside at the second.
    smaller: the next attempt is to need less memory.
    elsewhere: the next attempt had better be at another place.
    """

    next: Next
    delay_ms: int = 0
    exhausted: bool = False
    crashed: bool = False
    smaller: bool = False
    elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Backoff:
    """The nth wait (n from 0) is uniform in [least * top, top] with top = min(cap_ms, base_ms * 2^n)."""

    base_ms: int
    cap_ms: int
    least: float = 0.0  # 0: full jitter

    def delay_ms(self, n: int, rng: Rng) -> int:
        # 2^n of a large n is a huge number for nothing: every cap is reached long before 2^32.
        top = min(self.cap_ms, self.base_ms << min(n, 32))
        return round(top * (self.least + rng.random() * (1 - self.least)))


FAILED = Backoff(1_000, 60_000)
LOST = Backoff(250, 10_000)  # the task did nothing wrong; the jitter only keeps a dead machine's tasks apart
# Somebody has to free a disk or start a server. Three waits of 15 to 30 s, 30 to 60 s and 60 to 120 s outlast the start of a
# server that loads a large model, or a machine's; full jitter could use up all tries within a second.
LATER_MS = 30_000


def next_step(
    kind: OutcomeKind,
    error: ErrorInfo | None,
    tries_used: int,
    lost_used: int,
    limits: Limits,
    rng: Rng,
    later_ms: int = LATER_MS,
) -> Step:
    """What to do with a task whose attempt ended like this.

    Args:
        tries_used: tries used up before this one (0 when the first try just ended).
        lost_used: attempts lost before this one.
        rng: chance for the jitter.
        later_ms: the longest first wait for what somebody has to bring back.
    """
    match kind:
        case OutcomeKind.OK:
            return Step(Next.SUCCEED)
        case OutcomeKind.CANCELLED:
            return Step(Next.CANCEL)
        case OutcomeKind.LOST:
            return _lost(lost_used, limits, rng)
        case OutcomeKind.FAILED | OutcomeKind.TIMEOUT:
            return _failed(error, tries_used, lost_used, limits, rng, later_ms)
        case _:
            assert_never(kind)


def _failed(error: ErrorInfo | None, tries_used: int, lost_used: int, limits: Limits, rng: Rng, later_ms: int) -> Step:
    match error.fate if error else Fate.RETRY:
        case Fate.NEVER:
            return Step(Next.FAIL)
        case Fate.CANCELLED:
            return Step(Next.CANCEL)
        case Fate.LOST:
            return _lost(lost_used, limits, rng)
        case Fate.RETRY:
            code = error.code if error else ""
            backoff = Backoff(later_ms, 20 * later_ms, least=0.5) if code in LATER else FAILED
            return Step(
                Next.RETRY,
                backoff.delay_ms(tries_used, rng),
                exhausted=tries_used + 1 >= limits.tries,
                crashed=code in CRASHES,
                smaller=code in SMALLER,
                elsewhere=code in ELSEWHERE,
            )
        case fate:
            assert_never(fate)


def _lost(lost_used: int, limits: Limits, rng: Rng) -> Step:
    return Step(Next.LOST, LOST.delay_ms(lost_used, rng), exhausted=lost_used + 1 > limits.lost)
