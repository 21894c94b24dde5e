"""Pools hold one place for an overdue task, whichever of them it is; and none once it is not there for it any more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.dispatch.conftest import Connect
from tests.dispatch.things import FAST, new_job, started, state, submit_waiting
from tests.queue.held import HeldPlace, held_places
from tests.queue.things import new_task
from tests.servers import RedisServer
from vidprocme.core.ids import TaskId
from vidprocme.core.job import Bin, Job, JobState, Stage, Task
from vidprocme.core.resources import Need, PlaceKind, Resources
from vidprocme.dispatch.dispatcher import Dispatcher
from vidprocme.library.blobs import BlobStore
from vidprocme.queue.check import check
from vidprocme.queue.redis import RedisQueue
from vidprocme.scheduler.config import PolicyConfig
from vidprocme.scheduler.journal import replay
from vidprocme.scheduler.turns import wait_bound_ms

ROOT = Path(__file__).parents[2]
WHOLE = (Need(PlaceKind.CPU, Resources(cpu_milli=4000)),)  # of a pool's only place
QUICK = replace(FAST, turn_every_s=0.02, presence_ms=2_000)


def submit_whole(queue: RedisQueue, wait_s: float = 3600, bin_: Bin = Bin.URGENT) -> tuple[Job, Task]:
    """A task that needs a place for itself; of the urgent bin, and so overdue at once."""
    job = new_job(bin=bin_)
    task = new_task(job, Stage.TRANSCODE, payload={"wait_s": wait_s}, needs=WHOLE)
    assert queue.submit(job, [task]).created
    return job, task


def step_all(pools: list[Dispatcher], true: Callable[[], object], within_s: float = 20) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "waited for nothing"
        for pool in pools:
            pool.step(0.01)
        time.sleep(0 if pools else 0.01)


def turn_about(*pools: Dispatcher, times: int = 4) -> None:
    """Each has said what it holds, and heard what the others do."""
    for _ in range(times):
        for pool in pools:
            time.sleep(QUICK.turn_every_s)
            pool.step(0.0)


def holds(*pools: Dispatcher) -> list[TaskId]:
    """What these pools hold places for, as they decide."""
    return [task for pool in pools for task in pool.plan.reserved.values()]


@contextmanager
def two_full_pools(
    connect: Connect, blobs: BlobStore, wait_s: float = 3600, **more: object
) -> Iterator[tuple[Dispatcher, Dispatcher]]:
    """Each runs one task that fills it; the second's takes `wait_s`."""
    queue = connect()
    with (
        started(connect(), blobs, config=QUICK, **more) as one,
        started(connect(), blobs, config=QUICK) as two,
    ):
        submit_whole(queue)
        step_all([one], lambda: one.busy == 1)
        submit_whole(queue, wait_s)
        step_all([two], lambda: two.busy == 1)
        yield one, two


def the_held(queue: RedisQueue, pools: list[Dispatcher], task: Task) -> HeldPlace:
    step_all(pools, lambda: [one.task for one in held_places(queue)] == [task.id])
    (found,) = held_places(queue)
    return found


def test_two_pools_hold_one_place_for_a_task_and_the_next_gets_the_other(connect: Connect, blobs: BlobStore) -> None:
    queue, log = connect(), list[str]()
    with two_full_pools(connect, blobs, record=log.append) as (one, two):
        _, first = submit_whole(queue)
        step_all([two], lambda: holds(two) == [first.id])
        turn_about(two)
        turn_about(one)

        assert the_held(queue, [one, two], first).pool == two._pool.id
        assert holds(one) == [] and holds(two) == [first.id]

        _, second = submit_whole(queue)
        turn_about(one, two)
        assert (holds(one), holds(two)) == ([second.id], [first.id])
        assert {place.task: place.pool for place in held_places(queue)} == {
            first.id: two._pool.id,
            second.id: one._pool.id,
        }
        assert check(queue) == []
    # What was told of the other pool is in the log: what is decided by it again is the same, and without it something else.
    assert all(again.again == again.recorded for again in replay(log, PolicyConfig()))
    deaf = [line for line in log if '"told": "elsewhere"' not in line]
    assert len(deaf) < len(log) and any(again.again != again.recorded for again in replay(deaf, PolicyConfig()))


def test_where_it_fits_now_it_starts_though_another_pool_holds_a_place_for_it(
    connect: Connect, blobs: BlobStore
) -> None:
    queue = connect()
    with two_full_pools(connect, blobs, wait_s=1.0) as (one, two):
        job, task = submit_whole(queue, 0.01)
        step_all([one], lambda: holds(one) == [task.id])
        turn_about(one)
        assert the_held(queue, [one], task).pool == one._pool.id

        step_all([two], lambda: state(queue, job) is JobState.SUCCEEDED)
        assert held_places(queue) == ()
        turn_about(one)
        assert holds(one) == [] and one.busy == 1


def cancel(queue: RedisQueue, job: Job) -> None:
    assert queue.cancel(job.id)


def move(queue: RedisQueue, job: Job) -> None:
    """It is not overdue there."""
    assert queue.move(job.id, Bin.BULK) == 1


def delete(queue: RedisQueue, job: Job) -> None:
    queue.cancel(job.id)
    assert queue.forget(job.id)


def drain(queue: RedisQueue, _: Job) -> None:
    queue.drain_node("here", "ana")


@pytest.mark.parametrize("happens", [cancel, move, delete, drain])
def test_it_is_let_go_when_the_task_is_not_to_start_there(
    connect: Connect, blobs: BlobStore, happens: Callable[[RedisQueue, Job], None]
) -> None:
    queue = connect()
    with two_full_pools(connect, blobs) as (one, two):
        job, task = submit_whole(queue)
        the_held(queue, [one, two], task)

        happens(queue, job)

        assert happens is drain or held_places(queue) == ()
        step_all([one, two], lambda: holds(one, two) == [] and held_places(queue) == ())
        turn_about(one, two)
        assert holds(one, two) == [] and held_places(queue) == () and check(queue) == []


def test_a_task_that_is_retried_is_held_for_anew(connect: Connect, blobs: BlobStore) -> None:
    queue = connect()
    with two_full_pools(connect, blobs) as (one, two):
        job, task = submit_whole(queue)
        before = the_held(queue, [one, two], task)
        queue.cancel(job.id)
        assert held_places(queue) == ()

        time.sleep(0.01)
        assert queue.retry(job.id) == 1
        assert the_held(queue, [one, two], task).since_ms > before.since_ms
        turn_about(one, two)
        assert holds(one, two) == [task.id]


def test_the_other_pool_takes_over_when_one_drains_or_ends(connect: Connect, blobs: BlobStore) -> None:
    queue = connect()
    with two_full_pools(connect, blobs) as (one, two):
        _, task = submit_whole(queue)
        step_all([one], lambda: holds(one) == [task.id])
        turn_about(one, two)
        assert the_held(queue, [one], task).pool == one._pool.id and holds(two) == []

        one.drain()
        turn_about(one, two)
        assert the_held(queue, [two], task).pool == two._pool.id
        two.close()
        assert held_places(queue) == ()


def test_the_other_pool_takes_over_when_one_is_killed(
    server: RedisServer, connect: Connect, queue: RedisQueue, blobs: BlobStore
) -> None:
    """Kill -9: nobody says goodbye, and the place is held elsewhere once the presence is over."""
    submit_whole(queue)
    env = dict(os.environ, PYTHONPATH=os.pathsep.join((str(ROOT / "src"), str(ROOT))))
    words = [sys.executable, "-m", "tests.dispatch.holder", server.url, queue.keys.prefix]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=env, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            name = process.stdout.readline().strip()
            step_all([], lambda: queue.running())
            with started(connect(), blobs, config=QUICK) as pool:
                submit_whole(queue)
                step_all([pool], lambda: pool.busy == 1)
                job, task = submit_whole(queue)
                step_all([], lambda: held_places(queue))
                turn_about(pool)
                assert [one.pool for one in held_places(queue)] == [name] and holds(pool) == []

                os.kill(process.pid, signal.SIGKILL)
                process.wait()
                step_all([pool], lambda: [one.pool for one in held_places(queue)] == [pool._pool.id])
                assert holds(pool) == [task.id] and state(queue, job) is JobState.QUEUED
        finally:
            process.kill()


def test_nothing_waits_longer_than_the_formula_with_two_pools(connect: Connect, blobs: BlobStore) -> None:
    """Urgent work that never runs dry, and bulk tasks that need a whole place of the one pool or the other."""
    queue = connect()
    urgent = [submit_waiting(queue, 150, 0.004, Bin.URGENT) for _ in range(8)]
    bulk = [submit_whole(queue, 0.004, Bin.BULK) for _ in range(6)]
    at_once = PolicyConfig(max_wait_ms={**PolicyConfig().max_wait_ms, Bin.BULK: 0}, pace_ms={})
    ready = {event.task: event.at_ms for event in queue.events("0", 5000) if event.kind == "task.ready"}
    seen: set[tuple[str, TaskId]] = set()
    gaps_s, last_s = 0.0, time.monotonic()
    with (
        started(connect(), blobs, config=QUICK, policy=at_once) as one,
        started(connect(), blobs, config=QUICK, policy=at_once) as two,
    ):

        def ended() -> bool:
            nonlocal gaps_s, last_s
            now_s = time.monotonic()
            gaps_s, last_s = max(gaps_s, now_s - last_s), now_s
            seen.update((held.pool, held.task) for held in held_places(queue))
            return all(state(queue, job) is JobState.SUCCEEDED for job, _ in bulk)

        step_all([one, two], ended)
        assert any(state(queue, job) is not JobState.SUCCEEDED for job in urgent), "urgent work ran dry"
    assert {pool for pool, _ in seen} == {one._pool.id, two._pool.id}, "both held places"
    starts = [event for event in queue.events("0", 10_000) if event.kind == "task.running"]
    began = {event.task: event.at_ms for event in starts}
    for older, (_, task) in enumerate(bulk):
        # In starts, at either pool: its turn, and what may start there while the other's place becomes empty.
        before = Counter(event.data["holder"] for event in starts[: [event.task for event in starts].index(task.id)])
        assert max(before.values()) <= 16 * (older + 1) + 16, before
        bound = wait_bound_ms(
            Bin.BULK,
            tuple(Bin),
            max_wait_ms=0,
            older=older,
            attempt_ms=round(1000 * (0.004 + gaps_s)),
            look_ms=round(1000 * gaps_s),
        )
        assert began[task.id] - ready[task.id] <= bound
