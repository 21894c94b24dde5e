"""What every queue promises, held against every server in reach."""

from __future__ import annotations

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
    until,
)
from vidprocme.core.errors import Fatal, LeaseLost
from vidprocme.core.ids import JobId
from vidprocme.core.job import AfterRule, Bin, JobState, Limits, Next, OutcomeKind, Stage, TaskState
from vidprocme.queue.base import ENQUEUE_BATCH, HEADS
from vidprocme.queue.check import check
from vidprocme.queue.redis import RedisQueue

SETTLED = AfterRule.SETTLED


def test_a_submitted_job_waits_in_its_line(queue: RedisQueue) -> None:
    job, probe = submitted(queue)

    (line,) = look(queue).lines
    assert (line.bin, line.tenant, line.shape, line.length) == (Bin.NORMAL, "default", probe.shape, 1)
    assert line.heads[0].task == probe.id and line.heads[0].needs == probe.needs
    view = queue.job(job.id)
    assert view and view.job == job and view.state == JobState.QUEUED
    assert queue.task(probe.id) is not None and queue.task(probe.id).task == probe  # type: ignore[union-attr]
    assert [event.kind for event in queue.events("0")] == ["job.submitted", "task.ready"]
    assert check(queue) == []


def test_an_idempotency_key_makes_one_job(queue: RedisQueue) -> None:
    job, other = new_job(), new_job()
    assert queue.submit(job, [new_task(job, Stage.PROBE)], key="k").created

    answer = queue.submit(other, [new_task(other, Stage.PROBE)], key="k")

    assert (answer.job, answer.created) == (job.id, False)
    assert queue.job(other.id) is None and queue.job_by_key("k") == job.id
    assert not queue.forget_key("k", JobId("job_other")) and queue.job_by_key("k") == job.id
    assert queue.forget_key("k", job.id)
    assert queue.job_by_key("k") is None
    assert queue.submit(other, [new_task(other, Stage.PROBE)], key="k").created
    assert [view.job.id for view in queue.jobs()] == [other.id, job.id]


def test_a_bad_submit_leaves_nothing_behind(queue: RedisQueue) -> None:
    job, other = new_job(), new_job()
    probe = new_task(job, Stage.PROBE)
    bad = [
        [],
        [new_task(other, Stage.PROBE)],
        [new_task(job, Stage.JOIN, after=[probe])],  # comes after a task that is nowhere
        [probe, probe],
        [new_task(job, Stage.TRANSCODE, i) for i in range(ENQUEUE_BATCH + 1)],
        [new_task(job, Stage.PROBE, payload={"text": "x" * (2 << 20)})],
    ]
    for first in bad:
        with pytest.raises(Fatal) as caught:
            queue.submit(job, first)
        assert caught.value.code in ("QUEUE_BAD_TASK", "QUEUE_TOO_LARGE")
    assert queue.jobs() == () and queue.events("0") == () and check(queue) == []


def test_a_claim_is_an_attempt_under_a_lease(queue: RedisQueue) -> None:
    job, probe = submitted(queue)

    (claimed,) = take(queue, probe)

    attempt, lease = claimed.attempt, claimed.lease
    assert attempt.task == probe and attempt.job == job and attempt.number == 1 and attempt.place == "place"
    assert attempt.resources == CORE and attempt.id == lease.attempt and attempt.token == lease.token
    view = queue.task(probe.id)
    assert view and view.state == TaskState.RUNNING and view.holder == "pool" and view.place == "place"
    assert take(queue, probe, holder="other") == []
    assert look(queue).lines == () and check(queue) == []


def test_planning_then_settling_releases_what_was_planned(queue: RedisQueue) -> None:
    job, probe = submitted(queue)
    chunks = [new_task(job, Stage.TRANSCODE, i, after=[probe]) for i in range(ENQUEUE_BATCH + 50)]
    join = new_task(job, Stage.JOIN, after=chunks)
    lease = lease_of(queue, probe)

    assert queue.enqueue(lease, [*chunks, join]) == len(chunks) + 1
    assert queue.enqueue(lease, [*chunks, join]) == 0
    assert look(queue).lines == ()
    end(queue, lease)

    (line,) = look(queue).lines
    assert line.length == len(chunks)
    assert [head.task for head in line.heads] == [chunk.id for chunk in chunks[:HEADS]]  # in planning order
    (claimed,) = take(queue, chunks[0])
    assert claimed.attempt.inputs == {probe.id: OK}
    assert queue.task(join.id).state == TaskState.BLOCKED  # type: ignore[union-attr]
    assert [view.task.id for view in queue.tasks(job.id)] == [probe.id, *(c.id for c in chunks), join.id]


def test_planning_without_the_lease_is_refused(queue: RedisQueue) -> None:
    job, probe = submitted(queue)
    lease = lease_of(queue, probe)
    end(queue, lease, Next.HAND_BACK, STOPPED)

    with pytest.raises(LeaseLost):
        queue.enqueue(lease, [new_task(job, Stage.JOIN, after=[probe])])
    assert states(queue, job) == {"probe:0": "ready"}


def test_a_task_of_another_job_cannot_be_planned(queue: RedisQueue) -> None:
    _, probe = submitted(queue)
    lease = lease_of(queue, probe)
    with pytest.raises(Fatal, match="does not belong"):
        queue.enqueue(lease, [new_task(new_job(), Stage.JOIN)])


def test_a_stale_token_changes_nothing(queue: RedisQueue) -> None:
    _, probe = submitted(queue)
    old = lease_of(queue, probe)
    end(queue, old, Next.HAND_BACK, STOPPED)
    new = lease_of(queue, probe)
    assert new.token > old.token

    before = queue.task(probe.id)
    assert end(queue, old, Next.SUCCEED).stale == (old,)
    assert queue.task(probe.id) == before
    forged = type(old)(new.task, "thief", new.token, new.until_ms)
    assert end(queue, forged, Next.SUCCEED).stale == (forged,)
    assert queue.task(probe.id) == before
    assert queue.beat("thief", [forged], lease_ms=LEASE_MS, presence_ms=1000).lost == (forged,)
    assert end(queue, new).stale == ()


def test_settling_twice_is_settling_once(queue: RedisQueue) -> None:
    job, probe = submitted(queue)
    lease = lease_of(queue, probe)
    end(queue, lease)
    events = queue.events("0")

    assert end(queue, lease).stale == ()

    assert queue.events("0") == events and len(queue.attempts(probe.id)) == 1
    view = queue.job(job.id)
    assert view and view.state == JobState.SUCCEEDED and view.ended_ms and view.counts == {TaskState.SUCCEEDED: 1}
    assert events[-1].kind == "job.ended" and events[-1].data == {"state": "succeeded"}
    assert queue.counters()["task.probe.ok"] == 1 and queue.counters()["job.succeeded"] == 1


def test_a_retry_waits_counts_and_ends_dead(queue: RedisQueue) -> None:
    job, probe = submitted(queue, limits=Limits(tries=2))
    lease = lease_of(queue, probe)
    turn = end(queue, lease, Next.RETRY, BROKEN, delay_ms=3_600_000)
    view = queue.task(probe.id)
    assert view and view.state == TaskState.DELAYED and view.tries == 1 and view.due_ms == turn.next_due_ms
    assert look(queue).lines == () and queue.cancel(job.id)

    job, probe = submitted(queue, limits=Limits(tries=2))
    run(queue, probe, Next.RETRY, BROKEN)
    until(queue, "pool", probe.id)
    (claimed,) = take(queue, probe)
    assert claimed.attempt.number == 2
    end(queue, claimed.lease, Next.RETRY, BROKEN)

    view = queue.task(probe.id)
    assert view and view.state == TaskState.DEAD and view.tries == 2 and view.outcome == BROKEN
    assert queue.dead() == (probe.id,)
    assert [(r.number, r.next, r.outcome) for r in queue.attempts(probe.id)] == [
        (1, "retry", BROKEN),
        (2, "retry", BROKEN),
    ]
    assert queue.job(job.id).state == JobState.FAILED  # type: ignore[union-attr]


def test_handing_back_uses_nothing_and_keeps_the_place(queue: RedisQueue) -> None:
    _, first = submitted(queue)
    _, second = submitted(queue)
    lease = lease_of(queue, first)

    turn = end(queue, lease, Next.HAND_BACK, STOPPED)

    assert [head.task for head in turn.lines[0].heads] == [first.id, second.id]
    view = queue.task(first.id)
    assert view and (view.tries, view.lost, view.state) == (0, 0, TaskState.READY)


def test_too_often_lost_is_dead(queue: RedisQueue) -> None:
    _, probe = submitted(queue, limits=Limits(lost=1))
    run(queue, probe, Next.LOST, STOPPED)
    run(queue, probe, Next.LOST, STOPPED)
    view = queue.task(probe.id)
    assert view and (view.state, view.lost, view.tries) == (TaskState.DEAD, 2, 0)


def test_a_lease_that_ran_out_is_swept_and_its_holder_told(queue: RedisQueue) -> None:
    _, probe = submitted(queue)
    (claimed,) = take(queue, probe, holder="slow", lease_ms=1)
    until(queue, "pool", probe.id)

    view = queue.task(probe.id)
    assert view and view.lost == 1 and view.outcome and view.outcome.kind == OutcomeKind.LOST
    assert queue.beat("slow", [claimed.lease], lease_ms=LEASE_MS, presence_ms=1000).lost == (claimed.lease,)
    assert end(queue, claimed.lease).stale == (claimed.lease,)
    assert queue.task(probe.id).state == TaskState.READY  # type: ignore[union-attr]
    assert queue.attempts(probe.id)[0].next == "lost"


def test_the_leases_of_a_pool_whose_presence_ended_are_swept(queue: RedisQueue) -> None:
    queue.join(pool("gone"), presence_ms=1)
    queue.join(pool("here"), presence_ms=LEASE_MS)
    _, probe = submitted(queue)
    _, other = submitted(queue)
    take(queue, probe, holder="gone")
    take(queue, other, holder="here")

    until(queue, "third", probe.id)

    assert queue.task(other.id).state == TaskState.RUNNING  # type: ignore[union-attr]
    assert [p.id for p in queue.pools()] == ["here"]
    assert [p.id for p in queue.remembered_pools()] == ["gone", "here"]
    assert check(queue) == []


def test_freeing_a_dead_pool_makes_its_tasks_ready_at_once(queue: RedisQueue) -> None:
    queue.join(pool("dead"), presence_ms=LEASE_MS)
    probes = [submitted(queue)[1] for _ in range(3)]
    take(queue, *probes, holder="dead")

    assert queue.free_dead("dead") == 3

    assert queue.remembered_pools() == () and check(queue) == []
    assert [head.task for head in look(queue).lines[0].heads] == [probe.id for probe in probes]
    queue.join(pool("polite"), presence_ms=LEASE_MS)
    queue.leave("polite")
    assert queue.remembered_pools() == ()


def test_a_beat_extends_and_tells_progress(queue: RedisQueue) -> None:
    _, probe = submitted(queue)
    (claimed,) = take(queue, probe, lease_ms=2000)
    answer = queue.beat(
        "pool", [claimed.lease], lease_ms=LEASE_MS, presence_ms=LEASE_MS, progress={claimed.lease.task: 0.25}
    )
    assert answer.lost == () and answer.cancel == ()
    view = queue.task(probe.id)
    assert view and view.progress == 0.25
