"""What a task that waits is told: why, when it will start, what would start it now, and where."""

from __future__ import annotations

from dataclasses import dataclass

from vidprocme.core.snapshot import Reason


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that a person could change. `amount`: how many, or how much it would be then; `command` empty: nothing to type."""

    code: str  # RESUME_BIN, ONE_PLACE_MORE ...: scheduler/counterfactual.py
    text: str
    command: str = ""
    amount: int = 0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A place that has room for a task. `alternative`: by which of its needs, from 1; of equal `rank`s the lowest score wins."""

    place: str
    rank: str  # warm, empty, cold: whether its model is loaded there; none: it has no model
    score: int
    alternative: int


@dataclass(frozen=True, slots=True)
class Start:
    """When a task starts, as predicted, and what starts before it.

    position: 0 is next. played: the policy was played forward until then; else so many stand before it by bin and age.
    start_ms: since the epoch; None: it cannot be told, and `how` says why.
    at: the place of another pool where it starts then; empty: it is one of the pool that answers.
    counted: over the places of so many pools; 0: that is not told, and they are those of the pool that answers.
    silent, partly: of so many more pools that could take it nothing was known, or not of all their places.
    """

    position: int
    played: bool
    start_ms: int | None
    how: str
    at: str = ""
    counted: int = 0
    silent: int = 0
    partly: int = 0


@dataclass(frozen=True, slots=True)
class Why:
    """All of it for one task. `changes` all together would start it now, none: nothing small would, or, with `cut`, there was no time to try
    all; `candidates`: the best places then, the first is taken, and `chosen` says why."""

    reason: Reason
    start: Start
    changes: tuple[Change, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    chosen: str = ""
    cut: bool = False
