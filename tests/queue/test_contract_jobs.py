"""What every queue promises about whole jobs and several pools, held against every server in reach."""

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
    run,
    states,
    submitted,
    take,
)
from vidprocme.core.errors import Fatal
from vidprocme.core.ids import JobId
from vidprocme.core.job import AfterRule, Bin, JobState, Limits, Next, OutcomeKind, Stage, TaskState
from vidprocme.queue.base import ENQUEUE_BATCH, HEADS, LINES, Claim, Settlement
from vidprocme.queue.check import check
from vidprocme.queue.redis import RedisQueue

SETTLED = AfterRule.SETTLED


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
    assert left <= {"ev", "stat", "states", "min", "fence", "wake", "usage", "format", "said"}
    assert job.id not in "".join(queue.command("LRANGE", queue.keys.of("said"), 0, -1))


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
    while queue.command("EXISTS", queue.keys.of("rest")):  # a step a turn
        look(queue)
    assert Counter(states(queue, job).values()) == {"failed": 1, "cancelled": 300} and check(queue) == []


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


def test_a_failure_goes_to_the_end_of_its_line_and_what_was_lost_keeps_its_place(queue: RedisQueue) -> None:
    job = new_job()
    first, *others = [new_task(job, Stage.TRANSCODE, number) for number in range(3)]
    queue.submit(job, [first, *others])

    def line() -> list[str]:
        return [head.task for head in look(queue).lines[0].heads]

    end(queue, lease_of(queue, first), Next.LOST, BROKEN)
    assert line() == [first.id, *(task.id for task in others)]
    end(queue, lease_of(queue, first), Next.RETRY, BROKEN)
    assert line() == [*(task.id for task in others), first.id]
