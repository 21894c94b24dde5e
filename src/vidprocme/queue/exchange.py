"""What a pool says to the queue, and hears from it, in a turn or a beat. Others get these nouns from queue.base."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vidprocme.core.errors import Fatal
from vidprocme.core.ids import JobId, TaskId
from vidprocme.core.job import Attempt, Lease, Next, Outcome
from vidprocme.core.resources import Resources
from vidprocme.core.shares import Shares
from vidprocme.core.snapshot import Line
from vidprocme.core.work import Kind, Left, Sums


@dataclass(frozen=True, slots=True)
class Settlement:
    """The end of one attempt, said under its lease. RETRY with no tries left becomes dead; so does LOST over its cap.

    crashed: a death of the attempt's own making. The second one of a task sets it aside (dead) whatever tries are left.
    smaller: the next attempt is to need less memory (Attempt.smaller).
    elsewhere: the next attempt had better be at another place (Head.avoid).
    """

    lease: Lease
    next: Next
    outcome: Outcome
    delay_ms: int = 0
    crashed: bool = False
    smaller: bool = False
    elsewhere: bool = False
    text: str = ""  # the outcome as it is stored (wire), when that was made already


@dataclass(frozen=True, slots=True)
class Claim:
    """A placement as the queue needs it: lease this ready task to me."""

    task: TaskId
    place: str
    resources: Resources
    predicted_ms: int = (
        0  # how long it will take, as was predicted; what it does take is compared with that. 0: nothing was
    )


@dataclass(frozen=True, slots=True)
class Reservation:
    """A place that a pool holds for an overdue task; and where that stands, as the pool saw it: in this line, ready since then."""

    task: TaskId
    place: str
    line: str
    ready_ms: int


@dataclass(frozen=True, slots=True)
class Claimed:
    """A granted claim: the attempt to start, and the lease it runs under. `inputs` are inside the attempt."""

    attempt: Attempt
    lease: Lease
    lost: int = 0  # attempts of this task that were lost before


class Unreadable(Fatal):
    """A granted claim that this vidprocme cannot read. Its task is leased to us all the same: hand it back."""

    def __init__(self, error: Fatal, claim: Claim, lease: Lease) -> None:
        super().__init__(error.code, error.message, error.hint, error.evidence)
        self.claim, self.lease = claim, lease


@dataclass(frozen=True, slots=True)
class Turn:
    """The answer to one turn.

    stale: settlements that were refused because the lease was no longer theirs.
    claimed: the claims that were granted (a claim on a task that is no longer ready is left out without a word).
    granted: the tasks of `claimed`, which are made into nouns only when they are looked at. To look at one that cannot be read
        raises Unreadable, and the others can be.
    lines: up to LINES lines with up to HEADS heads (or as many as were wished for), after settling, sweeping, promoting and claiming.
    lines_total: how many lines hold tasks, but for those shown just now whose tasks cannot be read, which are left out; when more than len(lines), the next turns bring the others.
    next_due_ms: when the earliest delayed task is due; None: none is, or this turn did not look (`looked`).
    shares: what may start at all, and who used how much.
    sizes, left: the size of each task that is shown (core.job.Task), and what its job has still to do.
    sums: what attempts took so far, by kind; None: this turn did not look.
    elsewhere: tasks for which other pools hold a place.
    now_ms: the queue's clock, which all ages in the lines are told by.
    """

    stale: tuple[Lease, ...] = ()
    claimed: Sequence[Claimed] = ()
    granted: frozenset[TaskId] = frozenset()
    lines: tuple[Line, ...] = ()
    lines_total: int = 0
    next_due_ms: int | None = None
    looked: bool = True
    shares: Shares = field(default_factory=Shares)
    sizes: Mapping[TaskId, int] = field(default_factory=dict)
    left: Mapping[JobId, Left] = field(default_factory=dict)
    sums: Mapping[Kind, Sums] | None = None
    elsewhere: frozenset[TaskId] = frozenset()
    now_ms: int = 0


@dataclass(frozen=True, slots=True)
class BeatAnswer:
    """What a beat tells: leases that are somebody else's now, and attempts a person wants cancelled.

    known: False when this pool was taken for dead (it stood still, or the queue was away for longer than its presence) and
        forgotten: it has to join again, and to count its totals from nothing.
    drained: machines on which nothing new is to start.
    asked: jobs of which somebody asked lately why they wait, the latest first.
    """

    lost: tuple[Lease, ...] = ()
    cancel: tuple[Lease, ...] = ()
    known: bool = True
    drained: frozenset[str] = frozenset()
    asked: tuple[JobId, ...] = ()
