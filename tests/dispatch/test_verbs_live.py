"""While pools work, people cancel, retry, move and drop, and what ended is trimmed: nothing is lost, and all ends."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

from tests.dispatch.conftest import Connect
from tests.dispatch.things import FAST, new_job, started, waiting
from vidprocme.core.errors import Fatal
from vidprocme.core.ids import JobId, task_id
from vidprocme.core.job import TERMINAL, Bin, Stage
from vidprocme.library.blobs import BlobStore
from vidprocme.queue.base import Keep, Queue
from vidprocme.queue.check import check

JOBS, TASKS, POOLS, PEOPLE = 40, 6, 2, 3
REFUSALS = {"JOB_UNKNOWN", "JOB_ENDED", "JOB_SUCCEEDED"}


def submit(queue: Queue) -> JobId:
    job = new_job(bin=Bin.NORMAL)
    tasks = waiting(job, TASKS, 0.04)
    last = replace(
        tasks[-1], id=task_id(job.id, Stage.JOIN, TASKS - 1), stage=Stage.JOIN, after=tuple(task.id for task in tasks)
    )
    assert queue.submit(job, [*tasks, last]).created
    return job.id


def person(queue: Queue, jobs: list[JobId], seed: int, over: threading.Event, said: list[str]) -> None:
    """Asks for this and that, at random."""
    chance = random.Random(seed)
    verbs: dict[str, Callable[[JobId], object]] = {
        "cancel": queue.cancel,
        "retry": queue.retry,
        "move": lambda job: queue.move(job, chance.choice(list(Bin))),
        "drop": queue.drop,
        "bin": lambda _job: (queue.pause(Bin.BULK), queue.resume(Bin.BULK)),
        "step": lambda _job: queue.trim(Keep(jobs=JOBS // 2)),
    }
    while not over.is_set():
        name = chance.choice(list(verbs))
        try:
            if verbs[name](chance.choice(jobs)):
                said.append(name)
        except Fatal as error:
            assert error.code in REFUSALS, error


def test_whatever_people_ask_for_nothing_is_lost_and_all_ends(connect: Connect, blobs: BlobStore) -> None:
    queue = connect()
    over, said = threading.Event(), list[str]()
    with ExitStack() as stack:
        pools = [
            stack.enter_context(started(connect(), blobs, config=replace(FAST, keep=Keep(jobs=JOBS // 2))))
            for _ in range(POOLS)
        ]
        jobs = [submit(queue) for _ in range(JOBS)]
        people = [
            threading.Thread(target=person, args=(connect(), jobs, seed, over, said), daemon=True)
            for seed in range(PEOPLE)
        ]
        for thread in people:
            thread.start()
        asked_until, deadline = time.monotonic() + 2, time.monotonic() + 60
        while time.monotonic() < asked_until or any(queue.each_job(active=True)):
            for pool in pools:
                pool.step(0.02)
            if time.monotonic() >= asked_until:
                over.set()
            assert time.monotonic() < deadline, "some job never ended"
        for thread in people:
            thread.join(10)

    assert {"cancel", "retry", "move", "drop"} <= set(said), "nobody asked for much"
    assert check(queue) == []
    forgotten = {event.job for event in queue.events("0", 100_000) if event.kind == "job.forgotten"}
    there = {view.job.id: view for view in queue.each_job()}
    assert forgotten | set(there) == set(jobs) and not forgotten & set(there)
    assert all(state in TERMINAL for view in there.values() for state in view.counts)
    # Who succeeded did each of its tasks, and none was begun again after it had succeeded.
    done: set[str] = set()
    for event in queue.events("0", 100_000):
        if event.kind == "task.running":
            assert event.task not in done
        elif event.kind == "task.succeeded":
            done.add(str(event.task))
