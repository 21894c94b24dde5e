"""What the queue shows to readers: pools, jobs, tasks, numbers. Others get these nouns from queue.base."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vidprocme.core.ids import TaskId
from vidprocme.core.job import Bin, Job, JobState, Outcome, OutcomeKind, Stage, Task, TaskState
from vidprocme.core.resources import PlaceKind, Resources
from vidprocme.core.snapshot import Reason
from vidprocme.core.why import Why


@dataclass(frozen=True, slots=True)
class PoolInfo:
    """A pool process as the others see it. `pid_started` is the kernel's start time of the pid (ticks since boot).

    `pid_namespace` names the set of processes that the pid is one of: containers of one machine can have the same host
    name and boot, and each a pid 7 of its own.
    """

    id: str
    host: str
    boot: str
    pid: int
    pid_started: int
    started_ms: int
    places: int = 0
    draining: bool = False
    own_jobs_only: bool = False  # a run that serves the jobs it made and nobody else's
    pid_namespace: str = ""


@dataclass(frozen=True, slots=True)
class PlaceReport:
    """One place of a pool as it is now."""

    id: str
    node: str
    kind: PlaceKind
    slots: int  # attempts it can run at once
    busy: int  # attempts it runs
    warm: tuple[str, ...] = ()  # models that are loaded there


@dataclass(frozen=True, slots=True)
class SeatReport:
    """More of a place, for others that play forward what waits. Numbers count from 0.

    place, sort: which of PoolReport.places it is, and which of SeatsReport.sorts.
    starts: see core.resources.PlaceLoad.
    runs: what runs there: which of `amounts` it has, when it will have ended, as predicted (ms since the epoch; -1: nobody knows), and
        which of `whose` it is (-1: not known).
    warm: the models that are loaded there when all of that has started.
    """

    place: int
    sort: int
    starts: int
    runs: tuple[tuple[int, int, int], ...] = ()
    warm: tuple[str, ...] = ()
    held_for: TaskId | None = None
    draining: bool = False


@dataclass(frozen=True, slots=True)
class SeatsReport:
    """A pool's places and what runs there, told while somebody asks when something starts; not all of them when that would be too long.

    sorts: what places have, each with the type of its GPUs. amounts: what attempts have. whose: bins and tenants of what runs.
    """

    sorts: tuple[tuple[Resources, str], ...] = ()
    amounts: tuple[Resources, ...] = ()
    whose: tuple[tuple[Bin, str], ...] = ()
    seats: tuple[SeatReport, ...] = ()


@dataclass(frozen=True, slots=True)
class LineReport:
    """Of a line: how many of its heads the pool sees, and what the first of them is told (PoolReport.said, from 0)."""

    heads: int
    said: int


@dataclass(frozen=True, slots=True)
class TaskWhy:
    """What a pool answers of one task that waits, when somebody has asked of its job."""

    task: TaskId
    why: Why


@dataclass(frozen=True, slots=True)
class PoolReport:
    """What a pool says of itself with its beat. It is known as long as the pool's presence holds.

    said: sentences, each once. lines: of lines that wait, by name, the most urgent ones. heads: of tasks that are told something else than the
        first of their line, which of the sentences.
    """

    places: tuple[PlaceReport, ...] = ()
    reasons: Mapping[str, int] = field(
        default_factory=dict
    )  # Reason.code -> heads that wait for it, as this pool sees them
    said: tuple[Reason, ...] = ()
    lines: Mapping[str, LineReport] = field(default_factory=dict)
    heads: Mapping[TaskId, int] = field(default_factory=dict)
    whys: tuple[
        TaskWhy, ...
    ] = ()  # of jobs that somebody asked of lately; of each stage of one the first that is ready
    seats: SeatsReport | None = None  # None: nobody has asked, or an older vidprocme says nothing of it


@dataclass(frozen=True, slots=True)
class PoolView:
    """A pool whose presence holds, and its last report; None before its first."""

    info: PoolInfo
    report: PoolReport | None = None

    @property
    def node(self) -> str:
        """Its machine, as its places name it."""
        places = self.report.places if self.report else ()
        return places[0].node if places else self.info.host


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task with what changes about it."""

    task: Task
    state: TaskState
    tries: int  # used up
    lost: int
    crashes: int = 0  # deaths of its attempts' own making; at queue.scripts.POISON it is set aside
    holder: str | None = None
    place: str | None = None
    due_ms: int | None = None
    started_ms: int | None = None
    ended_ms: int | None = None
    outcome: Outcome | None = None  # the last settled one
    progress: float = 0.0  # 0..1 of the running attempt


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One attempt of the past, newest last."""

    task: TaskId
    token: int
    number: int
    holder: str
    place: str
    started_ms: int
    ended_ms: int
    next: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class JobView:
    """A job with the counts its state is derived from; its source, bin and deadline as they are now."""

    job: Job
    state: JobState
    counts: Mapping[TaskState, int]
    submitted_ms: int
    ended_ms: int | None = None
    cancel_asked: bool = False
    late: bool = False  # its deadline passed, and what was left of it was cancelled
    doomed: bool = (
        False  # a task failed without which there is no result: the others were cancelled, or are told to stop
    )
    retries: int = 0  # how often somebody asked to try it again
    retried_ms: tuple[int, ...] = ()  # when, oldest first: the last fifty of these


@dataclass(frozen=True, slots=True)
class Keep:
    """How much of what has ended is kept; 0 in any of these: no bound."""

    jobs: int = 0  # ended ones
    succeeded_ms: int = 0  # since a job succeeded
    failed_ms: int = 0  # since a job failed or was cancelled
    dead: int = 0  # dead letters
    dead_ms: int = 0  # since a task died


@dataclass(frozen=True, slots=True)
class Trimmed:
    """What one step of trimming did. `warn`: say that dead letters will soon be given up (said once an hour)."""

    jobs: int = 0  # forgotten
    given_up: int = 0  # dead letters
    dead: int = 0  # dead letters that are left, as far as the step looked
    warn: bool = False
    more: bool = False  # there is more to do now


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """The server behind the queue, for doctor and health."""

    name: str  # redis or valkey
    version: str
    persistence: str  # "aof everysec", "rdb", "none"
    policy: str  # maxmemory policy
    used_bytes: int
    where: str  # address a person would recognise
    limit_bytes: int = 0  # of its memory; 0: none
    writes_ok: bool = True  # the last writes of its files went well, as it says itself

    @property
    def keeps(self) -> bool:
        """Would a restart bring everything back that was accepted until about now?"""
        return self.persistence != "none" and self.writes_ok


@dataclass(frozen=True, slots=True)
class Depth:
    """How much waits and runs, for metrics and the overview."""

    by_state: Mapping[TaskState, int] = field(default_factory=dict)
    waiting_by_bin: Mapping[Bin, int] = field(default_factory=dict)
    oldest_by_bin_ms: Mapping[Bin, int] = field(default_factory=dict)  # ready since
    jobs_active: int = 0
    # Ready tasks that a place of this kind may take; one that has alternatives counts for each of them.
    waiting_by_kind: Mapping[tuple[Bin, PlaceKind], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Position:
    """Where a ready task stands: how many tasks of each stage come before it, strictly by bin and age."""

    task: TaskId
    bin: Bin
    ahead: Mapping[Stage, int] = field(default_factory=dict)  # older ones of its bin
    more_urgent: Mapping[Stage, int] = field(default_factory=dict)  # all of more urgent bins


@dataclass(frozen=True, slots=True)
class Lately:
    """Attempts of the last minutes that ended by themselves (ok, failed, timeout), by stage.

    seconds: of the minutes in which any ended, together; of the minute that runs, those that are over.
    """

    seconds: int = 0
    ended: Mapping[Stage, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Minute:
    """What one minute brought: frames that were described, and jobs by how they ended."""

    minute_ms: int  # the minute's beginning
    frames: int = 0
    jobs: Mapping[JobState, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Count:
    """How many attempts ended so in one minute. `code` is the error's, '' when there was none."""

    minute_ms: int  # the minute's beginning
    bin: Bin
    stage: Stage
    kind: OutcomeKind
    code: str
    count: int
