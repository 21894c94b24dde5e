"""Which pools are dead, and which only cannot be seen from here."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from tests.dispatch.conftest import Connect
from tests.dispatch.things import FAST, claim, ended, started, state, step_until, submit_waiting
from tests.queue.things import until
from tests.servers import RedisServer
from vidprocme.core.clock import SystemClock
from vidprocme.core.counts import DECIDE
from vidprocme.core.job import JobState
from vidprocme.dispatch.pool import free_dead, is_alive, this_pool
from vidprocme.library.blobs import BlobStore
from vidprocme.queue.base import PoolInfo
from vidprocme.queue.check import check
from vidprocme.queue.redis import RedisQueue

ROOT = Path(__file__).parents[2]
HOUR_MS, SHORT_MS = 3_600_000, 1


def test_this_process_lives_and_an_ended_one_does_not() -> None:
    assert is_alive(this_pool(0)) is True
    assert is_alive(ended()) is False
    assert is_alive(replace(this_pool(0), pid_started=1)) is False  # a later process with the same pid


def test_what_cannot_be_seen_from_here_is_not_called_dead() -> None:
    """A pid that nobody has: judged by it alone, each of these would be dead."""
    gone = ended()
    assert is_alive(replace(gone, host="elsewhere")) is None
    assert is_alive(replace(gone, pid_namespace="pid:[1]")) is None  # a container with the same host name
    assert is_alive(replace(gone, boot="another")) is None  # another machine with the same host name


def test_a_pool_that_cannot_be_seen_is_left_alone_while_it_is_present(queue: RedisQueue) -> None:
    foreign = replace(ended(), id="pool_FOREIGN", pid_namespace="pid:[1]")
    queue.join(foreign, HOUR_MS)
    assert free_dead(queue) == 0
    assert queue.remembered_pools() == (foreign,)


def test_a_pool_that_joins_while_somebody_looks_for_the_dead_is_none_of_them(connect: Connect) -> None:
    """Two pools of one machine that are started together: what the one looks at is not one moment."""
    queue, newer = connect(), replace(this_pool(SystemClock().now_ms()), id="pool_NEWER")

    class Slow(RedisQueue):
        joined = False

        def join_in(self) -> None:
            if not self.joined:
                self.joined = True
                queue.join(newer, HOUR_MS)

        def pools(self) -> tuple[PoolInfo, ...]:
            found = super().pools()
            self.join_in()
            return found

        def remembered_pools(self) -> tuple[PoolInfo, ...]:
            found = super().remembered_pools()
            self.join_in()
            return found

    slow = Slow.connect(queue.where, prefix=queue.keys.prefix)
    free_dead(slow)
    slow.close()
    assert queue.remembered_pools() == queue.pools() == (newer,)


def test_who_is_seen_to_be_over_is_freed_at_once_and_who_is_only_silent_by_the_turns(queue: RedisQueue) -> None:
    """A pool that starts first after a standstill must not take the work of those who are about to be heard again."""
    queue.join(ended(), HOUR_MS)  # its process is over, whatever its presence says
    elsewhere = replace(ended(), id="pool_ELSEWHERE", host="elsewhere", boot="another")
    queue.join(elsewhere, SHORT_MS)
    job = submit_waiting(queue, 1)
    claimed = claim(queue, queue.tasks(job.id)[0].task, elsewhere.id)
    while len(queue.pools()) > 1:  # presences end by themselves
        os.sched_yield()

    assert free_dead(queue) == 0 and queue.remembered_pools() == (elsewhere,)

    until(queue, "pool_HERE", claimed.lease.task)
    assert check(queue) == []


def test_a_pool_that_was_taken_for_dead_joins_again_and_counts_on(queue: RedisQueue, blobs: BlobStore) -> None:
    """It stood still for longer than its presence, and somebody swept: for ever invisible, it would work on unseen."""
    submit_waiting(queue, 1, 0.1)
    with started(queue, blobs, config=FAST) as pool:
        step_until(pool, lambda: DECIDE.read(queue.counters(), "decide").count > 0)
        (info,) = queue.pools()
        before = DECIDE.read(queue.counters(), "decide").count
        queue.free_dead(info.id)
        assert queue.pools() == ()
        step_until(pool, lambda: queue.pools() == (info,))
        submit_waiting(queue, 1, 0.1)
        step_until(pool, lambda: DECIDE.read(queue.counters(), "decide").count > before)
        pool.drain()
        step_until(pool, lambda: queue.pools()[0].draining)
        queue.free_dead(info.id)
        deadline = time.monotonic() + 20
        while not queue.pools():  # the beat's thread alone does it
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert queue.pools()[0].draining


def test_a_pool_killed_beside_a_living_one_is_not_waited_for(server: RedisServer, blobs: BlobStore) -> None:
    """Leases and presence of the killed one hold for an hour: the living one looks who has died."""
    prefix = f"{{beside{os.getpid()}}}:"
    queue = RedisQueue.connect(server.url, prefix=prefix)
    job = submit_waiting(queue, 2, 1.0)
    with subprocess.Popen(
        [sys.executable, "-m", "tests.dispatch.pool", server.url, prefix],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == b"busy\n"
        with started(queue, blobs) as pool:
            pool.step(0)
            assert len(queue.pools()) == 2
            process.kill()
            process.wait()
            pool.run(lambda: state(queue, job) is JobState.SUCCEEDED)

    assert [view.lost for view in queue.tasks(job.id)] == [1, 1]
    assert check(queue) == []
    queue.close()
