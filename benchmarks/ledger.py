"""What became of what was accepted, read from the queue's own diary (its events) and from what was published.

An event is written by the script that changes the task: so what the diary says happened, and nothing else did.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from itertools import pairwise

from vidprocme.core.errors import Retryable
from vidprocme.core.event import Event
from vidprocme.core.ids import JobId, TaskId
from vidprocme.core.job import JobState, Stage, TaskState
from vidprocme.library.base import Blobs
from vidprocme.queue.redis import RedisQueue

STAGES = frozenset({Stage.PROBE, Stage.TRANSCODE, Stage.JOIN, Stage.INDEX})
CHUNKS = frozenset({"transcode", "frames", "describe"})


@dataclass(slots=True)
class Span:
    """One attempt as the diary has it, in the server's ms. `how`: the state that its task went to; None: it runs."""

    task: TaskId
    holder: str
    start_ms: int
    end_ms: int | None = None
    how: str | None = None

    def covers(self, at_ms: int) -> bool:
        return self.start_ms <= at_ms and (self.end_ms is None or at_ms <= self.end_ms)


@dataclass(slots=True)
class Ledger:
    """Fed with events in order."""

    after: str = "0"
    succeeded: Counter[TaskId] = field(default_factory=Counter)
    redone: list[TaskId] = field(default_factory=list)  # started again after they had succeeded
    redone_chunks: int = 0
    ended: dict[JobId, str] = field(default_factory=dict)
    dead: list[TaskId] = field(default_factory=list)
    poison: list[TaskId] = field(default_factory=list)  # those of the dead that were set aside as poison
    spans: dict[TaskId, list[Span]] = field(default_factory=dict)

    def read(self, queue: RedisQueue) -> None:
        """Everything new. Raises Retryable while the queue is away; call again."""
        while events := queue.events(self.after, 2_000):
            for event in events:
                self.take(event)
            self.after = events[-1].id

    def take(self, event: Event) -> None:
        if event.kind == "job.ended":
            self.ended[event.job] = str(event.data.get("state"))
        if event.task is None:
            return
        spans = self.spans.setdefault(event.task, [])
        if event.kind == "task.running":
            if self.succeeded[event.task]:
                self.redone.append(event.task)
                self.redone_chunks += event.data.get("stage") in CHUNKS
            spans.append(Span(event.task, str(event.data.get("holder")), event.at_ms))
            return
        if spans and spans[-1].end_ms is None:
            spans[-1].end_ms, spans[-1].how = event.at_ms, event.kind.removeprefix("task.")
        if event.kind == "task.succeeded":
            self.succeeded[event.task] += 1
        elif event.kind == "task.dead":
            self.dead.append(event.task)
            if event.data.get("poison"):
                self.poison.append(event.task)

    def running(self) -> list[Span]:
        return [spans[-1] for spans in self.spans.values() if spans and spans[-1].end_ms is None]

    def again_ms(self, at_ms: int, holders: Container[str] | None = None) -> list[int]:
        """How long after that moment each attempt that was cut off then (of these holders) had its task run again."""
        found = []
        for spans in self.spans.values():
            for span, following in pairwise(spans):
                if span.covers(at_ms) and span.how != "succeeded" and (holders is None or span.holder in holders):
                    found.append(following.start_ms - at_ms)
        return found

    @property
    def doubled(self) -> list[TaskId]:
        return [task for task, times in self.succeeded.items() if times > 1]

    def forget(self, job: JobId) -> None:
        """Of an ended job: its spans are of no more use; what it counted stays."""
        for task in [task for task in self.spans if task.startswith(f"{job}:")]:
            del self.spans[task]


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one accepted job."""

    state: JobState | None  # None: it is not there
    missing: tuple[str, ...] = ()  # artefacts that a manifest names and the store has not
    named: frozenset[str] = frozenset()  # all that its manifests name
    unsettled: tuple[TaskId, ...] = ()
    attempts_lost: int = 0
    whole: bool = False  # it has a task of every stage that a video without captions goes through

    @property
    def good(self) -> bool:
        return self.state is JobState.SUCCEEDED and self.whole and not self.missing


def fate_of(queue: RedisQueue, blobs: Blobs, job: JobId) -> Fate:
    view = queue.job(job)
    if view is None:
        return Fate(None)
    named: set[str] = set()
    unsettled, lost = [], 0
    tasks = queue.tasks(job)
    for task in tasks:
        lost += task.lost
        if task.state is not TaskState.SUCCEEDED or task.outcome is None:
            unsettled.append(task.task.id)
        else:
            named |= {artifact.sha256 for artifact in task.outcome.manifest}
    missing = tuple(sorted(sha256 for sha256 in named if not blobs.has(sha256)))
    whole = {task.task.stage for task in tasks} >= STAGES
    return Fate(view.state, missing, frozenset(named), tuple(unsettled), lost, whole)


def patiently(call: Callable[[], object]) -> bool:
    """Whether it went through; False while the queue is away."""
    try:
        call()
    except Retryable as error:
        if not error.code.startswith("QUEUE_"):
            raise
        return False
    return True
