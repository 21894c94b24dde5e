"""What each pool that lives says of a task that waits, from what the pools say with their beats (dispatch/reporting.py)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from vidprocme.core.ids import TaskId
from vidprocme.core.job import TaskState
from vidprocme.core.snapshot import Line, Reason
from vidprocme.dispatch.waiting import IN_LINE, Standing, drains, rests, room_at, takers_of, why
from vidprocme.queue.base import PoolView, TaskView
from vidprocme.scheduler.explain import (
    BIN_BEHIND,
    BIN_PAUSED,
    CANNOT_START,
    CODES,
    DRAINING,
    ELSEWHERE,
    GANG_INCOMPLETE,
    NEXT_TURN,
    NO_MEMORY,
    NO_PLACE_FREE,
    NO_SUCH_PLACE,
    NO_TYPE,
    QUOTA,
    RESERVED_FOR,
    TENANT_OVER_SHARE,
    WAIT_WARM,
    needs_in_words,
)

JUST_BEGAN = "JUST_BEGAN"  # the pool has not said anything of itself yet
# The most hopeful first: it starts next, when something ends, when others have gone, when somebody does something; never.
HOPE = (
    NEXT_TURN,
    WAIT_WARM,
    NO_PLACE_FREE,
    GANG_INCOMPLETE,
    RESERVED_FOR,
    ELSEWHERE,
    BIN_BEHIND,
    TENANT_OVER_SHARE,
    IN_LINE,
    JUST_BEGAN,
    QUOTA,
    BIN_PAUSED,
    CANNOT_START,
    DRAINING,
    NO_MEMORY,
    NO_TYPE,
    NO_SUCH_PLACE,
)
# In place of sentences that name other tenants or their tasks.
GENERAL = {
    RESERVED_FOR: "A place has room for it, but is held for a task that is overdue and needs more.",
    TENANT_OVER_SHARE: "Tenants of its bin that have used less for their weight go first.",
}


@dataclass(frozen=True, slots=True)
class PoolSays:
    """Why a task does not start at one pool."""

    pool: str
    host: str
    reason: Reason


def leading(
    view: TaskView,
    tasks: Mapping[TaskId, TaskView],
    now: Standing,
    ours: Collection[str] = frozenset(),
    *,
    one_tenant: bool = False,
) -> Reason | None:
    """The reason of one task, in one sentence: of several pools that have told of its line, the most hopeful one's.

    Args:
        tasks, ours: see waiting.why.
        one_tenant: for somebody who sees one tenant only: others are not named.
    """
    reason = why(view, tasks, now, ours)
    pools = takers_of(tasks, now, ours)
    if reason is None or reason.code != IN_LINE or len(pools) < 2:
        return reason
    told = [one.reason for pool in pools if (one := _says(view, pool, now, None, one_tenant)).reason.code != JUST_BEGAN]
    best = min(told, key=hope, default=reason)
    return best if best.code in CODES else reason


def each_pool(
    view: TaskView,
    tasks: Mapping[TaskId, TaskView],
    now: Standing,
    at: tuple[int, int] | None = None,
    ours: Collection[str] = frozenset(),
    *,
    one_tenant: bool = False,
) -> tuple[PoolSays, ...]:
    """What each pool says that could take it, the most hopeful first; nothing of a task that is not ready.

    Args:
        at: its number in its line, from 1, and how long that is; None: not known.
    """
    if view.state is not TaskState.READY:
        return ()
    said = [_says(view, pool, now, at, one_tenant) for pool in takers_of(tasks, now, ours)]
    return tuple(sorted(said, key=lambda one: (hope(one.reason), one.pool)))


def _says(view: TaskView, pool: PoolView, now: Standing, at: tuple[int, int] | None, one_tenant: bool) -> PoolSays:
    return PoolSays(pool.info.id, pool.info.host, _reason(view, pool, now, at, one_tenant))


def _reason(view: TaskView, pool: PoolView, now: Standing, at: tuple[int, int] | None, one_tenant: bool) -> Reason:
    task, report = view.task, pool.report
    if drains(pool, now):
        return Reason(DRAINING, "It is draining: nothing new starts there.")
    if report is None:
        return Reason(JUST_BEGAN, "It has just begun, and has not said yet what it has.")
    if rests(pool):
        return Reason(CANNOT_START, "It could not start an attempt, and tries again within a minute: its log says why.")
    line = report.lines.get(Line(task.bin, task.tenant, task.shape, 0, 0, ()).key)
    number = report.heads.get(task.id, line.said if line else -1)
    if line is None or not 0 <= number < len(report.said):
        found = room_at(task, pool, now)
        if not found.slots:
            return Reason(NO_SUCH_PLACE, f"It has no place for it, which needs {needs_in_words(task.needs)}.")
        free = f"{found.busy} of its {found.slots} slots that could take it are busy"
        return Reason(IN_LINE, f"It has not told of this line yet; {free}.")
    reason = report.said[number]
    if one_tenant and reason.code in GENERAL:
        reason = Reason(reason.code, GENERAL[reason.code])
    if at is None or task.id in report.heads or at[0] <= line.heads:
        return reason
    where = f"Number {at[0]:,} of {at[1]:,} in its line"
    return Reason(reason.code, f"{where}, of which this pool sees {line.heads:,}. Of the first it says: {reason.text}")


def hope(reason: Reason) -> int:
    """The lower, the sooner it may start."""
    return HOPE.index(reason.code) if reason.code in HOPE else len(HOPE)
