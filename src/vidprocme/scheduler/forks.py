"""A board beside a board: it knows the same and decides the same, and what is tried on it moves nothing."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from vidprocme.core.ids import JobId, job_of
from vidprocme.core.snapshot import Placement, Plan, Snapshot
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.config import PolicyConfig
from vidprocme.scheduler.facts import load_of, snapshot_of
from vidprocme.scheduler.places import Seat
from vidprocme.scheduler.states import PlaceState


def fork(
    board: Board, config: PolicyConfig | None = None, *, heads: int | None = None, keep: Collection[JobId] = ()
) -> Board:
    """
    Args:
        board: what its last decision tried is undone.
        config: other settings than its own.
        heads: of all lines together the fork knows about so many at most, the oldest of each; the others stand behind them. None: all.
        keep: jobs of which it knows all heads.
    """
    snapshot = snapshot_of(board)
    if heads is not None and len(board.waiting.tasks) > heads:
        each = max(1, heads // len(snapshot.lines))
        lines = {
            key: replace(line, heads=tuple(h for n, h in enumerate(line.heads) if n < each or job_of(h.task) in keep))
            for key, line in snapshot.lines.items()
        }
        snapshot = replace(snapshot, lines=lines)
    other = Board(config or board.config)
    for seat in board.seats.all.values():
        _seat(other, seat)
    _lines(other, board, snapshot)
    other.shares(snapshot.shares)
    _accounts(other, board)
    other.elsewhere(board.others)
    other.recent, other.now_ms = board.recent.copy(), board.now_ms
    held = {seat.id: task for task, seat in board.held.seats.items()}
    other.planned(Plan(reserved=held))
    return other


def _seat(board: Board, seat: Seat) -> None:
    board.place(replace(seat.place, warm=seat.state.warm))
    mine = board.seats.all[seat.id]
    for task, (resources, gpus, _, _) in seat.running.items():
        board.placed(Placement(task, seat.id, resources, "", counted=False, gpus=gpus))
    if _left(mine.state) != _left(seat.state):  # not all that is taken is told by what runs
        load = load_of(seat)
        board.seats.replace(mine, mine.place, board.states.loaded(mine.place, load.free, load.free_slots))
    board.seats.replace(mine, seat.place, mine.state)  # what was told of it; what is loaded there says its state
    mine.running.clear()
    mine.running.update(seat.running)
    mine.starts = seat.starts


def _accounts(other: Board, board: Board) -> None:
    """What was used and counted since the queue last told it stands beside what it told: who is compared with whom, and by what, is of then."""
    mine, theirs = other.ledger, board.ledger
    mine.mean = theirs.mean
    for bin_, known in theirs.bins.items():
        account = mine.bins[bin_]
        account.told, account.started, account.shut = known.told, known.started, known.shut
    for name, its in theirs.accounts.items():
        one = mine.account(name)
        one.told, one.used, one.started, one.named = its.told, its.used, its.started, its.named
        one.weighted, one.others, one.full = its.weighted, its.others, its.full
        one.offset = its.offset if other.config.order == board.config.order else mine.offset_of(one)


def _left(state: PlaceState) -> tuple[object, ...]:
    return state.cpu_milli, state.memory_bytes, state.gpu_milli, state.vram_bytes, state.slots


def _lines(other: Board, board: Board, snapshot: Snapshot) -> None:
    for key, line in snapshot.lines.items():
        if not line.heads:  # it stands where it stood: what it needs is known from when it had some
            queue = board.waiting.queues[key]
            needs = tuple(ask.need for ask in queue.group.wants)
            other.waiting.queue_of(line, other.wants(needs, queue.model), queue.model)
    other.lines(snapshot.lines.values(), complete=True)
    for job in board.waiting.jobs.values():
        other.progress(job.id, job.left_ms)
    for key, queue in board.waiting.queues.items():
        for batch in queue.batches.values():
            same = other.waiting.queues[key].batches.get(batch.job.id)
            if same is not None:
                other.waiting.unserved(same, batch.served_ms)
