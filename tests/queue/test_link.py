"""Scripts on a connection of their own: answers in order, a call said again when the connection is gone."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.proxies import Proxy
from tests.queue.things import CORE, LEASE_MS, OK, end, lease_of, new_job, new_task, states, submitted, take
from tests.servers import RedisServer
from vidprocme.core.errors import Fatal, Retryable
from vidprocme.core.job import Bin, Next, Stage, TaskState
from vidprocme.queue.base import ENQUEUE_BATCH, JOBS_BATCH, Claim, NewJob, Settlement
from vidprocme.queue.check import check
from vidprocme.queue.redis import RedisQueue


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path / "redis")
    server.start()
    yield server
    server.close()


@pytest.fixture
def queue(server: RedisServer) -> Iterator[RedisQueue]:
    queue = RedisQueue.connect(server.url)
    yield queue
    queue.close()


def test_another_call_in_between_gets_its_own_answer(queue: RedisQueue) -> None:
    job, probe = submitted(queue)
    sent = queue.begin_turn("pool", [], [Claim(probe.id, "place", CORE)], lease_ms=LEASE_MS)

    _, other = submitted(queue)
    later = queue.begin_turn("pool", [], [Claim(other.id, "place", CORE)], lease_ms=LEASE_MS)

    (first,), (second,) = sent.answer().claimed, later.answer().claimed
    assert (first.lease.task, second.lease.task) == (probe.id, other.id)
    assert sent.answer().claimed[0] == first  # asked again: the same
    assert queue.enqueue(first.lease, [new_task(job, Stage.JOIN, after=[probe])]) == 1
    end(queue, first.lease)
    assert states(queue, job) == {"probe:0": "succeeded", "join:0": "ready"}


def test_a_turn_whose_server_dies_on_the_way_is_said_again(server: RedisServer, queue: RedisQueue) -> None:
    _, probe = submitted(queue)
    lease = lease_of(queue, probe)
    _, other = submitted(queue)
    server.kill()

    settle = [Settlement(lease, Next.SUCCEED, OK)]
    sent = queue.begin_turn("pool", settle, [Claim(other.id, "place", CORE)], lease_ms=LEASE_MS)
    server.start()
    turn = sent.answer()

    assert turn.stale == () and [claimed.lease.task for claimed in turn.claimed] == [other.id] and check(queue) == []
    server.kill()
    sent = queue.begin_turn("pool", [], [], lease_ms=LEASE_MS)
    with pytest.raises(Retryable) as caught:
        sent.answer()
    assert caught.value.code == "QUEUE_UNREACHABLE"


def test_the_server_dies_in_the_middle_of_many_jobs(server: RedisServer, queue: RedisQueue) -> None:
    jobs = [new_job() for _ in range(6 * JOBS_BATCH)]

    def dying() -> Iterator[NewJob]:
        for number, job in enumerate(jobs):
            if number == 3 * JOBS_BATCH + 7:  # two calls are on their way
                server.kill()
                server.start()
            yield NewJob(job, [new_task(job, Stage.PROBE)])

    class Dying(list[NewJob]):
        def __iter__(self) -> Iterator[NewJob]:
            return dying()

    whole = [NewJob(job, [new_task(job, Stage.PROBE)]) for job in jobs]
    said = queue.submit_many(Dying(whole))

    assert len(said) == len(jobs) and all(one.created for one in said)
    assert queue.depth().jobs_active == len(jobs) and check(queue) == []


def test_threads_do_not_share_a_connection(queue: RedisQueue) -> None:
    _, probe = submitted(queue)
    lease = lease_of(queue, probe)
    wrong: list[object] = []

    def beat() -> None:
        for _ in range(300):
            answer = queue.beat("pool", [lease], lease_ms=LEASE_MS, presence_ms=LEASE_MS)
            if answer.lost or answer.cancel:
                wrong.append(answer)

    threads = [threading.Thread(target=beat) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(300):
        sent = queue.begin_turn("pool", [], [], lease_ms=LEASE_MS)
        if sent.answer().lines_total:
            wrong.append("a line")
    for thread in threads:
        thread.join()
    assert not wrong


def test_claims_whose_answer_never_came_are_granted_again_by_the_next_turn(server: RedisServer) -> None:
    """The answer is lost, and so is that to its repeat: the pool asks for the same, and has it at once instead of when the lease ends."""
    proxy = Proxy(server.socket)
    queue, direct = (RedisQueue.connect(url) for url in (proxy.url, server.url))
    _, probe = submitted(queue)
    assert take(queue) == []  # it is connected: the call arrives
    proxy.tear_all(for_s=0.2)
    with pytest.raises(Retryable):
        take(queue, probe)
    view = direct.task(probe.id)
    assert view is not None and view.state is TaskState.RUNNING
    time.sleep(0.25)

    (claimed,) = take(queue, probe)

    assert (
        str(claimed.lease.token) == direct.command("GET", direct.keys.of("fence")) == "1"
    )  # the lease of the first time
    assert take(queue, probe) == [] and end(direct, claimed.lease).stale == ()
    for one in (queue, direct):
        one.close()
    proxy.close()


class Twice(RedisQueue):
    """The answer to every call is lost on the way, and the call said again as Link does it: in the same words."""

    def run(self, name: str, *args: str | int | float) -> Any:
        super().run(name, *args)
        return super().run(name, *args)


@pytest.fixture
def twice(server: RedisServer) -> Iterator[RedisQueue]:
    made = Twice.connect(server.url)
    yield made
    made.close()


def test_who_asks_twice_because_the_answer_was_lost_is_told_what_was_done(queue: RedisQueue, twice: RedisQueue) -> None:
    job, _ = submitted(queue)

    assert twice.move(job.id, Bin.BULK) == 1 and queue.move(job.id, Bin.BULK) == 0
    assert twice.cancel(job.id) and not queue.cancel(job.id)
    assert twice.retry(job.id) == 1 and queue.retry(job.id) == 0
    assert twice.pause(Bin.BULK) and not queue.pause(Bin.BULK) and queue.paused() == {Bin.BULK}
    assert twice.resume(Bin.BULK) and not queue.resume(Bin.BULK) and queue.paused() == frozenset()
    assert states(queue, job) == {"probe:0": "ready"} and check(queue) == []
    queue.cancel(job.id)
    assert twice.drop(job.id)
    for verb in (queue.drop, twice.drop, twice.cancel, twice.retry):
        with pytest.raises(Fatal, match="no job"):
            verb(job.id)
    assert check(queue) == []
    kinds = [event.kind for event in queue.events("0", 1000) if not event.kind.startswith("task.")]
    assert kinds.count("job.moved") == kinds.count("job.retried") == kinds.count("bin.paused") == 1


def test_so_is_who_asks_of_a_job_that_takes_many_steps(queue: RedisQueue, twice: RedisQueue) -> None:
    job = new_job()
    tasks = [new_task(job, Stage.TRANSCODE, number) for number in range(ENQUEUE_BATCH)]
    queue.submit(job, tasks)
    more = [new_task(job, Stage.DESCRIBE, number) for number in range(ENQUEUE_BATCH)]
    lease = lease_of(queue, tasks[0])
    queue.enqueue(lease, more)
    end(queue, lease)
    many = len(tasks) + len(more) - 1

    assert twice.move(job.id, Bin.BULK) == many
    assert twice.cancel(job.id) and twice.retry(job.id) == many and check(queue) == []
    assert queue.cancel(job.id) and twice.forget(job.id) and check(queue) == []
    assert queue.jobs() == ()


def test_only_the_last_answers_are_kept(queue: RedisQueue) -> None:
    for _ in range(200):
        queue.pause(Bin.BULK)
        queue.resume(Bin.BULK)
    assert queue.command("LLEN", queue.keys.of("said")) == 256 and check(queue) == []
