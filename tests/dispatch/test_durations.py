"""What a pool predicts of its tasks, learned from those that ran before, through the real queue."""

from __future__ import annotations

import pytest

from tests.dispatch.conftest import Connect
from tests.dispatch.things import new_job, started, state, step_until
from tests.queue.things import new_task
from vidprocme.core.job import Job, JobState, Stage, Task
from vidprocme.core.snapshot import Head
from vidprocme.core.work import Kind
from vidprocme.dispatch.dispatcher import Dispatcher
from vidprocme.library.blobs import BlobStore
from vidprocme.queue.base import Queue
from vidprocme.queue.check import check
from vidprocme.scheduler.durations import DEFAULTS

BASE_MS, PER_SIZE = 60, 0.1
CHUNK = Kind(Stage.TRANSCODE)


def takes_ms(size: int) -> float:
    return BASE_MS + PER_SIZE * size


def chunks(job: Job, sizes: list[int]) -> list[Task]:
    """They take a while each, and more the larger they are."""
    return [
        new_task(job, Stage.TRANSCODE, n, payload={"wait_s": takes_ms(size) / 1000}, size=size)
        for n, size in enumerate(sizes)
    ]


def heads_of(pool: Dispatcher, job: Job) -> dict[int, Head]:
    """Heads of this job as the pool sees them, by their tasks' index."""
    lines = pool._outlook.snapshot.lines.values()
    found = [head for line in lines for head in line.heads if head.task.startswith(f"{job.id}:")]
    return {int(head.task.rpartition(":")[2]): head for head in found}


def ran(pool: Dispatcher, queue: Queue, sizes: list[int]) -> None:
    job = new_job()
    assert queue.submit(job, chunks(job, sizes)).created
    step_until(pool, lambda: state(queue, job) is JobState.SUCCEEDED)


def test_after_some_attempts_heads_are_told_about_what_they_will_take(connect: Connect, blobs: BlobStore) -> None:
    queue = connect()
    sizes = [500, 4000, 1000, 2000, 3000, 1500]
    with started(connect(), blobs, slots=2) as pool:
        ran(pool, queue, [3000, 500, 1000, 2000, 4000, 1500, 2500, 800])
        job = new_job()
        queue.submit(job, chunks(job, sizes))
        step_until(pool, lambda: heads_of(pool, job))
        heads = heads_of(pool, job)

        view = queue.job(job.id)
        assert view is not None and heads
        for number, head in heads.items():
            assert 0.8 * takes_ms(sizes[number]) <= head.work_ms <= 1.8 * takes_ms(sizes[number]), (number, head)
            assert head.since_ms == view.submitted_ms and head.left_ms > head.work_ms
        left_ms = max(head.left_ms for head in heads.values())
        assert left_ms <= 1.8 * sum(map(takes_ms, sizes))

        step_until(pool, lambda: state(queue, job) is JobState.SUCCEEDED)
        sums = queue.durations()[CHUNK]
        assert sums.count == sums.predicted == 14
        before = sums.off_milli
        ran(pool, queue, sizes)  # all that was learned is known by now

    sums = queue.durations()[CHUNK]
    assert 2 ** ((sums.off_milli - before) / 1000 / len(sizes)) < 1.6, (
        "predicted by what was learned, it is about right"
    )
    assert check(queue) == []


def test_at_first_a_stages_default_is_told_and_its_jobs_whole(connect: Connect, blobs: BlobStore) -> None:
    queue = connect()
    job = new_job()
    some = chunks(job, [1000, 3000, 2000])
    caption = new_task(job, Stage.DESCRIBE, after=some, size=5000, model="demo")
    queue.submit(job, [*some, caption])

    with started(connect(), blobs, slots=1) as pool:
        step_until(pool, lambda: len(heads_of(pool, job)) == 2)  # one runs
        heads = heads_of(pool, job)
        step_until(pool, lambda: queue.durations())

    fit, slow = DEFAULTS[Stage.TRANSCODE], DEFAULTS[Stage.DESCRIBE]
    assert [heads[n].work_ms for n in (1, 2)] == [fit.of(1, 3000), fit.of(1, 2000)]
    assert {head.left_ms for head in heads.values()} == {fit.of(3, 6000) + slow.of(1, 5000)}
    assert queue.durations()[CHUNK].bias == pytest.approx(takes_ms(1000) / fit.of(1, 1000), rel=0.5)
