"""The one decision of the house: which waiting tasks start now, where, and why the others do not.

Pure. The live loop calls this function; the simulator's replay shares the search below it (place.FirstFit), not the order.
Whole numbers only and ties by stable ids, so the same snapshot always gives the same plan, on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass

from vidprocme.core.ids import TaskId
from vidprocme.core.job import Bin
from vidprocme.core.snapshot import Head, Placement, Plan, Reason, Snapshot
from vidprocme.scheduler import order
from vidprocme.scheduler.explain import Explainer, amount
from vidprocme.scheduler.place import OpenPlaces, Spot


@dataclass(frozen=True, slots=True)
class PolicyConfig:
    """What may be set about the policy. `bins`: most urgent first; a line of a bin that is not named waits for ever."""

    bins: tuple[Bin, ...] = tuple(Bin)


def decide(snapshot: Snapshot, now_ms: int, config: PolicyConfig) -> Plan:  # noqa: ARG001 - ages are ordered, not measured
    """Who starts now and where; a reason for every head that does not.

    Order: bins strictly, tenants in rounds, oldest first. Place: the first alternative of a head's needs that fits; for
    a model, places that hold it, then places that hold nothing, then places that would have to drop another one; each in
    the order of their ids. Work conserving: a head that fits a free place is never left waiting.

    Args:
        snapshot: the lines and what is free. It is not changed; `apply.placed_all` gives the next one.
        now_ms: milliseconds since the epoch; part of the contract, and not used while bins are strict.
    """
    places = OpenPlaces(snapshot.places.values())
    waiting: list[tuple[Head, Bin]] = []
    placements: list[Placement] = []
    for bin_, heads in order.by_bin(snapshot.lines.values(), config.bins):
        for head in heads:
            if bin_ in snapshot.shares.paused:
                waiting.append((head, bin_))
                continue
            spot = places.take(head.needs, head.model)
            if spot is None:
                waiting.append((head, bin_))
            else:
                placements.append(Placement(head.task, spot.place, spot.need.resources, _because(head, spot)))
    return Plan(tuple(placements), _reasons(snapshot, waiting, config))


def _reasons(snapshot: Snapshot, waiting: list[tuple[Head, Bin]], config: PolicyConfig) -> dict[TaskId, Reason]:
    if not waiting:
        return {}
    explainer = Explainer(snapshot, config.bins)
    return {head.task: explainer.why(head, bin_) for head, bin_ in waiting}


def _because(head: Head, spot: Spot) -> str:
    choice = f"alternative {head.needs.index(spot.need) + 1} of {len(head.needs)}: {amount(spot.need.resources)}"
    if spot.warm is None:
        return f"FIRST_FIT {choice}"
    return f"{'WARM' if spot.warm else 'COLD'} {head.model}, {choice}"
