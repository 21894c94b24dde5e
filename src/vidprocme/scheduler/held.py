"""The places that are held for overdue tasks, and what may run there beside a reservation.

What takes nothing that the task lacks may, and what will have ended, as predicted, before the task could start. Places in the same state that are held
for the same way of asking are looked at together.
"""

from __future__ import annotations

from collections.abc import Collection

from vidprocme.core.ids import TaskId
from vidprocme.scheduler.places import Seat
from vidprocme.scheduler.states import Ask, PlaceState, States

SAFETY_PERCENT = 150  # of its predicted duration, a task beside a reservation must have ended by then
NEVER = -1


class _Alike:
    """Held places in one state, for one way of asking."""

    __slots__ = ("kept", "latest_ms", "seats", "state")

    def __init__(self, state: PlaceState, kept: Ask) -> None:
        self.state, self.kept = state, kept
        self.seats: dict[str, Seat] = {}
        self.latest_ms: int | None = None  # when the last of them will have room for its task; None: to be worked out


class Held:
    """By the task that each is held for."""

    def __init__(self, states: States) -> None:
        self._states = states
        self.seats: dict[TaskId, Seat] = {}
        self._alike: dict[tuple[int, int], _Alike] = {}
        self._of: dict[TaskId, _Alike] = {}
        self._gpus: dict[
            tuple[int, int, int], int | None
        ] = {}  # by state, kept and asked: where it fits beside; NEVER: nowhere

    def __contains__(self, task: TaskId) -> bool:
        return task in self.seats

    def __bool__(self) -> bool:
        return bool(self.seats)

    def add(self, seat: Seat, task: TaskId, kept: Ask | None) -> None:
        """
        Args:
            kept: how the task would run there; None: it is gone.
        """
        seat.held_for, seat.kept = task, kept
        self.seats[task] = seat
        self._enter(seat, task)

    def remove(self, task: TaskId) -> Seat:
        seat = self.seats.pop(task)
        self._leave(task, seat)
        seat.held_for = seat.kept = None
        return seat

    def moved(self, seat: Seat) -> None:
        """Something started or ended at a held place."""
        task = seat.held_for
        if task is not None and task in self.seats:
            self._leave(task, seat)
            self._enter(seat, task)

    def with_room(self, ask: Ask) -> Seat | None:
        """The first of them that has room, were it not held."""
        ids = [min(alike.seats) for alike in self._alike.values() if alike.state.holds(ask)]
        return self._seat(min(ids)) if ids else None

    def beside(
        self, ask: Ask, task: TaskId, work_ms: int, now_ms: int, avoid: Collection[str]
    ) -> tuple[Seat, int | None] | None:
        """The first of them where a task may run, which is held for another; and the GPU that would give a share."""
        best: tuple[str, int | None] | None = None
        for alike in self._alike.values():
            state = alike.state
            if ask.kind is not state.spec.kind or not state.holds(ask):
                continue
            key = (state.number, alike.kept.number, ask.number)
            gpu = self._gpus.get(key, -2)
            if gpu == -2:
                fits = leaves_what_it_lacks(self._states, state, ask, alike.kept)
                gpu = self._gpus[key] = NEVER if fits is None else fits[0]
            end_ms = None
            if gpu == NEVER:
                gpu, end_ms = None, now_ms + work_ms * SAFETY_PERCENT // 100
                if not work_ms or self._latest(alike) < end_ms:
                    continue
            for id_, seat in alike.seats.items():
                if (best is not None and best[0] <= id_) or seat.held_for == task or id_ in avoid:
                    continue
                if end_ms is None or self._ready_ms(seat, alike.kept) >= end_ms:
                    best = id_, gpu
        return (self._seat(best[0]), best[1]) if best is not None else None

    def _seat(self, id_: str) -> Seat:
        return next(alike.seats[id_] for alike in self._alike.values() if id_ in alike.seats)

    def _enter(self, seat: Seat, task: TaskId) -> None:
        seat.ready_ms = None
        if seat.kept is None:
            return
        key = (seat.state.number, seat.kept.number)
        alike = self._alike.get(key)
        if alike is None:
            alike = self._alike[key] = _Alike(seat.state, seat.kept)
        alike.seats[seat.id] = seat
        alike.latest_ms = None
        self._of[task] = alike

    def _leave(self, task: TaskId, seat: Seat) -> None:
        alike = self._of.pop(task, None)
        if alike is not None:
            del alike.seats[seat.id]
            alike.latest_ms = None
            if not alike.seats:
                del self._alike[alike.state.number, alike.kept.number]

    def _latest(self, alike: _Alike) -> int:
        if alike.latest_ms is None:
            alike.latest_ms = max(self._ready_ms(seat, alike.kept) for seat in alike.seats.values())
        return alike.latest_ms

    def _ready_ms(self, seat: Seat, kept: Ask) -> int:
        """When, as predicted, enough of what runs there will have ended; NEVER: that is not known, or it could start now."""
        if seat.ready_ms is None:
            seat.ready_ms = self._work_out(seat, kept)
        return seat.ready_ms

    def _work_out(self, seat: Seat, kept: Ask) -> int:
        state = seat.state
        if state.holds(kept):
            return NEVER
        for resources, gpus, end_ms, _ in sorted(seat.running.values(), key=lambda one: (one[2] is None, one[2] or 0)):
            if end_ms is None:
                return NEVER
            state = self._states.give(state, resources, gpus)
            if state.holds(kept):
                return end_ms
        return NEVER


def leaves_what_it_lacks(states: States, state: PlaceState, ask: Ask, kept: Ask) -> tuple[int | None] | None:
    """The GPU on which `ask` may start, so that `kept` is no further from fitting than before; None: there is none."""
    gpus: list[int | None] = [None]
    if ask.gpus == 1:
        gpus = [
            gpu
            for gpu, free in enumerate(state.gpu_milli)
            if free >= ask.gpu_milli and state.vram_bytes[gpu] >= ask.vram_bytes
        ]
    for gpu in gpus:
        after = states.take(state, ask, gpu)[0]
        if (
            after.slots >= 1
            and after.cpu_milli >= min(state.cpu_milli, kept.cpu_milli)
            and after.memory_bytes >= min(state.memory_bytes, kept.memory_bytes)
            and gpus_free(after, kept) >= min(gpus_free(state, kept), kept.gpus)
            and _most(after.gpu_milli) >= min(_most(state.gpu_milli), kept.gpu_milli if kept.gpus else 0)
            and _most(after.vram_bytes) >= min(_most(state.vram_bytes), kept.vram_bytes if kept.gpus else 0)
        ):
            return (gpu,)
    return None


def gpus_free(state: PlaceState, ask: Ask) -> int:
    """How many of its GPUs could give what is asked of one."""
    return sum(
        free >= ask.gpu_milli and state.vram_bytes[gpu] >= ask.vram_bytes for gpu, free in enumerate(state.gpu_milli)
    )


def _most(values: tuple[int, ...]) -> int:
    return max(values, default=0)
