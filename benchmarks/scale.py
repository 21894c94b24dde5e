"""`python -m benchmarks scale`: does a turn stay as quick beside a million waiting tasks, and no script hold the server?

One private server. First the turns of an empty queue, then as many of a full one: tasks in many lines and tenants, put in by
`submit_many` and by plans under a lease, and delayed ones that failed once. A turn here settles one attempt, claims one task and
looks; it is timed by the server itself (slowlog, every command), so that a busy machine's waits for the processor count as
little as may be, and beside it stands a script that does nothing, called in between. Then what touches very many tasks at once: a job
of many tasks is cancelled, another loses the task they all wait for, and one lets them all go.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.contestant import NEEDS, new_job
from vidprocme.core.errors import ErrorInfo
from vidprocme.core.ids import task_id
from vidprocme.core.job import Bin, Job, Next, Outcome, OutcomeKind, Stage, Task
from vidprocme.queue import binaries
from vidprocme.queue.base import Claim, Claimed, NewJob, Settlement
from vidprocme.queue.redis import RedisQueue

TENANTS, JOBS_OF_ONE, HUGE = 20, 0.1, 100_000
SLOW_MS = 10.0
LEASE_MS = 600_000
DELAY_MS = 3_600_000  # none is due before the end
OK = Outcome(OutcomeKind.OK)
BROKEN = Outcome(OutcomeKind.FAILED, error=ErrorInfo("FFMPEG_FAILED", "ffmpeg exit 1"))
NOTHING = "return 1"


@dataclass(frozen=True, slots=True)
class Timed:
    """Milliseconds on the server."""

    p50: float
    p99: float
    most: float


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks scale", description=__doc__)
    parser.add_argument("--waiting", type=int, default=1_000_000)
    parser.add_argument("--delayed", type=int, default=100_000)
    parser.add_argument("--turns", type=int, default=2_000, help="timed, with the queue empty and again with it full")
    parser.add_argument("--short", action="store_true", help="10,000 and 1,000: does it run, and see a slow script?")
    asked = parser.parse_args(argv)
    waiting, delayed, turns = (10_000, 1_000, 300) if asked.short else (asked.waiting, asked.delayed, asked.turns)
    huge = min(HUGE, waiting // 5)
    with _server() as queue:
        if not _sees_a_slow_script(queue):
            print("the slowlog does not show a script that is slow", file=sys.stderr)
            return 1
        empty, nothing_empty = _turns(queue, turns)
        began_s = time.monotonic()
        slow = Slow(queue)
        _fill(queue, waiting, delayed)
        _say(f"{waiting} waiting and {delayed} delayed in {time.monotonic() - began_s:.0f} s")
        slow.take("fill")
        full, nothing_full = _turns(queue, turns)
        slow.take("turns")
        for name, act in (("cancel", _cancel), ("stop", _stop), ("let go", _let_go)):
            began_s = time.monotonic()
            act(queue, huge)
            _say(f"{name} of {huge} tasks: {time.monotonic() - began_s:.1f} s")
            slow.take(name)
        memory = queue.server().used_bytes
    print(_table(empty, full, nothing_empty, nothing_full))
    print(f"\np99 full / empty: {full.p99 / empty.p99:.2f} (goal <= 2)")
    print(f"scripts over {SLOW_MS:g} ms, by what was done: {slow.found or 'none'}; the slowest: {slow.most}")
    print(f"memory of the server: {memory / 2**20:.0f} MiB; {platform.python_version()}, {_cpu()}")
    result = {"p99_ratio": full.p99 / empty.p99, "slow": slow.found, "turn_p99_ms": full.p99, "most_ms": slow.most}
    print(json.dumps({"scale": result}))
    return 0


@contextmanager
def _server() -> Iterator[RedisQueue]:
    found = [*binaries.on_path(), *filter(None, [binaries.from_wheel()])]
    with tempfile.TemporaryDirectory(prefix="vps-", dir="/tmp") as folder:
        socket = Path(folder) / "s"
        words = [str(found[0]), "--port", "0", "--unixsocket", str(socket), "--dir", folder, "--save", ""]
        # No file: rewriting it would measure the disk and the fork.
        process = subprocess.Popen(
            [*words, "--appendonly", "no", "--slowlog-max-len", "100000"], stdout=subprocess.DEVNULL
        )
        try:
            deadline = time.monotonic() + 20
            while not socket.exists() and time.monotonic() < deadline:
                time.sleep(0.02)
            queue = RedisQueue.connect(f"unix://{socket}")
            yield queue
            queue.close()
        finally:
            process.terminate()
            process.wait()
            shutil.rmtree(folder, ignore_errors=True)


# -- what the server says of its scripts --------------------------------------------------------------------------------
class Slow:
    """Scripts that took longer than SLOW_MS, by what was being done."""

    def __init__(self, queue: RedisQueue) -> None:
        self._queue = queue
        self.found: dict[str, int] = {}
        self.most: dict[str, float] = {}
        self._begin()

    def _begin(self) -> None:
        self._queue.command("CONFIG", "SET", "slowlog-log-slower-than", 2_000)
        self._queue.command("SLOWLOG", "RESET")

    def take(self, doing: str) -> None:
        """What was noted since the last call."""
        took_ms = _script_ms(self._queue)
        over = [ms for ms in took_ms if ms > SLOW_MS]
        if over:
            self.found[doing] = len(over)
        self.most[doing] = round(max(took_ms, default=0.0), 1)
        self._begin()


def _script_ms(queue: RedisQueue) -> list[float]:
    """The times of the scripts in the slowlog, newest first."""
    entries: list[list[Any]] = queue.command("SLOWLOG", "GET", 100_000)  # number, when, us, words ...
    return [entry[2] / 1000 for entry in entries if str(entry[3][0]).upper().startswith("EVAL")]


def _sees_a_slow_script(queue: RedisQueue) -> bool:
    """A script that is slow is noted as slow: else all that follows would say nothing."""
    slow = Slow(queue)
    queue.command("EVAL", "local n = 0 for i = 1, 3000000 do n = n + i end return n", 0)
    slow.take("loop")
    return slow.most["loop"] > 2


def _turns(queue: RedisQueue, count: int) -> tuple[Timed, Timed]:
    """Turns that settle one attempt, claim one task and look, and in between a script that does nothing."""
    holder, mine = "scale", new_job()
    tasks = [_task(mine, index, Bin.URGENT) for index in range(200)]
    queue.submit(mine, tasks)
    (claimed,) = queue.turn(holder, [], [_claim(tasks[0])], lease_ms=LEASE_MS).claimed
    queue.command("CONFIG", "SET", "slowlog-log-slower-than", 0)
    turn_ms: list[float] = []
    nothing_ms: list[float] = []
    for number in range(1, count + 1):
        if number % 200 == 0:
            mine = new_job()
            tasks = [_task(mine, index, Bin.URGENT) for index in range(200)]
            queue.submit(mine, tasks)
        queue.command("SLOWLOG", "RESET")
        queue.command("EVAL", NOTHING, 0)
        nothing_ms += _script_ms(queue)[:1]
        queue.command("SLOWLOG", "RESET")
        settle = [Settlement(claimed.lease, Next.SUCCEED, OK)]
        (claimed,) = queue.turn(holder, settle, [_claim(tasks[number % 200])], lease_ms=LEASE_MS).claimed
        turn_ms += _script_ms(queue)[:1]
    queue.turn(holder, [Settlement(claimed.lease, Next.SUCCEED, OK)], [], lease_ms=LEASE_MS)
    queue.cancel(mine.id)
    return _timed(turn_ms), _timed(nothing_ms)


def _timed(took_ms: Sequence[float]) -> Timed:
    ranked = sorted(took_ms)
    return Timed(ranked[len(ranked) // 2], ranked[int(len(ranked) * 0.99)], ranked[-1])


# -- filling ------------------------------------------------------------------------------------------------------------
def _task(
    job: Job, index: int, bin_: Bin = Bin.NORMAL, after: Sequence[Task] = (), stage: Stage = Stage.TRANSCODE
) -> Task:
    ids = tuple(task.id for task in after)
    id_ = task_id(job.id, stage, index)
    return Task(id_, job.id, stage, index, {}, NEEDS, ids, bin=bin_, tenant=job.tenant, size=20_000)


def _claim(task: Task) -> Claim:
    return Claim(task.id, "place", NEEDS[0].resources)


def _job(number: int) -> Job:
    job = new_job()
    return Job(job.id, job.source, job.recipe, list(Bin)[1 + number % 3], f"tenant-{number % TENANTS}", job.created_ms)


def _fill(queue: RedisQueue, waiting: int, delayed: int) -> None:
    """A tenth as jobs of one task, the rest as plans of 1,000; both in three bins and 20 tenants. Then the delayed ones."""
    alone = round(waiting * JOBS_OF_ONE)
    for at in range(0, alone, 2_000):
        jobs = [_job(number) for number in range(at, min(alone, at + 2_000))]
        queue.submit_many([NewJob(job, [_task(job, 0, job.bin)]) for job in jobs])
    for number, at in enumerate(range(alone, waiting, 1_000)):
        _planned(queue, _job(number), min(1_000, waiting - at))
    for number, at in enumerate(range(0, delayed, 1_000)):
        _, tasks = _planned(queue, _job(number), min(1_000, delayed - at))
        for begin in range(0, len(tasks), 100):
            page = tasks[begin : begin + 100]
            claimed = queue.turn("scale", [], [_claim(task) for task in page], lease_ms=LEASE_MS).claimed
            later = [Settlement(one.lease, Next.RETRY, BROKEN, DELAY_MS) for one in claimed]
            queue.turn("scale", later, [], lease_ms=LEASE_MS)


def _planned(
    queue: RedisQueue, job: Job, count: int, more: Callable[[Task], list[Task]] | None = None
) -> tuple[Job, list[Task]]:
    """A job with so many tasks, entered as a probe's plan is."""
    probe = _task(job, 0, job.bin, stage=Stage.PROBE)
    queue.submit(job, [probe])
    (claimed,) = queue.turn("scale", [], [_claim(probe)], lease_ms=LEASE_MS).claimed
    tasks = more(probe) if more else [_task(job, index, job.bin) for index in range(count)]
    queue.enqueue(claimed.lease, tasks)
    queue.turn("scale", [Settlement(claimed.lease, Next.SUCCEED, OK)], [], lease_ms=LEASE_MS)
    return job, tasks


# -- what touches very many tasks -----------------------------------------------------------------------------------------
def _cancel(queue: RedisQueue, count: int) -> None:
    job, _ = _planned(queue, _job(0), count)
    assert queue.cancel(job.id)


def _stop(queue: RedisQueue, count: int) -> None:
    _, tasks = _planned(queue, _job(1), count)
    _settle(queue, tasks[0], Next.FAIL, BROKEN)
    _go_on(queue)


def _let_go(queue: RedisQueue, count: int) -> None:
    """All of them wait for one task."""
    job = _job(2)
    gate = _task(job, 0, job.bin, stage=Stage.FRAMES)
    _planned(queue, job, count, lambda _: [gate, *(_task(job, index, job.bin, [gate]) for index in range(count))])
    _settle(queue, gate, Next.SUCCEED, OK)
    _go_on(queue)
    queue.cancel(job.id)


def _settle(queue: RedisQueue, task: Task, next_: Next, outcome: Outcome) -> None:
    claimed: Sequence[Claimed] = queue.turn("scale", [], [_claim(task)], lease_ms=LEASE_MS).claimed
    queue.turn("scale", [Settlement(claimed[0].lease, next_, outcome)], [], lease_ms=LEASE_MS)


def _go_on(queue: RedisQueue) -> None:
    """As pools do: a turn after another, until nothing was put off."""
    while queue.command("EXISTS", queue.keys.of("rest")):
        queue.turn("scale", [], [], lease_ms=LEASE_MS)


# -- telling --------------------------------------------------------------------------------------------------------------
def _table(empty: Timed, full: Timed, nothing_empty: Timed, nothing_full: Timed) -> str:
    rows = (("empty", empty, nothing_empty), ("full", full, nothing_full))
    lines = [
        "| queue | turn p50 ms | p99 | longest | nothing p50 ms | p99 | longest |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, turn, nothing in rows:
        cells = (turn.p50, turn.p99, turn.most, nothing.p50, nothing.p99, nothing.most)
        lines.append(f"| {name} | " + " | ".join(f"{cell:.3f}" for cell in cells) + " |")
    return "\n".join(lines)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _cpu() -> str:
    words = Path("/proc/cpuinfo").read_text().partition("model name")[2].partition("\n")[0]
    return words.strip("\t :") or platform.machine()
