"""The best places of a task that a plan starts, and why the first of them was taken."""

from __future__ import annotations

from vidprocme.core.ids import TaskId
from vidprocme.core.snapshot import Placement, Plan
from vidprocme.core.why import Candidate
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.forks import fork
from vidprocme.scheduler.lines import LineQueue
from vidprocme.scheduler.places import COLD, EMPTY, WARM
from vidprocme.scheduler.trial import NEW

MOST = 3
RANKS = {WARM: "warm", EMPTY: "empty", COLD: "cold"}
NO_MODEL = "none"
SUCH = "new place"


def candidates(board: Board, plan: Plan, task: TaskId, most: int = MOST) -> tuple[tuple[Candidate, ...], str]:
    """The places that had room for it when its turn came, best first, and a sentence.

    Args:
        board: that the plan was decided on; what it tried is undone.
        plan: one that starts the task.
    """
    order = [placement.task for placement in plan.placements]
    before, mine = plan.placements[: order.index(task)], plan.placements[order.index(task)]
    other = fork(board)
    for placement in before:
        other.placed(placement)
    batch = other.waiting.tasks[task]
    queue, avoid = batch.queue, batch.head(task).avoid
    found = sorted(
        (rank == COLD and queue.model is not None, number, rank, score, id_)
        for number, ask in enumerate(queue.group.wants, start=1)
        for rank, score, id_, _gpu in other.seats.choices(ask, queue.bin in other.config.spread)
        if id_ == mine.place or id_ not in avoid
    )
    first: dict[str, Candidate] = {}
    for _, number, rank, score, id_ in found:
        word = RANKS[rank] if queue.model is not None else NO_MODEL
        first.setdefault(id_, Candidate(_shown(id_), word, score, number))
    taken = first.pop(mine.place, None) or _held(other, queue, mine)
    best = (taken, *first.values())[:most]
    return best, _chosen(queue, mine, best)


def _held(board: Board, queue: LineQueue, mine: Placement) -> Candidate:
    """At a place that is held, for it or for another task."""
    state = board.seats.all[mine.place].state
    number = next((n for n, ask in enumerate(queue.group.wants, 1) if ask.resources == mine.resources), 1)
    rank = WARM if queue.model in state.warm else COLD if state.warm else EMPTY
    return Candidate(_shown(mine.place), RANKS[rank] if queue.model is not None else NO_MODEL, 0, number)


def _chosen(queue: LineQueue, mine: Placement, best: tuple[Candidate, ...]) -> str:
    one = best[0]
    if mine.reason.startswith("OVERDUE"):
        return f"{one.place}: the task is overdue, and the next start there is for what is overdue in bin {queue.bin}."
    if not mine.counted:
        return f"{one.place} is held for another task, and this one fits in beside it."
    if len(best) == 1:
        return f"{one.place} is the only place with room for it."
    other = best[1]
    if one.alternative != other.alternative:
        return f"{one.place} has room for its alternative {one.alternative}, {other.place} for its alternative {other.alternative} only."
    if one.rank != other.rank:
        words = {"warm": f"has {queue.model} loaded", "empty": "has nothing loaded", "cold": "has another model loaded"}
        return f"{one.place} {words[one.rank]}, and {other.place} {words[other.rank]}."
    if one.score != other.score:
        return f"{one.place} has the lower score, {one.score} against the {other.score} of {other.place}."
    return f"{one.place} and {other.place} are as good as each other, and the first by name is taken."


def _shown(place: str) -> str:
    return f"{SUCH} {int(place[len(NEW) :]) + 1}" if place.startswith(NEW) else place
