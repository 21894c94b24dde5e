"""When a task will start, and what starts before it: the policy played forward on a fork, in which attempts end when they are predicted to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from vidprocme.core.ids import TaskId, job_of
from vidprocme.core.snapshot import Line
from vidprocme.core.why import Start
from vidprocme.scheduler import explain
from vidprocme.scheduler.beside import SeatNow, add_seats
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.explain import count
from vidprocme.scheduler.forks import fork
from vidprocme.scheduler.late import ELSEWHERE_HERE_MS
from vidprocme.scheduler.lines import LineQueue
from vidprocme.scheduler.policy import ELSEWHERE_MS, decide

DECISIONS = 200
BEHIND_MOST = (
    256  # tasks that stand behind the heads of their lines, of which nothing more is known: so many are played, too
)
NO_TURN = "it is not its turn within"
# What no end of an attempt takes out of the way.
NEVER = (
    explain.NO_SUCH_PLACE,
    explain.NO_TYPE,
    explain.NO_MEMORY,
    explain.DRAINING,
    explain.BIN_PAUSED,
)


def play(
    board: Board,
    task: TaskId,
    now_ms: int,
    decisions: int = DECISIONS,
    others: Sequence[SeatNow] = (),
    go_on: Callable[[], bool] = lambda: True,
) -> Start:
    """
    Args:
        board: on which the task waits; what its last decision tried is undone.
        decisions: that may be made on the way.
        others: places of other pools, which are taken to decide as this one does, whenever it does.
        go_on: asked before each decision; False: no more are made.
    """
    other = fork(board)
    theirs = add_seats(other, others)
    wants = other.waiting.tasks[task].queue.group.wants
    _fill(other)
    moment_ms, before = now_ms, 0
    how = _no_turn(decisions)
    for made in range(decisions):
        if not go_on():
            how = f"{_no_turn(made)}, and there was no time for more"
            break
        plan = decide(other, moment_ms)
        order = [placement.task for placement in plan.placements]
        if task in order:
            at = order.index(task)
            place = plan.placements[at].place
            return _told(before + at, moment_ms, now_ms, place if place in theirs else "")
        before += len(order)
        reason = plan.reasons[task]
        if reason.code in NEVER:
            how = reason.text[:-1]
            break
        other.planned(plan)
        if other.config.most is not None and len(order) >= other.config.most:
            continue  # the next decision is only a moment away
        next_ms = _next_ms(other, task, moment_ms)
        if next_ms is None:
            unknown = _unpredicted(other)
            how = reason.text[:-1]
            if unknown and any(ask.kind in {seat.place.kind for seat in other.seats.all.values()} for ask in wants):
                how = f"{how}; nobody has predicted how long {unknown} will take"
            break
        moment_ms = next_ms
        _end(other, moment_ms)
    return Start(_counted(board, task), False, None, how)


def _no_turn(decisions: int) -> str:
    return f"{NO_TURN} {count(decisions, 'decision')}"


def _told(before: int, moment_ms: int, now_ms: int, at: str) -> Start:
    if moment_ms == now_ms:
        how = "it starts with the next decision" if not before else f"{_start(before)} with it, before it"
    else:
        first = f"{_start(before)} before it" if before else "nothing starts before it"
        how = f"{first}, when attempts end as predicted and nothing more comes before it"
    return Start(before, True, moment_ms, how, at)


def _start(number: int) -> str:
    return f"{count(number, 'task')} start{'s' if number == 1 else ''}"


def _fill(board: Board) -> None:
    """Let what stands behind the heads be heads, too."""
    left = BEHIND_MOST
    for key in sorted(board.waiting.queues):
        left -= reveal(board, board.waiting.queues[key], left)


def reveal(board: Board, queue: LineQueue, most: int) -> int:
    """Let so many at most of those that stand behind a line's heads be heads: like the last of them. Returns how many are."""
    more = min(queue.more, most)
    if not more or not queue.heads:
        return 0
    last = max(queue.heads.values(), key=lambda head: (head.ready_ms, head.task))
    line = Line(queue.bin, queue.tenant, queue.shape, 0, queue.oldest_ms, ())
    name = f"{job_of(last.task)}:~{queue.key.replace(':', ';')}"
    for n in range(more):
        board.arrived(line, replace(last, task=TaskId(f"{name}:{queue.more:06d}{n:04d}"), avoid=()))
    board.waiting.set_more(queue, queue.more - more)
    return more


def _next_ms(board: Board, task: TaskId, moment_ms: int) -> int | None:
    """When something happens next: an attempt ends, or the task has waited for long enough; None: nothing does that can be told."""
    ends = [
        max(end_ms, moment_ms + 1)  # one that takes longer than was predicted ends at any moment
        for seat in board.seats.all.values()
        for _, _, end_ms, _ in seat.running.values()
        if end_ms is not None
    ]
    return min([*ends, *(at for at in _moments(board, task) if at > moment_ms)], default=None)


def _moments(board: Board, task: TaskId) -> Iterator[int]:
    batch = board.waiting.tasks[task]
    queue, head, config = batch.queue, batch.head(task), board.config
    if queue.bin in config.max_wait_ms:
        yield head.ready_ms + config.max_wait_ms[queue.bin]
    if queue.model is not None:
        patience_ms = config.patience_ms.get(queue.bin, 0)
        yield head.ready_ms + patience_ms
        yield batch.served_ms + patience_ms
    if head.avoid:
        yield from (head.ready_ms + ELSEWHERE_MS, head.ready_ms + ELSEWHERE_HERE_MS)


def _end(board: Board, moment_ms: int) -> None:
    """What will have ended by then."""
    for id_ in sorted(board.seats.all):
        seat = board.seats.all[id_]
        for task, (resources, gpus, end_ms, whose) in sorted(seat.running.items(), key=lambda one: one[0]):
            if end_ms is not None and end_ms <= moment_ms:
                board.finished(id_, resources, gpus, task)
                if whose is not None:
                    board.ended(*whose)


def _unpredicted(board: Board) -> str:
    n = sum(end_ms is None for seat in board.seats.all.values() for _, _, end_ms, _ in seat.running.values())
    if not n:
        return ""
    return f"the {n} attempts that run by then" if n > 1 else "the attempt that runs by then"


def _counted(board: Board, task: TaskId) -> int:
    """Older ones of its bin and all of more urgent bins that could take a place from it, as far as they are known."""
    board.undo()
    batch, bins = board.waiting.tasks[task], board.config.bins
    mine, head, found = batch.queue, batch.head(task), 0
    kinds = {ask.kind for ask in mine.group.wants}
    for queue in board.waiting.queues.values():
        if queue.bin not in bins or kinds.isdisjoint(ask.kind for ask in queue.group.wants):
            continue
        if queue.bin is mine.bin:
            found += sum((one.ready_ms, one.task) < (head.ready_ms, head.task) for one in queue.heads.values())
        elif mine.bin not in bins or bins.index(queue.bin) < bins.index(mine.bin):
            found += len(queue)
    return found
