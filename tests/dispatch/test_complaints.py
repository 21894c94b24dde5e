"""What users of other queues complain about, and cannot happen here. docs/complaints.md names the threads; most are shown by
tests of other files."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from tests.dispatch.conftest import Connect
from tests.dispatch.things import (
    CLOCK,
    NoChance,
    new_job,
    places,
    started,
    state,
    step_until,
    submit_waiting,
    waiting,
)
from tests.queue.things import lease_of, submitted
from vidprocme.core.job import Bin, JobState
from vidprocme.dispatch.dispatcher import Dispatcher
from vidprocme.dispatch.pace import LoopConfig
from vidprocme.dispatch.pool import this_pool
from vidprocme.executor.base import Report
from vidprocme.executor.timed import TimedExecutor
from vidprocme.library.blobs import BlobStore
from vidprocme.queue.base import ENQUEUE_BATCH, Keep
from vidprocme.queue.check import check
from vidprocme.queue.redis import RedisQueue


class Blocking(TimedExecutor):
    """An executor whose loop stands still: what it does between two looks takes far longer than a lease."""

    stand_s = 0.0

    def poll(self, timeout_s: float) -> Sequence[Report]:
        time.sleep(self.stand_s)
        return super().poll(timeout_s)


def test_a_loop_that_stands_still_loses_no_lease(connect: Connect, blobs: BlobStore) -> None:
    """Number 5: elsewhere a lease is renewed by the event loop that the job blocks."""
    queue, other = connect(), connect()
    job = submit_waiting(queue, 1, 2.5)  # it outlasts the standstill
    executor = Blocking(places())
    config = LoopConfig(lease_ms=400, beat_ms=100, presence_ms=300, turn_every_s=0.1, pause_s=0.05)
    pool = Dispatcher(queue, executor, blobs, this_pool(CLOCK.now_ms(), 1), clock=CLOCK, rng=NoChance(), config=config)
    try:
        pool.start()
        step_until(pool, lambda: pool.busy == 1)
        executor.stand_s = 1.5  # nearly four leases
        pool.step(0)
        other.turn("somebody else", [], [], lease_ms=60_000)  # would have swept it
        executor.stand_s = 0.0
        pool.run(lambda: state(other, job) is JobState.SUCCEEDED)
    finally:
        pool.close()

    (view,) = queue.tasks(job.id)
    assert (view.tries, view.lost) == (1, 0)


def test_the_urgent_one_is_next_whatever_waits(connect: Connect, blobs: BlobStore) -> None:
    """Number 10: elsewhere a worker has taken the next tasks already, whatever comes after them."""
    queue, other = connect(), connect()
    submit_waiting(queue, 200, 0.05)
    with started(queue, blobs, slots=1) as pool:
        step_until(pool, lambda: pool.busy == 1)
        ran_before = _begun(other)
        urgent = submit_waiting(other, 1, 0.05, Bin.URGENT)
        step_until(pool, lambda: state(other, urgent) is JobState.SUCCEEDED)

        begun = [event.job for event in other.events("0", limit=10_000) if event.kind == "task.running"]
        # At most one: whichever was claimed while the urgent one was on its way.
        assert begun.index(urgent.id) - ran_before <= 1


def _begun(queue: RedisQueue) -> int:
    return sum(event.kind == "task.running" for event in queue.events("0", limit=10_000))


def test_many_tasks_go_in_with_few_calls(queue: RedisQueue) -> None:
    """Number 11: elsewhere there is one round trip for each."""
    job, probe = submitted(queue)
    lease = lease_of(queue, probe)
    tasks = waiting(job, 5 * ENQUEUE_BATCH, after=[probe])
    queue.enqueue(lease, [])  # the server knows the script from now on
    before = _script_calls(queue)
    assert queue.enqueue(lease, tasks) == len(tasks)

    assert _script_calls(queue) - before == 5


def _script_calls(queue: RedisQueue) -> int:
    stats = queue.client.info("commandstats")
    assert isinstance(stats, dict)
    return sum(int(stats.get(f"cmdstat_{name}", {}).get("calls", 0)) for name in ("evalsha", "eval"))


def test_hundreds_of_jobs_later_there_are_no_more_keys(queue: RedisQueue, blobs: BlobStore) -> None:
    """Number 8: elsewhere a key stays for every job that ever was."""

    def live_through(jobs: int) -> Counter[str]:
        for _ in range(jobs):
            job = new_job()
            queue.submit(job, waiting(job, 3, 0.0), key=f"wish of {job.id}")
        with started(queue, blobs, slots=32) as pool:
            step_until(pool, lambda: queue.depth().jobs_active == 0)
        queue.client.delete(
            queue.keys.of("trimmed")
        )  # a pool may have looked a moment ago, and would not look again so soon
        while queue.trim(keep).more:
            pass
        assert check(queue) == []
        return _sizes(queue)

    keep = Keep(jobs=5)
    first, second = live_through(40), live_through(160)

    # These have bounds of their own: 100,000 events, 48 h of minutes, a name for each bucket and code.
    for bounded in ("ev in them", "min keys", "min in them", "stat in them"):
        first.pop(bounded, None)
        second.pop(bounded, None)
    assert second == first


def _sizes(queue: RedisQueue) -> Counter[str]:
    """By kind of key: how many there are, and how much is in them."""
    sizes: Counter[str] = Counter()
    prefix = queue.keys.prefix
    length = {"hash": "HLEN", "list": "LLEN", "set": "SCARD", "zset": "ZCARD", "stream": "XLEN"}
    for key in queue.client.scan_iter(match=f"{prefix}*", count=1000):
        kind = str(key).removeprefix(prefix).split(":")[0]
        sizes[f"{kind} keys"] += 1
        type_ = str(queue.client.type(key))
        if type_ in length:
            sizes[f"{kind} in them"] += int(queue.command(length[type_], str(key)))
    return sizes
