"""Limits of bins and tenants under contention: pools in processes of their own, and one of them killed in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.dispatch.things import new_job, state, waiting
from tests.servers import RedisServer
from vidprocme.core.event import Event
from vidprocme.core.ids import TaskId
from vidprocme.core.job import Bin, Job, JobState
from vidprocme.queue.base import NewJob
from vidprocme.queue.check import check
from vidprocme.queue.redis import RedisQueue

ROOT = Path(__file__).parents[2]
BULK_MOST, ANN_MOST = 5, 3


@contextmanager
def pool_process(server: RedisServer, queue: RedisQueue) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A pool of four slots, and its id."""
    env = dict(os.environ, PYTHONPATH=os.pathsep.join((str(ROOT / "src"), str(ROOT))))
    words = [sys.executable, "-m", "tests.dispatch.holder", server.url, queue.keys.prefix]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=env, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def wait_for(true: Callable[[], object], within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "waited for nothing"
        time.sleep(0.01)


def all_events(queue: RedisQueue) -> list[Event]:
    found: list[Event] = []
    while more := queue.events(found[-1].id if found else "0", 2000):
        found += more
    return found


def most_at_once(events: Sequence[Event], jobs: dict[str, tuple[str, ...]]) -> Counter[str]:
    """How many tasks ran at most at any moment, by what their jobs count for; in the order in which the queue changed."""
    runs: set[TaskId] = set()
    now, most = Counter[str](), Counter[str]()
    for event in events:
        if event.task is None or not event.kind.startswith("task."):
            continue
        if event.kind == "task.running":
            assert event.task not in runs
            runs.add(event.task)
            now.update(jobs[event.job])
            most |= now
        elif event.task in runs:
            runs.remove(event.task)
            now.subtract(jobs[event.job])
    assert runs == set()
    return most


def test_limits_hold_at_every_moment_though_pools_compete_and_one_is_killed(
    server: RedisServer, queue: RedisQueue
) -> None:
    queue.limit_bin(Bin.BULK, BULK_MOST)
    queue.set_tenant("ann", limit=ANN_MOST)
    jobs: dict[str, Job] = {}
    counts: dict[str, tuple[str, ...]] = {}
    wishes = []
    for tenant in ("ann", "bob"):
        for bin_ in (Bin.BULK, Bin.NORMAL):
            for _ in range(5):
                job = new_job(bin=bin_, tenant=tenant)
                jobs[job.id], counts[job.id] = job, (tenant, bin_.value)
                wishes.append(NewJob(job, waiting(job, 20, 0.02)))
    with ExitStack() as stack:
        pools = [stack.enter_context(pool_process(server, queue)) for _ in range(3)]
        queue.submit_many(wishes)
        doomed, name = pools[0]
        held = queue.keys.of(f"held:{name}")
        lost: set[str] = set()

        def stopped_while_it_runs_some() -> bool:
            """Its tasks take 20 ms: only of a pool that stands still is it known what it has when it dies."""
            nonlocal lost
            os.kill(doomed.pid, signal.SIGSTOP)
            time.sleep(0.05)  # what it has sent before is done by then
            lost = set(queue.command("SMEMBERS", held))
            if not lost:
                os.kill(doomed.pid, signal.SIGCONT)
            return bool(lost)

        wait_for(stopped_while_it_runs_some)
        os.kill(doomed.pid, signal.SIGKILL)
        doomed.wait()

        wait_for(lambda: all(state(queue, job) is JobState.SUCCEEDED for job in jobs.values()))
    events = all_events(queue)
    most = most_at_once(events, counts)
    assert most[Bin.BULK.value] == BULK_MOST and most["ann"] == ANN_MOST, "reached, and never passed"
    assert most["bob"] > BULK_MOST, "who has no limit had the rest"
    assert len({event.data["holder"] for event in events if event.kind == "task.running"}) == 3
    starts = Counter(event.task for event in events if event.kind == "task.running")
    assert starts.total() >= 400 + len(lost) > 400
    assert {task for task, n in starts.items() if n > 1} == lost, (
        "what the dead pool ran was given back, and ran once more"
    )
    assert queue.command("HGETALL", queue.keys.of("running")) == {} and check(queue) == []
