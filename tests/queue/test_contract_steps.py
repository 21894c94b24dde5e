"""What stops, lets go or brings in very many tasks does so in steps, none of which holds the server for long."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.queue.conftest import Connect
from tests.queue.things import BROKEN, OK, end, lease_of, look, new_job, new_task, run, states, submitted, take
from tests.servers import RedisServer
from vidprocme.core import wire
from vidprocme.core.errors import Fatal
from vidprocme.core.ids import JobId
from vidprocme.core.job import AfterRule, Bin, Job, JobState, Lease, Next, Stage, Task, TaskState
from vidprocme.queue import scripts
from vidprocme.queue.base import ENQUEUE_BATCH, HEADS_MOST, JOBS_BATCH, LINES, NewJob, Settlement
from vidprocme.queue.check import check
from vidprocme.queue.redis import RedisQueue
from vidprocme.queue.scripts import STEPS_MOST

MANY = 2 * STEPS_MOST + 40


def planned(queue: RedisQueue, count: int = MANY, **more: object) -> tuple[Job, list[Task], Lease]:
    """A job whose probe runs and planned so many tasks, which wait for it."""
    job, probe = submitted(queue)
    tasks = [new_task(job, Stage.TRANSCODE, number, after=[probe], **more) for number in range(count)]
    lease = lease_of(queue, probe)
    assert queue.enqueue(lease, tasks) == count
    return job, tasks, lease


def count(queue: RedisQueue, job: Job) -> Counter[str]:
    return Counter(state for name, state in states(queue, job).items() if name != "probe:0")


def put_off(queue: RedisQueue) -> int:
    return int(queue.command("ZCARD", queue.keys.of("rest")))


def test_dependants_are_let_go_a_step_at_a_time(queue: RedisQueue) -> None:
    job, _, lease = planned(queue)

    end(queue, lease)
    assert count(queue, job) == {"ready": STEPS_MOST, "blocked": MANY - STEPS_MOST} and put_off(queue) == 1
    turn = look(queue)
    assert turn.next_due_ms is not None and turn.next_due_ms <= turn.now_ms  # there is more to do, at once
    assert count(queue, job) == {"ready": 2 * STEPS_MOST, "blocked": 40} and check(queue) == []
    assert look(queue, "another pool").next_due_ms is None
    assert count(queue, job) == {"ready": MANY} and put_off(queue) == 0 and check(queue) == []


def test_a_cancelled_job_starts_nothing_more_whatever_is_still_to_be_cancelled(queue: RedisQueue) -> None:
    job, tasks, lease = planned(queue)
    end(queue, lease)
    while put_off(queue):
        look(queue)

    # Whoever cancels may die between two steps.
    assert queue.run("cancel", job.id) == 2 and check(queue) == []
    assert count(queue, job)["ready"] > 0
    assert take(queue, tasks[-1]) == []
    while put_off(queue):
        look(queue)

    assert count(queue, job) == {"cancelled": MANY} and check(queue) == []
    assert queue.job(job.id).state == JobState.CANCELLED  # type: ignore[union-attr]
    assert {event.data.get("code") for event in queue.events("0", 5000) if event.kind == "task.cancelled"} == {
        "CANCELLED"
    }
    assert [event.kind for event in queue.events("0", 5000)].count("job.cancelled") == 1
    assert not queue.cancel(job.id)
    assert queue.retry(job.id) == MANY and check(queue) == []


def test_what_falls_due_in_a_job_that_is_being_stopped_is_cancelled_and_does_not_begin(queue: RedisQueue) -> None:
    """Its backoff is over before the steps of the cancel came to it."""
    job, tasks, lease = planned(queue, 4 * STEPS_MOST)
    end(queue, lease)
    while put_off(queue):
        look(queue)
    end(queue, lease_of(queue, tasks[-1]), Next.RETRY, BROKEN, delay_ms=50)
    assert queue.run("cancel", job.id) == 2
    time.sleep(0.06)

    look(queue)

    assert put_off(queue) == 1, "the steps have not come to it yet"
    assert queue.task(tasks[-1].id).state is TaskState.CANCELLED and check(queue) == []  # type: ignore[union-attr]
    (event,) = [
        event for event in queue.events("0", 5000) if event.task == tasks[-1].id and event.kind == "task.cancelled"
    ]
    assert event.data["code"] == "CANCELLED"


def test_cancel_itself_goes_on_to_the_end(queue: RedisQueue) -> None:
    job, _, lease = planned(queue)
    end(queue, lease)

    assert queue.cancel(job.id)

    assert count(queue, job) == {"cancelled": MANY} and check(queue) == []
    while put_off(queue):
        look(queue)
    assert check(queue) == []


def test_a_fatal_failure_stops_a_large_job_in_steps(queue: RedisQueue) -> None:
    job, tasks, lease = planned(queue)
    end(queue, lease)
    while put_off(queue):
        look(queue)
    first, second = lease_of(queue, tasks[0]), lease_of(queue, tasks[1])

    end(queue, first, Next.FAIL, BROKEN)
    assert count(queue, job)["ready"] > 0 and take(queue, tasks[-1]) == []
    # One that fails in between does not come back to a job that is being stopped.
    end(queue, second, Next.RETRY, BROKEN)
    while put_off(queue):
        look(queue)

    assert count(queue, job) == {"failed": 1, "cancelled": MANY - 1} and check(queue) == []
    assert queue.job(job.id).state == JobState.FAILED  # type: ignore[union-attr]


def test_a_retry_in_the_middle_of_it_counts_everything_anew(queue: RedisQueue) -> None:
    job, probe = submitted(queue)
    other = new_task(job, Stage.FRAMES, fatal_to_job=False)
    tasks = [
        new_task(job, Stage.TRANSCODE, number, after=[probe, other], after_rule=AfterRule.SETTLED)
        for number in range(MANY)
    ]
    lease = lease_of(queue, probe)
    queue.enqueue(lease, [other, *tasks])
    run(queue, other, Next.FAIL, BROKEN)
    end(queue, lease)
    assert put_off(queue) == 2 and 0 < count(queue, job)["ready"] < MANY

    assert queue.retry(job.id) == 1 and check(queue) == []

    # What was ready stays so; what was still blocked waits for `other` again, and for nothing else.
    blocked = count(queue, job)["blocked"]
    while put_off(queue):
        look(queue)
    assert count(queue, job)["blocked"] == blocked and check(queue) == []
    run(queue, other)
    while put_off(queue):
        look(queue)
    assert count(queue, job) == {"ready": MANY, "succeeded": 1} and check(queue) == []


def test_many_jobs_are_submitted_in_a_few_calls(connect: Connect) -> None:
    queue = connect()
    jobs = [new_job() for _ in range(JOBS_BATCH + 50)]
    new = [NewJob(job, [new_task(job, Stage.PROBE)], key=f"key-{number}") for number, job in enumerate(jobs)]

    said = queue.submit_many(new)

    assert [one.job for one in said] == [job.id for job in jobs] and all(one.created for one in said)
    assert check(queue) == [] and queue.depth().jobs_active == len(jobs)
    assert [view.job.id for view in reversed(queue.jobs(limit=1000))] == [job.id for job in jobs]  # in their order
    # The same wish, by somebody else: the job there is.
    again = [
        NewJob(job, [new_task(job, Stage.PROBE)], key=f"key-{number}")
        for number, job in enumerate(new_job() for _ in jobs)
    ]
    said = connect().submit_many(again)
    assert [one.job for one in said] == [job.id for job in jobs] and not any(one.created for one in said)
    assert check(queue) == [] and queue.submit_many([]) == ()


def test_of_many_jobs_each_is_there_whole_or_not_at_all(queue: RedisQueue) -> None:
    good, bad, last = new_job(), new_job(), new_job()
    stranger = new_task(new_job(), Stage.PROBE)
    tasks = [new_task(bad, Stage.PROBE), new_task(bad, Stage.JOIN, after=[stranger])]
    new = [NewJob(job, [new_task(job, Stage.PROBE)]) for job in (good, last)]

    with pytest.raises(Fatal, match=bad.id):
        queue.submit_many([new[0], NewJob(bad, tasks), new[1]])

    assert queue.job(bad.id) is None and queue.tasks(bad.id) == () and check(queue) == []
    assert queue.job(good.id) and queue.job(last.id)
    assert [one.created for one in queue.submit_many(new)] == [False, False]
    with pytest.raises(Fatal, match="200"):
        queue.submit_many([NewJob(bad, [new_task(bad, Stage.PROBE, number) for number in range(ENQUEUE_BATCH + 1)])])


@pytest.fixture
def tiny_steps(monkeypatch: pytest.MonkeyPatch, own_server: RedisServer) -> Iterator[RedisServer]:
    """Scripts that look at two tasks and put off the rest."""
    caches = (scripts.script, scripts.prelude, scripts._marks)
    monkeypatch.setattr(scripts, "STEPS_MOST", 2)
    for cached in caches:
        cached.cache_clear()
    yield own_server
    for cached in caches:
        cached.cache_clear()


def test_any_story_ends_the_same_in_steps_of_two(tiny_steps: RedisServer) -> None:
    """The stories of test_model.py, each rule followed by turns until nothing is put off. Who asks for a retry or a move dies
    after its first script."""
    from hypothesis import HealthCheck, settings
    from hypothesis.stateful import invariant, run_state_machine_as_test

    from tests.queue.test_model import Story

    class InSteps(Story):
        def ask_retry(self, job: JobId) -> int:
            return int(self.queue.run("retry", job, "")[1])

        def ask_move(self, job: JobId, bin_: Bin) -> None:
            self.queue.run("move", job, bin_, "")
            self.finish()

        def finish(self) -> None:
            while put_off(self.queue):
                assert check(self.queue) == []
                look(self.queue, "a")

        @invariant()  # without it the one that is overridden is none
        def both_agree(self) -> None:
            self.finish()
            super().both_agree()

    InSteps.server = tiny_steps
    checks = list(HealthCheck)
    run_state_machine_as_test(
        InSteps,
        settings=settings(
            max_examples=8, stateful_step_count=30, deadline=None, database=None, suppress_health_check=checks
        ),
    )


def test_a_settlement_beside_one_that_is_refused_is_done_wholly(queue: RedisQueue) -> None:
    """A script that ends with an error writes what it had gathered: the first attempt's end, and what follows from it."""
    job, probe = submitted(queue)
    later = new_task(job, Stage.JOIN, after=[probe])
    lease = lease_of(queue, probe)
    queue.enqueue(lease, [later])
    _, other = submitted(queue)
    bad = lease_of(queue, other)

    ended = wire.dumps(OK)
    first: list[str | int] = [probe.id, lease.token, "succeed", ended, "ok", "", 0, ""]
    refused: list[str | int] = [other.id, bad.token, "explode", ended, "ok", "", 0, ""]
    with pytest.raises(Fatal):
        queue.run("turn", "pool", 60_000, 0, 8, 8, "name", 2, 1, -1, 0, *first, *refused)

    assert check(queue) == []
    assert states(queue, job) == {"probe:0": "succeeded", "join:0": "ready"}
    assert queue.turn("pool", [Settlement(bad, Next.SUCCEED, OK)], [], lease_ms=60_000).stale == ()


def test_a_turn_shows_one_head_of_each_line_and_more_of_the_most_urgent(queue: RedisQueue) -> None:
    """However many lines and tasks wait, a turn shows a bounded number; nobody who may start now is hidden by who may not."""
    jobs = [
        new_job(bin=bin_, tenant=f"t{number:02}") for bin_ in (Bin.URGENT, Bin.BULK) for number in range(LINES // 2)
    ]
    queue.submit_many([NewJob(job, [new_task(job, Stage.PROBE, n) for n in range(6)]) for job in jobs])

    turn = queue.turn("pool", [], [], lease_ms=60_000, heads=HEADS_MOST)

    assert len(turn.lines) == LINES and {line.length for line in turn.lines} == {6}
    shown = {bin_: {len(line.heads) for line in turn.lines if line.bin == bin_} for bin_ in (Bin.URGENT, Bin.BULK)}
    assert shown == {Bin.URGENT: {5}, Bin.BULK: {1}}  # HEADS_MOST more, shared by 32 lines
    few = queue.turn("pool", [], [], lease_ms=60_000, jobs=[jobs[0].id], heads=HEADS_MOST)
    assert [len(line.heads) for line in few.lines] == [6]
