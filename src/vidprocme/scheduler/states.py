"""What a place can be like: every state once, so that places which are alike share all that is known of it.

A place moves from one state to another when something starts or ends there. A state remembers where its moves lead, and what each ask is
worth to it: in a cluster of alike machines nearly everything is looked up.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from vidprocme.core.resources import Need, Place, PlaceKind, Resources
from vidprocme.core.shares import start_cost

WHOLE = 1000  # milli of one GPU


class Sort(NamedTuple):
    """What a place is, whatever runs there."""

    kind: PlaceKind
    cpu_milli: int
    memory_bytes: int
    gpus: int
    gpu_milli: int  # of each GPU
    vram_bytes: int  # of each GPU
    slots: int
    model: str  # of its GPUs; empty: not told


def sort_of(place: Place) -> Sort:
    has = place.resources
    gpus = max(has.gpus, 1 if has.gpu_milli or has.vram_bytes else 0)
    return Sort(
        place.kind, has.cpu_milli, has.memory_bytes, gpus, has.gpu_milli, has.vram_bytes, place.slots, place.gpu_type
    )


class Ask:
    """One way in which a task can be run: what it asks of one place. Equal ones are one object (States.ask)."""

    __slots__ = (
        "cost",
        "cpu_milli",
        "gpu_milli",
        "gpus",
        "is_share",
        "kind",
        "memory_bytes",
        "model",
        "models",
        "need",
        "number",
        "resources",
        "total_gpu_milli",
        "vram_bytes",
    )

    def __init__(self, number: int, need: Need, model: str | None) -> None:
        asked = need.resources
        self.number, self.need, self.resources, self.kind = number, need, asked, need.kind
        self.cpu_milli, self.memory_bytes = asked.cpu_milli, asked.memory_bytes
        self.gpus = max(asked.gpus, 1 if asked.gpu_milli or asked.vram_bytes else 0)
        self.gpu_milli = asked.gpu_milli if asked.gpus <= 1 else asked.gpu_milli or WHOLE  # of each GPU
        self.vram_bytes = asked.vram_bytes
        self.total_gpu_milli = self.gpus * self.gpu_milli
        self.is_share = self.gpus == 1 and self.gpu_milli < WHOLE
        self.models = frozenset(need.gpu_types)  # of GPUs; empty: any
        self.model = model  # the one that describes, if any
        self.cost = start_cost(asked)  # to its tenant

    def could_be_held(self, sort: Sort) -> bool:
        """By such a place, were it empty."""
        return (
            self.kind is sort.kind
            and sort.slots > 0
            and self.cpu_milli <= sort.cpu_milli
            and self.memory_bytes <= sort.memory_bytes
            and self.gpus <= sort.gpus
            and (not self.gpus or (self.gpu_milli <= sort.gpu_milli and self.vram_bytes <= sort.vram_bytes))
            and (not self.models or sort.model in self.models)
        )


def replaced(ask: Ask, **changes: object) -> Ask:
    """The same but for some of its fields; for looking what stands in its way, not for asking."""
    other = Ask(-1, ask.need, ask.model)
    for name, value in changes.items():
        setattr(other, name, value)
    return other


class PlaceState:
    """What is free at a place, and what is loaded there. Never changed; `after` and `before` remember its neighbours."""

    __slots__ = (
        "after",
        "before",
        "cpu_milli",
        "free_gpu_milli",
        "gpu_milli",
        "held",
        "kinds",
        "members",
        "memory_bytes",
        "most_milli",
        "number",
        "slots",
        "spec",
        "top",
        "vram_bytes",
        "warm",
    )

    def __init__(self, number: int, key: tuple[object, ...]) -> None:
        self.number = number
        (
            self.spec,
            self.cpu_milli,
            self.memory_bytes,
            self.gpu_milli,
            self.vram_bytes,
            self.slots,
            self.warm,
            self.kinds,
        ) = key  # type: ignore[assignment]
        self.free_gpu_milli: int = sum(self.gpu_milli)
        self.most_milli = max(self.gpu_milli, default=0)
        self.held: dict[int, bool] = {}  # by ask: does it hold it?
        self.after: dict[tuple[int, int | None], tuple[PlaceState, tuple[int, ...]]] = {}
        self.before: dict[tuple[Resources, tuple[int, ...]], PlaceState] = {}
        # The places that are so, open and held for nobody: a heap of their ids, with some that have left (scheduler/places.py).
        self.members: list[str] = []
        self.top: str | None = None

    spec: Sort
    cpu_milli: int
    memory_bytes: int
    gpu_milli: tuple[int, ...]  # free, by GPU
    vram_bytes: tuple[int, ...]  # free, by GPU
    slots: int
    warm: tuple[str, ...]
    kinds: tuple[tuple[int, int], ...]  # how many tasks run here, by how many GPUs they have; 0: those with a share

    def holds(self, ask: Ask) -> bool:
        """True when a slot, cores, memory, GPU type and each GPU's share and memory fit now."""
        found = self.held.get(ask.number)
        if found is None:
            found = self.held[ask.number] = self.fits(ask)
        return found

    def fits(self, ask: Ask) -> bool:
        """The same, not looked up."""
        if (
            ask.cpu_milli > self.cpu_milli
            or ask.total_gpu_milli > self.free_gpu_milli
            or ask.memory_bytes > self.memory_bytes
            or self.slots <= 0
            or ask.kind is not self.spec.kind
            or (ask.models and self.spec.model not in ask.models)
        ):
            return False
        if not ask.vram_bytes and ask.gpus <= 1:
            return ask.gpu_milli <= self.most_milli
        return len(self._fitting(ask)) >= ask.gpus

    def fullest(self, ask: Ask) -> tuple[int, ...]:
        """The GPUs that would give what is asked: the fullest that still fit, so that whole ones stay whole."""
        fitting = self._fitting(ask)
        fitting.sort(key=lambda gpu: (self.gpu_milli[gpu], gpu))
        return tuple(fitting[: ask.gpus])

    def _fitting(self, ask: Ask) -> list[int]:
        vram = self.vram_bytes
        return [gpu for gpu, free in enumerate(self.gpu_milli) if free >= ask.gpu_milli and vram[gpu] >= ask.vram_bytes]


class States:
    """All states that places have been in."""

    def __init__(self) -> None:
        self._states: dict[tuple[object, ...], PlaceState] = {}
        self._number = 0
        self._sorts: dict[Sort, Sort] = {}  # equal ones are one object
        self._asks: dict[tuple[Need, str | None], Ask] = {}

    def __len__(self) -> int:
        return len(self._states)

    def keep(self, used: Iterable[PlaceState]) -> None:
        """Forget all others, and what is remembered of moves."""
        numbers = {state.number for state in used}
        self._states = {key: state for key, state in self._states.items() if state.number in numbers}
        for state in self._states.values():
            state.after.clear()
            state.before.clear()

    def ask(self, need: Need, model: str | None) -> Ask:
        found = self._asks.get((need, model))
        if found is None:
            found = self._asks[need, model] = Ask(len(self._asks), need, model)
        return found

    def _sort(self, place: Place) -> Sort:
        sort = sort_of(place)
        return self._sorts.setdefault(sort, sort)

    def empty(self, place: Place) -> PlaceState:
        """Nothing runs there."""
        sort = self._sort(place)
        milli, vram = (sort.gpu_milli,) * sort.gpus, (sort.vram_bytes,) * sort.gpus
        return self._of(sort, sort.cpu_milli, sort.memory_bytes, milli, vram, sort.slots, place.warm, ())

    def loaded(self, place: Place, free: Resources, slots: int) -> PlaceState:
        """So much is left there; of a place with one GPU at most, where there is no more to say of it."""
        sort = self._sort(place)
        milli, vram = (free.gpu_milli,) * sort.gpus, (free.vram_bytes,) * sort.gpus
        return self._of(sort, free.cpu_milli, free.memory_bytes, milli, vram, slots, place.warm, ())

    def told(self, place: Place, *left: object) -> PlaceState:
        """The state of such a place of which the rest is known: what PlaceState has from `cpu_milli` to `kinds`, in order."""
        return self._of(self._sort(place), *left)

    def moved(self, old: PlaceState, place: Place) -> PlaceState:
        """The place has become another one (more cores, other models loaded); what runs there goes on."""
        sort, was = self._sort(place), old.spec
        count = min(sort.gpus, was.gpus)
        milli = tuple(sort.gpu_milli - was.gpu_milli + old.gpu_milli[gpu] for gpu in range(count))
        vram = tuple(sort.vram_bytes - was.vram_bytes + old.vram_bytes[gpu] for gpu in range(count))
        return self._of(
            sort,
            sort.cpu_milli - was.cpu_milli + old.cpu_milli,
            sort.memory_bytes - was.memory_bytes + old.memory_bytes,
            milli + (sort.gpu_milli,) * (sort.gpus - count),
            vram + (sort.vram_bytes,) * (sort.gpus - count),
            sort.slots - was.slots + old.slots,
            place.warm,
            old.kinds,
        )

    def take(self, old: PlaceState, ask: Ask, gpu: int | None = None) -> tuple[PlaceState, tuple[int, ...]]:
        """What it is like when this has started there, which it holds, and the GPUs that gave it.

        Args:
            gpu: the one that gives a share; None: the fullest that hold it.
        """
        key = (ask.number, gpu)
        found = old.after.get(key)
        if found is None:
            used = () if not ask.gpus else (gpu,) if gpu is not None else old.fullest(ask)
            new = self._shift(old, ask.resources, ask, used, -1)
            if ask.model is not None and ask.model not in new.warm:
                new = self._warmed(new, (ask.model,))
            found = old.after[key] = new, used
        return found

    def taken(self, old: PlaceState, resources: Resources, gpus: tuple[int, ...], model: str | None) -> PlaceState:
        """As `take`, of what somebody else decided."""
        ask = self.ask(Need(old.spec.kind, resources), model)
        if len(gpus) == 1 and ask.gpus == 1:
            return self.take(old, ask, gpus[0])[0]
        used = gpus or (old.fullest(ask) if ask.gpus else ())
        new = self._shift(old, resources, ask, used, -1)
        return self._warmed(new, (model,)) if model is not None and model not in new.warm else new

    def give(self, old: PlaceState, resources: Resources, gpus: tuple[int, ...]) -> PlaceState:
        """What it is like when something that had this has ended."""
        found = old.before.get((resources, gpus))
        if found is None:
            ask = self.ask(Need(old.spec.kind, resources), None)
            used = gpus or ((0,) if ask.gpus and old.spec.gpus else ())
            found = old.before[resources, gpus] = self._shift(old, resources, ask, used, 1)
        return found

    def _shift(self, old: PlaceState, amount: Resources, ask: Ask, gpus: tuple[int, ...], sign: int) -> PlaceState:
        milli, vram = list(old.gpu_milli), list(old.vram_bytes)
        for gpu in gpus:
            if gpu < len(milli):
                milli[gpu] += sign * ask.gpu_milli
                vram[gpu] += sign * ask.vram_bytes
        kinds = dict(old.kinds)
        if gpus:
            kind = 0 if ask.is_share else ask.gpus
            kinds[kind] = kinds.get(kind, 0) - sign
            if not kinds[kind]:
                del kinds[kind]
        return self._of(
            old.spec,
            old.cpu_milli + sign * amount.cpu_milli,
            old.memory_bytes + sign * amount.memory_bytes,
            tuple(milli),
            tuple(vram),
            old.slots + sign,
            old.warm,
            tuple(sorted(kinds.items())),
        )

    def _warmed(self, old: PlaceState, warm: tuple[str, ...]) -> PlaceState:
        return self._of(
            old.spec, old.cpu_milli, old.memory_bytes, old.gpu_milli, old.vram_bytes, old.slots, warm, old.kinds
        )

    def _of(self, *key: object) -> PlaceState:
        found = self._states.get(key)
        if found is None:
            self._number += 1
            found = self._states[key] = PlaceState(self._number, key)
        return found
