"""Jobs, tasks and shortcuts for this room's tests."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from typing import Any

from vidprocme.core.errors import ErrorInfo
from vidprocme.core.ids import JobId, TaskId, task_id
from vidprocme.core.job import Job, Lease, Next, Outcome, OutcomeKind, Recipe, Source, Stage, Task
from vidprocme.core.resources import Need, PlaceKind, Resources
from vidprocme.queue.base import Claim, Claimed, PoolInfo, Settlement, Turn
from vidprocme.queue.check import check
from vidprocme.queue.redis import RedisQueue

CORE = Resources(cpu_milli=1000)
NEEDS = (Need(PlaceKind.CPU, CORE),)
NUMBER = itertools.count(1)
LEASE_MS = 60_000

OK = Outcome(OutcomeKind.OK, {"frames": 7})
BROKEN = Outcome(OutcomeKind.FAILED, error=ErrorInfo("FFMPEG_FAILED", "ffmpeg exit 1"))
STOPPED = Outcome(OutcomeKind.CANCELLED)


def new_job(**more: Any) -> Job:
    source = Source("file:///videos/goat.mp4", "goat.mp4", "ab" * 32, 1000, 5)
    return Job(JobId(f"job_{next(NUMBER)}"), source, Recipe(), **more)


def new_task(job: Job, stage: Stage, index: int = 0, after: Sequence[Task] = (), **more: Any) -> Task:
    given: dict[str, Any] = {"payload": {"n": index}, "needs": NEEDS, "size": 10 + index, **more}
    after_ids = tuple(task.id for task in after)
    return Task(
        task_id(job.id, stage, index), job.id, stage, index, after=after_ids, bin=job.bin, tenant=job.tenant, **given
    )


def submitted(queue: RedisQueue, **more: Any) -> tuple[Job, Task]:
    """A job with its probe, in the queue."""
    job = new_job()
    probe = new_task(job, Stage.PROBE, **more)
    assert queue.submit(job, [probe]).created
    return job, probe


def look(queue: RedisQueue, holder: str = "pool") -> Turn:
    return queue.turn(holder, [], [], lease_ms=LEASE_MS)


def take(queue: RedisQueue, *tasks: Task | TaskId, holder: str = "pool", lease_ms: int = LEASE_MS) -> list[Claimed]:
    """Claim these tasks."""
    claims = [Claim(t.id if isinstance(t, Task) else t, "place", CORE) for t in tasks]
    return list(queue.turn(holder, [], claims, lease_ms=lease_ms).claimed)


def lease_of(queue: RedisQueue, task: Task, holder: str = "pool") -> Lease:
    (claimed,) = take(queue, task, holder=holder)
    return claimed.lease


def end(queue: RedisQueue, lease: Lease, next_: Next = Next.SUCCEED, outcome: Outcome = OK, delay_ms: int = 0) -> Turn:
    """Settle one attempt; the walk over all keys must find nothing wrong after it."""
    turn = queue.turn(lease.holder, [Settlement(lease, next_, outcome, delay_ms)], [], lease_ms=LEASE_MS)
    assert check(queue) == []
    return turn


def run(queue: RedisQueue, task: Task, next_: Next = Next.SUCCEED, outcome: Outcome = OK) -> Lease:
    """Claim and settle."""
    lease = lease_of(queue, task)
    assert end(queue, lease, next_, outcome).stale == ()
    return lease


def pool(name: str, **more: Any) -> PoolInfo:
    return PoolInfo(name, host="here", boot="b", pid=1, pid_started=1, started_ms=next(NUMBER), **more)


def states(queue: RedisQueue, job: Job) -> dict[str, str]:
    """`stage:index` -> state."""
    return {f"{v.task.stage}:{v.task.index}": v.state.value for v in queue.tasks(job.id)}


def until(queue: RedisQueue, holder: str, wanted: TaskId) -> None:
    """Turn until this task is shown as a head; the server's clock moves by itself."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        turn = look(queue, holder)
        if any(head.task == wanted for line in turn.lines for head in line.heads):
            return
        queue.await_work(0.05)
    raise AssertionError(f"{wanted} never became ready")
