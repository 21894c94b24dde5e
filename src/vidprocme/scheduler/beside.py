"""The places of other pools beside a pool's own, for playing forward what waits over all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from vidprocme.core.ids import TaskId
from vidprocme.core.resources import Need, Place, Resources
from vidprocme.core.snapshot import Plan
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.places import Running, Seat
from vidprocme.scheduler.states import PlaceState, States


@dataclass(frozen=True, slots=True)
class SeatNow:
    """A place as it is, and what runs there.

    place: `warm` is what is loaded there once all has started that runs there.
    starts: see core.resources.PlaceLoad.
    pool: whose it is.
    """

    place: Place
    starts: int = 0
    runs: tuple[Running, ...] = ()
    held_for: TaskId | None = None
    pool: str = ""

    @property
    def name(self) -> str:
        """No place of a board is called so: two pools of one machine call theirs the same, and an id has no spaces."""
        return f"{self.place.id} of {self.pool}"


def seats_of(board: Board) -> tuple[SeatNow, ...]:
    """All places that it knows, by id."""
    board.undo()
    return tuple(
        SeatNow(replace(seat.place, warm=seat.state.warm), seat.starts, tuple(seat.running.values()), seat.held_for)
        for _, seat in sorted(board.seats.all.items())
    )


def add_seats(board: Board, seats: Iterable[SeatNow]) -> frozenset[str]:
    """Let a fork have these places, too: what runs there ends as theirs does, and what they are held for is held there. One that is held for a task of
    which nothing is known is left out: it takes no other.

    Returns:
        Their ids there.
    """
    tasks = board.waiting.tasks
    known = [one for one in seats if one.held_for is None or one.held_for in tasks]
    new = {one.name: one for one in known if one.name not in board.seats.all}
    for name, one in new.items():
        _add(board, name, one)
    _hold(board, new)
    _avoid(board, new)
    return frozenset(new)


def _add(board: Board, name: str, one: SeatNow) -> None:
    place = replace(one.place, id=name)
    state, running = board.states.empty(place), list[Running]()
    for resources, gpus, end_ms, whose in one.runs:
        state, used = _taken(board.states, state, resources, gpus)
        running.append((resources, used, end_ms, whose))
    seat = Seat(place, state, one.starts)
    seat.running.update((TaskId(f"{name}:{number:06d}"), run) for number, run in enumerate(running))
    board.seats.add(seat)


def _taken(
    states: States, state: PlaceState, resources: Resources, gpus: tuple[int, ...]
) -> tuple[PlaceState, tuple[int, ...]]:
    """What is left when this runs there too, and the GPUs that it has: told, or else the fullest that hold it."""
    ask = states.ask(Need(state.spec.kind, resources), None)
    if not gpus and ask.gpus:
        gpus = state.fullest(ask) or tuple(range(min(ask.gpus, state.spec.gpus)))
    return states.taken(state, resources, gpus, None), gpus


def _hold(board: Board, new: Mapping[str, SeatNow]) -> None:
    held = {seat.id: task for task, seat in board.held.seats.items()}
    theirs = {
        name: one.held_for for name, one in new.items() if one.held_for is not None and one.held_for not in board.held
    }
    theirs = {name: task for task, name in {task: name for name, task in theirs.items()}.items()}  # one for each task
    board.elsewhere(board.others - set(theirs.values()))
    board.planned(Plan(reserved={**held, **theirs}))


def _avoid(board: Board, new: Mapping[str, SeatNow]) -> None:
    """What failed at a place goes there no sooner because it is called something else here."""
    names: dict[str, list[str]] = {}
    for name, one in new.items():
        names.setdefault(one.place.id, []).append(name)
    failed = [
        (queue, head)
        for queue in board.waiting.queues.values()
        for batch in queue.batches.values()
        for _, _, head in batch.heap
        if head.avoid
    ]
    for queue, head in failed:
        more = [name for place in head.avoid for name in names.get(place, ())]
        board.waiting.retold(queue, replace(head, avoid=(*head.avoid, *more)))
