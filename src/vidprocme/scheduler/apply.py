"""Moving a snapshot forward: a pool keeps one and never builds it anew. Every function gives a new Snapshot.

The queue stays the truth: a line here may name a task that another pool has taken meanwhile. Its claim is then simply
not granted; the pool says `taken_back` of the placement it had in mind, and the next turn brings the line as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from vidprocme.core.ids import TaskId
from vidprocme.core.job import Bin
from vidprocme.core.resources import Place, PlaceLoad, Resources
from vidprocme.core.shares import BinShare, Shares, TenantShare, start_cost
from vidprocme.core.snapshot import Line, Placement, Plan, Snapshot


def with_lines(snapshot: Snapshot, lines: Iterable[Line], complete: bool) -> Snapshot:
    """The lines that a turn showed, in place of what was known of them.

    Args:
        lines: as the turn gave them; an empty one is forgotten.
        complete: these are all there are, so a line that is not among them is gone. Otherwise (a turn shows at most
            LINES of them, and the next ones others) the others stay as they were last seen.
    """
    known = {} if complete else dict(snapshot.lines)
    for line in lines:
        if line.length > 0:
            known[line.key] = line
        else:
            known.pop(line.key, None)
    return replace(snapshot, lines=known)


def with_shares(snapshot: Snapshot, shares: Shares) -> Snapshot:
    """What a turn told of bins and tenants; of a tenant that it did not show, what was known, while a line of it is known."""
    here = {line.tenant for line in snapshot.lines.values()}
    known = {name: share for name, share in snapshot.shares.tenants.items() if name in here}
    return replace(snapshot, shares=Shares(shares.bins, {**known, **shares.tenants}))


def planned(snapshot: Snapshot, plan: Plan) -> Snapshot:
    """What was placed is placed, and what was reserved reserved."""
    after = placed_all(snapshot, plan.placements)
    held = {
        id_: load if load.held_for == plan.reserved.get(id_) else replace(load, held_for=plan.reserved.get(id_))
        for id_, load in after.places.items()
    }
    return replace(after, places=held)


def placed(snapshot: Snapshot, placement: Placement) -> Snapshot:
    """The task left its line, its place has so much less free, and its tenant has used so much more."""
    return placed_all(snapshot, (placement,))


def placed_all(snapshot: Snapshot, placements: Iterable[Placement]) -> Snapshot:
    """`placed` for a whole plan, in one walk over the lines.

    Raises:
        KeyError: a placement names a place that the snapshot does not have.
    """
    places = dict(snapshot.places)
    tasks: dict[TaskId, Resources] = {}
    for placement in placements:
        places[placement.place] = places[placement.place].take(placement.resources, counted=placement.counted)
        tasks[placement.task] = placement.resources
    return replace(_begun(snapshot, tasks), places=places) if tasks else snapshot


def still_planned(snapshot: Snapshot, placements: Iterable[Placement]) -> Snapshot:
    """Of what was placed while a turn was on its way, whose lines and shares do not know of it: the places do."""
    tasks = {placement.task: placement.resources for placement in placements}
    return _begun(snapshot, tasks) if tasks else snapshot


def _begun(snapshot: Snapshot, tasks: Mapping[TaskId, Resources]) -> Snapshot:
    """These tasks left their lines, and their tenants have used so much more."""
    lines: dict[str, Line] = {}
    begun: list[tuple[Line, Resources]] = []
    for key, line in snapshot.lines.items():
        left = _without(line, tasks)
        if left is not None:
            lines[key] = left
        if left is not line:
            begun += [(line, tasks[head.task]) for head in line.heads if head.task in tasks]
    return replace(snapshot, lines=lines, shares=_used(snapshot.shares, begun))


def taken_back(snapshot: Snapshot, placement: Placement) -> Snapshot:
    """A claim was not granted: what it was to have is free, and it was nobody's turn. The next turn shows the lines as they are."""
    load = snapshot.places.get(placement.place)
    if load is None:
        return snapshot
    back = load.take_back(placement.resources, counted=placement.counted)
    return replace(snapshot, places={**snapshot.places, placement.place: back})


def finished(snapshot: Snapshot, place: str, resources: Resources) -> Snapshot:
    """An attempt ended: what it had is free again. An unknown place changes nothing."""
    return finished_all(snapshot, ((place, resources),))


def finished_all(snapshot: Snapshot, ended: Iterable[tuple[str, Resources]]) -> Snapshot:
    """`finished` for several at once: where, and what it had."""
    places: dict[str, PlaceLoad] | None = None
    for place, resources in ended:
        places = places if places is not None else dict(snapshot.places)
        load = places.get(place)
        if load is not None:
            places[place] = load.give_back(resources)
    return snapshot if places is None else replace(snapshot, places=places)


def with_places(snapshot: Snapshot, places: Iterable[Place]) -> Snapshot:
    """The places as the executor shows them now (new ones, gone ones, other models warm); what runs there still counts.

    A place that is gone while attempts run on it stays, draining, until they have finished: were it forgotten and came
    back, it would be given away twice.
    """
    loads: dict[str, PlaceLoad] = {}
    for place in places:
        old = snapshot.places.get(place.id)
        loads[place.id] = _moved(old, place) if old is not None else PlaceLoad(place, place.resources, place.slots)
    for id_, old in snapshot.places.items():
        if id_ not in loads and old.free_slots < old.place.slots:
            loads[id_] = replace(old, place=replace(old.place, draining=True, warm=()))
    return replace(snapshot, places=loads)


def _moved(old: PlaceLoad, place: Place) -> PlaceLoad:
    used = old.place.resources - old.free
    free_slots = place.slots - (old.place.slots - old.free_slots)
    return replace(old, place=place, free=place.resources - used, free_slots=free_slots)


def _used(shares: Shares, begun: Iterable[tuple[Line, Resources]]) -> Shares:
    """As the queue will count it: each start costs its tenant, and is one more that runs."""
    starts: dict[tuple[Bin, str], tuple[int, int]] = {}
    for line, resources in begun:
        n, cost = starts.get((line.bin, line.tenant), (0, 0))
        starts[line.bin, line.tenant] = n + 1, cost + start_cost(resources)
    bins, tenants = dict(shares.bins), dict(shares.tenants)
    for (bin_, tenant), (n, cost) in starts.items():
        bin_share, mine = bins.get(bin_, BinShare()), tenants.get(tenant, TenantShare())
        bins[bin_] = replace(bin_share, running=bin_share.running + n)
        tenants[tenant] = replace(mine, used=mine.used + cost, running=mine.running + n)
    return Shares(bins, tenants)


def _without(line: Line, tasks: Collection[TaskId]) -> Line | None:
    """The line without these tasks; None when nothing is left of it."""
    if not any(head.task in tasks for head in line.heads):
        return line
    heads = tuple(head for head in line.heads if head.task not in tasks)
    length = line.length - (len(line.heads) - len(heads))
    if length <= 0:
        return None
    # The age stays as it was last shown: what stands behind the heads is not known before the next turn.
    return replace(line, heads=heads, length=length)
