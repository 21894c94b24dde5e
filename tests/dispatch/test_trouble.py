"""What goes wrong around the loop is told, and ends neither the loop nor its threads."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.dispatch.conftest import Connect
from tests.dispatch.things import (
    CLOCK,
    NoChance,
    all_free,
    claim,
    dispatcher,
    new_job,
    places,
    started,
    state,
    step_until,
    submit_waiting,
    waiting,
)
from tests.queue.things import new_task
from tests.servers import RedisServer
from vidprocme.core import wire
from vidprocme.core.job import JobState, Stage, TaskState
from vidprocme.core.resources import Place
from vidprocme.dispatch.dispatcher import Dispatcher
from vidprocme.dispatch.pace import LoopConfig
from vidprocme.dispatch.pool import this_pool
from vidprocme.executor.timed import TimedExecutor
from vidprocme.library.blobs import BlobStore
from vidprocme.queue import connect
from vidprocme.queue.check import check
from vidprocme.queue.redis import RedisQueue
from vidprocme.queue.scripts import LOST_OUTCOME


def test_a_settlement_that_is_refused_takes_no_other_along(
    queue: RedisQueue, blobs: BlobStore, caplog: pytest.LogCaptureFixture
) -> None:
    """A key of one task was overwritten by somebody: the script that settles it fails, whatever else it was to settle."""
    job = new_job()
    tasks = waiting(job, 3, 0.3)
    queue.submit(job, tasks)
    broken = queue.keys.attempts(tasks[1].id)
    queue.command("SET", broken, "not a list")
    lost = f'{{"token":"0","next":"lost","number":1,"holder":"gone","place":"","started":"1","ended":"2","outcome":{wire.dumps(LOST_OUTCOME)}}}'
    queue.command("HSET", queue.keys.task(tasks[1].id), "last", lost)  # an attempt before, which goes to that list
    with started(queue, blobs) as pool:
        step_until(pool, lambda: pool.busy == 3)
        step_until(pool, lambda: pool.busy == 0 and state(queue, job) is JobState.RUNNING)
        step_until(pool, lambda: [view.state for view in queue.tasks(job.id)].count(TaskState.SUCCEEDED) == 2)
        assert all_free(pool) and f"does not take how {tasks[1].id} ended" in caplog.text

        queue.command("DEL", broken)  # repaired; its lease is not beaten for, and would end by itself
        queue.free_dead(queue.pools()[0].id)
        pool.run(lambda: state(queue, job) is JobState.SUCCEEDED)
    assert [(view.tries, view.lost) for view in queue.tasks(job.id)] == [(1, 0), (1, 1), (1, 0)]
    assert check(queue) == []


def test_what_failed_and_which_leases_were_lost_is_logged(
    queue: RedisQueue, blobs: BlobStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "vidprocme.dispatch")
    job = new_job()
    # It ends, and nothing can be planned from it.
    queue.submit(job, [new_task(job, Stage.PROBE, payload={"wait_s": 0.01})])
    endless = submit_waiting(queue, 1, 3600)
    with started(queue, blobs) as pool:
        pool.run(lambda: state(queue, job) is JobState.FAILED)
        (view,) = queue.tasks(job.id)
        failed = [record.__dict__ for record in caplog.records if "failed: INTERNAL" in record.getMessage()]
        assert [facts["tries"] for facts in failed] == [f"{n}/{view.tries}" for n in range(1, view.tries + 1)]
        assert {(facts["task"], facts["code"], facts["levelname"]) for facts in failed} == {
            (view.task.id, "INTERNAL", "WARNING")
        }
        step_until(pool, lambda: queue.tasks(endless.id)[0].state is TaskState.RUNNING)
        queue.free_dead(queue.pools()[0].id)
        step_until(pool, lambda: "lease lost" in caplog.text)


def test_an_end_that_came_too_late_is_logged(
    queue: RedisQueue, blobs: BlobStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "vidprocme.dispatch")
    job = submit_waiting(queue, 1, 0.3)
    hour_ms = 3_600_000  # no beat: the pool hears of nothing
    with started(queue, blobs, config=LoopConfig(beat_ms=hour_ms, presence_ms=hour_ms)) as pool:
        step_until(pool, lambda: pool.busy == 1)
        queue.free_dead(queue.pools()[0].id)
        claim(queue, queue.tasks(job.id)[0].task)
        step_until(pool, lambda: "ended after its lease" in caplog.text)
    assert queue.tasks(job.id)[0].holder == "hand"


def test_an_attempt_whose_task_is_claimed_anew_here_is_stopped(queue: RedisQueue, blobs: BlobStore) -> None:
    job = submit_waiting(queue, 1, 3600)
    hour_ms = 3_600_000
    with started(queue, blobs, config=LoopConfig(beat_ms=hour_ms, presence_ms=hour_ms, turn_every_s=0.1)) as pool:
        step_until(pool, lambda: pool.busy == 1)
        queue.free_dead(queue.pools()[0].id)
        step_until(pool, lambda: pool.busy == 2)
        step_until(pool, lambda: pool.busy == 1)
    (view,) = queue.tasks(job.id)
    assert (view.state, view.lost) == (TaskState.READY, 1) and check(queue) == []


def test_a_queue_that_is_away_and_back_is_logged_once(
    tmp_path: Path, blobs: BlobStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "vidprocme.dispatch")
    server = RedisServer(tmp_path / "redis")
    server.start()
    queue = RedisQueue.connect(server.url)
    with started(queue, blobs) as pool:
        pool.step(0)
        server.kill()
        step_until(pool, lambda: "queue away" in caplog.text)
        server.start()
        step_until(pool, lambda: "queue back" in caplog.text)
    assert [r.getMessage().split(":")[0] for r in caplog.records if r.name.endswith("leases")] == [
        "queue away",
        "queue back",
    ]
    queue.close()
    server.close()


def test_the_beat_and_the_bell_outlive_what_nobody_thought_of(
    connect: Connect, blobs: BlobStore, caplog: pytest.LogCaptureFixture
) -> None:
    """An executor whose wake fails for a while: an error in both threads that is not one of ours."""
    queue, other = connect(), connect()
    slow = LoopConfig(beat_ms=100, turn_every_s=3600, pause_s=0.05)
    here = places()
    executor = Unwakeable(here)
    info = this_pool(CLOCK.now_ms(), len(here))
    pool = Dispatcher(queue, executor, blobs, info, clock=CLOCK, rng=NoChance(), config=slow)
    pool.start()
    try:
        endless = submit_waiting(other, 1, 3600)
        step_until(pool, lambda: pool.busy == 1)
        executor.broken.set()
        submit_waiting(other, 1, 3600)
        step_until(pool, lambda: "the doorbell is broken" in caplog.text)
        assert other.cancel(endless.id)
        step_until(pool, lambda: "queue away" in caplog.text)
        executor.broken.clear()
        job = submit_waiting(other, 3)
        pool.run(lambda: state(other, job) is JobState.SUCCEEDED)
        pool.run(lambda: state(other, endless) is JobState.CANCELLED)
    finally:
        pool.close()


class Unwakeable(TimedExecutor):
    """One whose wake fails, as one on a closed pipe does."""

    def __init__(self, places: Sequence[Place]) -> None:
        super().__init__(places)
        self.broken = threading.Event()

    def wake(self) -> None:
        if self.broken.is_set():
            raise OSError("nobody reads")
        super().wake()


def test_a_pool_closes_at_once_when_the_queue_hangs(
    tmp_path: Path, blobs: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call to a server that hangs takes its whole timeout: one was enough to learn of it."""
    monkeypatch.setattr(connect, "TIMEOUT_S", 0.3)
    server = RedisServer(tmp_path / "redis")
    server.start()
    queue = RedisQueue.connect(server.url)
    job = submit_waiting(queue, 2, 3600)
    pool = dispatcher(queue, blobs)
    try:
        pool.start()
        step_until(pool, lambda: pool.busy == 2)
        os.kill(server.pid, signal.SIGSTOP)
        pool._ring()
        pool.step(0)  # finds out
        said: list[str] = []
        monkeypatch.setattr(queue, "run", lambda name, *_: said.append(name))
        pool.close()
    finally:
        os.kill(server.pid, signal.SIGCONT)
        pool.close()
        queue.close()

    assert [name for name in said if name != "beat"] == []
    with contextlib.closing(RedisQueue.connect(server.url)) as after:
        assert {view.state for view in after.tasks(job.id)} == {TaskState.RUNNING}, "their leases end by themselves"
    server.close()
