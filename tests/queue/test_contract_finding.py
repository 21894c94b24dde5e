"""What readers ask that is about no job in particular: which jobs are called so, and what time it is for the queue."""

from __future__ import annotations

import time

from tests.queue.things import new_job, new_task, submitted
from vidprocme.core.ids import JobId
from vidprocme.core.job import Stage
from vidprocme.queue.redis import RedisQueue


def test_jobs_are_found_by_how_their_ids_begin_or_end(queue: RedisQueue) -> None:
    for id_ in ("job_01AAZZ", "job_01BBZZ", "job_02ZZ01"):
        job = new_job()
        job = type(job)(JobId(id_), job.source, job.recipe)
        queue.submit(job, [new_task(job, Stage.PROBE)])

    assert queue.find_jobs("01A") == ("job_01AAZZ",)
    assert queue.find_jobs("ZZ") == ("job_01BBZZ", "job_01AAZZ"), "newest first, and not what has it in its middle"
    assert queue.find_jobs("01") == ("job_02ZZ01", "job_01BBZZ", "job_01AAZZ")
    for pattern in ("", "*", "?1", "[0]1", "01\\", "job", "é"):
        assert queue.find_jobs(pattern) == ()


def test_the_queues_clock_is_what_its_times_are_told_by(queue: RedisQueue) -> None:
    before_ms = queue.now_ms()
    time.sleep(0.005)
    job, _ = submitted(queue)
    view = queue.job(job.id)

    assert view is not None and before_ms < view.submitted_ms <= queue.now_ms()
