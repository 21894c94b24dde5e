"""A pool trims now and then, whatever else it does, and says what it gave up."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from tests.dispatch.conftest import Connect
from tests.dispatch.things import FAST, fail, new_job, started, step_until, submit_waiting
from tests.queue.things import BROKEN, run
from vidprocme.core.job import Limits, Next
from vidprocme.dispatch.housekeeping import AGAIN_S, EVERY_S, Housekeeper
from vidprocme.library.blobs import BlobStore
from vidprocme.planner.graph import first_tasks
from vidprocme.queue.base import Keep
from vidprocme.queue.check import check
from vidprocme.queue.redis import RedisQueue


def dead(queue: RedisQueue) -> None:
    job = new_job()
    (probe,) = (replace(task, limits=Limits(tries=1)) for task in first_tasks(job))
    queue.submit(job, [probe])
    run(queue, probe, Next.RETRY, BROKEN)


def test_a_pool_that_works_trims_what_has_ended(queue: RedisQueue, blobs: BlobStore) -> None:
    for _ in range(5):
        job = new_job()
        queue.submit(job, first_tasks(job))
        fail(queue, first_tasks(job)[0])
    with started(queue, blobs, config=replace(FAST, keep=Keep(jobs=2))) as pool:
        step_until(pool, lambda: len(queue.jobs()) == 2)
        job = submit_waiting(queue, 3)
        step_until(pool, lambda: queue.job(job.id).ended_ms is not None)  # type: ignore[union-attr]
    assert check(queue) == []


def test_it_asks_every_few_seconds_and_sooner_while_there_is_more(connect: Connect) -> None:
    queue, now = connect(), [0.0]
    keeper = Housekeeper(queue, Keep(failed_ms=1), lambda: now[0])
    keeper.step()
    for _ in range(50):
        dead(queue)
    queue.command("DEL", queue.keys.of("trimmed"))
    now[0] = EVERY_S - 0.1
    keeper.step()
    assert len(queue.jobs()) == 50
    now[0] = EVERY_S
    keeper.step()
    left = len(queue.jobs())
    assert 0 < left < 50
    now[0] += AGAIN_S
    keeper.step()
    assert len(queue.jobs()) < left


def test_dead_letters_are_told_of_before_and_when_they_are_given_up(
    queue: RedisQueue, caplog: pytest.LogCaptureFixture
) -> None:
    for number, expected in ((4, "of at most 5"), (7, "2 dead letters were too old or too many")):
        while len(queue.dead()) < number:
            dead(queue)
        queue.command("DEL", queue.keys.of("trimmed"))
        with caplog.at_level(logging.WARNING):
            caplog.clear()
            Housekeeper(queue, Keep(dead=5)).step()
        assert [expected in message for message in caplog.messages] == [True]
    assert len(queue.dead()) == 5
    counters = queue.counters()
    assert (counters["dead.warned"], counters["dead.given_up"]) == (1, 2)


def test_a_fault_of_trimming_does_not_end_the_pool(
    queue: RedisQueue, blobs: BlobStore, caplog: pytest.LogCaptureFixture
) -> None:
    queue.command("SET", queue.keys.of("going"), "no sorted set")
    with started(queue, blobs) as pool, caplog.at_level(logging.ERROR):
        job = submit_waiting(queue, 3)
        step_until(pool, lambda: queue.job(job.id).ended_ms is not None)  # type: ignore[union-attr]
    (record,) = [record for record in caplog.records if "cannot be trimmed" in record.message]
    assert record.__dict__["code"] == "QUEUE_FAULT"


def test_a_queue_that_is_away_does_not_stop_the_loop(tmp_path: Path) -> None:
    """The step raises as a turn does, and the loop takes it as it takes a turn's."""
    from tests.servers import RedisServer
    from vidprocme.core.errors import Retryable

    server = RedisServer(tmp_path)
    server.start()
    try:
        queue = RedisQueue.connect(server.url, prefix="{h}:")
        keeper = Housekeeper(queue, Keep())
        server.kill()
        with pytest.raises(Retryable):
            keeper.step()
        server.start()
        keeper.step()
        assert queue.command("EXISTS", queue.keys.of("trimmed")) == 1
        queue.close()
    finally:
        server.close()
