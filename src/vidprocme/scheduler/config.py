"""What may be set about the policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vidprocme.core.job import Bin
from vidprocme.scheduler.orders import DEFAULT, Order
from vidprocme.scheduler.places import Score, alike

MINUTE_MS = 60_000


def _bounds() -> Mapping[Bin, int]:
    return {Bin.URGENT: 0, Bin.HIGH: 5 * MINUTE_MS, Bin.NORMAL: 30 * MINUTE_MS, Bin.BULK: 240 * MINUTE_MS}


@dataclass(frozen=True)
class PolicyConfig:
    """
    bins: most urgent first; a line of a bin that is not named waits for ever.
    max_wait_ms: after so long in line a task is overdue, and its bin's turns are for it (turns.py); a bin without: never.
    order: who comes first.
    score: of several places that hold a task the one with the lowest is taken.
    warmth: go by where models are loaded.
    patience_ms: so long a task waits for a place that has its model, while there is one, instead of taking one that would have to
        drop another; a bin without: not at all.
    late_patience_ms: so much longer a task that is overdue waits for a turn at a place that has its model, while there is one.
    most: tasks that one decision may start; None: any number.
    """

    bins: tuple[Bin, ...] = tuple(Bin)
    max_wait_ms: Mapping[Bin, int] = field(default_factory=_bounds)
    order: Order = DEFAULT
    score: Score = alike
    warmth: bool = True
    patience_ms: Mapping[Bin, int] = field(default_factory=dict)
    late_patience_ms: Mapping[Bin, int] = field(default_factory=dict)
    most: int | None = None
