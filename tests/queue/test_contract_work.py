"""What every queue adds up of work that is left and of how long work takes, and what a turn tells of it."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from tests.queue.things import (
    BROKEN,
    CORE,
    LEASE_MS,
    OK,
    STOPPED,
    end,
    lease_of,
    look,
    new_job,
    new_task,
    pool,
    run,
    states,
    submitted,
    take,
)
from vidprocme.core.counts import OTHER
from vidprocme.core.job import AfterRule, Bin, Job, Lease, Limits, Next, Stage, Task
from vidprocme.core.work import ATTEMPTS_MOST, KINDS_MOST, SIZE_MOST, Kind, Left, Sums
from vidprocme.queue.base import Claim, Settlement
from vidprocme.queue.check import check
from vidprocme.queue.redis import RedisQueue
from vidprocme.queue.work import left_from

PROBE, CHUNK, JOIN, DEMO = Kind(Stage.PROBE), Kind(Stage.TRANSCODE), Kind(Stage.JOIN), Kind(Stage.DESCRIBE, "demo")


def left(queue: RedisQueue, job: Job) -> dict[Kind, tuple[int, int]]:
    """What this job has left, as the queue keeps it."""
    text = queue.command("HGET", queue.keys.of("left"), job.id)
    found = left_from(text) if text else Left()
    assert found is not None
    return dict(found.kinds)


def planned(queue: RedisQueue) -> tuple[Job, Task, list[Task], Lease]:
    """A job whose running probe has planned two chunks, a join and two captions."""
    job = new_job()
    probe = new_task(job, Stage.PROBE, size=0)
    queue.submit(job, [probe])
    lease = lease_of(queue, probe)
    chunks = [new_task(job, Stage.TRANSCODE, n, after=[probe], size=20_000 + n) for n in range(2)]
    join = new_task(job, Stage.JOIN, after=chunks, size=40_001)
    captions = [
        new_task(job, Stage.DESCRIBE, n, after=[chunk], size=7_000, model="demo", fatal_to_job=False)
        for n, chunk in enumerate(chunks)
    ]
    tasks = [*chunks, join, *captions]
    queue.enqueue(lease, tasks)
    return job, probe, tasks, lease


def claimed_with(queue: RedisQueue, task: Task, predicted_ms: int) -> Lease:
    (claimed,) = queue.turn("pool", [], [Claim(task.id, "place", CORE, predicted_ms)], lease_ms=LEASE_MS).claimed
    return claimed.lease


# -- sizes, and what is left -------------------------------------------------------------------------------------------


def test_a_tasks_size_is_kept_and_comes_with_its_claim(queue: RedisQueue) -> None:
    job = new_job()
    some = [new_task(job, Stage.TRANSCODE, n, size=size) for n, size in enumerate((0, 20_000, 10**15, -5))]
    queue.submit(job, some)

    assert [view.task.size for view in queue.tasks(job.id)] == [0, 20_000, SIZE_MOST, 0]
    assert [claimed.attempt.task.size for claimed in take(queue, *some)] == [0, 20_000, SIZE_MOST, 0]


def test_a_job_has_left_what_of_it_has_not_ended(queue: RedisQueue) -> None:
    job, _, tasks, lease = planned(queue)
    all_of_it = {CHUNK: (2, 40_001), JOIN: (1, 40_001), DEMO: (2, 14_000)}
    assert left(queue, job) == {PROBE: (1, 0), **all_of_it}

    end(queue, lease)
    assert left(queue, job) == all_of_it
    chunk = lease_of(queue, tasks[0])  # what runs is left
    assert left(queue, job) == all_of_it
    end(queue, chunk, Next.RETRY, BROKEN, delay_ms=60_000)  # so is what is tried again
    assert left(queue, job) == all_of_it
    run(queue, tasks[1])
    assert left(queue, job) == {CHUNK: (1, 20_000), JOIN: (1, 40_001), DEMO: (2, 14_000)}

    queue.cancel(job.id)
    assert left(queue, job) == {} and check(queue) == []
    queue.retry(job.id)
    assert left(queue, job) == {CHUNK: (1, 20_000), JOIN: (1, 40_001), DEMO: (2, 14_000)} and check(queue) == []


def test_tasks_that_are_put_in_again_are_counted_once(queue: RedisQueue) -> None:
    job, _, tasks, lease = planned(queue)
    before = left(queue, job)

    assert queue.enqueue(lease, tasks) == 0 and left(queue, job) == before


def test_what_never_comes_to_run_is_not_left(queue: RedisQueue) -> None:
    """A fatal failure cancels the others; what is planned into a job that is stopped is cancelled at once."""
    job, probe, tasks, lease = planned(queue)
    end(queue, lease)
    end(queue, lease_of(queue, tasks[0]), Next.FAIL, BROKEN)
    assert left(queue, job) == {} and check(queue) == []

    stopped, _, _, held = planned(queue)
    queue.cancel(stopped.id)
    queue.enqueue(held, [new_task(stopped, Stage.INDEX, size=5, after_rule=AfterRule.SETTLED)])
    assert left(queue, stopped) == {PROBE: (1, 0)} and check(queue) == []
    assert queue.forget(job.id) and probe.id not in queue.command("HKEYS", queue.keys.of("sizes"))


def test_a_turn_tells_the_size_of_each_head_and_what_its_job_has_left(queue: RedisQueue) -> None:
    job, _, tasks, lease = planned(queue)
    other, probe = submitted(queue, size=0)

    turn = end(queue, lease)

    assert {head.task for line in turn.lines for head in line.heads} == {tasks[0].id, tasks[1].id, probe.id}
    assert turn.sizes == {tasks[0].id: 20_000, tasks[1].id: 20_001}  # that of the probe is not known
    (its, others) = (queue.job(one.id) for one in (job, other))
    assert its is not None and others is not None
    assert turn.left == {
        job.id: Left(its.submitted_ms, {CHUNK: (2, 40_001), JOIN: (1, 40_001), DEMO: (2, 14_000)}),
        other.id: Left(others.submitted_ms, {PROBE: (1, 0)}),
    }
    mine = queue.turn("pool", [], [], lease_ms=LEASE_MS, jobs=[job.id])  # a pool that serves this job alone
    assert mine.sizes == turn.sizes and mine.left == {job.id: turn.left[job.id]}
    queue.move(job.id, Bin.BULK)
    assert look(queue).sizes == turn.sizes


def test_a_task_of_before_is_in_no_sum(queue: RedisQueue) -> None:
    """It was put in by a vidprocme that said no sizes: all else goes on as ever."""
    job, task = submitted(queue, size=9)
    queue.command("HDEL", queue.keys.task(task.id), "size")
    for name, of_it in (("left", job.id), ("sizes", task.id)):
        queue.command("HDEL", queue.keys.of(name), of_it)
    assert check(queue) == []

    turn = look(queue)
    assert (
        turn.sizes == {} and turn.left == {} and [head.task for line in turn.lines for head in line.heads] == [task.id]
    )
    run(queue, task)
    assert queue.durations() == {} and states(queue, job) == {"probe:0": "succeeded"}


def test_what_a_vidprocme_of_before_left_behind_goes_with_its_job(queue: RedisQueue) -> None:
    """It ends tasks and does not know of these sums: they stay, which the checker says, until the job is forgotten."""
    job, task = submitted(queue, size=9)
    run(queue, task)
    queue.command("HSET", queue.keys.of("left"), job.id, '5 {"probe|":[1,9]}')
    queue.command("HSET", queue.keys.of("sizes"), task.id, 9)
    assert [finding.partition(":")[0] for finding in check(queue)] == ["task", "job"]

    queue.forget(job.id)
    assert check(queue) == [] and not queue.command("EXISTS", queue.keys.of("left"), queue.keys.of("sizes"))


# -- how long it takes -------------------------------------------------------------------------------------------------


def test_what_ended_well_is_added_up_by_stage_and_model(queue: RedisQueue) -> None:
    _, _, tasks, lease = planned(queue)
    end(queue, lease)
    chunk = lease_of(queue, tasks[0])
    time.sleep(0.1)
    end(queue, chunk)
    run(queue, tasks[1])
    run(queue, tasks[3])

    sums = queue.durations()
    assert set(sums) == {PROBE, CHUNK, DEMO}
    assert (sums[CHUNK].count, sums[CHUNK].size, sums[DEMO].count, sums[DEMO].size) == (2, 40_001, 1, 7_000)
    assert 100 <= sums[CHUNK].ms < 5_000
    assert sums[CHUNK].size_size == 20_000**2 + 20_001**2
    assert 100 * 20_000 <= sums[CHUNK].size_ms <= sums[CHUNK].ms * 20_001
    assert sums[PROBE].size == sums[PROBE].size_size == sums[PROBE].size_ms == 0
    assert all(one.predicted == 0 and one.error is None for one in sums.values())
    assert look(queue).sums == sums
    assert queue.turn("pool", [], [], lease_ms=LEASE_MS, looks=False).sums is None


def test_only_what_ended_well_is_added_up_and_once(queue: RedisQueue) -> None:
    """Lost, failed, handed back and stopped attempts tell nothing; nor does a settlement that is said again."""
    _, failed = submitted(queue, limits=Limits(tries=9), size=5)
    end(queue, claimed_with(queue, failed, 100), Next.RETRY, BROKEN)
    end(queue, claimed_with(queue, failed, 100), Next.HAND_BACK, STOPPED)
    queue.join(pool("gone"), 60_000)
    lost = lease_of(queue, failed, holder="gone")
    queue.free_dead("gone")
    assert queue.turn("gone", [Settlement(lost, Next.SUCCEED, OK)], [], lease_ms=LEASE_MS).stale == (lost,)
    end(queue, claimed_with(queue, failed, 100), Next.LOST, BROKEN)
    assert queue.durations() == {}

    lease = claimed_with(queue, failed, 100)
    end(queue, lease)
    once = queue.durations()
    assert once[PROBE].count == once[PROBE].predicted == 1
    assert end(queue, lease).stale == () and queue.durations() == once


def test_what_was_predicted_is_compared_with_what_it_took(queue: RedisQueue) -> None:
    _, slow = submitted(queue, size=5)
    lease = claimed_with(queue, slow, 50)
    time.sleep(0.2)
    end(queue, lease)
    sums = queue.durations()[PROBE]
    assert sums.predicted == 1 and sums.off_milli == sums.bias_milli
    assert sums.error == sums.bias == pytest.approx(sums.ms / 50, rel=0.01)

    _, quick = submitted(queue, size=5)
    end(queue, claimed_with(queue, quick, 3_600_000))
    both = queue.durations()[PROBE]
    assert both.predicted == 2 and both.error is not None and both.bias is not None
    assert both.bias < 1 < both.error

    _, unsaid = submitted(queue, size=5)  # claimed by somebody who predicts nothing
    run(queue, unsaid)
    assert queue.durations()[PROBE].predicted == 2 and queue.durations()[PROBE].count == 3


def test_an_attempts_own_prediction_counts_and_not_that_of_the_one_before(queue: RedisQueue) -> None:
    _, probe = submitted(queue, size=5)
    end(queue, claimed_with(queue, probe, 3_600_000), Next.HAND_BACK, STOPPED)
    run(queue, probe)

    assert queue.durations()[PROBE].predicted == 0


def _many(queue: RedisQueue, tasks: Sequence[Task]) -> None:
    for at in range(0, len(tasks), 100):
        page = tasks[at : at + 100]
        claims = [Claim(task.id, "place", CORE, 10) for task in page]
        granted = queue.turn("pool", [], claims, lease_ms=LEASE_MS).claimed
        told = [Settlement(one.lease, Next.SUCCEED, OK) for one in granted]
        assert queue.turn("pool", told, [], lease_ms=LEASE_MS).stale == () and len(granted) == len(page)


def test_there_are_only_so_many_kinds(queue: RedisQueue) -> None:
    """A model too many is counted with others of its stage; those that are known go on."""
    job = new_job()
    tasks = [new_task(job, Stage.DESCRIBE, n, model=f"m{n}", size=1_000) for n in range(KINDS_MOST + 30)]
    queue.submit(job, tasks)
    _many(queue, tasks[:100])
    _many(queue, tasks[100:])
    more = new_job()
    again = new_task(more, Stage.DESCRIBE, 900, model="m3", size=1_000)
    queue.submit(more, [again])
    run(queue, again)

    sums = queue.durations()
    assert len(sums) == KINDS_MOST + 1 and sums[Kind(Stage.DESCRIBE, OTHER)].count == 30
    assert sum(one.count for one in sums.values()) == KINDS_MOST + 31
    assert check(queue) == []


def test_what_is_long_ago_counts_for_less(queue: RedisQueue) -> None:
    job = new_job()
    tasks = [new_task(job, Stage.TRANSCODE, n, size=1_000) for n in range(200)]
    queue.submit(job, tasks)
    old = Sums(ATTEMPTS_MOST - 100, 99_000, 10**9, 10**9, 10**9, 7, 7_000, -7_001)
    text = " ".join(str(getattr(old, name)) for name in Sums.__dataclass_fields__)
    queue.command("HSET", queue.keys.of("durations"), CHUNK.text, text)
    _many(queue, tasks)

    sums = queue.durations()[CHUNK]
    assert sums.count == ATTEMPTS_MOST // 2 + 100  # the first hundred was one too many
    assert 10**9 // 2 <= sums.ms < 10**9 * 0.51 and sums.predicted == (107 // 2) + 100
    assert check(queue) == []


def test_sums_that_are_damaged_begin_anew_and_stop_nobody(queue: RedisQueue) -> None:
    job, task = submitted(queue, size=5)
    queue.command("HSET", queue.keys.of("durations"), PROBE.text, "damaged")
    queue.command("HSET", queue.keys.of("left"), job.id, "damaged")
    assert queue.durations() == {} and look(queue).left == {}

    lease = lease_of(queue, task)
    assert end(queue, lease).stale == ()
    assert queue.durations()[PROBE].count == 1 and left(queue, job) == {}
