"""A walk over all jobs, page by page, sees each of them once, whatever comes and goes meanwhile."""

from __future__ import annotations

from tests.queue.things import new_job, new_task
from vidprocme.core.ids import JobId
from vidprocme.core.job import Job, Stage
from vidprocme.queue.base import NewJob
from vidprocme.queue.reader import PAGE
from vidprocme.queue.redis import RedisQueue

COUNT = 2 * PAGE + 203


def put(queue: RedisQueue, count: int) -> list[JobId]:
    """Newest first."""
    jobs: list[Job] = [new_job() for _ in range(count)]
    queue.submit_many([NewJob(job, (new_task(job, Stage.PROBE),)) for job in jobs])
    return [job.id for job in reversed(jobs)]


def test_every_job_comes_once_newest_first(queue: RedisQueue) -> None:
    ids = put(queue, COUNT)
    queue.cancel(ids[7])
    assert [view.job.id for view in queue.each_job()] == ids
    assert [view.job.id for view in queue.each_job(active=True)] == [id_ for id_ in ids if id_ != ids[7]]


def test_one_that_comes_and_one_that_goes_hide_no_other(queue: RedisQueue) -> None:
    ids = put(queue, COUNT)
    queue.cancel(ids[0])
    walk = queue.each_job()
    seen = [next(walk).job.id]
    put(queue, 1)
    queue.forget(ids[0])
    seen += [view.job.id for view in walk]
    assert seen == ids


def test_jobs_of_one_moment_are_all_seen(queue: RedisQueue) -> None:
    ids = put(queue, COUNT)
    queue.client.zadd(queue.keys.of("jobs"), dict.fromkeys(ids, 5.0))
    found = [view.job.id for view in queue.each_job()]
    assert len(found) == COUNT and set(found) == set(ids)


def test_a_span_of_time_is_cut_out(queue: RedisQueue) -> None:
    ids = put(queue, COUNT)
    queue.client.zadd(queue.keys.of("jobs"), {id_: 1_000_000 * n for n, id_ in enumerate(reversed(ids))})
    oldest_first = ids[::-1]
    found = [view.job.id for view in queue.each_job(since_ms=300_000, until_ms=1_000_000)]
    assert found == oldest_first[300:1000][::-1]
    assert [view.job.id for view in queue.each_job(since_ms=(COUNT - 1) * 1000)] == ids[:1]
    assert [view.job.id for view in queue.each_job(until_ms=1000)] == ids[-1:]
