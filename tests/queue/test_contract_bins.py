"""What every queue does with a bin that a person paused."""

from __future__ import annotations

from tests.queue.conftest import Connect
from tests.queue.things import LEASE_MS, OK, end, lease_of, look, new_job, new_task, pool, take, until
from vidprocme.core.job import Bin, Job, Next, Stage, Task
from vidprocme.queue.base import Turn
from vidprocme.queue.check import check
from vidprocme.queue.redis import RedisQueue


def submitted(queue: RedisQueue, bin_: Bin, count: int = 1) -> tuple[Job, list[Task]]:
    job = new_job(bin=bin_)
    tasks = [new_task(job, Stage.TRANSCODE, number) for number in range(count)]
    assert queue.submit(job, tasks).created
    return job, tasks


def shown(turn: Turn) -> set[str]:
    return {head.task for line in turn.lines for head in line.heads}


def shown_paused(queue: RedisQueue) -> set[Bin]:
    return {bin_ for bin_, share in look(queue).shares.bins.items() if share.paused}


def test_a_paused_bin_is_told_until_it_is_resumed(connect: Connect) -> None:
    queue, other = connect(), connect()
    assert queue.paused() == shown_paused(queue) == frozenset()

    assert queue.pause(Bin.BULK) and queue.pause(Bin.HIGH)
    assert not queue.pause(Bin.BULK), "it was paused already"
    assert other.paused() == shown_paused(other) == {Bin.BULK, Bin.HIGH}

    assert other.resume(Bin.BULK)
    assert not other.resume(Bin.BULK), "it was not paused"
    assert queue.paused() == shown_paused(queue) == {Bin.HIGH}


def test_a_paused_bins_task_is_not_claimed_even_by_a_pool_that_saw_it_before(queue: RedisQueue) -> None:
    _, (bulk,) = submitted(queue, Bin.BULK)
    _, (normal,) = submitted(queue, Bin.NORMAL)
    seen = look(queue)
    queue.pause(Bin.BULK)

    assert shown(seen) == {bulk.id, normal.id}
    assert [claimed.lease.task for claimed in take(queue, bulk, normal)] == [normal.id]
    assert bulk.id in shown(look(queue)), "it waits where it stood"
    assert check(queue) == []

    queue.resume(Bin.BULK)
    assert [claimed.lease.task for claimed in take(queue, bulk)] == [bulk.id]


def test_what_runs_ends_and_what_it_let_go_waits(queue: RedisQueue) -> None:
    job = new_job(bin=Bin.BULK)
    probe = new_task(job, Stage.PROBE)
    chunk = new_task(job, Stage.TRANSCODE, after=[probe])
    queue.submit(job, [probe, chunk])
    lease = lease_of(queue, probe)
    queue.pause(Bin.BULK)

    assert end(queue, lease, Next.SUCCEED, OK).stale == ()
    assert chunk.id in shown(look(queue)) and take(queue, chunk) == []


def test_a_claim_said_twice_is_granted_twice_though_the_bin_was_paused_between(queue: RedisQueue) -> None:
    """The first answer was lost on the way: the lease is held all the same."""
    _, (bulk,) = submitted(queue, Bin.BULK)
    args: list[str | int | float] = ["pool", LEASE_MS, 0, 64, 8, "one-call", 0, 1, -1, 0, bulk.id, "place", 1000, 0]
    first = queue.run("turn", *args)
    queue.pause(Bin.BULK)

    again = queue.run("turn", *args)
    assert [row[1] for row in again[1]] == [row[1] for row in first[1]] != []


def test_a_delayed_task_becomes_ready_while_its_bin_is_paused(queue: RedisQueue) -> None:
    _, (bulk,) = submitted(queue, Bin.BULK)
    end(queue, lease_of(queue, bulk), Next.RETRY, OK, delay_ms=30)
    queue.pause(Bin.BULK)

    until(queue, "pool", bulk.id)
    assert take(queue, bulk) == []


def test_new_jobs_still_come_in(queue: RedisQueue) -> None:
    queue.pause(Bin.BULK)
    _, (bulk,) = submitted(queue, Bin.BULK)

    assert shown(look(queue)) == {bulk.id} and take(queue, bulk) == []


def test_resuming_rings_for_every_pool(queue: RedisQueue) -> None:
    queue.join(pool("a"), 60_000)
    queue.join(pool("b"), 60_000)
    submitted(queue, Bin.BULK)
    queue.pause(Bin.BULK)
    while queue.await_work(0.01):
        pass

    queue.resume(Bin.BULK)
    assert queue.await_work(0.5) and queue.await_work(0.5)


def test_pausing_and_resuming_are_events_of_no_job(queue: RedisQueue) -> None:
    queue.pause(Bin.BULK)
    queue.pause(Bin.BULK)
    queue.resume(Bin.BULK)

    events = [(event.kind, event.job, event.data) for event in queue.events("0")]
    assert events == [("bin.paused", "", {"bin": "bulk"}), ("bin.resumed", "", {"bin": "bulk"})]
