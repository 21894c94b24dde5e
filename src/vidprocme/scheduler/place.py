"""Where it goes: the first place, in a given order, that holds it. The simulator's clusters use the same search."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from vidprocme.core.resources import Need, PlaceKind, PlaceLoad, Resources

Ask = TypeVar("Ask", bound=Hashable)
AskIn = TypeVar("AskIn", contravariant=True)


class Room(Protocol[AskIn]):
    """Something that holds asks until it is full."""

    def holds(self, ask: AskIn) -> bool:
        """True when the ask fits into what is free now."""
        ...


class FirstFit(Generic[Ask]):
    """Finds the first of some rooms, in their order, that holds an ask.

    Rooms may only get fuller while a FirstFit lives (nothing is given back during one decision): what did not fit
    is never tried again for an equal ask, so the whole search for one kind of ask costs one walk over the rooms.
    """

    __slots__ = ("_passed", "_rooms")

    def __init__(self, rooms: Sequence[Room[Ask]]) -> None:
        self._rooms = rooms
        self._passed: dict[Ask, int] = {}  # by ask: how many rooms at the front no longer hold it

    def find(self, ask: Ask) -> int | None:
        """The position of the first room that holds the ask now; None when none does."""
        rooms = self._rooms
        end = len(rooms)
        at = self._passed.get(ask, 0)
        while at < end and not rooms[at].holds(ask):
            at += 1
        self._passed[ask] = at
        return at if at < end else None


class OpenPlace:
    """A place while a decision is made: what is still free there."""

    __slots__ = ("load",)

    def __init__(self, load: PlaceLoad) -> None:
        self.load = load

    def holds(self, ask: Resources) -> bool:
        return self.load.free_slots > 0 and ask.fits(self.load.free)


@dataclass(frozen=True, slots=True)
class Spot:
    """A place that was found. `warm`: the task's model is loaded there; None for a task without a model."""

    place: str
    need: Need
    warm: bool | None


class OpenPlaces:
    """All places that take tasks, while a decision is made. `take` moves it forward."""

    def __init__(self, loads: Iterable[PlaceLoad]) -> None:
        """Places that drain or are full are left out at once."""
        open_ = [load for load in loads if not load.place.draining and load.free_slots > 0]
        self._by_kind: dict[PlaceKind, list[OpenPlace]] = {}
        for load in sorted(open_, key=lambda load: load.place.id):
            self._by_kind.setdefault(load.place.kind, []).append(OpenPlace(load))
        self._searches: dict[tuple[PlaceKind, str | None], tuple[list[OpenPlace], FirstFit[Resources]]] = {}

    def take(self, needs: Sequence[Need], model: str | None) -> Spot | None:
        """The first alternative that fits somewhere, taken; None when none does."""
        for need in needs:
            places, search = self._search(need.kind, model)
            at = search.find(need.resources)
            if at is not None:
                found = places[at]
                found.load = found.load.take(need.resources)
                place = found.load.place
                return Spot(place.id, need, model in place.warm if model is not None else None)
        return None

    def _search(self, kind: PlaceKind, model: str | None) -> tuple[list[OpenPlace], FirstFit[Resources]]:
        key = (kind, model)
        if key not in self._searches:
            places = self._by_kind.get(kind, [])
            if model is not None:
                places = sorted(
                    places, key=lambda open_: _warmth(open_.load.place.warm, model)
                )  # stable: ids stay sorted
            self._searches[key] = (places, FirstFit(places))
        return self._searches[key]


def _warmth(warm: tuple[str, ...], model: str) -> int:
    """0 the model is loaded; 1 nothing is; 2 another model would have to go."""
    if model in warm:
        return 0
    return 2 if warm else 1
