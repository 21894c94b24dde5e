"""Bins that are paused, as pools see them."""

from __future__ import annotations

from tests.dispatch.conftest import Connect
from tests.dispatch.things import started, state, step_until, submit_waiting
from vidprocme.core.job import Bin, JobState
from vidprocme.library.blobs import BlobStore


def test_two_pools_leave_a_paused_bin_alone_and_go_on_when_it_is_resumed(connect: Connect, blobs: BlobStore) -> None:
    queue = connect()
    with started(connect(), blobs) as one, started(connect(), blobs) as two:
        queue.pause(Bin.BULK)
        bulk, normal = submit_waiting(queue, 3, bin_=Bin.BULK), submit_waiting(queue, 3)

        def both_until(job: object, wanted: JobState) -> None:
            step_until(one, lambda: two.step(0.01) or state(queue, job) is wanted)  # type: ignore[func-returns-value, arg-type]

        both_until(normal.id, JobState.SUCCEEDED)
        one.step(0.3)
        assert state(queue, bulk) is JobState.QUEUED
        assert {reason.code for reason in one.plan.reasons.values()} == {"BIN_PAUSED"}

        queue.resume(Bin.BULK)
        both_until(bulk.id, JobState.SUCCEEDED)
