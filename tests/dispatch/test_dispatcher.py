"""The loop over a real queue: everything is run, once; it drains, hands back, cancels, and outlives its server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from tests.dispatch.conftest import Connect
from tests.dispatch.things import (
    FAST,
    all_free,
    dispatcher,
    new_job,
    started,
    state,
    step_until,
    submit_waiting,
    waiting,
)
from tests.queue.things import new_task
from tests.servers import RedisServer
from vidprocme.core.errors import Retryable
from vidprocme.core.job import AfterRule, Bin, JobState, Next, OutcomeKind, Stage, TaskState
from vidprocme.dispatch.pace import LoopConfig
from vidprocme.library.blobs import BlobStore
from vidprocme.queue import embedded
from vidprocme.queue.check import check
from vidprocme.queue.redis import RedisQueue

ROOT = Path(__file__).parents[2]


def test_tasks_run_after_those_they_wait_for(queue: RedisQueue, blobs: BlobStore) -> None:
    job = new_job()
    first = waiting(job, 5)
    join = new_task(job, Stage.JOIN, after=first, payload={"wait_s": 0.01})
    end = new_task(job, Stage.INDEX, after=[join], after_rule=AfterRule.SETTLED, payload={})
    queue.submit(job, [*first, join, end])
    with started(queue, blobs) as pool:
        pool.run(lambda: state(queue, job) is JobState.SUCCEEDED)

        views = {view.task.id: view for view in queue.tasks(job.id)}
        ended = [views[task.id].ended_ms or 0 for task in (join, end)]
        assert ended == sorted(ended) and max(views[task.id].ended_ms or 0 for task in first) <= ended[0]
        assert all(view.tries == 1 and view.outcome for view in views.values())
        assert all_free(pool) and pool.busy == 0
    assert check(queue) == [] and queue.pools() == ()


def test_several_pools_share_the_work_and_no_task_runs_twice(connect: Connect, blobs: BlobStore) -> None:
    queue = connect()
    jobs = [submit_waiting(queue, 25, 0.02) for _ in range(3)]

    def over() -> bool:
        return all(state(watch, job) is JobState.SUCCEEDED for job in jobs)

    watch = connect()
    lock = threading.Lock()

    def over_for_all() -> bool:
        with lock:
            return over()

    def serve(mine: RedisQueue) -> None:
        with started(mine, blobs, slots=2) as pool:
            pool.run(over_for_all)

    threads = [threading.Thread(target=serve, args=(connect(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert over() and check(queue) == []
    records = [queue.attempts(view.task.id) for job in jobs for view in queue.tasks(job.id)]
    assert [len(of_task) for of_task in records] == [1] * 75
    assert len({of_task[0].holder for of_task in records}) > 1


def test_only_its_own_jobs_even_behind_a_thousand_others(queue: RedisQueue, blobs: BlobStore) -> None:
    others = [submit_waiting(queue, 200, bin_=Bin.URGENT) for _ in range(5)]
    mine = submit_waiting(queue, 12)
    with started(queue, blobs, only=lambda: {mine.id}) as pool:
        pool.run(lambda: state(queue, mine) is JobState.SUCCEEDED)

    for job in others:
        view = queue.job(job.id)
        assert view is not None and view.counts[TaskState.READY] == 200


def test_no_jobs_of_its_own_is_no_work(queue: RedisQueue, blobs: BlobStore) -> None:
    other = submit_waiting(queue, 1)
    with started(queue, blobs, only=frozenset) as pool:
        for _ in range(5):
            pool.step(0.05)

    assert state(queue, other) is JobState.QUEUED


def test_new_work_rings_the_bell(connect: Connect, blobs: BlobStore) -> None:
    queue, other = connect(), connect()
    # Without the bell the next look would come after an hour.
    slow = LoopConfig(beat_ms=100, turn_every_s=3600, pause_s=0.05)
    with started(queue, blobs, config=slow) as pool:
        pool.step(0)
        job = submit_waiting(other, 3)
        pool.run(lambda: state(other, job) is JobState.SUCCEEDED)


def test_a_drain_ends_what_runs_and_starts_nothing_more(queue: RedisQueue, blobs: BlobStore) -> None:
    job = submit_waiting(queue, 5, 0.3)
    with started(queue, blobs, slots=2) as pool:
        step_until(pool, lambda: pool.busy == 2)
        pool.drain()
        pool.run(lambda: False)

    view = queue.job(job.id)
    assert view is not None and dict(view.counts) == {TaskState.SUCCEEDED: 2, TaskState.READY: 3}
    assert check(queue) == []


def test_the_others_are_told_of_a_drain_while_it_lasts(queue: RedisQueue, blobs: BlobStore) -> None:
    submit_waiting(queue, 1, 3600)
    with started(queue, blobs) as pool:
        step_until(pool, lambda: pool.busy == 1)
        assert [info.draining for info in queue.pools()] == [False]
        pool.drain()
        pool.step(0)
        assert [info.draining for info in queue.pools()] == [True] and pool.busy == 1
    assert queue.pools() == ()


@pytest.mark.parametrize("by_close", [False, True])
def test_what_is_handed_back_is_not_charged(queue: RedisQueue, blobs: BlobStore, by_close: bool) -> None:
    job = submit_waiting(queue, 2, 3600)
    with started(queue, blobs) as pool:
        step_until(pool, lambda: pool.busy == 2)
        if not by_close:
            pool.drain()
            pool.hand_back()
            pool.run(lambda: False)

    for view in queue.tasks(job.id):
        assert (view.state, view.tries, view.lost) == (TaskState.READY, 0, 0)
        assert [record.next for record in queue.attempts(view.task.id)] == [Next.HAND_BACK]
    assert check(queue) == [] and queue.pools() == ()


def test_cancel_reaches_a_running_attempt_and_its_place_is_free_again(queue: RedisQueue, blobs: BlobStore) -> None:
    endless, after = submit_waiting(queue, 1, 3600), submit_waiting(queue, 1)
    with started(queue, blobs, slots=1) as pool:
        step_until(pool, lambda: pool.busy == 1)
        assert queue.cancel(endless.id)
        pool.run(lambda: state(queue, after) is JobState.SUCCEEDED)
        assert all_free(pool)

    assert state(queue, endless) is JobState.CANCELLED and check(queue) == []


def test_a_lease_that_is_lost_stops_its_attempt_and_the_task_runs_again(queue: RedisQueue, blobs: BlobStore) -> None:
    job = submit_waiting(queue, 1, 0.6)
    with started(queue, blobs) as pool:
        step_until(pool, lambda: pool.busy == 1)
        (pool_info,) = queue.pools()
        assert queue.free_dead(pool_info.id) == 1  # somebody was sure that it is dead
        pool.run(lambda: state(queue, job) is JobState.SUCCEEDED)
        step_until(pool, lambda: pool.busy == 0)
        assert all_free(pool)

    (view,) = queue.tasks(job.id)
    assert (view.lost, view.tries) == (1, 1) and check(queue) == []


def test_beats_keep_a_lease_that_is_shorter_than_its_attempt(queue: RedisQueue, blobs: BlobStore) -> None:
    job = submit_waiting(queue, 1, 1.5)
    with started(queue, blobs, config=LoopConfig(lease_ms=600, beat_ms=100, turn_every_s=0.1)) as pool:
        pool.run(lambda: state(queue, job) is JobState.SUCCEEDED)

    (view,) = queue.tasks(job.id)
    assert (view.tries, view.lost) == (1, 0)


def test_progress_is_seen_by_others(queue: RedisQueue, blobs: BlobStore) -> None:
    job = submit_waiting(queue, 1, 1.0)
    seen: list[float] = []

    def over() -> bool:
        (view,) = queue.tasks(job.id)
        if view.state is TaskState.RUNNING:
            seen.append(view.progress)
        return view.state is TaskState.SUCCEEDED

    with started(queue, blobs) as pool:
        step_until(pool, over)
    assert seen == sorted(seen) and 0 < max(seen) <= 1


def test_what_cannot_be_planned_is_its_attempts_failure(queue: RedisQueue, blobs: BlobStore) -> None:
    """A probe that says nothing of its video: its tries are used up, and the loop and the other jobs go on."""
    job = new_job()
    queue.submit(job, [new_task(job, Stage.PROBE, payload={"wait_s": 0.01})])
    with started(queue, blobs) as pool:
        pool.run(lambda: state(queue, job) is JobState.FAILED)
        (view,) = queue.tasks(job.id)
        assert view.state is TaskState.DEAD and view.tries == view.task.limits.tries
        assert view.outcome is not None and view.outcome.kind is OutcomeKind.FAILED
        assert view.outcome.error is not None and view.outcome.error.code == "INTERNAL"
        assert queue.dead() == (view.task.id,)

        assert queue.retry(job.id) == 1
        pool.run(lambda: state(queue, job) is JobState.FAILED)
        other = submit_waiting(queue, 3)
        pool.run(lambda: state(queue, other) is JobState.SUCCEEDED)
    assert len(queue.attempts(view.task.id)) == 2 * view.task.limits.tries


def test_a_pool_that_could_not_start_is_closed_quietly(tmp_path: Path, blobs: BlobStore) -> None:
    gone = RedisServer(tmp_path / "redis")
    gone.start()
    queue = RedisQueue.connect(gone.url)
    gone.kill()
    with pytest.raises(Retryable) as caught, started(queue, blobs):
        pass
    assert caught.value.code == "QUEUE_UNREACHABLE"
    queue.close()
    gone.close()


def test_the_server_is_killed_in_the_middle_and_nothing_is_lost(
    tmp_path: Path, blobs: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(embedded.LINGER_VARIABLE, "0.3")
    with embedded.open(tmp_path / "data") as server:
        queue = RedisQueue.connect(server.url, ours=True)
        jobs = [submit_waiting(queue, 40, 0.05) for _ in range(2)]
        with started(queue, blobs) as pool:
            for share in (10, 30):
                step_until(pool, partial(_has_succeeded, queue, share))
                os.kill(int(queue.command("INFO", "server")["process_id"]), signal.SIGKILL)
            step_until(pool, lambda: _done(queue) and pool.busy == 0)
            assert all_free(pool)

        for job in jobs:
            assert state(queue, job) is JobState.SUCCEEDED
            # Exactly one attempt of each task was accepted as its success.
            for view in queue.tasks(job.id):
                good = [record for record in queue.attempts(view.task.id) if record.next == Next.SUCCEED]
                assert len(good) == 1 and view.tries == 1
        assert check(queue) == []
        queue.close()


def test_a_server_that_dies_before_a_claim_takes_no_place_along(tmp_path: Path, blobs: BlobStore) -> None:
    server = RedisServer(tmp_path / "redis")
    server.start()
    queue = RedisQueue.connect(server.url)
    killed: list[str] = []

    def at(passed: str) -> None:
        # Settled is said between the round trip that settles and the one that claims what comes next.
        if passed == "settled" and not killed:
            killed.append(passed)
            server.kill()

    job = submit_waiting(queue, 4)
    with started(queue, blobs, slots=1, at=at) as pool:
        step_until(pool, lambda: bool(killed))
        server.start()
        pool.run(lambda: state(queue, job) is JobState.SUCCEEDED)
        assert all_free(pool)
    assert check(queue) == []
    queue.close()
    server.close()


def _has_succeeded(queue: RedisQueue, count: int) -> bool:
    """Whether so many tasks have; False while the server is away."""
    try:
        return sum(view.counts.get(TaskState.SUCCEEDED, 0) for view in queue.jobs()) >= count
    except Retryable:
        return False


def _done(queue: RedisQueue) -> bool:
    """Whether all jobs are; False while the server is away."""
    try:
        return not queue.jobs(active=True)
    except Retryable:
        return False


def test_the_next_pool_of_a_host_frees_what_a_killed_one_held(server: RedisServer, blobs: BlobStore) -> None:
    prefix = f"{{killed{os.getpid()}}}:"
    queue = RedisQueue.connect(server.url, prefix=prefix)
    job = submit_waiting(queue, 2, 1.0)
    with subprocess.Popen(
        [sys.executable, "-m", "tests.dispatch.pool", server.url, prefix],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == b"busy\n"
        process.kill()
        process.wait()
    # Leases and presence of the killed pool hold for an hour: only knowing that it is dead can free them.
    with started(queue, blobs, config=FAST) as pool:
        pool.run(lambda: state(queue, job) is JobState.SUCCEEDED)

    assert [view.lost for view in queue.tasks(job.id)] == [1, 1]
    assert check(queue) == []
    queue.close()


def test_attempts_of_one_task_never_overlap(queue: RedisQueue, blobs: BlobStore) -> None:
    """Leases are taken away again and again while two pools run: each task has one attempt at a time."""
    job = submit_waiting(queue, 8, 0.1)
    with started(queue, blobs, slots=2) as one, started(queue, blobs, slots=2) as two:
        for number in range(400):
            (one, two)[number % 2].step(0.01)
            if number in (10, 30, 50):
                for info in queue.remembered_pools():
                    queue.free_dead(info.id)
            if state(queue, job) is JobState.SUCCEEDED:
                break
    assert state(queue, job) is JobState.SUCCEEDED and check(queue) == []
    for view in queue.tasks(job.id):
        records = queue.attempts(view.task.id)
        assert all(left.ended_ms <= right.started_ms for left, right in pairwise(records))
        assert [left.token < right.token for left, right in pairwise(records)] == [True] * (len(records) - 1)


def test_the_pool_in_this_process_is_one_that_lives(queue: RedisQueue, blobs: BlobStore) -> None:
    with started(queue, blobs):
        (info,) = queue.pools()
        second = dispatcher(queue, blobs)
        second.start()  # looks for dead ones of this host: this one is not
        assert info in queue.pools() and len(queue.pools()) == 2
        second.close()
        assert queue.pools() == (info,)
