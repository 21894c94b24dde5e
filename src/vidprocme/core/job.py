"""Jobs, tasks and attempts: the nouns, and the one table of a task's states.

A Job is one video and what is wanted of it. A Task is one unit a worker runs. An Attempt is one try at a Task under
a Lease. A job's state is never stored by hand: `job_state` derives it from the counts of its tasks' states.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from types import MappingProxyType
from typing import Any

from vidprocme.core.errors import ErrorInfo
from vidprocme.core.ids import DEFAULT_TENANT as DEFAULT_TENANT
from vidprocme.core.ids import AttemptId, JobId, TaskId, VideoId, video_id
from vidprocme.core.resources import Need, Resources
from vidprocme.core.shape import shape_of


class Stage(StrEnum):
    """The kind of a task."""

    PROBE = "probe"
    TRANSCODE = "transcode"
    FRAMES = "frames"
    JOIN = "join"
    DESCRIBE = "describe"
    INDEX = "index"


class Bin(StrEnum):
    """One priority's lines of tasks, most urgent first."""

    URGENT = "urgent"
    HIGH = "high"
    NORMAL = "normal"
    BULK = "bulk"

    __hash__ = str.__hash__  # an Enum's own is written in Python, and tables are looked up by bin in every decision


class TaskState(StrEnum):
    BLOCKED = "blocked"  # waits for other tasks
    READY = "ready"  # in a line
    RUNNING = "running"  # leased
    DELAYED = "delayed"  # waits for a moment: a retry's backoff
    SUCCEEDED = "succeeded"
    FAILED = "failed"  # will never work
    CANCELLED = "cancelled"
    DEAD = "dead"  # every try used up; a person may requeue it


TERMINAL: frozenset[TaskState] = frozenset({TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED, TaskState.DEAD})

# The one table. queue/lua gets it from here, docs/states.md is drawn from it, property tests walk it.
TRANSITIONS: Mapping[TaskState, frozenset[TaskState]] = MappingProxyType(
    {
        TaskState.BLOCKED: frozenset({TaskState.READY, TaskState.CANCELLED}),
        TaskState.READY: frozenset({TaskState.RUNNING, TaskState.CANCELLED}),
        TaskState.RUNNING: frozenset(
            {
                TaskState.SUCCEEDED,
                TaskState.FAILED,
                TaskState.DEAD,
                TaskState.CANCELLED,
                TaskState.DELAYED,  # failed, timeout or lost: again after a while
                TaskState.READY,  # handed back by a drain, or told to stop and retried since: again at once
            }
        ),
        TaskState.DELAYED: frozenset({TaskState.READY, TaskState.CANCELLED}),
        TaskState.SUCCEEDED: frozenset(),
        # A retry gives fresh tries; a task whose needs are not met yet goes back to blocked.
        TaskState.FAILED: frozenset({TaskState.READY, TaskState.BLOCKED}),
        TaskState.CANCELLED: frozenset({TaskState.READY, TaskState.BLOCKED}),
        # A dead letter that is too old, or one too many, is given up; its job can be retried all the same.
        TaskState.DEAD: frozenset({TaskState.READY, TaskState.BLOCKED, TaskState.FAILED}),
    }
)


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


def job_state(counts: Mapping[TaskState, int]) -> JobState:
    """A job's state from how many of its tasks are in which state (docs/states.md).

    While anything can still move, the job is running (or queued, when nothing has started). After that: any failed or
    dead task makes it failed; else any cancelled one makes it cancelled; else it succeeded.
    """
    alive = sum(n for state, n in counts.items() if state not in TERMINAL)
    ended = sum(n for state, n in counts.items() if state in TERMINAL)
    if alive:
        moving = counts.get(TaskState.RUNNING, 0) + counts.get(TaskState.DELAYED, 0) + ended
        return JobState.RUNNING if moving else JobState.QUEUED
    if counts.get(TaskState.FAILED, 0) or counts.get(TaskState.DEAD, 0):
        return JobState.FAILED
    if counts.get(TaskState.CANCELLED, 0):
        return JobState.CANCELLED
    return JobState.SUCCEEDED if ended else JobState.QUEUED


class AfterRule(StrEnum):
    """When a task's predecessors let it go."""

    SUCCEEDED = "succeeded"  # each must succeed; one that ends otherwise cancels this task
    SETTLED = "settled"  # each must end, however


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how often. `wall_s` 0 = no wall limit; `stall_s` = no progress for this long is a hang."""

    tries: int = 4
    lost: int = 20
    wall_s: float = 0.0
    stall_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Source:
    """Where a job's video is.

    `uri` is `file:///abs/path` (referenced in place, never copied) or `blob:<sha256>`. `size_bytes` and `mtime_ns` let a
    stage see that a referenced file was changed under it (mtime 0: a blob, which cannot change).
    """

    uri: str
    name: str
    sha256: str
    size_bytes: int
    mtime_ns: int = 0


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is wanted of a video. Made and checked by planner.recipe; plain data here."""

    renditions: tuple[str, ...] = ("720p", "480p", "360p")  # names of steps; () = none wanted
    every_s: Fraction = Fraction(1)  # sampling: the frame on screen at 0, every_s, 2*every_s ...
    frame_width_px: int = 640
    model: str | None = None  # id in the model registry; None = no captions
    model_on_server: bool = False  # that model answers from a server somebody runs, not from files here
    model_missing: bool = False  # captions were wished for, but there is no model
    prompt: str = "Describe this frame."
    video_crf: int = 23
    video_preset: str = "veryfast"
    audio_kbit: int = 128
    chunk_s: int = 20  # wished length of a chunk; sources of up to 30 s are never cut


@dataclass(frozen=True, slots=True)
class Job:
    """One video and what is wanted of it."""

    id: JobId
    source: Source
    recipe: Recipe
    bin: Bin = Bin.NORMAL
    tenant: str = DEFAULT_TENANT
    created_ms: int = 0
    reuses: JobId | None = None  # a describe job takes its frames from this finished job
    deadline_ms: int = 0  # what has not ended by then (since the epoch) is cancelled; 0: it has all the time

    @property
    def video(self) -> VideoId:
        """The video that this job is of: its tenant's."""
        return video_id(self.source.sha256, self.tenant)


@dataclass(frozen=True, slots=True)
class Task:
    """One unit a worker runs. Immutable: what changes (state, tries, lease) lives in the queue.

    `payload` is JSON for the stage's body. `needs` are alternatives in order of preference. `shape` groups tasks that
    can stand for each other in a line: stage, model and needs. `fatal_to_job`: when this one fails or dies, the job's
    other waiting tasks are cancelled. `size`: how much work it is, by which its duration is predicted: milliseconds of video (probe,
    transcode, frames, join) or thousandths of a frame (describe, index); 0: not known when it was planned.
    """

    id: TaskId
    job: JobId
    stage: Stage
    index: int
    payload: dict[str, Any]
    needs: tuple[Need, ...]
    after: tuple[TaskId, ...] = ()
    after_rule: AfterRule = AfterRule.SUCCEEDED
    limits: Limits = field(default_factory=Limits)
    fatal_to_job: bool = True
    model: str | None = None
    bin: Bin = Bin.NORMAL
    tenant: str = DEFAULT_TENANT
    size: int = 0

    @property
    def shape(self) -> str:
        """Stage, model and every need with its milli-GPUs or milli-CPUs, readable: `describe/demo/gpu1000+cpu_model0`."""
        return shape_of(self.stage, self.model, self.needs)


@dataclass(frozen=True, slots=True)
class Artifact:
    """One output of an attempt: a name inside the task, and the content it stands for."""

    name: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What an attempt took. CPU covers the attempt's process and all its children."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_rss_bytes: int = 0
    frames_decoded: int = 0


class Next(StrEnum):
    """What becomes of a task whose attempt is settled."""

    SUCCEED = "succeed"
    RETRY = "retry"  # delayed by `delay_ms`, one try used
    LOST = "lost"  # delayed by `delay_ms`, no try used; counted apart under Limits.lost
    HAND_BACK = "hand_back"  # ready at once, nothing used: a drain
    FAIL = "fail"  # will never work
    CANCEL = "cancel"


class OutcomeKind(StrEnum):
    OK = "ok"
    FAILED = "failed"
    LOST = "lost"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended. `result` is small JSON (it goes into Redis); bytes go into the manifest's blobs."""

    kind: OutcomeKind
    result: dict[str, Any] = field(default_factory=dict)
    manifest: tuple[Artifact, ...] = ()
    error: ErrorInfo | None = None
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to run one attempt of a task until a moment. `token` only grows: a stale one is refused."""

    task: TaskId
    holder: str
    token: int
    until_ms: int

    @property
    def attempt(self) -> AttemptId:
        return AttemptId(f"{self.task}:t{self.token}")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at a task, as an executor gets it: everything the attempt's process needs, and no Redis.

    `inputs` are the outcomes of the tasks this one came after, by task id (results and manifests).
    `number` counts tries from 1; `resources` is the need that was granted on `place`. `smaller`: so many attempts before
    this one ran out of memory; it is to need less.
    """

    id: AttemptId
    task: Task
    job: Job
    number: int
    token: int
    place: str
    resources: Resources
    inputs: dict[TaskId, Outcome] = field(default_factory=dict)
    smaller: int = 0
