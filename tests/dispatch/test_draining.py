"""A machine that a person drained: its pools take nothing new, what runs ends, and it holds for pools that come later."""

from __future__ import annotations

from tests.dispatch.conftest import Connect
from tests.dispatch.things import started, state, step_until, submit_waiting
from vidprocme.core.job import JobState
from vidprocme.dispatch.waiting import standing, why
from vidprocme.library.blobs import BlobStore
from vidprocme.queue.base import Queue


def heard(queue: Queue, code: str) -> bool:
    """Whether a pool's report says that heads wait for this."""
    return any(pool.report and pool.report.reasons.get(code) for pool in queue.fleet())


def test_a_drained_machine_takes_nothing_new_until_it_is_undrained(connect: Connect, blobs: BlobStore) -> None:
    queue = connect()
    with started(connect(), blobs) as pool:
        runs = submit_waiting(queue, 1, wait_s=0.3)
        step_until(pool, lambda: pool.busy == 1)
        queue.drain_node("here", "ann")
        step_until(pool, lambda: pool._beat.drained == {"here"})
        later = submit_waiting(queue, 2)

        step_until(pool, lambda: state(queue, runs) is JobState.SUCCEEDED)
        step_until(pool, lambda: heard(queue, "DRAINING"))
        assert state(queue, later) is JobState.QUEUED and pool.busy == 0
        tasks = {view.task.id: view for view in queue.tasks(later.id)}
        reason = why(next(iter(tasks.values())), tasks, standing(queue))
        assert reason is not None and (reason.code, "nodes undrain" in reason.text) == ("DRAINING", True)

        queue.undrain_node("here")
        step_until(pool, lambda: state(queue, later) is JobState.SUCCEEDED)


def test_it_holds_for_a_pool_that_starts_later_and_others_go_on(connect: Connect, blobs: BlobStore) -> None:
    queue = connect()
    queue.drain_node("here", "ann")
    job = submit_waiting(queue, 2)
    with started(connect(), blobs) as pool:
        step_until(pool, lambda: heard(queue, "DRAINING"))
        assert state(queue, job) is JobState.QUEUED
    queue.undrain_node("here")
    queue.drain_node("elsewhere", "ann")
    with started(connect(), blobs) as pool:
        step_until(pool, lambda: state(queue, job) is JobState.SUCCEEDED)
