"""Records of a newer vidprocme (machines are updated one after another), and damaged ones: the one is left out, the rest goes on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.queue.things import CORE, LEASE_MS, OK, lease_of, look, new_job, new_task, pool, run, submitted
from vidprocme.core.errors import Fatal
from vidprocme.core.ids import JobId
from vidprocme.core.job import Job, Next, Outcome, Stage, Task, TaskState
from vidprocme.queue import unreadable
from vidprocme.queue.base import Claim, Settlement, Unreadable
from vidprocme.queue.check import check
from vidprocme.queue.redis import RedisQueue

Change = Callable[[str], str]


def newer(text: str) -> str:
    """As version 2 of the form would say it."""
    assert '"v":1' in text
    return text.replace('"v":1', '"v":2')


def another_stage(text: str) -> str:
    assert '"probe"' in text
    return text.replace('"probe"', '"polish"')


def damaged(text: str) -> str:
    return text[: len(text) // 2]


def spoil(queue: RedisQueue, key: str, field: str, change: Change) -> Callable[[], None]:
    """Change a field of a hash. Returns what makes it as it was."""
    before = queue.command("HGET", key, field)
    queue.command("HSET", key, field, change(before))
    return lambda: queue.command("HSET", key, field, before) and None


def spoil_task(queue: RedisQueue, task: Task, field: str, change: Change = newer) -> Callable[[], None]:
    return spoil(queue, queue.keys.task(task.id), field, change)


def spoil_job(queue: RedisQueue, job: Job, change: Change = newer) -> Callable[[], None]:
    return spoil(queue, queue.keys.job(job.id), "job", change)


@pytest.mark.parametrize("change", [newer, damaged])
def test_lists_of_jobs_leave_out_the_one(queue: RedisQueue, change: Change, caplog: pytest.LogCaptureFixture) -> None:
    jobs = [submitted(queue)[0] for _ in range(3)]
    again = spoil_job(queue, jobs[1], change)
    for _ in range(2):
        assert [view.job.id for view in queue.jobs()] == [jobs[2].id, jobs[0].id]
        assert [view.job.id for view in queue.each_job(active=True)] == [jobs[2].id, jobs[0].id]
    assert caplog.text.count(f"job {jobs[1].id} cannot be read") == 1 and "pdate " in caplog.text
    with pytest.raises(Fatal) as caught:
        queue.job(jobs[1].id)
    assert caught.value.code in ("WIRE_VERSION", "WIRE_MALFORMED")
    again()
    assert len(queue.jobs()) == 3 and check(queue) == []


@pytest.mark.parametrize(
    ("field", "change"), [("payload", newer), ("sort", newer), ("sort", another_stage), ("sort", damaged)]
)
def test_lists_of_tasks_leave_out_the_one(queue: RedisQueue, field: str, change: Change) -> None:
    job, probe = submitted(queue)
    chunks = [new_task(job, Stage.TRANSCODE, number, after=[probe]) for number in range(2)]
    queue.enqueue(lease_of(queue, probe), chunks)
    spoil_task(queue, probe, field, change)

    assert [view.task.id for view in queue.tasks(job.id)] == [chunk.id for chunk in chunks]
    with pytest.raises(Fatal) as caught:
        queue.task(probe.id)
    assert caught.value.code in ("WIRE_VERSION", "WIRE_MALFORMED")
    assert queue.task(chunks[0].id) is not None


@pytest.mark.parametrize("change", [newer, damaged])
def test_an_attempt_that_cannot_be_read_is_left_out(queue: RedisQueue, change: Change) -> None:
    job, probe = submitted(queue)
    run(queue, probe, Next.RETRY, Outcome(OK.kind, {"first": 1}))
    queue.turn("pool", [], [], lease_ms=LEASE_MS)
    run(queue, probe)
    spoil(queue, queue.keys.task(probe.id), "last", change)
    assert queue.tasks(job.id) == ()
    assert [record.outcome.result for record in queue.attempts(probe.id)] == [{"first": 1}]


def test_what_a_newer_one_names_is_not_swept(queue: RedisQueue) -> None:
    """A sweep reads texts, not nouns: the blobs of a job that is left out of lists are needed all the same."""
    job, probe = submitted(queue, payload={"blob": "cd" * 32})
    spoil_job(queue, job)
    spoil_task(queue, probe, "payload")
    assert {job.source.sha256, "cd" * 32} <= set(queue.contents())


def test_a_line_that_cannot_be_read_is_not_shown_and_not_counted(
    queue: RedisQueue, caplog: pytest.LogCaptureFixture
) -> None:
    unreadable.tell.cache_clear()  # told of the same line on another server
    _, odd = submitted(queue)
    job = new_job(tenant="another")
    even = new_task(job, Stage.PROBE)
    queue.submit(job, [even])
    for change in (newer, another_stage):
        again = spoil_task(queue, odd, "sort", change)
        for _ in range(2):
            turn = look(queue)
            assert [head.task for line in turn.lines for head in line.heads] == [even.id]
            assert turn.lines_total == 1
        again()
    assert caplog.text.count("what waits in line") == 2
    turn = look(queue)
    assert len(turn.lines) == turn.lines_total == 2 and check(queue) == []


@pytest.mark.parametrize("what", ["payload", "sort", "job", "input"])
def test_a_claim_that_cannot_be_read_says_so_and_the_others_can(queue: RedisQueue, what: str) -> None:
    job, before = submitted(queue)
    after = new_task(job, Stage.TRANSCODE, 0, after=[before])
    lease = lease_of(queue, before)
    queue.enqueue(lease, [after])
    queue.turn("pool", [Settlement(lease, Next.SUCCEED, OK)], [], lease_ms=LEASE_MS)
    _, other = submitted(queue)
    if what == "job":
        again = spoil_job(queue, job)
    elif what == "input":
        again = spoil_task(queue, before, "last")
    else:
        again = spoil_task(queue, after, what)
    claims = [Claim(task.id, "place", CORE) for task in (after, other)]
    turn = queue.begin_turn("pool", [], claims, lease_ms=LEASE_MS).answer()
    assert turn.granted == {after.id, other.id} and len(turn.claimed) == 2
    assert turn.claimed[1].attempt.task.id == other.id
    with pytest.raises(Unreadable) as caught:
        _ = turn.claimed[0]
    assert (caught.value.code, caught.value.claim) == ("WIRE_VERSION", claims[0])

    # Its lease is ours, and can be given back.
    back = Settlement(caught.value.lease, Next.HAND_BACK, OK)
    assert queue.turn("pool", [back], [], lease_ms=LEASE_MS).stale == ()
    again()
    view = queue.task(after.id)
    assert view is not None and (view.state, view.tries, view.lost) == (TaskState.READY, 0, 0)


def test_a_pool_that_cannot_be_read_is_not_among_them(queue: RedisQueue) -> None:
    for name in ("old", "new"):
        queue.join(pool(name), LEASE_MS)
    spoil(queue, queue.keys.of("pools"), "new", newer)
    assert [info.id for info in queue.remembered_pools()] == ["old"] == [info.id for info in queue.pools()]


def test_where_a_job_stands_is_told_beside_lines_of_another_stage(queue: RedisQueue) -> None:
    _, odd = submitted(queue)
    job, _ = submitted(queue)
    (line,) = queue.command("ZRANGE", queue.keys.of("lines"), 0, -1)
    other = line.replace("probe", "polish")
    queue.command("ZADD", queue.keys.of("lines"), 0, other)
    queue.command("ZADD", queue.keys.line(other), 1, JobId(odd.id))
    position = queue.position(job.id)
    assert position is not None and position.ahead == {Stage.PROBE: 1}


def test_minutes_of_another_stage_are_left_out(queue: RedisQueue) -> None:
    _, probe = submitted(queue)
    run(queue, probe)
    before = queue.lately(5)
    now_s = int(queue.command("TIME")[0])
    for minute in (now_s // 60, now_s // 60 + 1):
        queue.command("HSET", queue.keys.minute(minute), "normal|polish|ok|", 3)
    assert queue.lately(5).ended == before.ended == {Stage.PROBE: 1}
