"""Where a task stands, counted from the lines; and what ended lately."""

from __future__ import annotations

from tests.queue.things import BROKEN, end, lease_of, new_job, new_task, run, submitted, take
from vidprocme.core.ids import JobId
from vidprocme.core.job import Bin, Job, Limits, Next, Outcome, OutcomeKind, Stage
from vidprocme.queue.base import Lately, Position
from vidprocme.queue.redis import RedisQueue


def put(queue: RedisQueue, bin_: Bin, tenant: str = "default") -> Job:
    job = new_job(bin=bin_, tenant=tenant)
    queue.submit(job, [new_task(job, Stage.PROBE)])
    return job


def test_a_task_counts_what_is_older_in_its_bin_and_all_that_is_more_urgent(queue: RedisQueue) -> None:
    first, other_tenant, mine, younger = (put(queue, Bin.NORMAL, t) for t in ("a", "b", "a", "b"))
    put(queue, Bin.BULK)
    for _ in range(3):
        put(queue, Bin.URGENT)
    put(queue, Bin.HIGH)

    found = queue.position(mine.id)

    assert found is not None and found.task == queue.tasks(mine.id)[0].task.id
    assert (found.bin, found.ahead, found.more_urgent) == (Bin.NORMAL, {Stage.PROBE: 2}, {Stage.PROBE: 4})
    assert queue.position(first.id).ahead == {}  # type: ignore[union-attr]
    assert queue.position(younger.id).ahead == {Stage.PROBE: 3}  # type: ignore[union-attr]
    queue.move(younger.id, Bin.URGENT)
    assert queue.position(younger.id).ahead == {}  # type: ignore[union-attr]  # it is older than the others there
    assert queue.position(younger.id).more_urgent == {}  # type: ignore[union-attr]
    assert queue.position(other_tenant.id).more_urgent == {Stage.PROBE: 5}  # type: ignore[union-attr]


def test_of_a_job_it_is_the_first_ready_task_that_stands_somewhere(queue: RedisQueue) -> None:
    job, probe = submitted(queue)
    assert queue.position(JobId("job_none")) is None
    lease = lease_of(queue, probe)
    assert queue.position(job.id) is None  # it runs
    other, _ = submitted(queue)
    chunks = [new_task(job, Stage.TRANSCODE, i, after=[probe]) for i in range(3)]
    queue.enqueue(lease, [*chunks, new_task(job, Stage.JOIN, after=chunks)])
    end(queue, lease)
    assert queue.position(job.id) == Position(chunks[0].id, Bin.NORMAL, {Stage.PROBE: 1}, {})
    take(queue, queue.tasks(other.id)[0].task, chunks[0])
    assert queue.position(job.id) == Position(chunks[1].id, Bin.NORMAL, {}, {})


def test_lately_counts_what_ended_by_itself(queue: RedisQueue) -> None:
    assert queue.lately(10) == Lately()
    for next_, kind in ((Next.SUCCEED, OutcomeKind.OK), (Next.FAIL, OutcomeKind.FAILED), (Next.LOST, OutcomeKind.LOST)):
        _, probe = submitted(queue, limits=Limits(tries=1))
        run(queue, probe, next_, Outcome(kind, error=BROKEN.error if kind is not OutcomeKind.OK else None))

    lately = queue.lately(10)

    assert lately.ended == {Stage.PROBE: 2} and 1 <= lately.seconds <= 120  # one minute so far, or two
