"""All that a board knows, as JSON values, and a board that knows it: what is decided by the one is decided by the other.

A line for what is known of all, one for each place, and one for each line of tasks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vidprocme.core.ids import TaskId, job_of
from vidprocme.core.job import Bin
from vidprocme.core.resources import Need, Place, Resources
from vidprocme.core.shares import Shares
from vidprocme.core.snapshot import Head, Line
from vidprocme.core.wire import from_wire, to_wire
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.lines import Job, LineQueue
from vidprocme.scheduler.places import Seat

BEGINS, SEAT, KNOWN = "begins", "seat", "known"


def told(board: Board) -> Iterator[dict[str, Any]]:
    """What it knows. What its last decision tried is undone.

    Who has used what is told as it is by now; before the next decision a turn tells it anew, as each does: only then are tenants compared by the same.
    """
    board.undo()
    yield {
        "told": BEGINS,
        "now_ms": board.now_ms,
        "shares": to_wire(board.ledger.shares()),
        "others": sorted(board.others),
        "recent": board.recent.told(),
    }
    for queue in board.waiting.queues.values():
        yield {"told": KNOWN, **_queue(queue)}
    for seat in board.seats.all.values():
        yield {"told": SEAT, **_seat(seat)}


def heard(board: Board, line: Mapping[str, Any]) -> None:
    """One of those that `told` gave, for a board that knew nothing before the first of them.

    Raises:
        ValueError, LookupError, TypeError, Fatal: it is none of them.
    """
    match line["told"]:
        case "begins":
            board.now_ms = line["now_ms"]
            board.recent.heard(*line["recent"])
            board.elsewhere(line["others"])
            board.shares(from_wire(Shares, line["shares"]))
        case "known":
            _hear_queue(board, line)
        case "seat":
            _hear_seat(board, line)
        case other:
            raise ValueError(f"nothing is known of {other!r}")


def _queue(queue: LineQueue) -> dict[str, Any]:
    ways: dict[tuple[object, ...], int] = {}  # in which its heads can be run: nearly always one for them all
    heads = []
    for head in queue.heads.values():
        way = ways.setdefault((head.needs, head.model), len(ways))
        heads.append([head.task, head.ready_ms, way, head.avoid, head.work_ms, head.left_ms, head.since_ms])
    return {
        "line": [queue.bin, queue.tenant, queue.shape, queue.more, queue.oldest_ms],
        "needs": [to_wire(ask.need) for ask in queue.group.wants],
        "model": queue.model,
        "ways": to_wire(list(ways)),
        "heads": heads,
        "jobs": {id_: [one.job.since_ms, one.job.left_ms, one.served_ms] for id_, one in queue.batches.items()},
    }


def _hear_queue(board: Board, line: Mapping[str, Any]) -> None:
    bin_, tenant, shape, more, oldest_ms = line["line"]
    ways = [(tuple(from_wire(Need, need) for need in needs), model) for needs, model in line["ways"]]
    heads = []
    for task, ready_ms, way, avoid, work_ms, left_ms, since_ms in line["heads"]:
        needs, model = ways[way]
        heads.append(Head(task, ready_ms, needs, model, tuple(avoid), work_ms, left_ms, since_ms))
    needs = tuple(from_wire(Need, need) for need in line["needs"])
    of_line = Line(Bin(bin_), tenant, shape, more + len(heads), oldest_ms, tuple(heads))
    waiting, jobs = board.waiting, line["jobs"]
    queue = waiting.queue_of(of_line, board.wants(needs, line["model"]), line["model"])
    for head in heads:
        id_ = job_of(head.task)
        since_ms, left_ms, _ = jobs[id_]
        waiting.add(queue, head, Job(id_, since_ms, left_ms))
    waiting.set_more(queue, more)
    for id_, (_, _, served_ms) in jobs.items():
        waiting.unserved(queue.batches[id_], served_ms)


def _seat(seat: Seat) -> dict[str, Any]:
    state, kept = seat.state, seat.kept
    return {
        "place": to_wire(seat.place),
        "state": [
            state.cpu_milli,
            state.memory_bytes,
            state.gpu_milli,
            state.vram_bytes,
            state.slots,
            state.warm,
            state.kinds,
        ],
        "starts": seat.starts,
        "running": {task: to_wire(one) for task, one in seat.running.items()},
        "held_for": seat.held_for,
        "kept": None if kept is None else [to_wire(kept.need), kept.model],
    }


def _hear_seat(board: Board, line: Mapping[str, Any]) -> None:
    place = from_wire(Place, line["place"])
    cpu_milli, memory_bytes, gpu_milli, vram_bytes, slots, warm, kinds = line["state"]
    left = cpu_milli, memory_bytes, tuple(gpu_milli), tuple(vram_bytes), slots, tuple(warm)
    state = board.states.told(place, *left, tuple((kind, count) for kind, count in kinds))
    seat = Seat(place, state, line["starts"])
    board.seats.add(seat)
    for task, (resources, gpus, end_ms, whose) in line["running"].items():
        owner = None if whose is None else (Bin(whose[0]), whose[1])
        seat.running[TaskId(task)] = from_wire(Resources, resources), tuple(gpus), end_ms, owner
    if line["held_for"] is not None:
        kept = line["kept"]
        board.seats.unlist(seat)
        board.held.add(
            seat,
            TaskId(line["held_for"]),
            None if kept is None else board.states.ask(from_wire(Need, kept[0]), kept[1]),
        )
