"""All that a task which waits is told: why, when it starts, what would start it now, and where."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from vidprocme.core.ids import TaskId
from vidprocme.core.snapshot import Reason
from vidprocme.core.why import Start, Why
from vidprocme.scheduler import counterfactual, play
from vidprocme.scheduler.beside import SeatNow
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.candidates import SUCH, candidates
from vidprocme.scheduler.counterfactual import smallest_change
from vidprocme.scheduler.explain import NEXT_TURN
from vidprocme.scheduler.forks import fork
from vidprocme.scheduler.policy import decide

CUT = "there was no time to look for all that would start it now"


def why(
    board: Board,
    task: TaskId,
    now_ms: int,
    *,
    changes: int = counterfactual.DECISIONS,
    forward: int = play.DECISIONS,
    others: Sequence[SeatNow] = (),
    go_on: Callable[[], bool] = lambda: True,
) -> Why:
    """
    Args:
        board: on which the task waits; what its last decision tried is undone, and nothing else is changed.
        changes, forward: decisions that may be tried to find what would start it, and when it will.
        others: places of other pools, over which it is found out when it starts, too; all else is told of the board's own.
        go_on: asked between decisions; False: no more are made, and the answer says that it is cut.
    """
    other = fork(board)
    plan = decide(other, now_ms)
    order = {placement.task: placement for placement in plan.placements}
    start = _start(board, task, now_ms, forward, others, go_on)
    if task in order:
        best, chosen = candidates(other, plan, task)
        reason = Reason(NEXT_TURN, f"{order[task].place} has room for it: the next decision starts it.")
        return Why(reason, start, (), best, chosen)
    reason = plan.reasons[task]
    time = _Time(go_on)
    found = smallest_change(board, task, now_ms, changes, time)
    if found is None and time.is_up:
        return Why(reason, replace(start, how=f"{start.how}; {CUT}"), cut=True)
    if found is None:
        return Why(reason, start)
    best, chosen = candidates(found.board, found.plan, task)
    if all(one.place.startswith(SUCH) for one in best):  # that there would be new ones is said
        best, chosen = (), ""
    return Why(reason, start, found.changes, best, chosen)


def _start(
    board: Board, task: TaskId, now_ms: int, forward: int, others: Sequence[SeatNow], go_on: Callable[[], bool]
) -> Start:
    """By the board's own places, as its pool decides, or over all, whichever is sooner: a model that is loaded at another pool's place is
    nothing to wait for here."""
    own = play.play(board, task, now_ms, forward, (), go_on)
    if not others or own.start_ms == now_ms:
        return own
    over_all = play.play(board, task, now_ms, forward, others, go_on)
    if own.start_ms is None or (over_all.start_ms is not None and over_all.start_ms < own.start_ms):
        return over_all
    return own


class _Time:
    """Whether it goes on; once it does not, for good."""

    def __init__(self, go_on: Callable[[], bool]) -> None:
        self._go_on, self.is_up = go_on, False

    def __call__(self) -> bool:
        self.is_up = self.is_up or not self._go_on()
        return not self.is_up
