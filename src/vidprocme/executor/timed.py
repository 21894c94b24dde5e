"""Attempts that only wait: for the contract suite, the live simulation and the queue's benchmark.

How long an attempt takes stands in its task's payload (`wait_s`); it reports progress on the way and ends ok. Nothing else
about it is pretend: places, cancelling and reports are as everywhere.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from vidprocme.core.errors import ErrorInfo, Fate
from vidprocme.core.ids import AttemptId
from vidprocme.core.job import Attempt, Outcome, OutcomeKind, Usage
from vidprocme.core.resources import Place
from vidprocme.executor.base import Finished, Progress, Report


@dataclass(slots=True)
class _Wait:
    started_s: float
    ends_s: float
    told: float = 0.0


class TimedExecutor:
    """See executor.base.Executor. One thread calls everything but `wake`."""

    def __init__(self, places: Sequence[Place]) -> None:
        self._places = tuple(places)
        self._known = {place.id for place in places}
        self._waits: dict[AttemptId, _Wait] = {}
        self._ready: list[Report] = []
        self._woken = threading.Event()

    def start(self) -> None:
        pass

    def places(self) -> Sequence[Place]:
        return self._places

    def submit(self, attempt: Attempt) -> None:
        if attempt.place not in self._known:
            error = ErrorInfo("UNPLACEABLE", f"There is no place {attempt.place} here.", "", {}, Fate.LOST)
            self._ready.append(Finished(attempt.id, Outcome(OutcomeKind.LOST, error=error)))
            return
        now = time.monotonic()
        self._waits[attempt.id] = _Wait(now, now + float(attempt.task.payload.get("wait_s", 0.0)))

    def cancel(self, attempt: AttemptId, *, lost: bool = False) -> None:
        wait = self._waits.pop(attempt, None)
        if wait is not None:
            kind = OutcomeKind.LOST if lost else OutcomeKind.CANCELLED
            self._ready.append(Finished(attempt, Outcome(kind, usage=Usage(wall_s=time.monotonic() - wait.started_s))))

    def poll(self, timeout_s: float) -> Sequence[Report]:
        deadline = time.monotonic() + timeout_s
        while True:
            self._advance(time.monotonic())
            now = time.monotonic()
            if self._ready or now >= deadline:
                break
            if self._woken.wait(min([deadline, *(wait.ends_s for wait in self._waits.values())]) - now):
                break
        self._woken.clear()
        reports, self._ready = self._ready, []
        return reports

    def _advance(self, now: float) -> None:
        for attempt, wait in list(self._waits.items()):
            if wait.ends_s <= now:
                del self._waits[attempt]
                self._ready.append(Finished(attempt, Outcome(OutcomeKind.OK, usage=Usage(wall_s=now - wait.started_s))))
                continue
            fraction = (now - wait.started_s) / (wait.ends_s - wait.started_s)
            if fraction - wait.told >= 0.1:
                wait.told = fraction
                self._ready.append(Progress(attempt, fraction))

    def wake(self) -> None:
        self._woken.set()

    def close(self) -> None:
        self._waits.clear()
