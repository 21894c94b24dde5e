"""What every queue promises, held against every server in reach."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from tests.queue.conftest import Connect
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
from vidprocme.core.job import AfterRule, Bin, JobState, Limits, OutcomeKind, Stage, TaskState
from vidprocme.queue.base import ENQUEUE_BATCH, HEADS, LINES, Claim, Next, Settlement
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
    queue.forget_key("k")
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


def test_cancel_ends_what_waits_and_tells_what_runs(queue: RedisQueue) -> None:
    job, probe = submitted(queue)
    chunks = [new_task(job, Stage.TRANSCODE, i, after=[probe]) for i in range(3)]
    join = new_task(job, Stage.JOIN, after=chunks)
    lease = lease_of(queue, probe)
    queue.enqueue(lease, [*chunks, join])
    end(queue, lease)
    running = lease_of(queue, chunks[0])

    assert queue.cancel(job.id) and check(queue) == []

    assert states(queue, job) == {
        "probe:0": "succeeded",
        "transcode:0": "running",
        "transcode:1": "cancelled",
        "transcode:2": "cancelled",
        "join:0": "cancelled",
    }
    assert queue.job(job.id).cancel_asked  # type: ignore[union-attr]
    # What the running attempt plans now does not come to life.
    assert queue.enqueue(running, [new_task(job, Stage.DESCRIBE, after=[chunks[0]])]) == 1
    assert queue.beat("pool", [running], lease_ms=LEASE_MS, presence_ms=1000).cancel == (running,)
    end(queue, running, Next.RETRY, BROKEN)
    assert set(states(queue, job).values()) == {"succeeded", "cancelled"}
    assert queue.job(job.id).state == JobState.CANCELLED  # type: ignore[union-attr]
    assert not queue.cancel(job.id)

    assert queue.retry(job.id) == 5 and check(queue) == []
    assert states(queue, job)["transcode:1"] == "ready" and states(queue, job)["join:0"] == "blocked"
    assert states(queue, job)["describe:0"] == "blocked"


def test_a_forgotten_job_leaves_only_its_events(queue: RedisQueue) -> None:
    job = new_job()
    probe = new_task(job, Stage.PROBE, limits=Limits(tries=1))
    queue.submit(job, [probe], key="k")
    assert not queue.forget(job.id)
    lease = lease_of(queue, probe)
    queue.enqueue(lease, [new_task(job, Stage.JOIN, after=[probe])])
    end(queue, lease, Next.RETRY, BROKEN)
    assert queue.dead() == (probe.id,)

    assert queue.forget(job.id) and check(queue) == []

    assert queue.jobs() == () and queue.dead() == () and queue.job_by_key("k") is None and queue.depth().by_state == {}
    left = {
        key.removeprefix(queue.keys.prefix).split(":")[0] for key in queue.client.scan_iter(queue.keys.prefix + "*")
    }
    assert left <= {"ev", "stat", "states", "min", "fence", "wake"}


def test_unknown_jobs_are_said_to_be_unknown(queue: RedisQueue) -> None:
    for verb in (queue.cancel, queue.retry, queue.forget, lambda job: queue.rebind_source(job, "file:///x", 1)):
        with pytest.raises(Fatal) as caught:
            verb(JobId("job_none"))
        assert caught.value.code == "JOB_UNKNOWN"
    assert queue.job(JobId("job_none")) is None and queue.tasks(JobId("job_none")) == ()


def test_a_fatal_failure_cancels_the_rest_and_a_retry_brings_it_back(queue: RedisQueue) -> None:
    job, probe = submitted(queue)
    chunks = [new_task(job, Stage.TRANSCODE, i, after=[probe]) for i in range(3)]
    join = new_task(job, Stage.JOIN, after=chunks)
    lease = lease_of(queue, probe)
    queue.enqueue(lease, [*chunks, join])
    end(queue, lease)
    first, second = (lease_of(queue, chunk) for chunk in chunks[:2])

    end(queue, first, Next.FAIL, BROKEN)

    assert states(queue, job) == {
        "probe:0": "succeeded",
        "transcode:0": "failed",
        "transcode:1": "running",
        "transcode:2": "cancelled",
        "join:0": "cancelled",
    }
    assert queue.beat("pool", [second], lease_ms=LEASE_MS, presence_ms=1000).cancel == (second,)
    end(queue, second, Next.CANCEL, STOPPED)
    assert queue.job(job.id).state == JobState.FAILED  # type: ignore[union-attr]
    ended = [event for event in queue.events("0") if event.kind == "job.ended"]
    assert len(ended) == 1 and ended[0].data == {"state": "failed"}

    assert queue.retry(job.id) == 4 and check(queue) == []
    assert queue.job(job.id).ended_ms is None  # type: ignore[union-attr]
    for chunk in chunks:
        run(queue, chunk)
    run(queue, join)
    assert queue.job(job.id).state == JobState.SUCCEEDED  # type: ignore[union-attr]
    assert [record.next for record in queue.attempts(chunks[0].id)] == ["fail", "succeed"]


def test_settled_lets_go_however_its_predecessors_end(queue: RedisQueue) -> None:
    job, probe = submitted(queue)
    soft = {"fatal_to_job": False}
    describes = [new_task(job, Stage.DESCRIBE, i, after=[probe], **soft) for i in range(3)]
    stepchild = new_task(job, Stage.DESCRIBE, 9, after=[describes[0]], **soft)  # cancelled when describe 0 fails
    index = new_task(job, Stage.INDEX, after=[*describes, stepchild], after_rule=SETTLED)
    lease = lease_of(queue, probe)
    queue.enqueue(lease, [*describes, stepchild, index])
    end(queue, lease)

    run(queue, describes[0], Next.FAIL, BROKEN)
    assert states(queue, job)["describe:9"] == "cancelled" and states(queue, job)["index:0"] == "blocked"
    run(queue, describes[1])
    # A retry while the index still waits: it waits for them again.
    assert queue.retry(job.id) == 2 and check(queue) == []
    run(queue, describes[2])
    assert states(queue, job)["index:0"] == "blocked"
    run(queue, describes[0], Next.FAIL, BROKEN)
    (claimed,) = take(queue, index)
    kinds = {task: outcome.kind for task, outcome in claimed.attempt.inputs.items()}
    assert kinds == {
        describes[0].id: OutcomeKind.FAILED,
        describes[1].id: OutcomeKind.OK,
        describes[2].id: OutcomeKind.OK,
        stepchild.id: OutcomeKind.CANCELLED,
    }
    end(queue, claimed.lease)
    assert queue.job(job.id).state == JobState.FAILED  # type: ignore[union-attr]


def test_a_long_chain_is_cancelled_to_its_end(queue: RedisQueue) -> None:
    job, probe = submitted(queue, fatal_to_job=False)
    chain = [probe]
    for i in range(300):
        chain.append(new_task(job, Stage.TRANSCODE, i, after=[chain[-1]], fatal_to_job=False))
    lease = lease_of(queue, probe)
    queue.enqueue(lease, chain[1:])
    end(queue, lease, Next.FAIL, BROKEN)
    assert Counter(states(queue, job).values()) == {"failed": 1, "cancelled": 300}


def test_a_rebound_source_is_read_by_later_attempts(queue: RedisQueue) -> None:
    job, probe = submitted(queue)
    queue.rebind_source(job.id, "file:///moved/goat.mp4", 77)
    (claimed,) = take(queue, probe)
    source = claimed.attempt.job.source
    assert (source.uri, source.mtime_ns, source.sha256) == ("file:///moved/goat.mp4", 77, job.source.sha256)
    assert queue.job(job.id).job.source == source  # type: ignore[union-attr]


def test_more_lines_than_one_turn_shows_come_in_rotation(queue: RedisQueue) -> None:
    wanted = set()
    for n in range(2 * LINES + 10):
        job = new_job(tenant=f"tenant{n}")
        queue.submit(job, [new_task(job, Stage.PROBE)])
        wanted.add(job.tenant)
    seen: set[str] = set()
    for _ in range(3):
        turn = look(queue)
        assert len(turn.lines) == LINES and turn.lines_total == 2 * LINES + 10
        seen |= {line.tenant for line in turn.lines}
    assert seen == wanted


def test_a_turn_for_some_jobs_sees_them_behind_any_number_of_others(queue: RedisQueue) -> None:
    for _ in range(3 * HEADS):
        submitted(queue)
    job, probe = submitted(queue)
    other, _ = submitted(queue)

    turn = queue.turn("own", [], [], lease_ms=LEASE_MS, jobs=[job.id])
    assert [(line.length, [head.task for head in line.heads]) for line in turn.lines] == [(1, [probe.id])]
    assert turn.lines_total == 1
    both = queue.turn("own", [], [], lease_ms=LEASE_MS, jobs={job.id, other.id})
    assert sum(line.length for line in both.lines) == 2
    assert queue.turn("own", [], [], lease_ms=LEASE_MS, jobs=[]).lines == ()
    run(queue, probe)
    assert queue.turn("own", [], [], lease_ms=LEASE_MS, jobs=[job.id]).lines == ()


def test_a_claim_says_how_often_the_task_was_lost(queue: RedisQueue) -> None:
    _, probe = submitted(queue)
    take(queue, probe, holder="dead")
    queue.free_dead("dead")
    (claimed,) = take(queue, probe)
    assert claimed.lost == 1 and claimed.attempt.number == 1


def test_depth_and_jobs_count_what_is_there(queue: RedisQueue) -> None:
    urgent = new_job(bin=Bin.URGENT)
    queue.submit(urgent, [new_task(urgent, Stage.PROBE)])
    job, probe = submitted(queue)
    other, _ = submitted(queue)
    run(queue, probe)
    depth = queue.depth()
    assert depth.by_state == {TaskState.READY: 2, TaskState.SUCCEEDED: 1} and depth.jobs_active == 2
    assert depth.waiting_by_bin == {Bin.URGENT: 1, Bin.NORMAL: 1} and set(depth.oldest_by_bin_ms) == {
        Bin.URGENT,
        Bin.NORMAL,
    }
    assert [view.job.id for view in queue.jobs(active=True)] == [other.id, urgent.id]
    assert [view.job.id for view in queue.jobs(limit=2)] == [other.id, job.id]


def test_the_doorbell_wakes_who_waits(queue: RedisQueue, connect: Connect) -> None:
    look(queue)
    assert not queue.await_work(0.05)
    waiter = connect()
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(waiter.await_work(30)))
    thread.start()
    submitted(queue)
    thread.join(30)
    assert answers == [True]


def test_events_can_be_waited_for_and_resumed(queue: RedisQueue, connect: Connect) -> None:
    submitted(queue)
    first = queue.events("0")
    assert queue.newest_event() == first[-1].id
    assert queue.oldest_event() == first[0].id and queue.events(first[-1].id) == ()
    reader = connect()
    answers: list[str] = []
    thread = threading.Thread(
        target=lambda: answers.extend(e.kind for e in reader.events(first[-1].id, 1, block_ms=30_000))
    )
    thread.start()
    submitted(queue)
    thread.join(30)
    assert answers == ["job.submitted"]


def test_two_pools_that_want_the_same_never_get_the_same(queue: RedisQueue, connect: Connect) -> None:
    total = 200
    for _ in range(total // ENQUEUE_BATCH):
        job = new_job()
        queue.submit(job, [new_task(job, Stage.TRANSCODE, i) for i in range(ENQUEUE_BATCH)])
    got: dict[str, list[str]] = {"a": [], "b": []}
    start = threading.Barrier(2)

    def work(name: str, mine: RedisQueue) -> None:
        start.wait()
        turn = look(mine, name)
        while turn.lines:
            claims = [Claim(head.task, "place", CORE) for line in turn.lines for head in line.heads]
            turn = mine.turn(name, [], claims, lease_ms=LEASE_MS)
            got[name] += [claimed.lease.task for claimed in turn.claimed]

    threads = [threading.Thread(target=work, args=(name, connect())) for name in got]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(Counter(got["a"] + got["b"]).values()) == [1] * total
    assert check(queue) == []


def test_a_turn_says_all_in_one(queue: RedisQueue) -> None:
    job, probe = submitted(queue)
    chunk = new_task(job, Stage.TRANSCODE, after=[probe])
    lease = lease_of(queue, probe)
    queue.enqueue(lease, [chunk])

    # The chunk becomes ready by this very settle, and is claimed in the same call.
    turn = queue.turn(
        "pool", [Settlement(lease, Next.SUCCEED, OK)], [Claim(chunk.id, "place", CORE)], lease_ms=LEASE_MS
    )

    assert [claimed.attempt.inputs for claimed in turn.claimed] == [{probe.id: OK}]
    assert turn.stale == () and turn.lines == () and check(queue) == []
