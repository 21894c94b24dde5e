"""Which jobs failed lately and of what, from the diary: the causes on the first page. It can be made again from the events at any time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from vidprocme.core.event import Event
from vidprocme.core.ids import JobId, TaskId
from vidprocme.core.job import JobState

KEPT_MS = 3_600_000
JOBS_MOST = 10_000  # failed ones, and ones that may come to fail
BAD = frozenset({"task.failed", "task.dead"})
MENDED = frozenset({"job.retried", "job.forgotten"})


@dataclass(frozen=True, slots=True)
class Failure:
    """A job that failed: the task that failed last, where and with which error."""

    job: JobId
    task: TaskId
    stage: str
    code: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Cause:
    """What several jobs failed of, and the newest of them."""

    stage: str
    code: str
    jobs: int
    newest: Failure


class FailureBook:
    """Written by whoever follows the events, read by anybody."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._trouble: dict[JobId, Failure] = {}  # of jobs that have not ended, oldest first
        self._failed: dict[JobId, Failure] = {}  # by when they failed, oldest first

    def apply(self, events: Iterable[Event]) -> None:
        with self._lock:
            for event in events:
                self._apply(event)

    def _apply(self, event: Event) -> None:
        if event.kind in BAD and event.task is not None:
            stage, code = (str(event.data.get(name, "")) for name in ("stage", "code"))
            self._trouble.pop(event.job, None)
            self._trouble[event.job] = Failure(event.job, event.task, stage, code, event.at_ms)
            _cap(self._trouble)
        elif event.kind == "job.ended":
            trouble = self._trouble.pop(event.job, None)
            self._failed.pop(event.job, None)
            if trouble is not None and event.data.get("state") == JobState.FAILED:
                self._failed[event.job] = trouble
                _cap(self._failed)
        elif event.kind in MENDED:
            self._trouble.pop(event.job, None)
            self._failed.pop(event.job, None)

    def since(self, from_ms: int) -> list[Failure]:
        """Those that failed at or after `from_ms`, oldest first; no older than KEPT_MS before the newest event are of use."""
        with self._lock:
            return [failure for failure in self._failed.values() if failure.at_ms >= from_ms]


def causes(failures: Iterable[Failure], mine: Callable[[Failure], bool] = lambda _: True) -> list[Cause]:
    """Those that are `mine`, by cause; the one of most jobs first."""
    found: dict[tuple[str, str], list[Failure]] = {}
    for failure in failures:
        if mine(failure):
            found.setdefault((failure.stage, failure.code), []).append(failure)
    made = (Cause(stage, code, len(all_), all_[-1]) for (stage, code), all_ in found.items())
    return sorted(made, key=lambda cause: (-cause.jobs, cause.stage, cause.code))


def _cap(book: dict[JobId, Failure]) -> None:
    while len(book) > JOBS_MOST:
        del book[next(iter(book))]
