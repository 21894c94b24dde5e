"""What a live pool decided is decided again, the same, from what was written down."""

from __future__ import annotations

import json
from dataclasses import replace

from tests.dispatch.things import new_job, started, state, step_until, submit_waiting, waiting
from vidprocme.core.job import Bin, JobState
from vidprocme.library.blobs import BlobStore
from vidprocme.queue.redis import RedisQueue
from vidprocme.scheduler.config import PolicyConfig
from vidprocme.scheduler.journal import replay

POLICY = PolicyConfig(max_wait_ms=dict.fromkeys(Bin, 20))  # soon overdue, so that there are turns and reservations


def test_the_log_of_a_live_pool_replays_to_equal_plans(queue: RedisQueue, blobs: BlobStore) -> None:
    log: list[str] = []
    jobs = [submit_waiting(queue, 12, 0.01, bin_) for bin_ in (Bin.URGENT, Bin.NORMAL, Bin.BULK)]
    other = new_job(tenant="bob")
    assert queue.submit(other, waiting(other, 8, 0.02)).created
    with started(queue, blobs, slots=3, policy=POLICY, record=log.append) as pool:
        step_until(pool, lambda: state(queue, jobs[0]) is JobState.SUCCEEDED)
        late = submit_waiting(queue, 5, 0.01, Bin.HIGH)
        step_until(pool, lambda: all(state(queue, job) is JobState.SUCCEEDED for job in (*jobs, other, late)))

    found = list(replay(log, POLICY))
    assert sum(len(one.recorded["placements"]) for one in found) >= 49
    assert any(one.recorded["reasons"] for one in found)
    assert all(one.again == one.recorded for one in found)
    told = [json.loads(line).get("told") for line in log]
    assert {"lines", "shares", "places", "planned", "finished"} <= set(told)
    # Without what was told of places, what is decided is something else: the comparison can fail.
    deaf = [line for line, name in zip(log, told, strict=True) if name != "finished"]
    assert any(one.again != one.recorded for one in replay(deaf, POLICY))


def test_other_settings_decide_otherwise(queue: RedisQueue, blobs: BlobStore) -> None:
    log: list[str] = []
    jobs = [submit_waiting(queue, 4, 0.01, bin_) for bin_ in (Bin.BULK, Bin.URGENT)]
    with started(queue, blobs, slots=1, policy=POLICY, record=log.append) as pool:
        step_until(pool, lambda: all(state(queue, job) is JobState.SUCCEEDED for job in jobs))

    backwards = replace(POLICY, bins=tuple(reversed(POLICY.bins)))
    assert any(one.again != one.recorded for one in replay(log, backwards))
