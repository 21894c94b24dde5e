"""What a pool took and did not need is free again; what it has done is not given back."""

from __future__ import annotations

from tests.dispatch.conftest import Connect
from tests.dispatch.things import all_free, claim, places, started, state, step_until, submit_waiting
from vidprocme.core.ids import AttemptId, JobId
from vidprocme.core.job import JobState, Next, TaskState
from vidprocme.dispatch.dispatcher import Dispatcher
from vidprocme.executor.timed import TimedExecutor
from vidprocme.library.blobs import BlobStore
from vidprocme.queue.check import check
from vidprocme.queue.redis import RedisQueue


def test_a_claim_that_another_pool_was_faster_with_takes_no_place_along(connect: Connect, blobs: BlobStore) -> None:
    queue, other = connect(), connect()
    job = submit_waiting(queue, 4, 3600)
    faster: list[AttemptId] = []
    pools: list[Dispatcher] = []

    def only() -> set[JobId]:
        # Asked for just before a turn is said: what the pool has decided to claim in it is taken away now.
        for pool in pools:
            wanted = {placement.task for placement in pool.plan.placements} if not faster else set()
            faster.extend(claim(other, view.task).attempt.id for view in other.tasks(job.id) if view.task.id in wanted)
        return {job.id}

    with started(queue, blobs, slots=4, only=only) as pool:
        pools.append(pool)
        step_until(pool, lambda: len(faster) == 4)
        assert pool.busy == 0 and all_free(pool)
        after = submit_waiting(queue, 4, 0.01)
        job = after
        pool.run(lambda: state(queue, after) is JobState.SUCCEEDED)
        assert all_free(pool)


class Deaf(TimedExecutor):
    """One whose attempts end before they hear of a cancel."""

    def cancel(self, attempt: AttemptId, *, lost: bool = False) -> None:
        pass


def test_what_was_done_when_all_was_to_be_handed_back_is_kept(queue: RedisQueue, blobs: BlobStore) -> None:
    job = submit_waiting(queue, 2, 0.2)
    with started(queue, blobs, executor=Deaf(places(2))) as pool:
        step_until(pool, lambda: pool.busy == 2)
        pool.drain()
        pool.hand_back()
        pool.run(lambda: False)
    for view in queue.tasks(job.id):
        assert (view.state, view.tries) == (TaskState.SUCCEEDED, 1)
        assert [record.next for record in queue.attempts(view.task.id)] == [Next.SUCCEED]
    assert check(queue) == []
