"""Why a task waits, as far as it can be known without asking the pool that decides: from its state, the lines and the pools."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from vidprocme.core.ids import TaskId
from vidprocme.core.job import TERMINAL, TaskState
from vidprocme.core.snapshot import Reason
from vidprocme.queue.base import Depth, PoolInfo, TaskView

WAITS_FOR_OTHERS, BACKOFF, NO_POOL, DRAINING, IN_LINE = "WAITS_FOR_OTHERS", "BACKOFF", "NO_POOL", "DRAINING", "IN_LINE"


def why(
    view: TaskView, tasks: Mapping[TaskId, TaskView], pools: Sequence[PoolInfo], depth: Depth, now_ms: int
) -> Reason | None:
    """The reason of one task of a job; None when it does not wait.

    Args:
        tasks: all tasks of the job, by id.
        pools: those that are present.
    """
    match view.state:
        case TaskState.BLOCKED:
            return Reason(WAITS_FOR_OTHERS, _others(view, tasks))
        case TaskState.DELAYED:
            left_s = max(0.0, ((view.due_ms or now_ms) - now_ms) / 1000)
            error = view.outcome.error if view.outcome else None
            because = f" after {error.code}" if error else ""
            return Reason(BACKOFF, f"Is tried again in {left_s:.0f} s{because}.")
        case TaskState.READY:
            return _in_line(view, pools, depth)
        case _:
            return None


def _others(view: TaskView, tasks: Mapping[TaskId, TaskView]) -> str:
    missing = Counter(
        tasks[other].task.stage.value
        for other in view.task.after
        if other in tasks and tasks[other].state not in TERMINAL
    )
    if not missing:
        return "Waits for other tasks of its job."
    told = ", ".join(f"{count} {stage} task{'s' * (count > 1)}" for stage, count in missing.items())
    return f"Waits for {told} of its job."


def _in_line(view: TaskView, pools: Sequence[PoolInfo], depth: Depth) -> Reason:
    open_to_all = [pool for pool in pools if not pool.own_jobs_only]
    if not open_to_all:
        return Reason(NO_POOL, "No pool is at work. Start one: vidprocme worker (or vidprocme up).")
    if all(pool.draining for pool in open_to_all):
        return Reason(DRAINING, "Every pool is draining and takes nothing new. Start one: vidprocme worker.")
    bin_ = view.task.bin
    running = depth.by_state.get(TaskState.RUNNING, 0)
    waiting = depth.waiting_by_bin.get(bin_, 0)
    return Reason(IN_LINE, f"In line: {waiting} wait in bin {bin_}, {running} run now on {_pools(len(open_to_all))}.")


def _pools(count: int) -> str:
    return f"{count} pool{'s' * (count != 1)}"
