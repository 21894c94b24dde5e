"""Which place: of all that hold an ask, one where its model is warm, then the one with the best score, then the first id.

Places that are alike (states.py) are scored once. For each ask that was ever made there is a heap of states, best first, in which only what
has changed since is looked at again: states that have come to have a place, or one with an earlier id.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from heapq import heappop, heappush, heapreplace
from typing import Any, NamedTuple, Protocol

from vidprocme.core.ids import TaskId
from vidprocme.core.job import Bin
from vidprocme.core.resources import Place, Resources
from vidprocme.scheduler.states import Ask, PlaceState, Sort, States

WARM, EMPTY, COLD = 0, 1, 2  # the ask's model is loaded there; nothing is; another one is, and would have to go
LOG_MOST = 50_000  # states that are remembered as changed; whoever asks later than that looks at all of them again
STATES_MOST = 200_000  # then those without a place are forgotten


UNKNOWN: Any = object()  # not worked out yet


class Score(Protocol):
    """What a place is worth to an ask that it holds: the lowest wins. And the GPU that would give a share; None: the fullest."""

    def __call__(self, node: PlaceState, ask: Ask, /) -> tuple[int, int | None]: ...


def alike(_node: PlaceState, _ask: Ask) -> tuple[int, int | None]:
    """Every place is as good as any other: the first id wins."""
    return 0, None


def snug(node: PlaceState, ask: Ask) -> tuple[int, int | None]:
    """The less would be left of its GPUs, the better: their thousandths, and MiB of their memory. So a large GPU, and a place with several, is
    for what needs it."""
    left_bytes = sum(node.vram_bytes) - ask.gpus * ask.vram_bytes
    return node.free_gpu_milli - ask.total_gpu_milli + (left_bytes >> 20), None


def emptiest(node: PlaceState, _ask: Ask) -> tuple[int, int | None]:
    """The less is in use of what is used most there, the better."""
    spec = node.spec
    parts = [node.slots * 1000 // spec.slots]
    if spec.cpu_milli:
        parts.append(node.cpu_milli * 1000 // spec.cpu_milli)
    if spec.gpus:
        parts.append(node.free_gpu_milli * 1000 // (spec.gpus * spec.gpu_milli or 1))
    return -min(parts), None


# What runs at a place: its resources, its GPUs, when it will have ended, as predicted (None: nobody knows), and its bin and tenant, where known.
Running = tuple[Resources, tuple[int, ...], int | None, tuple[Bin, str] | None]


class Seat:
    """A place as it is now."""

    __slots__ = ("held_for", "id", "kept", "listed", "place", "ready_ms", "running", "starts", "state")

    def __init__(self, place: Place, state: PlaceState, starts: int = 0) -> None:
        self.id, self.place, self.state, self.starts = place.id, place, state, starts
        self.held_for: TaskId | None = None
        self.kept: Ask | None = None  # how that would run here
        self.ready_ms: int | None = None  # when there will be room for that (held.py)
        self.listed = False  # among the members of its state: it takes tasks, and is held for none
        self.running: dict[TaskId, Running] = {}


class Found(NamedTuple):
    """A place that holds an ask now. rank: WARM, EMPTY or COLD, 0 for an ask without a model; gpu: that gives a share; None: any."""

    seat: Seat
    ask: Ask
    rank: int
    gpu: int | None


class _Known:
    """The states that hold one ask, best first. `tops`: the place with which each stands in the heap."""

    __slots__ = ("heap", "score", "seen", "tops", "worth")

    def __init__(self, score: Score) -> None:
        self.score = score
        self.heap: list[tuple[int, int, str, int, PlaceState, int | None]] = []
        self.seen = -1
        self.tops: dict[int, str] = {}
        self.worth: dict[
            int, tuple[int, int, int | None] | None
        ] = {}  # by state: rank, score, GPU; None: it does not hold it


class Seats:
    """All places, by what they are like."""

    def __init__(self, states: States, score: Score = alike, *, warmth: bool = True) -> None:
        """
        Args:
            warmth: go by where models are loaded.
        """
        self.states, self._score, self._warmth = states, score, warmth
        self.all: dict[str, Seat] = {}
        self.sorts: Counter[Sort] = Counter()  # how many open places are of each sort
        self.draining: Counter[Sort] = Counter()
        self._bits: dict[Sort, int] = {}
        self.known_of_asks: dict[Any, Any] = {}  # what follows for asks from which places there are (reasons.py)
        self._having: dict[str, Counter[Sort]] = {}  # how many open places have a model, by its name and their sorts
        self.free_slots = 0  # of the open places
        self._log: list[PlaceState] = []
        self._members_most = 64
        self._dropped = 0  # entries of the log that were forgotten
        self._known: dict[int, _Known] = {}
        self.live: dict[int, PlaceState] = {}  # the states that have a listed place with a free slot

    # -- what places are like --------------------------------------------------------------------------------------------

    def add(self, seat: Seat) -> None:
        self.all[seat.id] = seat
        self._count(seat, 1)
        self.list(seat)

    def remove(self, seat: Seat) -> None:
        self.unlist(seat)
        self._count(seat, -1)
        del self.all[seat.id]

    def replace(self, seat: Seat, place: Place, state: PlaceState) -> None:
        """It is told anew."""
        if place == seat.place and state is seat.state:
            return
        self.unlist(seat)
        self._count(seat, -1)
        seat.place, seat.state = place, state
        self._count(seat, 1)
        self.list(seat)

    def move(self, seat: Seat, state: PlaceState) -> None:
        """Something started or ended there."""
        old = seat.state
        seat.state = state
        if not seat.place.draining:
            self.free_slots += state.slots - old.slots
            if old.warm is not state.warm and old.warm != state.warm:
                self._have(old, -1)
                self._have(state, 1)
        if seat.listed:
            if old.top == seat.id:
                self._lower(old)
            if state.slots > 0:
                self._join(seat, state)

    def list(self, seat: Seat) -> None:
        """It takes tasks, unless it drains or is held."""
        if not seat.listed and not seat.place.draining and seat.held_for is None:
            seat.listed = True
            if seat.state.slots > 0:  # else it holds nothing
                self._join(seat, seat.state)

    def unlist(self, seat: Seat) -> None:
        if seat.listed:
            seat.listed = False
            if seat.state.top == seat.id:
                self._lower(seat.state)

    def bit_of(self, sort: Sort) -> int:
        """A bit that is this sort's alone."""
        return self._bits.setdefault(sort, 1 << len(self._bits))

    def _count(self, seat: Seat, by: int) -> None:
        self.known_of_asks.clear()
        (self.draining if seat.place.draining else self.sorts)[seat.state.spec] += by
        if not seat.place.draining:
            self.free_slots += by * seat.state.slots
            self._have(seat.state, by)

    def _have(self, state: PlaceState, by: int) -> None:
        for model in state.warm:
            self._having.setdefault(model, Counter())[state.spec] += by

    def _join(self, seat: Seat, state: PlaceState) -> None:
        members, id_, top = state.members, seat.id, state.top
        heappush(members, id_)
        if top is None or id_ < top:
            if top is None:
                self.live[state.number] = state
            state.top = id_
            self._log.append(state)
        if len(members) > self._members_most:  # most of them have left, or are named twice
            self._members_most = 2 * len(self.all) + 64
            if len(members) > self._members_most:
                members[:] = sorted({one.id for one in self.all.values() if one.listed and one.state is state})
        if len(self._log) > LOG_MOST:
            self._dropped += len(self._log)
            self._log.clear()

    def _lower(self, state: PlaceState) -> None:
        """Its first place has left."""
        members, seats = state.members, self.all
        while members:
            id_ = members[0]
            seat = seats.get(id_)
            if seat is not None and seat.state is state and seat.listed:
                state.top = id_
                return
            heappop(members)
        state.top = None
        del self.live[state.number]

    # -- finding one -----------------------------------------------------------------------------------------------------

    def find(self, ask: Ask, spread: bool = False) -> Found | None:
        """The best listed place that holds it now.

        Args:
            spread: that is, of those where its model is warm, the emptiest.
        """
        number = -1 - ask.number if spread else ask.number
        known = self._known.get(number)
        if known is None:
            known = self._known[number] = _Known(emptiest if spread else self._score)
        end = self._dropped + len(self._log)
        if known.seen < end:
            self._catch_up(known, ask, end)
        heap, tops = known.heap, known.tops
        while heap:
            rank, score, top, number, state, gpu = heap[0]
            now = state.top
            if now == top:
                return Found(self.all[top], ask, rank, gpu)
            if now is None or tops.get(number) != top:
                heappop(heap)
                if tops.get(number) == top:
                    del tops[number]
            else:
                tops[number] = now
                heapreplace(heap, (rank, score, now, number, state, gpu))
        return None

    def _catch_up(self, known: _Known, ask: Ask, end: int) -> None:
        start = known.seen - self._dropped
        if start < 0:  # never asked, or too long ago
            fresh: Collection[PlaceState] = {
                seat.state.number: seat.state for seat in self.all.values() if seat.listed
            }.values()
        else:
            fresh = self._log[start:] if start else self._log
        known.seen = end
        worth, tops, heap, score = known.worth, known.tops, known.heap, known.score
        cpu, memory, milli, gpu = ask.cpu_milli, ask.memory_bytes, ask.total_gpu_milli, ask.gpu_milli
        kind, model = ask.kind, ask.model if self._warmth else None
        is_plain = not ask.models and not ask.vram_bytes and ask.gpus <= 1  # the numbers below are all that it asks for
        for state in fresh:
            if (
                cpu > state.cpu_milli
                or milli > state.free_gpu_milli
                or gpu > state.most_milli
                or memory > state.memory_bytes
            ):
                continue
            top = state.top
            if top is None:
                continue
            number = state.number
            value = worth.get(number, UNKNOWN)
            if value is UNKNOWN:
                value = None
                if state.spec.kind is kind and (is_plain or state.fits(ask)):
                    points, its = score(state, ask)
                    value = 0 if model is None else _rank(state, model), points, its
                worth[number] = value
            if value is None:
                continue
            standing = tops.get(number)
            if standing is None or top < standing:
                tops[number] = top
                heappush(heap, (value[0], value[1], top, number, state, value[2]))

    def _worth(self, state: PlaceState, ask: Ask, score: Score) -> tuple[int, int, int | None] | None:
        if not state.fits(ask):
            return None
        return _rank(state, ask.model) if ask.model is not None and self._warmth else 0, *score(state, ask)

    def tidy(self) -> None:
        """Forget states that no place is in, when there have been very many. What is found stays the same."""
        if len(self.states) > STATES_MOST:
            self.states.keep(seat.state for seat in self.all.values())
            self._known.clear()
            self._dropped += len(self._log)
            self._log.clear()

    def choices(self, ask: Ask, spread: bool = False) -> Iterator[tuple[int, int, str, int | None]]:
        """All listed places that hold it, in no order: rank, score, id, GPU."""
        for seat in self.all.values():
            if seat.listed:
                value = self._worth(seat.state, ask, emptiest if spread else self._score)
                if value is not None:
                    yield value[0], value[1], seat.id, value[2]

    def find_beside(self, ask: Ask, avoid: Collection[str], spread: bool = False) -> Found | None:
        """As `find`, but at none of these."""
        best = min((one for one in self.choices(ask, spread) if one[2] not in avoid), default=None)
        return Found(self.all[best[2]], ask, best[0], best[3]) if best is not None else None

    def having(self, model: str) -> int:
        """How many open places have a model."""
        return sum(self._having.get(model, Counter()).values())

    def can_warm(self, ask: Ask) -> bool:
        """Is there an open place that has its model, and could hold it, were it empty?"""
        known = self._having.get(ask.model or "", Counter())
        return any(n > 0 and ask.could_be_held(sort) for sort, n in known.items())


def _rank(state: PlaceState, model: str) -> int:
    return WARM if model in state.warm else COLD if state.warm else EMPTY
