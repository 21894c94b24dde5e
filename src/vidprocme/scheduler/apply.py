"""Moving a snapshot forward: a pool keeps one and never builds it anew. Every function gives a new Snapshot.

The queue stays the truth: a line here may name a task that another pool has taken meanwhile. Its claim is then simply
not granted; the pool says `finished` for the place it had in mind, and the next turn brings the line as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from vidprocme.core.ids import TaskId
from vidprocme.core.resources import Place, PlaceLoad, Resources
from vidprocme.core.snapshot import Line, Placement, Snapshot


def with_lines(snapshot: Snapshot, lines: Iterable[Line], complete: bool) -> Snapshot:
    """The lines that a turn showed, in place of what was known of them.

    Args:
        lines: as the turn gave them; an empty one is forgotten.
        complete: these are all there are, so a line that is not among them is gone. Otherwise (a turn shows at most
            LINES of them, in rotation) the others stay as they were last seen.
    """
    known = {} if complete else dict(snapshot.lines)
    for line in lines:
        if line.length > 0:
            known[line.key] = line
        else:
            known.pop(line.key, None)
    return replace(snapshot, lines=known)


def placed(snapshot: Snapshot, placement: Placement) -> Snapshot:
    """The task left its line, and its place has so much less free."""
    return placed_all(snapshot, (placement,))


def placed_all(snapshot: Snapshot, placements: Iterable[Placement]) -> Snapshot:
    """`placed` for a whole plan, in one walk over the lines.

    Raises:
        KeyError: a placement names a place that the snapshot does not have.
    """
    places = dict(snapshot.places)
    tasks: set[TaskId] = set()
    for placement in placements:
        places[placement.place] = places[placement.place].take(placement.resources)
        tasks.add(placement.task)
    if not tasks:
        return snapshot
    lines: dict[str, Line] = {}
    for key, line in snapshot.lines.items():
        left = _without(line, tasks)
        if left is not None:
            lines[key] = left
    return replace(snapshot, lines=lines, places=places)


def finished(snapshot: Snapshot, place: str, resources: Resources) -> Snapshot:
    """An attempt ended (or its claim was not granted): what it had is free again. An unknown place changes nothing."""
    load = snapshot.places.get(place)
    if load is None:
        return snapshot
    return replace(snapshot, places={**snapshot.places, place: load.give_back(resources)})


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
    return PlaceLoad(place, place.resources - used, place.slots - (old.place.slots - old.free_slots))


def _without(line: Line, tasks: set[TaskId]) -> Line | None:
    """The line without these tasks; None when nothing is left of it."""
    if not any(head.task in tasks for head in line.heads):
        return line
    heads = tuple(head for head in line.heads if head.task not in tasks)
    length = line.length - (len(line.heads) - len(heads))
    if length <= 0:
        return None
    # The age stays as it was last shown: what stands behind the heads is not known before the next turn.
    return replace(line, heads=heads, length=length)
