"""The server's clock jumps: nothing is lost or doubled, and nothing waits until it has caught up."""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.dispatch.things import FAST, started, state, step_until, submit_waiting
from tests.queue.things import BROKEN, end, lease_of, look, pool, submitted, until
from tests.servers import RedisServer
from vidprocme.core.job import Job, JobState, Next, TaskState
from vidprocme.library.blobs import BlobStore
from vidprocme.queue.check import check
from vidprocme.queue.redis import RedisQueue

HOUR_S = 3_600


class Clock:
    """What a server takes for the time: ours, and some seconds beside it (libfaketime, told by a file)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.jump(0)

    def jump(self, seconds: int) -> None:
        aside = self._path.with_suffix(".new")
        aside.write_text(f"{seconds:+d}\n")
        aside.replace(self._path)

    def environment(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": _library(),
            "FAKETIME_TIMESTAMP_FILE": str(self._path),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }


@cache
def _library() -> str:
    """Asked of the command, again under another process id where a killed process of the same id has left its semaphore."""
    for _ in range(20):
        asked = subprocess.run(["faketime", "-f", "+0", "env"], capture_output=True, text=True, check=False)
        if asked.returncode == 0:
            break
    assert asked.returncode == 0, asked.stderr
    (preload,) = [line for line in asked.stdout.splitlines() if line.startswith("LD_PRELOAD=")]
    return preload.partition("=")[2]


def kill(server: RedisServer) -> None:
    """
    Told to stop amid a malloc, a server under libfaketime would wait for itself for ever: its handler asks for the time,
    and the library reads a file for that. Killed, it leaves what a later process of its id would stumble over.
    """
    server.kill()
    for name in (f"sem.faketime_sem_{server.pid}", f"faketime_shm_{server.pid}"):
        (Path("/dev/shm") / name).unlink(missing_ok=True)
    server.close()


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path / "offset")


@pytest.fixture
def jumpy(tmp_path: Path, clock: Clock) -> Iterator[RedisQueue]:
    server = RedisServer(tmp_path / "redis", environment=clock.environment())
    server.start()
    queue = RedisQueue.connect(server.url)
    yield queue
    queue.close()
    kill(server)


def server_s(queue: RedisQueue) -> float:
    seconds, micros = queue.command("TIME")
    return int(seconds) + int(micros) / 1e6


@pytest.mark.faketime
@pytest.mark.parametrize("seconds", [HOUR_S, -HOUR_S])
def test_the_clock_jumps_while_attempts_run(jumpy: RedisQueue, blobs: BlobStore, clock: Clock, seconds: int) -> None:
    jobs = [submit_waiting(jumpy, 6, 0.4) for _ in range(2)]
    with started(jumpy, blobs, slots=3) as pool:
        step_until(pool, lambda: pool.busy == 3)
        clock.jump(seconds)
        assert abs(server_s(jumpy) - time.time() - seconds) < 60, "the clock did not jump"
        step_until(pool, lambda: all(state(jumpy, job) is JobState.SUCCEEDED for job in jobs), 60)
        clock.jump(0)
        after = submit_waiting(jumpy, 3, 0.05)
        step_until(pool, lambda: state(jumpy, after) is JobState.SUCCEEDED, 60)
        step_until(pool, lambda: len(jumpy.pools()) == 1)
    for job in (*jobs, after):
        _each_once(jumpy, job)
    assert check(jumpy) == []


@pytest.mark.faketime
def test_nobody_is_taken_for_dead_when_the_clock_jumps_forwards(jumpy: RedisQueue, clock: Clock) -> None:
    """All presences and leases are over at once; whoever comes first takes nobody's work."""
    leases = []
    for name in ("a", "b"):
        jumpy.join(pool(name), 3_000)
        _, probe = submitted(jumpy)
        leases.append(lease_of(jumpy, probe, name))
    clock.jump(HOUR_S)

    look(jumpy, "a")

    for lease in leases:
        assert jumpy.beat(lease.holder, [lease], lease_ms=60_000, presence_ms=3_000).lost == ()
    assert check(jumpy) == []


@pytest.mark.faketime
def test_what_was_delayed_does_not_wait_until_the_clock_has_caught_up(jumpy: RedisQueue, clock: Clock) -> None:
    _, probe = submitted(jumpy)
    end(jumpy, lease_of(jumpy, probe), Next.RETRY, BROKEN, delay_ms=1_000)
    clock.jump(-HOUR_S)
    until(jumpy, "pool", probe.id)
    assert jumpy.task(probe.id).state is TaskState.READY and check(jumpy) == []  # type: ignore[union-attr]


@pytest.mark.faketime
@pytest.mark.parametrize("seconds", [HOUR_S, -HOUR_S])
def test_a_server_with_another_clock_is_not_asked_all_the_time(
    jumpy: RedisQueue, blobs: BlobStore, clock: Clock, seconds: int
) -> None:
    """Something is due in a minute by a clock that is an hour beside ours: turns come once in a while, not again and again."""
    clock.jump(seconds)
    _, probe = submitted(jumpy)
    end(jumpy, lease_of(jumpy, probe), Next.RETRY, BROKEN, delay_ms=60_000)
    with started(jumpy, blobs, config=FAST) as pool:
        pool.step(0)
        turns = jumpy.command("INFO", "commandstats")["cmdstat_evalsha"]["calls"]
        began_s = time.monotonic()
        while (passed_s := time.monotonic() - began_s) < 1.5:
            pool.step(0.5)
        more = jumpy.command("INFO", "commandstats")["cmdstat_evalsha"]["calls"] - turns
    # A turn each 0.2 s, a beat each 0.1 s, and a little housekeeping; every 20 ms it would be 75 turns.
    assert more < 30 * passed_s / 1.5


def test_a_long_delay_is_waited_for_and_one_from_the_future_is_not(queue: RedisQueue) -> None:
    """The same without another clock: what says that it was delayed later than now is ready at once."""
    _, probe = submitted(queue)
    end(queue, lease_of(queue, probe), Next.RETRY, BROKEN, delay_ms=1_000 * HOUR_S)
    look(queue)
    assert queue.task(probe.id).state is TaskState.DELAYED  # type: ignore[union-attr]
    queue.command("HINCRBY", queue.keys.task(probe.id), "since", 500 * HOUR_S)
    look(queue)
    assert queue.task(probe.id).state is TaskState.READY and check(queue) == []  # type: ignore[union-attr]


def _each_once(queue: RedisQueue, job: Job) -> None:
    events = Counter(event.task for event in queue.events("0", 100_000) if event.kind == "task.succeeded")
    for view in queue.tasks(job.id):
        assert [r.next for r in queue.attempts(view.task.id)].count(Next.SUCCEED) == events[view.task.id] == 1
