"""What the world does to pools: they stand still, their line to Redis breaks or is slow, their disk is full."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.dispatch.things import FAST, all_free, started, state, step_until, submit_waiting
from tests.proxies import Proxy, often
from tests.servers import RedisServer
from vidprocme.core.errors import Retryable
from vidprocme.core.job import Job, JobState, Next
from vidprocme.dispatch.pace import LoopConfig
from vidprocme.library.blobs import BlobStore
from vidprocme.queue.base import Claim, Settlement, TurnSent
from vidprocme.queue.check import check
from vidprocme.queue.redis import RedisQueue

ROOT = Path(__file__).parents[2]


def each_succeeded_once(queue: RedisQueue, job: Job) -> None:
    events = Counter(event.task for event in queue.events("0", 100_000) if event.kind == "task.succeeded")
    for view in queue.tasks(job.id):
        assert [r.next for r in queue.attempts(view.task.id)].count(Next.SUCCEED) == events[view.task.id] == 1
    assert check(queue) == []


def test_a_pool_that_stood_still_past_its_lease_commits_too_late_and_is_refused(
    server: RedisServer, blobs: BlobStore
) -> None:
    """SIGSTOP, and SIGCONT when the task is somebody else's: the stale commit arrives, says success, and changes nothing."""
    prefix = f"{{still{os.getpid()}}}:"
    queue = RedisQueue.connect(server.url, prefix=prefix)
    wait_s = 1.5
    job = submit_waiting(queue, 1, wait_s)
    with subprocess.Popen(
        [sys.executable, "-m", "tests.dispatch.stopped", server.url, prefix],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
    ) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == "busy\n"
            process.send_signal(signal.SIGSTOP)
            over_s = time.monotonic() + wait_s
            (stopped,) = queue.pools()
            # Not known to be dead, since it is not: its presence ends, a turn sweeps, the task is claimed here.
            with started(queue, blobs) as pool:
                step_until(pool, lambda: pool.busy == 1)
                (view,) = queue.tasks(job.id)
                assert view.holder != stopped.id and view.lost == 1
                # It shall find its attempt ended when it goes on, before any beat can tell it that it lost it.
                time.sleep(max(0.0, over_s - time.monotonic()))
                process.send_signal(signal.SIGCONT)
                said = process.stdout.readline()  # it finishes its wait, commits, and hears what became of it
                assert said == f"stale: succeed of {view.task.id}\n"
                (view,) = queue.tasks(job.id)
                assert view.holder != stopped.id, "the stale commit was taken"
                pool.run(lambda: state(queue, job) is JobState.SUCCEEDED)
        finally:
            process.kill()
    (view,) = queue.tasks(job.id)
    records = queue.attempts(view.task.id)
    assert [(record.next, record.holder == stopped.id) for record in records] == [
        (Next.LOST, True),
        (Next.SUCCEED, False),
    ]
    each_succeeded_once(queue, job)
    queue.close()


def test_connections_that_break_at_any_moment_double_nothing(server: RedisServer, blobs: BlobStore) -> None:
    """The line is cut again and again, also between a request and its answer: everything is said again, and counts once."""
    prefix, rng = f"{{cut{os.getpid()}}}:", random.Random(4)
    proxy = Proxy(server.socket)
    queue, behind = RedisQueue.connect(server.url, prefix=prefix), RedisQueue.connect(proxy.url, prefix=prefix)
    how = (proxy.cut_one, proxy.tear_one)
    with started(behind, blobs, slots=4) as pool, often(lambda: rng.choice(how)(rng), rng, 0.005, 0.05):
        jobs: list[Job] = []
        while len(jobs) < 6:
            try:
                jobs.append(submit_waiting(behind, 20, 0.05))
            except Retryable as error:
                assert error.code == "QUEUE_UNREACHABLE"
        ids = [view.job.id for view in queue.jobs()]
        step_until(pool, lambda: all(state(queue, id_) is JobState.SUCCEEDED for id_ in ids), 90)
    assert proxy.cut > 20
    for job in jobs:
        each_succeeded_once(queue, job)
    proxy.close()
    for one in (queue, behind):
        one.close()


def test_what_was_granted_with_an_answer_that_never_came_is_started_all_the_same(
    server: RedisServer, blobs: BlobStore
) -> None:
    """The answer to the turn that claims is torn, and so is that to its repeat: nobody waits a minute for the end of the leases."""
    prefix = f"{{unheard{os.getpid()}}}:"
    proxy = Proxy(server.socket)

    asked: list[Claim] = []

    class Unheard(RedisQueue):
        def begin_turn(
            self, holder: str, settle: Sequence[Settlement], claims: Sequence[Claim], **more: Any
        ) -> TurnSent:
            if claims and not asked:
                asked.extend(claims)
                proxy.tear_all(0.2)
            return super().begin_turn(holder, settle, claims, **more)

    queue, behind = RedisQueue.connect(server.url, prefix=prefix), Unheard.connect(proxy.url, prefix=prefix)
    job = submit_waiting(queue, 4, 0.05)
    with started(behind, blobs, slots=4, config=replace(FAST, lease_ms=60_000)) as pool:
        step_until(pool, lambda: state(queue, job) is JobState.SUCCEEDED, 10)
        assert all_free(pool)
    assert len(asked) == 4 and {
        record.token for view in queue.tasks(job.id) for record in queue.attempts(view.task.id)
    } == {1, 2, 3, 4}
    each_succeeded_once(queue, job)
    proxy.close()
    for one in (queue, behind):
        one.close()


def test_a_slow_server_loses_no_lease(server: RedisServer, blobs: BlobStore) -> None:
    """Every call takes a fifth of a second: a beat is late by that, a lease of 2 s holds, and nothing runs twice."""
    prefix = f"{{slow{os.getpid()}}}:"
    proxy = Proxy(server.socket, delay_s=0.1)
    queue, behind = RedisQueue.connect(server.url, prefix=prefix), RedisQueue.connect(proxy.url, prefix=prefix)
    job = submit_waiting(queue, 4, 2.5)
    config = LoopConfig(lease_ms=2_000, beat_ms=200, presence_ms=2_000, turn_every_s=0.2)
    with started(behind, blobs, slots=4, config=config) as pool:
        pool.run(lambda: state(queue, job) is JobState.SUCCEEDED)
    assert [(view.tries, view.lost) for view in queue.tasks(job.id)] == [(1, 0)] * 4
    each_succeeded_once(queue, job)
    proxy.close()
    for one in (queue, behind):
        one.close()


@pytest.mark.mounts
def test_redis_on_a_full_disk_takes_nothing_new_and_loses_nothing(tmp_path: Path, blobs: BlobStore) -> None:
    """A tmpfs of 4 MB: when it is full every change is refused with a sentence; with room again the work goes on."""
    where = tmp_path / "small"
    where.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(where)], check=True)
    server = RedisServer(where / "redis")
    try:
        server.start()
        queue = RedisQueue.connect(server.url)
        job = submit_waiting(queue, 8, 0.2)
        with started(queue, blobs, slots=2) as pool:
            step_until(pool, lambda: pool.busy == 2)
            (where / "ballast").write_bytes(b"x" * 3_800_000)
            with pytest.raises(Retryable) as caught:
                for _ in range(2_000):
                    submit_waiting(queue, 20, 0.01)
            assert caught.value.code == "QUEUE_DISK"
            for _ in range(10):
                pool.step(0.05)  # told nothing gets through, it goes on trying
            (where / "ballast").unlink()
            step_until(pool, lambda: _all_succeeded(queue), 60)
        each_succeeded_once(queue, job)
        accepted = {view.job.id for view in queue.jobs(limit=100_000)}
        server.kill()
        server.start()
        assert accepted <= {view.job.id for view in queue.jobs(limit=100_000)} and check(queue) == []
        queue.close()
    finally:
        server.close()
        time.sleep(0.1)
        subprocess.run(["umount", "-l", str(where)], check=True)


def _all_succeeded(queue: RedisQueue) -> bool:
    try:
        return not queue.jobs(active=True)
    except Retryable:
        return False
