"""Every connection to Redis is cut again and again while several pools work: all of it is done, and done once."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import pytest
import redis

from tests.dispatch.things import FAST, all_free, new_job, started, step_until, waiting
from tests.proxies import Proxy, often
from tests.servers import RedisServer
from vidprocme.core.errors import Retryable
from vidprocme.core.job import Job, JobState, Next
from vidprocme.dispatch.dispatcher import Dispatcher
from vidprocme.library.blobs import BlobStore
from vidprocme.queue.check import check
from vidprocme.queue.redis import RedisQueue

POOLS, TASKS, STORM_S = 3, 12, 5.0
CONFIG = replace(FAST, lease_ms=60_000)  # nobody waits for one to end that was granted with an answer that never came


@contextmanager
def working(pool: Dispatcher) -> Iterator[None]:
    """The pool's loop, in a thread that ends with the block however that ends. What it raised is raised."""
    over, raised = threading.Event(), list[BaseException]()

    def loop() -> None:
        try:
            while not over.is_set():
                pool.step(0.05)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(25)
    assert not thread.is_alive(), "a pool hangs"
    if raised:
        raise raised[0]


def submit(queue: RedisQueue, job: Job) -> None:
    """Said again until it is answered."""
    tasks = waiting(job, TASKS, 0.1)
    while True:
        try:
            queue.submit(job, tasks)
            return
        except Retryable as error:
            assert error.code == "QUEUE_UNREACHABLE"


def each_was_done_once(queue: RedisQueue, jobs: list[Job]) -> None:
    events = Counter((event.kind, event.task or event.job) for event in queue.events("0", 100_000))
    for job in jobs:
        assert queue.job(job.id).state is JobState.SUCCEEDED  # type: ignore[union-attr]
        assert events["job.submitted", job.id] == events["job.ended", job.id] == 1
        for view in queue.tasks(job.id):
            records = queue.attempts(view.task.id)
            assert (
                [record.next for record in records].count(Next.SUCCEED) == events["task.succeeded", view.task.id] == 1
            )
            assert events["task.running", view.task.id] == len(records)  # each attempt that began has ended
    assert queue.counters()["job.submitted"] == queue.counters()["job.succeeded"] == len(jobs)
    assert check(queue) == []


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "how",
    [
        "killed by the server",
        pytest.param("cut on the way", marks=pytest.mark.slow),
        pytest.param("torn in the middle of an answer", marks=pytest.mark.slow),
        "away for a while",
    ],
)
def test_all_connections_are_cut_again_and_again(server: RedisServer, blobs: BlobStore, how: str) -> None:
    prefix = f"{{storm{os.getpid()}{how[:4].strip()}}}:"
    proxy = Proxy(server.socket)
    executioner = redis.Redis(unix_socket_path=str(server.socket), decode_responses=True)
    cuts = [0]

    def kill() -> None:
        send: Any = executioner.execute_command  # untyped in redis-py
        cuts[0] += int(send("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"))

    def cut() -> None:
        cuts[0] += proxy.cut_all()

    ways: dict[str, Callable[[], object]] = {
        "kill": kill,
        "cut ": cut,
        "torn": proxy.tear_all,
        "away": lambda: proxy.tear_all(0.1),
    }
    url = server.url if how.startswith("killed") else proxy.url
    jobs: list[Job] = []
    with ExitStack() as stack:
        stack.callback(proxy.close)
        stack.callback(executioner.close)
        queues = [stack.enter_context(connected(url, prefix)) for _ in range(POOLS + 1)]
        pools = [stack.enter_context(started(queue, blobs, slots=4, config=CONFIG)) for queue in queues[:POOLS]]
        with ExitStack() as loops:
            for pool in pools:
                loops.enter_context(working(pool))
            with often(ways[how[:4]], random.Random(7), 0.05, 0.2):
                over_s = time.monotonic() + STORM_S
                while time.monotonic() < over_s:
                    jobs.append(new_job())
                    submit(queues[-1], jobs[-1])
                    time.sleep(0.2)
            queue = stack.enter_context(connected(server.url, prefix))
            deadline = time.monotonic() + 40
            while any(queue.each_job(active=True)):
                assert time.monotonic() < deadline, "some job never ended"
                time.sleep(0.05)
        for pool in pools:
            step_until(pool, lambda pool=pool: pool.busy == 0 and all_free(pool))  # type: ignore[misc]
        each_was_done_once(queue, jobs)
    assert cuts[0] + proxy.cut > 100


@contextmanager
def connected(url: str, prefix: str) -> Iterator[RedisQueue]:
    queue = RedisQueue.connect(url, prefix=prefix)
    try:
        yield queue
    finally:
        queue.close()
