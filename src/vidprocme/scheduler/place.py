"""Where it goes: the first place, in a given order, that holds it. The simulator's clusters use the same search."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from vidprocme.core.ids import TaskId
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
        begin = at = self._passed.get(ask, 0)
        while at < end and not rooms[at].holds(ask):
            at += 1
        if at != begin:
            self._passed[ask] = at
        return at if at < end else None


class OpenPlace:
    """A place while a decision is made: what is still free there, and for whom it is held."""

    __slots__ = ("_kept", "load")

    def __init__(self, load: PlaceLoad) -> None:
        self.load = replace(load, held_for=None)
        self._kept: Resources | None = None  # what must stay free, and one slot, while the place is held

    def holds(self, ask: Resources) -> bool:
        if self.load.free_slots <= 0 or not ask.fits(self.load.free):
            return False
        # Beside a reservation only what the one it is for does not lack.
        return self._kept is None or (self.load.free_slots > 1 and ask.fits(self.load.free.beside(self._kept)))

    def could_hold(self, needs: Iterable[Need]) -> Need | None:
        """The first of some alternatives that it would hold if it were empty."""
        place = self.load.place
        fits = (need for need in needs if need.kind is place.kind and need.resources.fits(place.resources))
        return next(fits, None)

    def room_for(self, needs: Iterable[Need]) -> Need | None:
        """The first of some alternatives that fits into what is free now, whoever the place is held for."""
        if self.load.free_slots <= 0:
            return None
        fits = (need for need in needs if need.kind is self.load.place.kind and need.resources.fits(self.load.free))
        return next(fits, None)

    def hold(self, task: TaskId, need: Need) -> None:
        self.load, self._kept = replace(self.load, held_for=task), need.resources

    def release(self) -> None:
        self.load, self._kept = replace(self.load, held_for=None), None

    def take(self, need: Need, *, counted: bool) -> None:
        self.load = self.load.take(need.resources, counted=counted)


@dataclass(frozen=True, slots=True)
class Spot:
    """A place that was found. `warm`: the task's model is loaded there; None for a task without a model."""

    place: OpenPlace
    need: Need
    warm: bool | None


class OpenPlaces:
    """All places that take tasks, by id, while a decision is made."""

    def __init__(self, loads: Iterable[PlaceLoad]) -> None:
        """Places that drain or are full are left out at once."""
        open_ = [load for load in loads if not load.place.draining and load.free_slots > 0]
        self.all = [OpenPlace(load) for load in sorted(open_, key=lambda load: load.place.id)]
        self._by_kind: dict[PlaceKind, list[OpenPlace]] = {}
        for place in self.all:
            self._by_kind.setdefault(place.load.place.kind, []).append(place)
        self._searches: dict[tuple[PlaceKind, str | None], tuple[list[OpenPlace], FirstFit[Resources]]] = {}
        self._hopeless: dict[
            tuple[int, str | None], Sequence[Need]
        ] = {}  # the needs themselves, so that no other gets their id

    def find(self, needs: Sequence[Need], model: str | None, avoid: Collection[str] = ()) -> Spot | None:
        """The first alternative that fits somewhere, but not at one of the places to `avoid`; None when none does."""
        # What found no place finds none before a reservation is lifted. By identity: the heads of a line share their needs, and
        # to look equal ones up would cost more than the search.
        key = (id(needs), model)
        if key in self._hopeless:
            return None
        for need in needs:
            places, search = self._search(need.kind, model)
            at = search.find(need.resources)
            while at is not None and places[at].load.place.id in avoid:
                # What did not fit before the first that fits does not fit now; what comes after it is not known yet.
                at = next((n for n in range(at + 1, len(places)) if places[n].holds(need.resources)), None)
            if at is not None:
                return self.spot(places[at], need, model)
        if not avoid:
            self._hopeless[key] = needs
        return None

    def spot(self, place: OpenPlace, need: Need, model: str | None) -> Spot:
        return Spot(place, need, model in place.load.place.warm if model is not None else None)

    def more_is_free(self) -> None:
        """A reservation was lifted: what did not fit before is to be tried again."""
        self._searches.clear()
        self._hopeless.clear()

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
