"""A server that is nearly full takes no new job, and work in hand goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.queue.test_contract_long import cancelled
from tests.queue.test_contract_steps import MANY
from tests.queue.things import BROKEN, OK, end, lease_of, look, new_job, new_task, submitted
from tests.servers import RedisServer
from vidprocme.core.errors import Retryable
from vidprocme.core.job import Bin, JobState, Next, Outcome, OutcomeKind, Stage
from vidprocme.queue import watermark
from vidprocme.queue.base import Keep, NewJob
from vidprocme.queue.check import check
from vidprocme.queue.redis import RedisQueue

LIMIT = 16 << 20


@pytest.fixture
def small(tmp_path: Path) -> Iterator[RedisServer]:
    """One that may use 16 MiB."""
    server = RedisServer(tmp_path / "redis")
    try:
        server.start("--maxmemory", str(LIMIT))
        yield server
    finally:
        server.close()


@pytest.fixture
def queue(small: RedisServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisQueue]:
    monkeypatch.setattr(watermark, "ASK_EVERY_S", 0.0)
    made = RedisQueue.connect(small.url, prefix="{w}:", memory_percent=50)
    yield made
    made.close()


def fill(queue: RedisQueue, upto: int) -> None:
    """Something else that uses memory, up to so many bytes."""
    step = 200_000
    number = 0
    while queue.server().used_bytes < upto:
        queue.command("SET", f"other:{number}", "x" * step)
        number += 1


def refused(queue: RedisQueue) -> Retryable:
    job = new_job()
    for submit in (
        lambda: queue.submit(job, [new_task(job, Stage.PROBE)]),
        lambda: queue.submit_many([NewJob(job, (new_task(job, Stage.PROBE),))]),
    ):
        with pytest.raises(Retryable) as caught:
            submit()
        assert caught.value.code == "QUEUE_FULL" and queue.job(job.id) is None
    return caught.value


def test_from_the_watermark_on_nothing_new_is_taken_and_work_goes_on(queue: RedisQueue) -> None:
    job, probe = submitted(queue)
    broken, bad = submitted(queue)
    lease = lease_of(queue, probe)
    fill(queue, LIMIT // 2)

    error = refused(queue)

    assert "50 %" in error.message and error.evidence["limit_bytes"] == LIMIT and error.evidence["percent"] == 50
    chunk = new_task(job, Stage.TRANSCODE, after=[probe])
    assert queue.enqueue(lease, [chunk]) == 1
    end(queue, lease)
    end(queue, lease_of(queue, chunk), outcome=Outcome(OutcomeKind.OK, {"text": "x" * 10_000}))
    assert queue.job(job.id).state is JobState.SUCCEEDED  # type: ignore[union-attr]
    assert queue.cancel(broken.id) and queue.retry(broken.id) == 1
    end(queue, lease_of(queue, bad), outcome=OK)

    queue.command("DEL", *(f"other:{n}" for n in range(200)))
    submitted(queue)
    assert check(queue) == []


def test_what_has_ended_can_be_dropped_from_a_server_that_is_quite_full(queue: RedisQueue) -> None:
    job, _ = submitted(queue)
    queue.cancel(job.id)
    other, _ = submitted(queue)
    queue.cancel(other.id)
    with pytest.raises(Retryable, match="memory"):
        fill(queue, 2 * LIMIT)
    with pytest.raises(Retryable, match="memory"):
        queue.command("SET", "one-more", "x" * 500_000)

    assert queue.drop(job.id)
    while queue.trim(Keep(jobs=1, failed_ms=1)).more:
        pass

    assert queue.jobs() == () and check(queue) == []


def test_what_is_in_hand_can_be_moved_and_retried_on_a_server_that_is_full(queue: RedisQueue) -> None:
    """A person can still say what goes first, and bring back what failed: that takes next to nothing."""
    job, _ = submitted(queue)
    broken, bad = submitted(queue)
    end(queue, lease_of(queue, bad), Next.FAIL, BROKEN)
    long, _ = cancelled(queue)
    queue.client.config_set("maxmemory", 1)
    refused(queue)
    with pytest.raises(Retryable, match="memory"):
        queue.command("SET", "one-more", "x")

    assert queue.move(job.id, Bin.URGENT) == 1
    assert queue.retry(broken.id) == 1 and queue.retry(long.id) == MANY
    assert queue.move(long.id, Bin.BULK) == MANY

    assert [line.bin for line in look(queue).lines] == [Bin.URGENT, Bin.NORMAL, Bin.BULK]
    end(queue, lease_of(queue, bad))
    assert check(queue) == []


def test_without_a_limit_or_a_watermark_nothing_is_refused(small: RedisServer) -> None:
    plain = RedisQueue.connect(small.url, prefix="{p}:")
    submitted(plain)
    plain.client.config_set("maxmemory", 0)
    marked = RedisQueue.connect(small.url, prefix="{q}:", memory_percent=1)
    submitted(marked)
    for queue in (plain, marked):
        queue.close()
