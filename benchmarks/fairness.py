"""`python -m benchmarks fairness`: tenants' shares and the longest waits, beside what is promised, through the real queue.

The pools are those of `vidprocme up` (`wiring.House.pool`: leases, beats, events, the real policy) on an embedded Redis; only their
attempts are other ones, `executor.timed`, which wait for their time and end.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vidprocme.config import Settings
from vidprocme.core.clock import SystemClock
from vidprocme.core.ids import JobId, new_job_id, task_id
from vidprocme.core.job import Bin, Job, Recipe, Source, Stage, Task
from vidprocme.core.resources import Need, Place, PlaceKind, Resources
from vidprocme.dispatch.dispatcher import Dispatcher
from vidprocme.executor.timed import TimedExecutor
from vidprocme.queue.base import NewJob, Queue
from vidprocme.scheduler.turns import wait_bound_ms
from vidprocme.wiring import House

CLOCK = SystemClock()
CLAIMS = 200
FEW, CROWD = 200, 20_000  # tasks of the two tenants: 1:100
CORES = 4
ATTEMPT_S = 0.05
# Seconds after which a task is overdue, so short that a run of half a minute shows many.
OVERDUE_S = {Bin.URGENT: 0, Bin.HIGH: 1, Bin.NORMAL: 2, Bin.BULK: 4}


@dataclass
class Longest:
    """Of one bin: tasks that started, and the one that came nearest to its bound."""

    tasks: int = 0
    late: int = 0  # that came to be overdue
    wait_s: float = 0.0
    bound_s: float = 0.0
    over: int = 0  # that waited longer than their bound


@dataclass
class Waits:
    by_bin: dict[Bin, Longest] = field(default_factory=lambda: {bin_: Longest() for bin_ in Bin})
    attempt_s: float = 0.0  # the longest
    look_s: float = 0.0  # the longest time between two turns


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks fairness", description=__doc__)
    parser.add_argument("--short", action="store_true", help="one run of each; under a minute")
    arguments = parser.parse_args(argv)
    print(f"Shares of {CLAIMS} claims; backlogs {FEW}:{CROWD}, the longer one first.")
    shares = []
    for weights in ((1, 1), (3, 1)) if arguments.short else ((1, 1), (3, 1), (1, 3), (10, 1)):
        for pools in (1, 2):
            got, wanted = share(weights, pools), CLAIMS * weights[0] / sum(weights)
            shares.append({"weights": weights, "pools": pools, "claims": got, "by_weight": wanted})
            print(
                f"  {weights[0]}:{weights[1]}, {pools} pools: {got}, by weight {wanted:.0f} ({got / wanted - 1:+.1%})"
            )
    seconds = 25 if arguments.short else 120
    print(f"Waits in {seconds} s; urgent work without end on {CORES} cores, {ATTEMPT_S} s an attempt.")
    found = waits(seconds)
    print(f"  longest attempt {found.attempt_s:.2f} s, longest time between turns {found.look_s:.2f} s")
    for bin_, longest in found.by_bin.items():
        told = f"{longest.late:4} overdue, longest wait {longest.wait_s:5.2f} s of {longest.bound_s:5.2f} s"
        print(f"  {bin_:7} {longest.tasks:5} tasks, {told if bin_ is not Bin.URGENT else 'never run dry'}")
    rows = {bin_: vars(longest) for bin_, longest in found.by_bin.items()}
    print(json.dumps({"fairness": {"shares": shares, "waits": rows}}))
    return 1 if any(longest.over for longest in found.by_bin.values()) else 0


@contextmanager
def houses(count: int, **settings: Any) -> Iterator[list[House]]:
    """Houses of one new data folder: one queue."""
    with tempfile.TemporaryDirectory(prefix="vidprocme-bench-") as data, ExitStack() as stack:
        yield [stack.enter_context(House(Settings(data=Path(data), **settings))) for _ in range(count)]


@contextmanager
def pools(houses: Sequence[House], cores: int = CORES) -> Iterator[list[Dispatcher]]:
    with ExitStack() as stack:
        places = [
            Place(f"n{number}/cpu", f"n{number}", PlaceKind.CPU, Resources(cpu_milli=1000 * cores), slots=cores)
            for number in range(len(houses))
        ]
        yield [
            stack.enter_context(house.pool(executor=TimedExecutor([place])))
            for house, place in zip(houses, places, strict=True)
        ]


def job_of(count: int, *, wait_s: float, cores: int = 1, bin_: Bin = Bin.NORMAL, tenant: str = "default") -> NewJob:
    now_ms = CLOCK.now_ms()
    source = Source("file:///videos/goat.mp4", "goat.mp4", "ab" * 32, 1_000_000, 5)
    job = Job(new_job_id(now_ms, os.urandom(10)), source, Recipe(), bin_, tenant, created_ms=now_ms)
    needs = (Need(PlaceKind.CPU, Resources(cpu_milli=1000 * cores)),)
    tasks = [
        Task(
            task_id(job.id, Stage.TRANSCODE, number),
            job.id,
            Stage.TRANSCODE,
            number,
            {"wait_s": wait_s},
            needs,
            bin=bin_,
            tenant=tenant,
        )
        for number in range(count)
    ]
    return NewJob(job, tasks)


def share(weights: tuple[int, int], count: int) -> int:
    """How many of the first claims are those of the tenant with the short backlog."""
    with houses(count) as made:
        queue = made[0].queue
        for tenant, weight, tasks in zip(("few", "crowd"), weights, (FEW, CROWD), strict=True):
            queue.set_tenant(tenant, weight)
            if tenant == "crowd":
                queue.submit_many([job_of(CLAIMS, wait_s=0.002, tenant=tenant) for _ in range(tasks // CLAIMS)])
        few = job_of(FEW, wait_s=0.002, tenant="few")
        queue.submit_many([few])
        mark = queue.newest_event() or "0"
        with pools(made) as running:
            while len(claims := first_claims(queue, mark)) < CLAIMS:
                for pool in running:
                    pool.step(0.002)
    return claims.count(few.job.id)


def first_claims(queue: Queue, after: str) -> list[JobId]:
    """The jobs of the first CLAIMS tasks that started since an event."""
    found: list[JobId] = []
    while len(found) < CLAIMS and (events := queue.events(after, 2000)):
        found += [event.job for event in events if event.kind == "task.running"]
        after = events[-1].id
    return found[:CLAIMS]


def waits(seconds: float) -> Waits:
    """Urgent work is topped up before it runs dry; of the other bins comes a handful now and then, also for the whole place."""
    found = Waits()
    overdue = {f"overdue_{bin_}_s": seconds for bin_, seconds in OVERDUE_S.items()}
    with houses(1, **overdue) as made, pools(made) as (pool,):
        queue = made[0].queue
        ends, next_s, reached = time.monotonic() + seconds, 0.0, pool.reached_s
        while (now := time.monotonic()) < ends:
            if queue.depth().waiting_by_bin.get(Bin.URGENT, 0) < 4 * CORES:
                queue.submit_many([job_of(8 * CORES, wait_s=ATTEMPT_S, bin_=Bin.URGENT)])
            if now >= next_s:
                next_s = now + 5
                queue.submit_many(
                    [
                        job_of(2, wait_s=ATTEMPT_S, cores=cores, bin_=bin_, tenant=f"t{cores}")
                        for bin_ in (Bin.HIGH, Bin.NORMAL, Bin.BULK)
                        for cores in (1, CORES)
                    ]
                )
            pool.step(0.01)
            if pool.reached_s != reached:
                if reached > 0:
                    found.look_s = max(found.look_s, pool.reached_s - reached)
                reached = pool.reached_s
        take_stock(queue, found)
    return found


def take_stock(queue: Queue, found: Waits) -> None:
    """Hold every task to its bound. One that has not started yet has waited until now."""
    now_ms = CLOCK.now_ms()
    rows: dict[Bin, list[tuple[int, int]]] = {bin_: [] for bin_ in Bin}  # ready, started
    for view in queue.jobs(limit=1_000_000):
        for task in queue.tasks(view.job.id):
            rows[view.job.bin].append((view.submitted_ms, task.started_ms or now_ms))
            for attempt in queue.attempts(task.task.id):
                found.attempt_s = max(found.attempt_s, (attempt.ended_ms - attempt.started_ms) / 1000)
    for bin_, tasks in rows.items():
        longest, max_wait_ms = found.by_bin[bin_], 1000 * OVERDUE_S[bin_]
        for ready, started in tasks:
            longest.tasks += 1
            late = ready + max_wait_ms
            if bin_ is Bin.URGENT or started <= late:
                continue  # urgent work has no end here, and so no bound that could be told
            longest.late += 1
            # Of those that came at the same moment any may be before it.
            older = sum(1 for other, began in tasks if other <= ready and began > late) - 1
            bound_ms = wait_bound_ms(
                bin_,
                tuple(Bin),
                max_wait_ms=max_wait_ms,
                older=older,
                attempt_ms=round(1000 * found.attempt_s),
                look_ms=round(1000 * found.look_s),
                mates=1,  # a job has two tasks; the pace of these pools is as long as what makes a task overdue
                pace_ms=max_wait_ms,
            )
            longest.over += started - ready > bound_ms
            if (started - ready) / bound_ms >= (longest.wait_s / longest.bound_s if longest.bound_s else 0):
                longest.wait_s, longest.bound_s = (started - ready) / 1000, bound_ms / 1000
