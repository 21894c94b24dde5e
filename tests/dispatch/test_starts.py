"""When a task starts, said by pools that know of each other's places; beside what then happens."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime

import pytest

from tests.dispatch.conftest import Connect
from tests.dispatch.test_durations import chunks
from tests.dispatch.test_reserved import step_all
from tests.dispatch.things import FAST, new_job, places, started, state, submit_waiting
from vidprocme.api.schemas.why import WhyDocument, why_documents
from vidprocme.core.job import Job, JobState, TaskState
from vidprocme.core.resources import PlaceKind
from vidprocme.core.why import Why
from vidprocme.dispatch.dispatcher import Dispatcher
from vidprocme.executor.timed import TimedExecutor
from vidprocme.library.blobs import BlobStore
from vidprocme.queue.base import PlaceReport, PoolInfo, PoolReport
from vidprocme.queue.redis import RedisQueue

TURN_MS = 1_000
EACH = replace(FAST, turn_every_s=TURN_MS / 1000)


def learned(queue: RedisQueue, blobs: BlobStore) -> None:
    """What chunks take by their size is known."""
    with started(queue, blobs, slots=8) as teacher:
        submit_all(queue, [2_000, 4_000, 6_000, 8_000, 10_000, 12_000, 14_000, 16_000])
        step_all([teacher], lambda: not queue.jobs(active=True))


def submit_all(queue: RedisQueue, sizes: list[int]) -> Job:
    job = new_job()
    assert queue.submit(job, chunks(job, sizes)).created
    return job


def answers(queue: RedisQueue, job: Job) -> dict[str, Why]:
    """What each pool says of it."""
    told = {view.info.id: view.report.whys for view in queue.fleet() if view.report}
    return {pool: one.why for pool, whys in told.items() for one in whys if one.task.startswith(job.id)}


def shown(queue: RedisQueue, job: Job, *, one_tenant: bool = False) -> WhyDocument:
    (document,) = why_documents(queue.tasks(job.id), queue.fleet(), one_tenant=one_tenant)
    return document


def ms_of(text: str | None) -> float:
    assert text is not None
    return 1000 * datetime.fromisoformat(text).timestamp()


def began_ms(queue: RedisQueue, job: Job) -> int:
    (found,) = [
        event.at_ms for event in queue.events("0", 5_000) if event.kind == "task.running" and event.job == job.id
    ]
    return found


def test_it_starts_on_the_other_pools_place_when_both_have_said_it_would(connect: Connect, blobs: BlobStore) -> None:
    """One runs something for 30 s, the other for 5; by its own places alone the first would say 30."""
    queue = connect()
    learned(connect(), blobs)
    two_places = TimedExecutor(places(1, "b"))
    with (
        started(connect(), blobs, config=EACH, executor=TimedExecutor(places(1, "a"))) as one,
        started(connect(), blobs, config=EACH, executor=two_places) as two,
    ):
        submit_all(queue, [300_000])
        step_all([one], lambda: one.busy == 1)
        submit_all(queue, [50_000])
        step_all([two], lambda: two.busy == 1)
        job = submit_all(queue, [1_000])
        pools = [one, two]
        queue.ask_why(job.id)
        step_all(pools, lambda: len(answers(queue, job)) == 2)

        said, document, tenant = answers(queue, job), shown(queue, job), shown(queue, job, one_tenant=True)
        by_one, by_two = said[one._pool.id], said[two._pool.id]
        assert (by_one.start.at, by_two.start.at) == (f"b/cpu of {two._pool.id}", "")
        assert [(why.start.counted, why.start.silent) for why in said.values()] == [(2, 0)] * 2
        assert document.pool == two._pool.id and "pool" not in document.starts_how and document.task.startswith(job.id)
        assert "b/cpu" not in str(tenant.model_dump(exclude={"pool"}))

        step_all(pools, lambda: state(queue, job) is JobState.SUCCEEDED)
        began = began_ms(queue, job)
        ran = next(view for view in queue.tasks(job.id) if view.state is TaskState.SUCCEEDED)
        assert ran.place == "b/cpu"
        for start_ms in (by_one.start.start_ms, by_two.start.start_ms, ms_of(document.starts_at)):
            assert start_ms is not None and abs(start_ms - began) <= TURN_MS, (start_ms, began)


@pytest.mark.slow
def test_behind_others_that_either_pool_may_take_it_starts_within_a_turn_of_what_both_say(
    connect: Connect, blobs: BlobStore
) -> None:
    queue = connect()
    learned(connect(), blobs)
    with (
        started(connect(), blobs, config=EACH, executor=TimedExecutor(places(2, "a"))) as one,
        started(connect(), blobs, config=EACH, executor=TimedExecutor(places(1, "b"))) as two,
    ):
        submit_all(queue, [30_000, 38_000])
        step_all([one], lambda: one.busy == 2)
        submit_all(queue, [34_000])
        step_all([two], lambda: two.busy == 1)
        for size in (9_000, 13_000, 17_000, 11_000, 15_000):
            submit_all(queue, [size])
        job = submit_all(queue, [60_000])
        pools = [one, two]
        queue.ask_why(job.id)
        step_all(pools, lambda: len(answers(queue, job)) == 2)
        said = answers(queue, job)

        step_all(pools, lambda: state(queue, job) is JobState.RUNNING)
        began = began_ms(queue, job)
    assert {(why.start.counted, why.start.position) for why in said.values()} == {(2, 5)}
    for why in said.values():
        assert why.start.start_ms is not None and abs(why.start.start_ms - began) <= TURN_MS, (why.start, began)


def old(queue: RedisQueue, kind: PlaceKind | None) -> PoolInfo:
    """A pool of an older version: it tells its places and no more, even when it is asked. None: it has just begun."""
    info = PoolInfo("pool_old", "b", "boot", 1, 1, queue.now_ms())
    queue.join(info, 60_000)
    if kind is not None:
        report = PoolReport((PlaceReport("b/x", "b", kind, 1, 1),))
        queue.beat(info.id, [], lease_ms=60_000, presence_ms=60_000, report=report)
    return info


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (PlaceKind.CPU, ", by the places of this pool alone"),
        (None, ", by the places of this pool alone"),
        (PlaceKind.GPU, ""),
    ],
    ids=["older", "just began", "of another kind"],
)
def test_beside_a_pool_that_says_too_little_the_words_say_whose_places_were_counted(
    connect: Connect, blobs: BlobStore, kind: PlaceKind | None, words: str
) -> None:
    queue = connect()
    with started(connect(), blobs, slots=1) as pool:
        submit_waiting(queue, 1, 3600)
        step_all([pool], lambda: pool.busy == 1)
        old(queue, kind)
        job = submit_waiting(queue, 1)
        queue.ask_why(job.id)
        step_all([pool], lambda: answers(queue, job))

        how = shown(queue, job).starts_how
        assert how.removeprefix(answers(queue, job)[pool._pool.id].start.how) == words


def test_a_pool_tells_of_its_seats_only_while_somebody_asks(connect: Connect, blobs: BlobStore) -> None:
    queue = connect()

    def tell(pool: Dispatcher) -> list[bool]:
        return [bool(view.report and view.report.seats) for view in queue.fleet() if view.info.id == pool._pool.id]

    with started(connect(), blobs, slots=1) as pool, started(connect(), blobs, only=list) as other:
        job = submit_waiting(queue, 2, 3600)
        step_all([pool], lambda: pool.busy == 1)
        for _ in range(5):
            pool.step(0.1)
        assert tell(pool) == [False]

        queue.ask_why(job.id)
        step_all([pool], lambda: tell(pool) == [True])
        step_all([pool, other], lambda: other._answering.are_asked)
        until_s = time.monotonic() + 2.5  # it has beaten twice since then
        step_all([pool, other], lambda: time.monotonic() > until_s)
        assert tell(other) == [False], "for what it does not serve nobody can count on it"
        queue.command("DEL", queue.keys.of("asked"))
        step_all([pool], lambda: tell(pool) == [False])
