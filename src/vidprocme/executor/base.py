"""The seam between the loop and the machines: start an attempt on its place, hand back how it ended.

An executor never retries and never queues; it is only given what fits. `submit` never raises: whatever goes wrong comes
back as an Outcome. The suite in tests/executor/test_contract.py holds every implementation to this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from vidprocme.core.ids import AttemptId
from vidprocme.core.job import Attempt, Outcome
from vidprocme.core.resources import Place

# The code of an attempt of which nothing was begun: no room for its order, no process or no file to be had.
NOT_STARTED = "NOT_STARTED"


@dataclass(frozen=True, slots=True)
class Progress:
    """A running attempt says how far it is: 0..1, and a few words. The first may only say that its process runs."""

    attempt: AttemptId
    fraction: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Finished:
    """An attempt ended. Comes exactly once for every submit."""

    attempt: AttemptId
    outcome: Outcome


Report = Progress | Finished


class Executor(Protocol):
    def start(self) -> None: ...

    def places(self) -> Sequence[Place]:
        """What there is, with the models that are warm where. Free resources are the caller's bookkeeping."""
        ...

    def submit(self, attempt: Attempt) -> None:
        """Start it. Never raises, never blocks for long."""
        ...

    def cancel(self, attempt: AttemptId, *, lost: bool = False) -> None:
        """Stop it: ask at once, TERM after 0.5 s, KILL after 1.5 s, always the whole process group.

        It still ends with one Finished: cancelled, or lost when `lost` (the lease is somebody else's).
        """
        ...

    def poll(self, timeout_s: float) -> Sequence[Report]:
        """Wait for reports, at most this long; returns early when `wake` is called from another thread."""
        ...

    def wake(self) -> None: ...

    def close(self) -> None:
        """Stop everything that still runs and leave no process behind. Safe to call twice."""
        ...
