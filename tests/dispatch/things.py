"""Pools of attempts that only wait, and jobs for them."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from tests.planner.sources import media, steady
from tests.queue.things import new_task
from vidprocme.core.clock import Rng, SystemClock
from vidprocme.core.errors import ErrorInfo, Fate
from vidprocme.core.ids import JobId
from vidprocme.core.job import Bin, Job, JobState, Next, Outcome, OutcomeKind, Recipe, Source, Stage, Task
from vidprocme.core.media import RenditionFile
from vidprocme.core.resources import Place, PlaceKind, Resources
from vidprocme.core.wire import index_to_bytes, to_wire
from vidprocme.dispatch.advance import Failpoint
from vidprocme.dispatch.dispatcher import Dispatcher
from vidprocme.dispatch.pace import LoopConfig
from vidprocme.dispatch.pool import this_pool
from vidprocme.executor.base import Executor
from vidprocme.executor.timed import TimedExecutor
from vidprocme.library.base import Blobs
from vidprocme.library.frames_zip import pack
from vidprocme.planner.graph import plan_next
from vidprocme.queue.base import Claim, Claimed, PoolInfo, Queue, Settlement
from vidprocme.scheduler.config import PolicyConfig

CLOCK = SystemClock()
FAST = LoopConfig(beat_ms=100, turn_every_s=0.2, pause_s=0.05)
NUMBER = itertools.count(1)
CORE = Resources(cpu_milli=1000)


class NoChance(Rng):
    """Every backoff is 0: what is tried again is tried at once."""

    def random(self) -> float:
        return 0.0


def places(slots: int = 4, node: str = "here") -> tuple[Place, ...]:
    return (Place(f"{node}/cpu", node, PlaceKind.CPU, Resources(cpu_milli=1000 * slots), slots=slots),)


def dispatcher(
    queue: Queue,
    blobs: Blobs,
    *,
    slots: int = 4,
    config: LoopConfig = FAST,
    only: Callable[[], Collection[JobId]] | None = None,
    at: Failpoint = lambda _name: None,
    policy: PolicyConfig | None = None,
    executor: Executor | None = None,
    record: Callable[[str], None] | None = None,
    renew: Callable[[], bool] = lambda: False,
) -> Dispatcher:
    here = places(slots) if executor is None else tuple(executor.places())
    pool = this_pool(CLOCK.now_ms(), len(here), own_jobs_only=only is not None)
    return Dispatcher(
        queue,
        executor or TimedExecutor(here),
        blobs,
        pool,
        clock=CLOCK,
        rng=NoChance(),
        config=config,
        policy=policy,
        only=only,
        at=at,
        record=record,
        renew=renew,
    )


@contextmanager
def started(queue: Queue, blobs: Blobs, **more: Any) -> Iterator[Dispatcher]:
    made = dispatcher(queue, blobs, **more)
    try:
        made.start()
        yield made
    finally:
        made.close()


def new_job(sha256: str = "ab" * 32, recipe: Recipe | None = None, **more: Any) -> Job:
    source = Source("file:///videos/goat.mp4", "goat.mp4", sha256, 1000, 5)
    return Job(JobId(f"job_{next(NUMBER):06d}"), source, recipe or Recipe(), created_ms=CLOCK.now_ms(), **more)


def waiting(job: Job, count: int, wait_s: float = 0.01, **more: Any) -> list[Task]:
    """Tasks that wait for nothing but their time."""
    return [new_task(job, Stage.TRANSCODE, number, payload={"wait_s": wait_s}, **more) for number in range(count)]


def submit_waiting(queue: Queue, count: int, wait_s: float = 0.01, bin_: Bin = Bin.NORMAL) -> Job:
    job = new_job(bin=bin_)
    tasks = waiting(job, count, wait_s)
    assert queue.submit(job, tasks).created
    return job


def state(queue: Queue, job: Job | JobId) -> JobState:
    view = queue.job(job.id if isinstance(job, Job) else job)
    assert view is not None
    return view.state


def all_free(pool: Dispatcher) -> bool:
    """Whether the loop's picture is that nothing runs here."""
    return all(
        load.free_slots == load.place.slots and load.free == load.place.resources
        for load in pool._outlook.snapshot.places.values()
    )


def step_until(pool: Dispatcher, true: Callable[[], object], within_s: float = 30) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "waited for nothing"
        pool.step(0.05)


# -- a job's life by hand: every task is claimed and settled with what a real stage would have said ---------------------
def claim(queue: Queue, task: Task, holder: str = "hand") -> Claimed:
    (claimed,) = queue.turn(holder, [], [Claim(task.id, "place", CORE)], lease_ms=60_000).claimed
    return claimed


def settle(queue: Queue, task: Task, outcome: Outcome, next_: Next = Next.SUCCEED) -> None:
    lease = claim(queue, task).lease
    assert queue.turn(lease.holder, [Settlement(lease, next_, outcome)], [], lease_ms=60_000).stale == ()


def fail(queue: Queue, task: Task, text: str = "It is no video.") -> None:
    error = ErrorInfo("NOT_A_VIDEO", text, "Give a video.", {"size": 3}, Fate.NEVER)
    settle(queue, task, Outcome(OutcomeKind.FAILED, error=error), Next.FAIL)


INDEX = steady((Fraction(1, 25), 1), 25 * 60, 25)  # a minute, cut into three


def probed(blobs: Blobs) -> Outcome:
    artifact = blobs.put_bytes(index_to_bytes(INDEX), "frames.idx")
    return Outcome(OutcomeKind.OK, {"media": to_wire(media(INDEX)), "degraded": ["sound: none"]}, (artifact,))


def plan_by_hand(queue: Queue, blobs: Blobs, job: Job, probe: Task) -> tuple[Task, ...]:
    """Claim the probe, enqueue what follows, settle it."""
    claimed, outcome = claim(queue, probe), probed(blobs)
    tasks = plan_next(job, probe, outcome, INDEX)
    queue.enqueue(claimed.lease, tasks)
    queue.turn("hand", [Settlement(claimed.lease, Next.SUCCEED, outcome)], [], lease_ms=60_000)
    return tasks


def transcoded(blobs: Blobs, task: Task, folder: Path) -> Outcome:
    """A chunk's frames, one each 10 s (not pictures: nobody looks at them here)."""
    first = 20 * task.index
    frames = []
    for second in (first, first + 10):
        path = folder / f"{task.index:05d}-{second:04d}.jpg"
        path.write_bytes(f"picture at {second}".encode())
        frames.append((f"{second}/1", path))
    archive = folder / "frames.zip"
    pack([(path.name, path) for _, path in frames], archive)
    result = {"frames": [[time_, path.name] for time_, path in frames], "degraded": []}
    return Outcome(OutcomeKind.OK, result, (blobs.put_file(archive, "frames.zip"),))


def described(blobs: Blobs, task: Task, words: str, model: str = "demo") -> Outcome:
    first = 20 * task.index
    items = [
        {
            "time": f"{s}/1",
            "name": f"{task.index:05d}-{s:04d}.jpg",
            "text": f"{words} {s}",
            "model": model,
            "error": None,
        }
        for s in (first, first + 10)
    ]
    return Outcome(
        OutcomeKind.OK, {"captions": 2, "failed": 0}, (blobs.put_bytes(json.dumps(items).encode(), "captions.json"),)
    )


def joined(blobs: Blobs) -> Outcome:
    artifact = blobs.put_bytes(b"a film", "720p.mp4")
    file = RenditionFile("720p", artifact.sha256, 1280, 720, 1500, INDEX.time_base * 1500, artifact.size_bytes)
    return Outcome(OutcomeKind.OK, {"renditions": to_wire([file]), "degraded": []}, (artifact,))


def live(
    queue: Queue,
    blobs: Blobs,
    folder: Path,
    job: Job,
    tasks: Sequence[Task],
    words: str = "a goat",
    upto: Stage = Stage.INDEX,
) -> None:
    """Settle a planned job's tasks in order, up to and with this stage."""
    order = [Stage.TRANSCODE, Stage.JOIN, Stage.DESCRIBE, Stage.INDEX]
    for task in sorted(tasks, key=lambda t: order.index(t.stage)):
        if order.index(task.stage) > order.index(upto):
            return
        match task.stage:
            case Stage.TRANSCODE:
                settle(queue, task, transcoded(blobs, task, folder))
            case Stage.JOIN:
                settle(queue, task, joined(blobs))
            case Stage.DESCRIBE:
                settle(queue, task, described(blobs, task, words, job.recipe.model or ""))
            case _:
                settle(queue, task, Outcome(OutcomeKind.OK, {"captions": 6, "chunks_missing": 0}))


def wish() -> tuple[Source, Recipe]:
    """The same each time, in any process."""
    return Source("file:///videos/wished.mp4", "wished.mp4", "9f" * 32, 1000, 5), Recipe()


def ended() -> PoolInfo:
    """A pool of this host whose process is over."""
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    return replace(this_pool(SystemClock().now_ms()), id="pool_ENDED", pid=process.pid, pid_started=1)
