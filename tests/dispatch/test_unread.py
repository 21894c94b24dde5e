"""Pools of two versions on one queue: what an older one cannot read it leaves to the newer, once each, and goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dispatch.conftest import Connect
from tests.dispatch.things import all_free, new_job, started, state, step_until, submit_waiting
from tests.queue.test_unreadable import another_stage, newer, spoil, spoil_job, spoil_task
from tests.queue.things import new_task
from vidprocme.core.ids import TaskId
from vidprocme.core.job import Bin, Job, JobState, Next, Stage, TaskState
from vidprocme.core.snapshot import Head, Line
from vidprocme.dispatch.follower import follow, forget_gone
from vidprocme.dispatch.pool import free_dead
from vidprocme.dispatch.unread import MOST, Unread
from vidprocme.library.blobs import BlobStore
from vidprocme.library.index import SqliteIndex
from vidprocme.queue.check import check
from vidprocme.queue.redis import RedisQueue


def test_a_pool_hands_back_what_it_cannot_read_and_does_the_rest(
    queue: RedisQueue, blobs: BlobStore, caplog: pytest.LogCaptureFixture
) -> None:
    odd = [submit_waiting(queue, 2, bin_=Bin.URGENT) for _ in range(3)]
    tasks = {job.id: [view.task for view in queue.tasks(job.id)] for job in odd}
    again = [spoil_task(queue, tasks[odd[0].id][0], "payload"), spoil_job(queue, odd[1])]
    probe_job = new_job(bin=Bin.URGENT)
    probe = new_task(probe_job, Stage.PROBE, payload={"wait_s": 0.0})
    queue.submit(probe_job, [probe])
    again.append(spoil_task(queue, probe, "sort", another_stage))
    even = submit_waiting(queue, 20)

    with started(queue, blobs, slots=2) as pool:
        pool.run(lambda: state(queue, even) is state(queue, odd[2]) is JobState.SUCCEEDED)
        for _ in range(10):
            pool.step(0.05)  # it has nothing to do but what it cannot read
        assert all_free(pool) and pool.busy == 0

    left = [tasks[odd[0].id][0], *tasks[odd[1].id]]
    for one in left:
        assert caplog.text.count(f"task {one.id} cannot be read and is left to other pools") == 1
    for undo in again:
        undo()
    for one in left:
        assert [record.next for record in queue.attempts(one.id)] == [Next.HAND_BACK]
    for one in [*left, probe]:
        view = queue.task(one.id)
        assert view is not None and (view.state, view.tries, view.lost) == (TaskState.READY, 0, 0)
    assert check(queue) == []
    with started(queue, blobs) as newer_one:
        step_until(newer_one, lambda: all(state(queue, job) is JobState.SUCCEEDED for job in odd))


def test_a_pool_outlives_one_of_a_newer_vidprocme(connect: Connect, blobs: BlobStore) -> None:
    queue, other = connect(), connect()
    with started(other, blobs), started(queue, blobs) as pool:
        (info, _) = other.pools()
        spoil(queue, queue.keys.of("pools"), info.id, newer)
        job = submit_waiting(queue, 10, 0.2)
        pool.run(lambda: state(queue, job) is JobState.SUCCEEDED)  # long enough that it looks for dead ones
        assert free_dead(queue) == 0


def test_heads_that_cannot_be_read_are_not_offered_again() -> None:
    heads = tuple(Head(TaskId(name), 5, ()) for name in ("a", "b"))
    lines = (Line(Bin.NORMAL, "t", "s", 9, 5, heads), Line(Bin.NORMAL, "t", "r", 1, 5, heads[:1]))
    unread = Unread()
    assert unread.without(lines) == lines
    unread.add(TaskId("a"))
    (left,) = unread.without(lines)
    assert (left.shape, left.heads, left.length) == ("s", heads[1:], 9)
    for number in range(MOST):
        unread.add(TaskId(str(number)))
    assert unread.without(lines) == lines  # there is an end to what is remembered


def test_the_follower_goes_on_with_the_other_jobs(
    queue: RedisQueue, blobs: BlobStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    index = SqliteIndex(tmp_path / "index.sqlite")

    def followed() -> dict[str, str]:
        """Job -> state."""
        while follow(queue, blobs, index, block_ms=0):
            pass
        return {video.job: video.state for video in index.videos(10)}

    def submitted(sha256: str) -> Job:
        job = new_job(sha256=sha256 * 32)
        queue.submit(job, [new_task(job, Stage.INDEX, payload={"wait_s": 0.01})])
        return job

    first, odd, second = submitted("01"), submitted("02"), submitted("03")
    again = spoil_job(queue, odd)
    assert followed().keys() == {first.id, second.id}, "an index made anew from what can be read"
    late, third = submitted("04"), submitted("05")
    spoil_job(queue, late)
    with started(queue, blobs) as pool:
        pool.run(lambda: {state(queue, job) for job in (first, second, third)} == {JobState.SUCCEEDED})
    assert followed() == dict.fromkeys((first.id, second.id, third.id), "succeeded"), "one that follows the events"
    assert caplog.text.count(f"job {late.id} cannot be read and is not in the search index") == 1

    # What its tasks said is of another form: nobody else's job waits for that.
    again()
    odd_frames = submit_waiting(queue, 1)  # a chunk that names no frames
    with started(queue, blobs) as pool:
        pool.run(lambda: state(queue, odd_frames) is state(queue, odd) is JobState.SUCCEEDED)
    assert odd.id in followed() and f"job {odd_frames.id} cannot be read" in caplog.text

    # One that was projected before, and is newer now: it is not taken for gone.
    spoil_job(queue, first)
    assert forget_gone(queue, index, blobs) == 0 and first.id in followed()
    index.close()
