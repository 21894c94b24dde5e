"""A retry while attempts still run that were told to stop: what a person was told would be tried again is tried again."""

from __future__ import annotations

import pytest

from tests.queue.test_contract_long import cancelled, finish, walk
from tests.queue.test_contract_steps import MANY, count, put_off
from tests.queue.things import (
    BROKEN,
    LEASE_MS,
    OK,
    STOPPED,
    end,
    lease_of,
    look,
    new_job,
    new_task,
    run,
    states,
    submitted,
    take,
)
from vidprocme.core.job import Job, JobState, Lease, Next, Stage, Task
from vidprocme.queue.base import Settlement
from vidprocme.queue.redis import RedisQueue


def told_to_stop(queue: RedisQueue, lease: Lease) -> bool:
    return queue.beat("pool", [lease], lease_ms=LEASE_MS, presence_ms=LEASE_MS).cancel == (lease,)


def working(queue: RedisQueue) -> tuple[Job, list[Task], Task, list[Lease]]:
    """A job of three transcodes and what comes after them; two run."""
    job = new_job()
    tasks = [new_task(job, Stage.TRANSCODE, number) for number in range(3)]
    join = new_task(job, Stage.JOIN, after=tasks)
    queue.submit(job, [*tasks, join])
    return job, tasks, join, [lease_of(queue, task) for task in tasks[:2]]


def first_head(queue: RedisQueue) -> str:
    return look(queue).lines[0].heads[0].task


@pytest.mark.parametrize("why", ["cancel", "doom"])
def test_what_was_told_to_stop_runs_again_when_its_job_was_retried_meanwhile(queue: RedisQueue, why: str) -> None:
    job, tasks, join, (stopped, other) = working(queue)
    if why == "cancel":
        assert queue.cancel(job.id)
    else:
        end(queue, other, Next.FAIL, BROKEN)
    assert told_to_stop(queue, stopped)

    # What ended, and what runs and was told to stop: two ended and two run, or three ended and one runs.
    assert queue.retry(job.id) == 4
    end(queue, stopped, Next.CANCEL, STOPPED)

    view = queue.task(tasks[0].id)
    assert view is not None and (view.state, view.tries, view.lost) == ("ready", 0, 0)
    assert first_head(queue) == tasks[0].id, "it keeps its place"
    if why == "cancel":
        end(queue, other, Next.CANCEL, STOPPED)
    for task in (*tasks, join):
        run(queue, task)
    assert queue.job(job.id).state is JobState.SUCCEEDED  # type: ignore[union-attr]
    again = queue.turn("pool", [Settlement(stopped, Next.CANCEL, STOPPED)], [], lease_ms=LEASE_MS)
    assert again.stale == (stopped,)


def test_a_job_of_which_nothing_but_one_attempt_is_left_can_be_retried(queue: RedisQueue) -> None:
    job, probe = submitted(queue)
    lease = lease_of(queue, probe)
    assert queue.retry(job.id) == 0, "nobody told it to stop"
    queue.cancel(job.id)

    assert queue.retry(job.id) == 1

    view = queue.job(job.id)
    assert view is not None and not view.cancel_asked and not told_to_stop(queue, lease)
    end(queue, lease, Next.CANCEL, STOPPED)
    assert states(queue, job) == {"probe:0": "ready"}
    run(queue, probe)
    assert queue.job(job.id).state is JobState.SUCCEEDED  # type: ignore[union-attr]


def test_cancelled_again_it_stays_so(queue: RedisQueue) -> None:
    job, _, _, leases = working(queue)
    queue.cancel(job.id)
    queue.retry(job.id)
    queue.cancel(job.id)
    for lease in leases:
        end(queue, lease, Next.CANCEL, STOPPED)
    assert set(states(queue, job).values()) == {"cancelled"}
    assert queue.job(job.id).state is JobState.CANCELLED  # type: ignore[union-attr]


@pytest.mark.parametrize("at", [1, 2])
def test_an_attempt_may_stop_in_either_walk_of_a_long_retry(queue: RedisQueue, at: int) -> None:
    """In the first, before or after the walk came to its task; in the second, while others are counted."""
    job, tasks = cancelled(queue)
    queue.retry(job.id)
    early, late = (lease_of(queue, task) for task in (tasks[0], tasks[-1]))
    follower = new_task(job, Stage.JOIN, after=[tasks[0], tasks[-1]])
    queue.enqueue(early, [follower])
    queue.cancel(job.id)
    assert queue.run("retry", job.id, "") == [2, MANY + 1]
    while walk(queue, job) < at:
        look(queue)
    assert put_off(queue) == 1

    for lease in (early, late):
        end(queue, lease, Next.CANCEL, STOPPED)
    finish(queue)

    assert count(queue, job) == {"ready": MANY, "blocked": 1}
    assert len(take(queue, tasks[0], tasks[-1])) == 2
    for task in (tasks[0], tasks[-1]):
        view = queue.task(task.id)
        assert view is not None and view.holder is not None
        assert states(queue, job)["join:0"] == "blocked"
        queue.turn("pool", [Settlement(_lease(queue, task), Next.SUCCEED, OK)], [], lease_ms=LEASE_MS)
    assert states(queue, job)["join:0"] == "ready"


def _lease(queue: RedisQueue, task: Task) -> Lease:
    token = str(queue.command("HGET", queue.keys.task(task.id), "lease")).partition("|")[0]
    return Lease(task.id, "pool", int(token), 0)
