"""When a job that waits will begin, and how that is known; or why it is not. Pure arithmetic over what the queue counted.

The work ahead is the tasks that stand before it, each with the mean time that attempts of its stage have taken so far. Its speed is
how many attempts run now: each does a second of work in a second. When none does, it is how much was done in each second of
the last minutes in which anything ended at all (a queue that was idle for nine of ten minutes is not slow), and never more
than there are places. Their quotient is the wait. When every place is busy, one attempt more has to end first. It is a guess: tasks
that are planned meanwhile, retries, shares between tenants and overdue tasks of other bins are not in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from vidprocme.core.counts import TOOK
from vidprocme.core.job import Stage
from vidprocme.queue.base import Lately, Position

WINDOW_MIN = 10


@dataclass(frozen=True, slots=True)
class Eta:
    """`seconds` None: unknown; `how` then says why, else how the figure was got."""

    seconds: float | None
    how: str


def mean_s(counters: Mapping[str, int], stage: Stage) -> float | None:
    """How long an attempt of this stage takes on average, in seconds; None when none has ended by itself."""
    took = TOOK.read(counters, f"took.{stage}")
    return took.sum_s / took.count if took.count else None


def start_eta(
    position: Position,
    counters: Mapping[str, int],
    lately: Lately,
    *,
    slots: int,
    busy: int,
    mates: Collection[Stage] = frozenset(Stage),
    hindered: str = "",
) -> Eta:
    """When the task at this position will start.

    Args:
        slots: attempts that the places it could go to can run at once; 0: nobody has said yet.
        busy: those that they run now.
        mates: the stages whose tasks go to these places: only they are in its way.
        hindered: why it cannot start as things are; "": it can.
    """
    if hindered:
        return Eta(None, hindered)
    if slots == 0:
        return Eta(None, "what the pools offer is not known yet")
    full = busy >= slots
    ahead = _of((Counter(position.ahead) + Counter(position.more_urgent)), mates)
    if not ahead and not full:
        return Eta(0.0, "nothing is ahead of it, and a place is free")
    means = {stage: mean_s(counters, stage) for stage in {*ahead, *lately.ended}}
    unknown = sorted(stage.value for stage in ahead if means[stage] is None)
    if unknown:
        return Eta(None, f"no {' or '.join(unknown)} has ended yet, so nobody knows how long one takes")
    work_s = sum(count * (means[stage] or 0.0) for stage, count in ahead.items())
    if full:
        one_s = _running_s(counters, mates)
        if one_s is None:
            places = (
                f"all {slots} places that could take it are" if slots > 1 else "the only place that could take it is"
            )
            return Eta(None, f"{places} busy, and nothing like it has ended yet: nobody knows for how long")
        what = f"{ahead.total()} ahead are {work_s:.0f} s of work by their mean times; " if ahead else ""
        first = f"one of the {slots} attempts that run" if slots > 1 else "the attempt that runs"
        how = f"{what}every place is busy, and {first}, about {one_s:.0f} s long, has to end first"
        return Eta((work_s + one_s) / slots, how)
    speed, because = float(busy), f"{busy} run at once now"
    if not busy:
        if not lately.seconds:
            return Eta(
                None, f"nothing runs, and nothing ended in the last {WINDOW_MIN} minutes: nobody knows how fast it goes"
            )
        done_s = sum(count * (means[stage] or 0.0) for stage, count in _of(lately.ended, mates).items())
        speed = min(done_s / lately.seconds, float(slots))
        because = f"lately {speed:.1f} s of work were done in a second"
    if speed == 0.0:
        return Eta(None, "what ended lately took no time that could be measured")
    return Eta(work_s / speed, f"{ahead.total()} ahead are {work_s:.0f} s of work by their mean times; {because}")


def _of(counts: Mapping[Stage, int], mates: Collection[Stage]) -> Counter[Stage]:
    return Counter({stage: count for stage, count in counts.items() if stage in mates})


def _running_s(counters: Mapping[str, int], stages: Collection[Stage]) -> float | None:
    """How long an attempt of these stages that is met while it runs takes on average, in seconds; None when none has ended.

    Weighted by length: long ones are met more often (a thousand probes are over before anybody looks).
    """
    took = [TOOK.read(counters, f"took.{stage}") for stage in stages]
    whole_s = sum(one.sum_s for one in took)
    if not any(one.count for one in took):
        return None
    return sum(one.sum_s**2 / one.count for one in took if one.count) / whole_s if whole_s else 0.0


def after_start(end: Eta, start_s: float | None) -> Eta:
    """An end that would come before what waits has started: it goes on from then.

    Args:
        start_s: when the next of its tasks starts; None: nothing of it waits, or that cannot be told.
    """
    if end.seconds is None or start_s is None or start_s <= end.seconds:
        return end
    return Eta(start_s + end.seconds, f"{end.how}, once its next task has started")


def end_eta(fraction: float, elapsed_s: float | None, hindered: str = "") -> Eta:
    """When a job that runs will have ended.

    Args:
        fraction: how much of it is settled, 0..1.
        elapsed_s: since its first attempt started; None: none has.
        hindered: why something of it cannot start as things are; "": all can.
    """
    if hindered:
        return Eta(None, hindered)
    if elapsed_s is None:
        return Eta(None, "nothing of it has started")
    if fraction < 0.02 or elapsed_s < 1.0:
        return Eta(None, "too little of it is done to tell")
    return Eta(elapsed_s * (1 - fraction) / fraction, f"as fast as so far: {fraction:.0%} in {elapsed_s:.0f} s")
