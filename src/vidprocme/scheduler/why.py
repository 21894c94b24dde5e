"""All that a task which waits is told: why, when it starts, what would start it now, and where."""

from __future__ import annotations

from vidprocme.core.ids import TaskId
from vidprocme.core.snapshot import Reason
from vidprocme.core.why import Why
from vidprocme.scheduler import counterfactual, play
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.candidates import SUCH, candidates
from vidprocme.scheduler.counterfactual import smallest_change
from vidprocme.scheduler.explain import NEXT_TURN
from vidprocme.scheduler.forks import fork
from vidprocme.scheduler.policy import decide


def why(
    board: Board,
    task: TaskId,
    now_ms: int,
    *,
    changes: int = counterfactual.DECISIONS,
    forward: int = play.DECISIONS,
) -> Why:
    """
    Args:
        board: on which the task waits; what its last decision tried is undone, and nothing else is changed.
        changes, forward: decisions that may be tried to find what would start it, and when it will.
    """
    other = fork(board)
    plan = decide(other, now_ms)
    order = {placement.task: placement for placement in plan.placements}
    start = play.play(board, task, now_ms, forward)
    if task in order:
        best, chosen = candidates(other, plan, task)
        reason = Reason(NEXT_TURN, f"{order[task].place} has room for it: the next decision starts it.")
        return Why(reason, start, (), best, chosen)
    reason = plan.reasons[task]
    found = smallest_change(board, task, now_ms, changes)
    if found is None:
        return Why(reason, start)
    best, chosen = candidates(found.board, found.plan, task)
    if all(one.place.startswith(SUCH) for one in best):  # that there would be new ones is said
        best, chosen = (), ""
    return Why(reason, start, found.changes, best, chosen)
