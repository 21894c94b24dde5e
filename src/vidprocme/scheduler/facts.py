"""A board as a value, and a value as a board."""

from __future__ import annotations

from vidprocme.core.resources import PlaceLoad, Resources
from vidprocme.core.snapshot import Line, Plan, Snapshot
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.config import PolicyConfig
from vidprocme.scheduler.lines import LineQueue
from vidprocme.scheduler.places import Seat


def board_of(snapshot: Snapshot, config: PolicyConfig | None = None) -> Board:
    """One that knows what the snapshot says."""
    board = Board(config)
    for load in snapshot.places.values():
        seat = Seat(load.place, board.states.loaded(load.place, load.free, load.free_slots), load.starts)
        board.seats.add(seat)
    board.lines(snapshot.lines.values(), complete=True)
    board.shares(snapshot.shares)
    held = {load.place.id: load.held_for for load in snapshot.places.values() if load.held_for is not None}
    board.planned(Plan(reserved=held))
    return board


def snapshot_of(board: Board) -> Snapshot:
    """All that it knows: lines, places and shares by their names."""
    board.undo()
    lines = {key: _line(queue) for key, queue in board.waiting.queues.items()}
    places = {id_: load_of(seat) for id_, seat in board.seats.all.items()}
    return Snapshot(lines, places, board.ledger.shares())


def load_of(seat: Seat) -> PlaceLoad:
    """A place and what is left of it. Of several GPUs: what is free on the freest, and how many have it all."""
    state, spec = seat.state, seat.state.spec
    whole = sum(free >= spec.gpu_milli for free in state.gpu_milli)
    gpus = seat.place.resources.gpus if spec.gpus <= 1 else whole
    free = Resources(
        state.cpu_milli, state.memory_bytes, max(state.gpu_milli, default=0), max(state.vram_bytes, default=0), gpus
    )
    return PlaceLoad(seat.place, free, state.slots, seat.starts, seat.held_for)


def _line(queue: LineQueue) -> Line:
    heads = tuple(sorted(queue.heads.values(), key=lambda head: (head.ready_ms, head.task)))
    return Line(queue.bin, queue.tenant, queue.shape, len(queue), queue.oldest_ms, heads)
