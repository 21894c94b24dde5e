"""Our queue as one more contestant of the queue bench: what its `peers/p_vidprocme.py` is made of.

The worker is the pool of `vidprocme up`: `wiring.House.pool` with the default policy, leases, beats, events and full records.
Only its attempts are other ones: `executor.timed` with no time to wait, which marks the moment at which an attempt starts. The
producer uses the public client, `RedisQueue.submit`.

Runs inside a copy of the bench's folder (see queue.py), whose module `slots` keeps the marks.
"""

from __future__ import annotations

import importlib
import os
import signal
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from vidprocme.config import Settings
from vidprocme.core.clock import SystemClock
from vidprocme.core.ids import new_job_id, task_id
from vidprocme.core.job import Attempt, Job, Next, Outcome, OutcomeKind, Recipe, Source, Stage, Task
from vidprocme.core.resources import Need, Place, PlaceKind, Resources
from vidprocme.executor.timed import TimedExecutor
from vidprocme.queue.base import Claim, NewJob, Settlement
from vidprocme.queue.redis import RedisQueue
from vidprocme.wiring import House

# One core a task; the place holds as many as it has slots.
NEEDS = (Need(PlaceKind.CPU, Resources(cpu_milli=1000)),)
SLOTS = {"jobs": 128, "tasks": 128, "k32": 32, "k1": 1}
CLOCK = SystemClock()


def new_job() -> Job:
    """A job as a video makes one: a source with its hash, and the default recipe."""
    now_ms = CLOCK.now_ms()
    source = Source("file:///videos/goat.mp4", "goat.mp4", "ab" * 32, 1_000_000, 5)
    return Job(new_job_id(now_ms, os.urandom(10)), source, Recipe(), created_ms=now_ms)


def marking(job: Job, index: int, slot: int) -> Task:
    """A task whose attempt marks this slot and ends at once."""
    id_ = task_id(job.id, Stage.TRANSCODE, index)
    return Task(id_, job.id, Stage.TRANSCODE, index, {"wait_s": 0, "slot": slot}, NEEDS)


def one_task_job(slot: int) -> tuple[Job, Sequence[Task]]:
    job = new_job()
    return job, [marking(job, 0, slot)]


def put_one_job(queue: RedisQueue, slots: Sequence[int]) -> None:
    """One job with all these tasks, entered as a probe's plan is: under its lease, before it is settled."""
    job = new_job()
    probe = Task(task_id(job.id, Stage.PROBE, 0), job.id, Stage.PROBE, 0, {}, NEEDS)
    queue.submit(job, [probe])
    (claimed,) = queue.turn("planner", [], [Claim(probe.id, "place", NEEDS[0].resources)], lease_ms=60_000).claimed
    queue.enqueue(claimed.lease, [marking(job, index, slot) for index, slot in enumerate(slots)])
    done = Settlement(claimed.lease, Next.SUCCEED, Outcome(OutcomeKind.OK))
    queue.turn("planner", [done], [], lease_ms=60_000)


class Peer:
    """The bench's Adapter (adapter.py there says what each of these is)."""

    name = "vidprocme"
    variants: ClassVar = {
        "jobs": "one task a job, a place with 128 slots",
        "tasks": "one job with all the tasks, a place with 128 slots",
        "k32": "one task a job, a place with 32 slots",
        "k1": "one task a job, a place with one slot",
    }
    bulk_kind = "api"
    enqueue_n = 6000
    drain_n: ClassVar = {"": 20_000, "k1": 6000}

    def __init__(self) -> None:
        self._variant = os.environ.get("BENCH_VARIANT", "")

    def open(self) -> None:
        self._queue = RedisQueue.connect(os.environ["BENCH_REDIS"])

    def enqueue(self, ids: Sequence[int]) -> None:
        submit = self._queue.submit
        for slot in ids:
            job, tasks = one_task_job(slot)
            submit(job, tasks)

    def enqueue_bulk(self, ids: Sequence[int]) -> None:
        if self._variant == "tasks":
            put_one_job(self._queue, ids)
            return
        self._queue.submit_many([NewJob(*one_task_job(slot)) for slot in ids])

    def worker_argv(self, bin_dir: str) -> list[str]:
        return [f"{bin_dir}/python", "-m", "peers.p_vidprocme"]

    def close(self) -> None:
        self._queue.close()


class Marking(TimedExecutor):
    """TimedExecutor, seen: an attempt that starts marks its slot."""

    def __init__(self, places: Sequence[Place]) -> None:
        super().__init__(places)
        self._mark: Any = importlib.import_module("slots").mark  # of the bench, on the path only inside its copy

    def submit(self, attempt: Attempt) -> None:
        self._mark(attempt.task.payload["slot"])
        super().submit(attempt)


def work() -> None:
    """The one worker process: a pool as `vidprocme up` has one. Ends with SIGTERM."""
    count = SLOTS[os.environ["BENCH_VARIANT"]]
    place = Place("here/cpu", "here", PlaceKind.CPU, Resources(cpu_milli=1000 * count), slots=count)
    asked = threading.Event()
    with tempfile.TemporaryDirectory(prefix="vidprocme-bench-") as data:
        settings = Settings(data=Path(data), redis_url=os.environ["BENCH_REDIS"])
        with House(settings) as house, house.pool(executor=Marking([place])) as pool:

            def end(*_: object) -> None:
                asked.set()
                pool.drain()

            signal.signal(signal.SIGTERM, end)
            pool.run(asked.is_set)


if __name__ == "__main__":
    work()
