"""Of what jobs failed lately, from the diary."""

from __future__ import annotations

from tests.dispatch.things import fail, new_job
from tests.queue.things import new_task
from vidprocme.core.event import Event
from vidprocme.core.ids import JobId
from vidprocme.core.job import Stage
from vidprocme.dispatch import failures
from vidprocme.dispatch.failures import FailureBook, causes
from vidprocme.queue.redis import RedisQueue


def test_jobs_are_counted_by_what_they_failed_of_until_they_are_retried(queue: RedisQueue) -> None:
    jobs = [new_job() for _ in range(3)]
    for job in jobs:
        probe = new_task(job, Stage.PROBE)
        queue.submit(job, [probe])
        fail(queue, probe)
    book = FailureBook()
    book.apply(queue.events("0"))

    (cause,) = causes(book.since(0))
    assert (cause.stage, cause.code, cause.jobs, cause.newest.job) == ("probe", "NOT_A_VIDEO", 3, jobs[2].id)
    assert causes(book.since(0), lambda failure: failure.job == jobs[0].id)[0].jobs == 1
    assert book.since(cause.newest.at_ms + 1) == []

    last = queue.events("0")[-1].id
    queue.retry(jobs[0].id)
    book.apply(queue.events(last))
    assert causes(book.since(0))[0].jobs == 2


def event(number: int, kind: str, job: str, **data: str) -> Event:
    task = None if kind.startswith("job.") else f"{job}/probe/0"
    return Event(f"{number}-0", number, kind, JobId(job), task, data)  # type: ignore[arg-type]


def test_a_job_that_succeeds_after_all_did_not_fail_and_the_book_is_bounded() -> None:
    book = FailureBook()
    book.apply([event(1, "task.dead", "a", stage="index", code="X"), event(2, "job.ended", "a", state="succeeded")])
    assert book.since(0) == []

    for number in range(failures.JOBS_MOST + 5):
        job = f"b{number}"
        book.apply([event(3, "task.failed", job, stage="probe", code="X"), event(3, "job.ended", job, state="failed")])
    kept = book.since(0)
    assert len(kept) == failures.JOBS_MOST and kept[-1].job == f"b{failures.JOBS_MOST + 4}"
