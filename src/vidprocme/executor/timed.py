"""Attempts that only wait: for the contract suite, the live simulation and the queue's benchmark.

How long an attempt takes stands in its task's payload (`wait_s`), and it ends ok; or a script that is given says how long, and how it
ends. It reports progress on the way. Nothing else about it is pretend: places, warm models, cancelling and reports are as everywhere.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from vidprocme.core.errors import ErrorInfo, Fate
from vidprocme.core.ids import AttemptId
from vidprocme.core.job import Attempt, Outcome, OutcomeKind, Usage
from vidprocme.core.resources import Place
from vidprocme.executor.base import Finished, Progress, Report


class Part(Protocol):
    """What a script says of an attempt."""

    @property
    def wait_s(self) -> float: ...
    @property
    def outcome(self) -> Outcome: ...


@dataclass(slots=True)
class _Wait:
    attempt: Attempt
    started_s: float
    ends_s: float
    outcome: Outcome
    told: float = 0.0


class TimedExecutor:
    """See executor.base.Executor. One thread calls everything but `wake`."""

    def __init__(
        self,
        places: Sequence[Place],
        script: Callable[[Attempt], Part] | None = None,
        on_end: Callable[[Attempt, Outcome], None] = lambda _attempt, _outcome: None,
    ) -> None:
        """
        Args:
            script: how long an attempt takes and how it ends; None: `wait_s` of its payload, and ok.
            on_end: told of every end, in the thread that polls.
        """
        self._places = {place.id: place for place in places}
        self._script, self._on_end = script, on_end
        self._waits: dict[AttemptId, _Wait] = {}
        self._ready: list[Report] = []
        self._woken = threading.Event()
        self._away: set[str] = set()

    def start(self) -> None:
        pass

    def places(self) -> Sequence[Place]:
        return tuple(place for place in self._places.values() if place.node not in self._away)

    def lose(self, node: str) -> None:
        """A machine is away: its places are gone with what is loaded there, and what runs there is lost."""
        self._away.add(node)
        for attempt in [id_ for id_, wait in self._waits.items() if self._places[wait.attempt.place].node == node]:
            self.cancel(attempt, lost=True)
        self._places = {id_: replace(one, warm=()) if one.node == node else one for id_, one in self._places.items()}

    def regain(self, node: str) -> None:
        """It is back."""
        self._away.discard(node)

    def submit(self, attempt: Attempt) -> None:
        if attempt.place not in self._places or self._places[attempt.place].node in self._away:
            error = ErrorInfo("UNPLACEABLE", f"There is no place {attempt.place} here.", "", {}, Fate.LOST)
            self._ready.append(Finished(attempt.id, Outcome(OutcomeKind.LOST, error=error)))
            return
        now = time.monotonic()
        if self._script is None:
            wait_s, outcome = float(attempt.task.payload.get("wait_s", 0.0)), Outcome(OutcomeKind.OK)
        else:
            part = self._script(attempt)
            wait_s, outcome = part.wait_s, part.outcome
        self._waits[attempt.id] = _Wait(attempt, now, now + wait_s, outcome)

    def cancel(self, attempt: AttemptId, *, lost: bool = False) -> None:
        wait = self._waits.pop(attempt, None)
        if wait is not None:
            kind = OutcomeKind.LOST if lost else OutcomeKind.CANCELLED
            self._end(wait, Outcome(kind, usage=Usage(wall_s=time.monotonic() - wait.started_s)))

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
                self._end(wait, replace(wait.outcome, usage=replace(wait.outcome.usage, wall_s=now - wait.started_s)))
                continue
            fraction = (now - wait.started_s) / (wait.ends_s - wait.started_s)
            if fraction - wait.told >= 0.1:
                wait.told = fraction
                self._ready.append(Progress(attempt, fraction))

    def _end(self, wait: _Wait, outcome: Outcome) -> None:
        attempt, model = wait.attempt, wait.attempt.task.model
        place = self._places[attempt.place]
        if model is not None and outcome.kind is OutcomeKind.OK:
            self._places[place.id] = replace(place, warm=(model,))
        self._on_end(attempt, outcome)
        self._ready.append(Finished(attempt.id, outcome))

    def wake(self) -> None:
        self._woken.set()

    def close(self) -> None:
        self._waits.clear()
