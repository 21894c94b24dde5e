"""What every queue promises about deadlines, held against every server in reach."""

from __future__ import annotations

import time

import pytest

from tests.queue.things import BROKEN, LEASE_MS, OK, end, lease_of, look, new_job, new_task, pool, run, states, take
from vidprocme.core.errors import Fatal
from vidprocme.core.ids import JobId
from vidprocme.core.job import Job, JobState, Next, Stage, Task
from vidprocme.queue.base import Keep
from vidprocme.queue.check import check
from vidprocme.queue.redis import RedisQueue


def server_ms(queue: RedisQueue) -> int:
    seconds, micros = queue.command("TIME")
    return int(seconds) * 1000 + int(micros) // 1000


def submit(queue: RedisQueue, in_ms: int, count: int = 1) -> tuple[Job, list[Task]]:
    job = new_job(deadline_ms=server_ms(queue) + in_ms)
    tasks = [new_task(job, Stage.TRANSCODE, number) for number in range(count)]
    join = new_task(job, Stage.JOIN, after=tasks)
    assert queue.submit(job, [*tasks, join], key=f"wish of {job.id}").created
    return job, tasks


def wait_until_late(queue: RedisQueue, job: Job) -> None:
    """The server's clock moves by itself."""
    while server_ms(queue) <= job.deadline_ms:
        time.sleep(0.01)


def test_what_waits_when_the_deadline_passes_is_cancelled_and_what_runs_is_told(queue: RedisQueue) -> None:
    job, tasks = submit(queue, 200, count=2)
    queue.join(pool("pool"), 60_000)
    running = lease_of(queue, tasks[0])
    assert queue.beat("pool", [running], lease_ms=LEASE_MS, presence_ms=60_000).cancel == ()
    wait_until_late(queue, job)
    look(queue)

    assert states(queue, job) == {"transcode:0": "running", "transcode:1": "cancelled", "join:0": "cancelled"}
    assert queue.beat("pool", [running], lease_ms=LEASE_MS, presence_ms=60_000).cancel == (running,)
    end(queue, running, Next.RETRY, BROKEN)
    view = queue.job(job.id)
    assert view is not None and (view.state, view.late) == (JobState.CANCELLED, True)
    kinds = [event.kind for event in queue.events("0") if event.job == job.id]
    assert kinds.count("job.late") == 1 and kinds[-1] == "job.ended"


def test_a_turn_claims_nothing_that_is_late(queue: RedisQueue) -> None:
    """Also when it is the first turn since: the claim comes with it."""
    job, tasks = submit(queue, 1)
    wait_until_late(queue, job)

    assert take(queue, tasks[0]) == []
    assert set(states(queue, job).values()) == {"cancelled"} and check(queue) == []


def test_what_ended_in_time_is_not_late(queue: RedisQueue) -> None:
    job, tasks = submit(queue, 300)
    for task in (*tasks, new_task(job, Stage.JOIN, after=tasks)):
        run(queue, task)
    wait_until_late(queue, job)
    look(queue)

    view = queue.job(job.id)
    assert view is not None and (view.state, view.late) == (JobState.SUCCEEDED, False)
    assert check(queue) == []


def test_a_person_who_retries_has_the_last_word(queue: RedisQueue) -> None:
    job, tasks = submit(queue, 1)
    wait_until_late(queue, job)
    look(queue)
    assert queue.retry(job.id) == 2
    look(queue)

    assert states(queue, job) == {"transcode:0": "ready", "join:0": "blocked"}
    run(queue, tasks[0], Next.SUCCEED, OK)
    view = queue.job(job.id)
    assert view is not None and not view.late and view.job.deadline_ms == 0, "it has none any more"


def test_a_retry_before_any_turn_saw_that_it_is_late_takes_the_deadline_too(queue: RedisQueue) -> None:
    job, _ = submit(queue, 50)
    queue.cancel(job.id)
    wait_until_late(queue, job)
    assert queue.retry(job.id) == 2
    look(queue)

    assert states(queue, job) == {"transcode:0": "ready", "join:0": "blocked"} and check(queue) == []


def test_a_deadline_that_is_set_holds_whatever_the_job_had(queue: RedisQueue) -> None:
    job, tasks = submit(queue, 3_600_000)
    assert queue.set_deadline(job.id, server_ms(queue) + 20)
    time.sleep(0.03)
    assert take(queue, tasks[0]) == [] and set(states(queue, job).values()) == {"cancelled"}
    assert not queue.set_deadline(job.id, server_ms(queue) + 60_000), "it has ended"
    with pytest.raises(Fatal, match="no job"):
        queue.set_deadline(JobId("job_nobody"), 1)
    assert check(queue) == []


def test_a_forgotten_job_leaves_no_deadline(queue: RedisQueue) -> None:
    job, _ = submit(queue, 3_600_000)
    queue.cancel(job.id)
    queue.trim(Keep(failed_ms=1))
    time.sleep(0.01)
    queue.command("DEL", queue.keys.of("trimmed"))
    queue.trim(Keep(failed_ms=1))

    assert queue.job(job.id) is None
    assert queue.command("ZCARD", queue.keys.of("deadlines")) == 0 and check(queue) == []
