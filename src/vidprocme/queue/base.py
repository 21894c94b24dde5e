"""The seam between the house and its queue: what a queue promises, without a word of Redis.

Promises (the contract suite in tests/queue/test_contract.py holds every implementation to them):
- once `submit` has answered, the job is never lost;
- a task is in exactly one place: a line, the delayed set, leased, or ended;
- a lease's token only grows; whatever an attempt says under an old token is refused and changes nothing;
- publishing is nothing but the fenced settle that stores the outcome's manifest; everything may be said twice: ids are deterministic.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from vidprocme.core.event import Event
from vidprocme.core.ids import JobId, TaskId
from vidprocme.core.job import Bin, Job, Lease, Task
from vidprocme.core.work import Kind, Sums
from vidprocme.queue.exchange import BeatAnswer, Claim, Claimed, Reservation, Settlement, Turn, Unreadable
from vidprocme.queue.rules import Rules
from vidprocme.queue.views import (
    AttemptRecord,
    Count,
    Depth,
    JobView,
    Keep,
    Lately,
    LineReport,
    Minute,
    PlaceReport,
    PoolInfo,
    PoolReport,
    PoolView,
    Position,
    SeatReport,
    SeatsReport,
    ServerInfo,
    TaskView,
    TaskWhy,
    Trimmed,
)

# What lies in views.py and exchange.py to keep this file short is part of the seam all the same.
__all__ = [
    "ENQUEUE_BATCH",
    "HEADS",
    "HEADS_MOST",
    "JOBS_BATCH",
    "LINES",
    "TEXT_MOST",
    "AttemptRecord",
    "BeatAnswer",
    "Claim",
    "Claimed",
    "Count",
    "Depth",
    "JobView",
    "Keep",
    "Lately",
    "LineReport",
    "Minute",
    "NewJob",
    "PlaceReport",
    "PoolInfo",
    "PoolReport",
    "PoolView",
    "Position",
    "Queue",
    "Reservation",
    "SeatReport",
    "SeatsReport",
    "ServerInfo",
    "Settlement",
    "Submitted",
    "TaskView",
    "TaskWhy",
    "Trimmed",
    "Turn",
    "TurnSent",
    "Unreadable",
]

JOBS_BATCH = 64  # jobs in one script of submit_many, of at most ENQUEUE_BATCH tasks; 200 held a busy server for 35 ms
ENQUEUE_BATCH = 200  # tasks in one enqueue; bounds how long a script may hold the server
TEXT_MOST = 1 << 20  # characters of one task, job or outcome as it is kept; what is larger belongs into a blob
HEADS = 8  # heads that a turn returns for each line, while not very many wait
HEADS_MOST = 128  # for a pool with as many slots; over all lines a turn returns at most so many, and one of each line
LINES = 64  # lines that a turn returns; of more, half are the most urgent bins' and half come in rotation over all


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job that is to be submitted with its first tasks, and an idempotency key if it has one."""

    job: Job
    first: Sequence[Task]
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Submitted:
    """`created` is False when the idempotency key was taken: `job` is then the one that has it."""

    job: JobId
    created: bool


class TurnSent(Protocol):
    """A turn on its way."""

    def answer(self) -> Turn: ...


class Queue(Rules, Protocol):
    """Tasks that survive a crash. Every method may raise Retryable QUEUE_UNREACHABLE."""

    # -- producers -------------------------------------------------------------------------------------------------
    def submit(self, job: Job, first: Sequence[Task], *, key: str | None = None) -> Submitted:
        """Put a new job with its first tasks (at most ENQUEUE_BATCH) in, whole or not at all.

        `key` is an idempotency key: while a job holds it, a second submit answers with that job.
        """
        ...

    def submit_many(self, jobs: Sequence[NewJob]) -> tuple[Submitted, ...]:
        """`submit` for many jobs, in few round trips. Each is put in whole or not at all; the answers come in their order.

        Raises what `submit` raises; others of these jobs may be in then, before the bad one or after it. All may be said again.
        """
        ...

    def admit(self) -> None:
        """Raises Retryable QUEUE_FULL when `submit` takes nothing new now: for those who have much to do before they submit."""
        ...

    def job_by_key(self, key: str) -> JobId | None: ...

    def cancel(self, job: JobId) -> bool:
        """Cancel every waiting task at once and mark the running ones (their beat tells them). False: already ended."""
        ...

    def retry(self, job: JobId, *, deadline_ms: int = 0) -> int:
        """Give failed, dead and cancelled tasks fresh tries; succeeded ones are never touched. Returns how many are tried again:
        in a job that is being stopped, also those whose attempts were told to stop.

        deadline_ms: its deadline from now on; 0: the one it has, unless that has passed: then it has none any more.
        """
        ...

    def set_deadline(self, job: JobId, deadline_ms: int) -> bool:
        """Another deadline for a job. False: it has ended."""
        ...

    def move(self, job: JobId, bin_: Bin) -> int:
        """Move a job to another bin. Returns how many tasks that wait were moved. They keep their places by age.
        Running ones stay, and go there should they not end; what is planned later begins there. Raises Fatal JOB_UNKNOWN, JOB_ENDED.
        """
        ...

    def forget(self, job: JobId) -> bool:
        """Remove an ended job with its tasks and attempts (DELETE of a video). False: it has not ended.

        From the first moment on nobody sees it any more, and its key is free; taking it away may take several calls, which
        `trim` ends if we do not. Raises Fatal JOB_UNKNOWN, JOB_IN_USE (another job reuses its frames).
        """
        ...

    def drop(self, job: JobId) -> bool:
        """Give up a job that failed or was cancelled, dead letters and all: as `forget`. False: it has not ended.

        Raises Fatal JOB_SUCCEEDED beside those of `forget`.
        """
        ...

    def trim(self, keep: Keep) -> Trimmed:
        """One bounded step of housekeeping: forget ended jobs and give up dead letters over these bounds, finish what `forget`
        began, and forget pools that are gone. Any number of pools may call it, as often as they like.
        """
        ...

    def forget_key(self, key: str, job: JobId) -> bool:
        """Free an idempotency key that this job has, so that the same wish makes a new job. False: it is not the job's."""
        ...

    def rebind_source(self, job: JobId, uri: str, mtime_ns: int) -> None:
        """The same content at a new path: later attempts read it from there."""
        ...

    # -- pools -----------------------------------------------------------------------------------------------------
    def join(self, pool: PoolInfo, presence_ms: int) -> None:
        """Say that this pool exists; its presence ends `presence_ms` after the last beat."""
        ...

    def leave(self, pool: str) -> None: ...

    def pools(self) -> tuple[PoolInfo, ...]:
        """The pools whose presence holds."""
        ...

    def fleet(self, most: int | None = None) -> tuple[PoolView, ...]:
        """The pools whose presence holds, each with what it last said of itself; of more than `most` only the first ones are asked."""
        ...

    def remembered_pools(self) -> tuple[PoolInfo, ...]:
        """Every pool that joined and did not leave, present or not: the dead ones of a host are found among these."""
        ...

    def free_dead(self, pool: str) -> int:
        """Make the leases of a pool that is known to be dead ready again at once (lost), and forget it."""
        ...

    def turn(
        self,
        holder: str,
        settle: Sequence[Settlement],
        claims: Sequence[Claim],
        *,
        lease_ms: int,
        jobs: Collection[JobId] | None = None,
        heads: int = HEADS,
        looks: bool = True,
        reserved: Sequence[Reservation] = (),
    ) -> Turn:
        """One round trip: settle (fenced), sweep leases whose time or holder's presence ended, promote due delayed tasks,
        claim, and show the lines.

        `jobs`: show only lines and heads made of ready tasks of these jobs (a pool that serves its own jobs alone must
        see them behind any number of others', so they come from each job's own set of ready tasks, not from a walk along
        the lines); None shows all. Everything else the turn does is for all jobs.
        `heads`: so many heads of a line are wished for, HEADS to HEADS_MOST. Each line shows one; HEADS_MOST more go to the lines
        of the most urgent bins first.
        `looks`: look after the others too (sweep, promote, stop what is late, go on with what was put off).
        `reserved`: the places that this pool holds; of one task only the first pool is heard.
        """
        ...

    def begin_turn(
        self,
        holder: str,
        settle: Sequence[Settlement],
        claims: Sequence[Claim],
        *,
        lease_ms: int,
        jobs: Collection[JobId] | None = None,
        heads: int = HEADS,
        looks: bool = True,
        reserved: Sequence[Reservation] = (),
    ) -> TurnSent:
        """`turn`, sent: the caller has other things to do while the queue works. From one thread; any other call of the queue
        in between waits for this one's answer. What may be raised is raised by `answer`, but for what cannot be said at all.
        After an answer that never came the next turn may ask for the same claims: those that were granted then are again.
        """
        ...

    def beat(
        self,
        holder: str,
        leases: Sequence[Lease],
        *,
        lease_ms: int,
        presence_ms: int,
        progress: Mapping[TaskId, float] | None = None,
        report: PoolReport | None = None,
        totals: Mapping[str, int] | None = None,
    ) -> BeatAnswer:
        """Extend all leases and the presence in one call.

        Args:
            report: what `fleet` shows of this pool from now on; None: nothing.
            totals: this pool's own counters since it joined (names: core.counts). What they grew by since it last told
                them is added to `counters`, so a beat said twice adds nothing, and one that is lost is made good by the next.
                Only of a pool that has joined.
        """
        ...

    def enqueue(self, lease: Lease, tasks: Sequence[Task]) -> int:
        """Put planned tasks in under the planning attempt's lease; those that exist are left alone. Returns how many are new.

        More than ENQUEUE_BATCH tasks go in several calls. Raises LeaseLost when the lease is no longer held.
        """
        ...

    def await_work(self, timeout_s: float) -> bool:
        """Block until something became ready (True) or the time is up."""
        ...

    # -- readers ---------------------------------------------------------------------------------------------------
    def job(self, job: JobId) -> JobView | None: ...

    # Of one job or task that a newer vidprocme wrote Fatal WIRE_VERSION is raised; lists leave it out, and it is told once.
    def jobs_named(self, ids: Sequence[JobId]) -> tuple[JobView, ...]:
        """Those of these jobs that there are, in this order, in one round trip."""
        ...

    def progress_of(self, tasks: Sequence[TaskId]) -> Mapping[TaskId, float]:
        """How far the running attempts of these tasks say they are, 0..1; those that said nothing are left out."""
        ...

    def ended_by_minute(self, from_ms: int, to_ms: int) -> Sequence[Count]:
        """How many attempts ended how, in the minutes that begin in [from_ms, to_ms), oldest first; 48 h are kept."""
        ...

    def brought_by_minute(self, from_ms: int, to_ms: int) -> Sequence[Minute]:
        """What came of it in the same minutes: frames described, jobs ended."""
        ...

    def jobs(self, *, limit: int = 100, active: bool = False) -> tuple[JobView, ...]:
        """Newest first; `active` only those that have not ended."""
        ...

    def views(self, jobs: Sequence[JobId]) -> Mapping[JobId, JobView]:
        """Those of these jobs that there are and that can be read, in few round trips."""
        ...

    def first_tasks(self, jobs: Sequence[JobId]) -> Mapping[JobId, TaskView]:
        """Of each of these jobs the task that was planned first (the probe, if it has one)."""
        ...

    def each_job(
        self, *, active: bool = False, since_ms: int | None = None, until_ms: int | None = None
    ) -> Iterator[JobView]:
        """Every job, newest first, read in pages: those submitted in [since_ms, until_ms), `active` only those not ended.

        A job that comes or goes meanwhile may be among them or not; each other one is, once.
        """
        ...

    def find_jobs(self, part: str) -> tuple[JobId, ...]:
        """Every job whose id, without its `job_`, begins or ends so, newest first; of all there are. One that is being forgotten
        may be among them. Letters and digits only: what has others is in no id.
        """
        ...

    def contents(self) -> Iterator[str]:
        """Every sha256 that a job, a task or an outcome names, some more than once, read in pages: what a sweep must keep."""
        ...

    def tasks(self, job: JobId) -> tuple[TaskView, ...]:
        """All tasks of a job, in planning order."""
        ...

    def task(self, task: TaskId) -> TaskView | None: ...

    def attempts(self, task: TaskId) -> tuple[AttemptRecord, ...]: ...

    def running(self) -> tuple[TaskView, ...]:
        """The tasks that have a lease now."""
        ...

    def dead(self, limit: int = 100) -> tuple[TaskId, ...]:
        """Dead letters, newest first."""
        ...

    def events(self, after: str, limit: int = 500, block_ms: int = 0) -> tuple[Event, ...]:
        """Events after a stream id ("0" = from the oldest kept), waiting up to block_ms for one."""
        ...

    def oldest_event(self) -> str | None:
        """The id of the oldest event still kept: a reader behind it must rebuild."""
        ...

    def newest_event(self) -> str | None:
        """The id of the newest event; None when there never was one."""
        ...

    def depth(self) -> Depth: ...

    def position(self, job: JobId) -> Position | None:
        """Where the first of a job's ready tasks stands; None when none is ready."""
        ...

    def lately(self, minutes: int) -> Lately: ...

    def counters(self) -> Mapping[str, int]:
        """Totals since the data folder began, by the names of core.counts."""
        ...

    def durations(self) -> Mapping[Kind, Sums]:
        """How long attempts that ended well took lately, and how far off the predictions were."""
        ...

    def now_ms(self) -> int:
        """The queue's clock: every time that it tells is told by it, and this machine's may differ."""
        ...

    def server(self) -> ServerInfo:
        """What the server is, good or not: one that a new connection would be refused on is described all the same."""
        ...

    def answers(self, within_s: float) -> bool:
        """Whether it answers now, asked beside the calls that wait for it."""
        ...

    def hurry(self) -> None:
        """For somebody who is about to end: from now on no call waits for the queue longer than half a second, and those that
        wait are cut off (QUEUE_UNREACHABLE). From any thread."""
        ...

    def close(self) -> None: ...
