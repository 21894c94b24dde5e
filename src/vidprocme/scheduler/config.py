"""What may be set about the policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vidprocme.core.job import Bin
from vidprocme.scheduler.orders import DEFAULT, Order
from vidprocme.scheduler.places import Score, snug

MINUTE_MS = 60_000


def _bounds() -> Mapping[Bin, int]:
    return {Bin.URGENT: 0, Bin.HIGH: 5 * MINUTE_MS, Bin.NORMAL: 30 * MINUTE_MS, Bin.BULK: 240 * MINUTE_MS}


def _patience() -> Mapping[Bin, int]:
    return {Bin.URGENT: 6_000, Bin.HIGH: 12_000, Bin.NORMAL: 2 * MINUTE_MS, Bin.BULK: 5 * MINUTE_MS}


def _pace() -> Mapping[Bin, int]:
    return {Bin.URGENT: 6_000, Bin.HIGH: 30_000, Bin.NORMAL: 2 * MINUTE_MS, Bin.BULK: 5 * MINUTE_MS}


def _lags() -> Mapping[Bin, int]:
    return {Bin.URGENT: 6_000, Bin.HIGH: 24_000, Bin.NORMAL: MINUTE_MS, Bin.BULK: 2 * MINUTE_MS}


def _late_patience() -> Mapping[Bin, int]:
    return dict.fromkeys(Bin, 30 * MINUTE_MS)


@dataclass(frozen=True)
class PolicyConfig:
    """
    bins: most urgent first; a line of a bin that is not named waits for ever.
    max_wait_ms: after so long in line a task is overdue, and its bin's turns are for it (turns.py); a bin without: never.
    order: who comes first.
    score: of several places that hold a task the one with the lowest is taken.
    spread: the tasks of these bins go to the emptiest place instead, whatever the score says.
    warmth: go by where models are loaded.
    patience_ms: so long a task waits for a place that has its model, while there is one, instead of taking one that would have to
        drop another; a bin without: not at all. After it two of three must be: no task of its job has started for so long, nothing waits for
        that other model, and there is work enough (lag_ms).
    lag_ms: there is work enough for a model when what waits for it, in the task's bin and more urgent ones, would keep the places that have it
        busy for so long, and for `lag_times` as long as that for the model that would be dropped; a bin without: 0.
    keep_percent: so much of the places that a model's part of the recent work would fill (recent.py) stays loaded with it, and one at least, while
        others have as much; 0: nothing is kept.
    cold_last: it has such a place only when nothing of its bin waits for the model that is there.
    pace_ms: of a job that has more than one task in line, none is overdue for so long after another has started; a bin without: 0.
    late_patience_ms: so much longer a task that is overdue waits for a turn at a place that has its model, while there is one.
    most: tasks that one decision may start; None: any number.
    """

    bins: tuple[Bin, ...] = tuple(Bin)
    max_wait_ms: Mapping[Bin, int] = field(default_factory=_bounds)
    order: Order = DEFAULT
    score: Score = snug
    spread: frozenset[Bin] = frozenset()
    warmth: bool = True
    patience_ms: Mapping[Bin, int] = field(default_factory=_patience)
    lag_ms: Mapping[Bin, int] = field(default_factory=_lags)
    lag_times: int = 2
    keep_percent: int = 20
    cold_last: bool = False
    pace_ms: Mapping[Bin, int] = field(default_factory=_pace)
    late_patience_ms: Mapping[Bin, int] = field(default_factory=_late_patience)
    most: int | None = None
