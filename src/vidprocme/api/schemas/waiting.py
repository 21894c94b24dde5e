"""Why the tasks of a job wait, as documents."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from pydantic import Field

from vidprocme.api.schemas.base import Document
from vidprocme.core.ids import TaskId
from vidprocme.core.job import TaskState
from vidprocme.core.snapshot import Reason
from vidprocme.dispatch.said import PoolSays, each_pool
from vidprocme.dispatch.waiting import Standing
from vidprocme.queue.base import Queue, TaskView


class PoolReasonDocument(Document):
    """What one pool says."""

    pool: str
    host: str
    code: str
    text: str


class WaitingDocument(Document):
    """Why `count` tasks of a stage wait: a stable code and a sentence; of several pools that could take them, the most hopeful one's."""

    stage: str
    state: str
    code: str
    text: str
    count: int
    pools: list[PoolReasonDocument] = Field(
        description="where several pools are at work, what each says of the first of these tasks, the most hopeful first"
    )


def waiting_documents(
    queue: Queue,
    tasks: Mapping[TaskId, TaskView],
    reasons: Mapping[TaskId, Reason],
    now: Standing,
    *,
    one_tenant: bool = False,
) -> list[WaitingDocument]:
    """
    Args:
        tasks: of a job, in planning order. reasons: of those that wait.
        one_tenant: for a key that sees one tenant only.
    """
    return [
        _waiting(alike[0], reasons[alike[0].task.id], len(alike), _pools(queue, alike[0], tasks, now, one_tenant))
        for alike in _alike(tasks.values(), reasons)
    ]


def _alike(tasks: Iterable[TaskView], reasons: Mapping[TaskId, Reason]) -> Collection[list[TaskView]]:
    """Those that wait, by stage, state and reason."""
    found: dict[tuple[str, str, Reason], list[TaskView]] = {}
    for view in tasks:
        if view.task.id in reasons:
            key = (view.task.stage.value, view.state.value, reasons[view.task.id])
            found.setdefault(key, []).append(view)
    return found.values()


def _waiting(first: TaskView, reason: Reason, count: int, pools: Sequence[PoolSays]) -> WaitingDocument:
    return WaitingDocument(
        stage=first.task.stage.value,
        state=first.state.value,
        code=reason.code,
        text=reason.text,
        count=count,
        pools=[
            PoolReasonDocument(pool=one.pool, host=one.host, code=one.reason.code, text=one.reason.text)
            for one in pools
        ],
    )


def _pools(
    queue: Queue, view: TaskView, tasks: Mapping[TaskId, TaskView], now: Standing, one_tenant: bool
) -> Sequence[PoolSays]:
    """What each of several pools says; of one pool it has been said."""
    if view.state is not TaskState.READY or len(now.fleet) < 2:
        return ()
    said = each_pool(view, tasks, now, queue.number_in_line(view.task.id), one_tenant=one_tenant)
    return said if len(said) > 1 else ()
