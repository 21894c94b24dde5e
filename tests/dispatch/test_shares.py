"""Bins and tenants as pools see them: pauses, limits, and shares by weight, through the real queue."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.dispatch.conftest import Connect
from tests.dispatch.things import new_job, started, state, step_until, submit_waiting, waiting
from tests.queue.things import new_task
from vidprocme.core.job import Bin, Job, JobState, Stage
from vidprocme.core.resources import Need, PlaceKind, Resources
from vidprocme.dispatch.dispatcher import Dispatcher
from vidprocme.dispatch.follower import follow
from vidprocme.library.blobs import BlobStore
from vidprocme.library.index import SqliteIndex
from vidprocme.queue.base import NewJob, Queue
from vidprocme.queue.check import check
from vidprocme.queue.redis import RedisQueue
from vidprocme.scheduler.config import PolicyConfig

CLAIMS = 200


def both_until(one: Dispatcher, two: Dispatcher, queue: Queue, job: Job, wanted: JobState) -> None:
    def there() -> bool:
        two.step(0.01)
        return state(queue, job) is wanted

    step_until(one, there)


def test_two_pools_leave_a_paused_bin_alone_and_go_on_when_it_is_resumed(connect: Connect, blobs: BlobStore) -> None:
    queue = connect()
    with started(connect(), blobs) as one, started(connect(), blobs) as two:
        queue.pause(Bin.BULK)
        bulk, normal = submit_waiting(queue, 3, bin_=Bin.BULK), submit_waiting(queue, 3)

        both_until(one, two, queue, normal, JobState.SUCCEEDED)
        one.step(0.3)
        assert state(queue, bulk) is JobState.QUEUED
        assert {reason.code for reason in one.plan.reasons.values()} == {"BIN_PAUSED"}

        queue.resume(Bin.BULK)
        both_until(one, two, queue, bulk, JobState.SUCCEEDED)


def test_the_search_index_goes_past_events_of_bins(queue: RedisQueue, blobs: BlobStore, tmp_path: Path) -> None:
    queue.pause(Bin.BULK)
    queue.resume(Bin.BULK)
    with closing(SqliteIndex(tmp_path / "index.sqlite")) as index:
        index.set_last_event(queue.oldest_event() or "")
        assert follow(queue, blobs, index, block_ms=0) and not follow(queue, blobs, index, block_ms=0)
        assert index.last_event() == queue.newest_event()


def test_two_pools_together_run_no_more_than_a_limit_allows(connect: Connect, blobs: BlobStore) -> None:
    queue = connect()
    queue.limit_bin(Bin.BULK, 3)
    most = 0
    with started(connect(), blobs) as one, started(connect(), blobs) as two:
        bulk = submit_waiting(queue, 24, bin_=Bin.BULK, wait_s=0.03)

        def ended() -> bool:
            nonlocal most
            two.step(0.005)
            most = max(most, one.busy + two.busy, queue.bins()[Bin.BULK].running)
            return state(queue, bulk) is JobState.SUCCEEDED

        step_until(one, ended)
    assert most == 3, "eight places, and all three that may run did"
    assert check(queue) == []


def test_a_bulk_tasks_wait_keeps_to_the_formula_under_urgent_work_that_never_runs_dry(
    connect: Connect, blobs: BlobStore
) -> None:
    """Counted in starts: of sixteen in a row one is an overdue bulk task's, small or as big as the place."""
    queue = connect()
    bulk = new_job(bin=Bin.BULK)
    whole = (Need(PlaceKind.CPU, Resources(cpu_milli=4000)),)
    small, big = waiting(bulk, 2, 0.003), new_task(bulk, Stage.TRANSCODE, 9, payload={"wait_s": 0.003}, needs=whole)
    urgent = [new_job(bin=Bin.URGENT) for _ in range(3)]
    for job in urgent:
        assert queue.submit(job, waiting(job, 100, 0.003)).created
    assert queue.submit(bulk, [*small, big]).created
    at_once = PolicyConfig(max_wait_ms={**PolicyConfig().max_wait_ms, Bin.BULK: 0}, pace_ms={})

    with started(connect(), blobs, policy=at_once) as pool:
        step_until(pool, lambda: state(queue, bulk) is JobState.SUCCEEDED)

    events = [event for event in queue.events("0", 5000) if event.kind == "task.running"]
    starts = [number for number, event in enumerate(events, start=1) if event.job == bulk.id]
    assert [number <= 16 * older for older, number in enumerate(starts, start=1)] == [True] * 3, starts
    assert any(state(queue, job) is not JobState.SUCCEEDED for job in urgent), "urgent work ran dry"


def submit_many(queue: RedisQueue, tenant: str, count: int) -> set[str]:
    """Tasks of one tenant, in jobs of at most 200."""
    jobs = [new_job(tenant=tenant) for _ in range(0, count, CLAIMS)]
    queue.submit_many([NewJob(job, waiting(job, min(CLAIMS, count), 0.002)) for job in jobs])
    return {job.id for job in jobs}


def first_claims(queue: Queue, after: str) -> list[str]:
    """The jobs of the first CLAIMS tasks that started since an event."""
    found: list[str] = []
    while len(found) < CLAIMS and (events := queue.events(after, 2000)):
        found += [event.job for event in events if event.kind == "task.running"]
        after = events[-1].id
    return found[:CLAIMS]


@pytest.mark.parametrize(("weights", "pools"), [((1, 1), 1), ((3, 1), 1), ((3, 1), 2)])
def test_backlogs_of_one_to_a_hundred_get_shares_by_weight(
    connect: Connect, blobs: BlobStore, weights: tuple[int, int], pools: int
) -> None:
    """Within 10 % over 200 claims. The one with the hundredfold backlog was there first."""
    queue: RedisQueue = connect()
    submit_many(queue, "crowd", 16_000)
    few = submit_many(queue, "few", 160)
    for tenant, weight in zip(("few", "crowd"), weights, strict=True):
        queue.set_tenant(tenant, weight)
    mark = queue.newest_event()
    assert mark is not None

    with ExitStack() as stack:
        running = [stack.enter_context(started(connect(), blobs)) for _ in range(pools)]
        while len(got := first_claims(queue, mark)) < CLAIMS:
            for pool in running:
                pool.step(0.002)

    share = Counter(job in few for job in got)[True]
    wanted = CLAIMS * weights[0] // sum(weights)
    assert abs(share - wanted) <= wanted // 10, f"{share} of {CLAIMS}, and {wanted} by weight"
