"""A pool that cannot start attempts takes no work from those that can, and goes on by itself when it can again."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.dispatch.conftest import Connect
from tests.dispatch.things import all_free, new_job, places, started, state, step_until, submit_waiting
from tests.executor.things import PLACES, settings
from tests.queue.things import new_task
from vidprocme.core.ids import AttemptId, TaskId
from vidprocme.core.job import Attempt, Bin, JobState, Next, Outcome, OutcomeKind, Stage, TaskState
from vidprocme.core.resources import Place
from vidprocme.core.snapshot import Head, Line, Snapshot
from vidprocme.core.wire import to_wire
from vidprocme.dispatch.pace import LoopConfig
from vidprocme.dispatch.rest import FIRST_S, MOST_S, Rest
from vidprocme.executor import endings
from vidprocme.executor.base import NOT_STARTED, Finished
from vidprocme.executor.local import LocalExecutor
from vidprocme.executor.timed import TimedExecutor
from vidprocme.library.blobs import BlobStore
from vidprocme.queue.check import check
from vidprocme.queue.redis import RedisQueue
from vidprocme.scheduler.explain import CANNOT_START

REFUSED = endings.lost(NOT_STARTED, "An attempt could not be started: no room.")
OK = Outcome(OutcomeKind.OK)
QUICK = LoopConfig(beat_ms=100, turn_every_s=0.05, pause_s=0.05)


class Sick(TimedExecutor):
    """One that can start nothing while it is `full`, as on a full disk."""

    def __init__(self, here: Sequence[Place]) -> None:
        super().__init__(here)
        self.full = threading.Event()
        self.full.set()
        self.refused: list[AttemptId] = []

    def submit(self, attempt: Attempt) -> None:
        if not self.full.is_set():
            super().submit(attempt)
            return
        self.refused.append(attempt.id)
        self._ready.append(Finished(attempt.id, REFUSED))


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_each_start_that_fails_makes_the_rest_longer(caplog: pytest.LogCaptureFixture) -> None:
    now = Clock()
    rest = Rest(now)
    assert rest.most(7) is None
    waits = []
    for number in range(9):
        for attempt in ("a", "b", "c")[: 1 if number else 3]:  # claimed together, they count as one
            rest.begun(AttemptId(attempt))
        for attempt in ("a", "b", "c")[: 1 if number else 3]:
            rest.ended(AttemptId(attempt), REFUSED)
        began_s = now.now_s
        while rest.most(0) == 0:
            now.now_s += 0.5
        waits.append(now.now_s - began_s)
    assert waits == [min(FIRST_S * 2**n, MOST_S) for n in range(9)]
    assert caplog.text.count("no room") == 1


@pytest.mark.parametrize("heard", ["runs", "ended"])
def test_after_a_rest_one_is_tried_until_it_has_begun(heard: str) -> None:
    now, trial = Clock(), AttemptId("trial")
    rest = Rest(now)
    rest.begun(AttemptId("first"))
    rest.ended(AttemptId("first"), REFUSED)
    rest.ended(AttemptId("another, from before"), OK)
    now.now_s += FIRST_S
    assert (rest.most(0), rest.most(1)) == (1, 0)
    rest.begun(trial)
    assert rest.most(0) == 0

    rest.ended(trial, Outcome(OutcomeKind.CANCELLED))  # before it was heard of
    assert rest.most(0) == 1
    rest.begun(trial)
    if heard == "runs":
        rest.runs(trial)
    else:
        rest.ended(trial, OK)
    assert rest.most(0) is None


def test_every_head_is_told_why_it_waits() -> None:
    rest = Rest()
    rest.ended(AttemptId("one"), REFUSED)
    heads = tuple(Head(TaskId(name), 5, ()) for name in ("t1", "t2"))
    line = Line(Bin.NORMAL, "t", "s", 2, 5, heads)
    plan = rest.plan(Snapshot({line.key: line}))
    assert plan.placements == () and plan.reasons.keys() == {"t1", "t2"}
    assert all(reason.code == CANNOT_START and "no room" in reason.text for reason in plan.reasons.values())


@pytest.mark.slow
def test_alone_it_leaves_the_work_waiting_and_goes_on_when_it_can(
    queue: RedisQueue, blobs: BlobStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "vidprocme.dispatch")
    executor = Sick(places(4))
    job = submit_waiting(queue, 40, 0.01)
    with started(queue, blobs, executor=executor, config=QUICK) as pool:
        step_until(pool, lambda: len(executor.refused) >= 6)  # four at once, then one after 1 s and 2 s
        step_until(pool, lambda: {task.state for task in queue.tasks(job.id)} == {TaskState.READY})
        assert len(executor.refused) == 6 and "1 to 60 s at a time" in caplog.text
        (view,) = queue.fleet()
        assert view.report is not None and view.report.reasons[CANNOT_START] > 0
        for task in queue.tasks(job.id):
            assert (task.tries, task.lost) == (0, 0)
        assert all_free(pool)

        executor.full.clear()
        pool.run(lambda: state(queue, job) is JobState.SUCCEEDED)
        assert "can be started again" in caplog.text and all_free(pool)
        step_until(pool, lambda: queue.fleet()[0].report.reasons[CANNOT_START] == 0)  # type: ignore[union-attr]
    assert {(task.tries, task.lost) for task in queue.tasks(job.id)} == {(1, 0)} and check(queue) == []


def test_beside_one_that_can_it_costs_no_task_anything(connect: Connect, blobs: BlobStore) -> None:
    queue, executor = connect(), Sick(places(8))
    job = submit_waiting(queue, 40, 0.1)
    with started(connect(), blobs, executor=executor, config=QUICK) as sick, started(queue, blobs, slots=2) as well:
        step_until(sick, lambda: executor.refused)

        def both() -> bool:
            sick.step(0)
            return state(queue, job) is JobState.SUCCEEDED

        step_until(well, both)
    assert {(task.tries, task.lost) for task in queue.tasks(job.id)} == {(1, 0)}
    assert len(executor.refused) <= 8 + 3 and check(queue) == []


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    where = tmp_path / "small"
    where.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(where)], check=True)
    yield where
    subprocess.run(["umount", "-l", str(where)], check=True)


@pytest.mark.mounts
def test_a_full_scratch_disk_is_waited_for(queue: RedisQueue, blobs: BlobStore, tmp_path: Path, small: Path) -> None:
    """Real attempts, on a disk without a byte to spare."""
    executor = LocalExecutor(PLACES, to_wire(settings(tmp_path)), small / "scratch", model_threads=1)
    job = new_job()
    queue.submit(job, [new_task(job, Stage.INDEX, number, payload={}) for number in range(20)])
    ballast = small / "ballast"
    with started(queue, blobs, executor=executor, config=QUICK) as pool:
        with ballast.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
            while True:
                file.write(b"x" * 4096)

        def returned() -> list[str]:
            return [record.next for view in queue.tasks(job.id) for record in queue.attempts(view.task.id)]

        step_until(pool, lambda: len(returned()) >= 6)
        assert set(returned()) == {Next.HAND_BACK} and len(returned()) == 6
        assert {(view.state, view.tries, view.lost) for view in queue.tasks(job.id)} == {(TaskState.READY, 0, 0)}

        ballast.unlink()
        pool.run(lambda: state(queue, job) is JobState.SUCCEEDED)
    assert {(view.tries, view.lost) for view in queue.tasks(job.id)} == {(1, 0)} and check(queue) == []
