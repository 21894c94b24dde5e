"""`python -m benchmarks decide`: how many placements one core decides in a second of CPU time, in a large cluster that is full.

10,000 GPUs of three types on 1,250 machines with 4 cores each (8 places with a GPU, or 2 with four for tasks that need several), and 100,000
tasks that wait: four bins, 50 tenants with weights, one of them at its limit, three models, whole GPUs and gangs of two, and tasks of the CPU. Each
call: the 64 attempts that end next are told, with what is left of their jobs; as many tasks of the same sorts arrive; `decide` starts at most
64, the reasons of what waits are worked out, and the board takes the plan on. All of that is timed, and calls that start nothing are not
counted. Jobs have as many chunks as videos of VP-1 (simulator/scenario.py), and wait in the line of their bin, tenant and model.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Any, NamedTuple

from vidprocme.core.ids import JobId, TaskId, task_id
from vidprocme.core.job import Bin
from vidprocme.core.resources import Need, Place, PlaceKind, Resources
from vidprocme.core.shares import Shares, TenantShare
from vidprocme.core.snapshot import Head, Line, Placement
from vidprocme.dispatch.pool import collect_seldom
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.config import PolicyConfig
from vidprocme.scheduler.policy import decide
from vidprocme.scheduler.reasons import Reasons
from vidprocme.simulator.chance import Chance

MODELS = (("A", 70), ("B", 20), ("C", 10))
TYPES = ("L4", "A100", "H100")
BINS = ((Bin.URGENT, 10), (Bin.HIGH, 30), (Bin.NORMAL, 40), (Bin.BULK, 20))
WHOLE = (Need(PlaceKind.GPU, Resources(gpu_milli=1000)),)
TWO = (Need(PlaceKind.GPU, Resources(gpu_milli=1000, gpus=2)),)
CORE = (Need(PlaceKind.CPU, Resources(cpu_milli=1000)),)
NEEDS = {needs[0].resources: needs for needs in (WHOLE, TWO, CORE)}
KINDS = ((WHOLE, 80), (TWO, 5), (CORE, 15))
MOST = 64
CHUNKS = {
    Bin.URGENT: (2, 0.7),
    Bin.HIGH: (4, 0.9),
    Bin.NORMAL: (13, 0.9),
    Bin.BULK: (75, 0.6),
}  # of a job: median, deviation of the logarithm
CHUNK_MS = 5_600


@dataclass(slots=True)
class Wish:
    """A job whose tasks come one after another."""

    id: JobId
    since_ms: int
    to_come: int
    left_ms: int


class Ran(NamedTuple):
    """An attempt. The one that ends next is the least."""

    end_ms: int
    task: TaskId
    place: str
    resources: Resources
    gpus: tuple[int, ...]


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks decide", description=__doc__)
    parser.add_argument("--machines", type=int, default=1_250, help="of eight GPUs each")
    parser.add_argument("--waiting", type=int, default=100_000)
    parser.add_argument("--calls", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    world = World(options.machines, options.waiting, options.seed)
    print(f"  {world.gpus:,} GPUs, {len(world.board.waiting.tasks):,} tasks wait; settling", file=sys.stderr)
    world.run(max(10, options.calls // 10))
    collect_seldom()  # as a pool does
    gc.collect()
    gc.freeze()  # the cluster itself: the collector need not walk over it at all
    found = world.run(options.calls)
    if options.json:
        print(json.dumps(found))
    else:
        print("\n".join(f"{name:>24} {value:>14,}" for name, value in found.items() if not isinstance(value, dict)))
    return 0


class World:
    """A full cluster; time goes on by what ends."""

    def __init__(self, machines: int, waiting: int, seed: int) -> None:
        self._chance = Chance(seed)
        self._now, self._number = 1_700_000_000_000, 0
        self.board = Board(PolicyConfig(most=MOST))
        self._told = self._now
        self.gpus = 0
        for number in range(machines):
            self._add(number)
        self._tenants = {f"tenant-{n:02d}": TenantShare(0, 1 + n % 5, 150 if n == 7 else None) for n in range(50)}
        self.board.shares(Shares(tenants=self._tenants))
        self._lines: dict[tuple[Bin, str, int, str], Line] = {}
        self._wishes: dict[str, Wish] = {}  # by line: the one whose tasks are coming
        self._of: dict[TaskId, tuple[Line, Wish]] = {}
        self._running: list[Ran] = []
        for _ in range(waiting):
            line, head = self._task(ready_ms=self._now - self._chance.below(7_200_000))
            self.board.arrived(line, head)
        self._fill()

    def run(self, calls: int) -> dict[str, Any]:
        """So many calls that start something."""
        board, placed, counted, cpu_s = self.board, 0, 0, 0.0
        codes: Counter[str] = Counter()
        while counted < calls:
            ended = self._ended()
            told = [(one, *self._of.pop(one.task)) for one in ended]
            for _, _, wish in told:
                wish.left_ms -= CHUNK_MS
            arrived = [self._task(self._now, NEEDS[one.resources]) for one in ended]
            began = time.process_time()
            if self._now - self._told >= 1_000:  # as the queue would, with each turn
                self._told = self._now
                board.shares(board.ledger.shares())
            for one, line, wish in told:
                board.finished(one.place, one.resources, one.gpus, one.task)
                board.ended(line.bin, line.tenant)
                board.progress(wish.id, wish.left_ms)
            for line, head in arrived:
                board.arrived(line, head)
            plan = decide(board, self._now)
            assert isinstance(plan.reasons, Reasons)
            codes.update(code for _, code in plan.reasons.by_group())
            board.planned(plan)
            took = time.process_time() - began
            for begun in plan.placements:
                self._started(begun)
            if plan.placements:
                counted, placed, cpu_s = counted + 1, placed + len(plan.placements), cpu_s + took
        whole = sum(codes.values())
        return {
            "calls": counted,
            "placements": placed,
            "placements_per_cpu_s": round(placed / cpu_s),
            "cpu_us_per_placement": round(1e6 * cpu_s / placed, 2),
            "waiting": len(board.waiting.tasks),
            "held": len(board.held.seats),
            "reasons_percent": {code: round(100 * n / whole, 2) for code, n in codes.most_common()},
        }

    def _add(self, number: int) -> None:
        name, type_ = f"node-{number:05d}", TYPES[number % 3]
        cores = Resources(cpu_milli=4_000)
        self.board.place(Place(f"{name}/cpu", name, PlaceKind.CPU, cores, 4))
        if number % 10:
            places = [(f"{name}/gpu:{n}", Resources(gpu_milli=1000, gpus=1), 2) for n in range(8)]
        else:
            places = [(f"{name}/gpus:{n}", Resources(gpu_milli=1000, gpus=4), 8) for n in range(2)]
        for id_, has, slots in places:
            model = self._one(MODELS)
            self.board.place(Place(id_, name, PlaceKind.GPU, has, slots, (model,), gpu_type=type_))
            self.gpus += has.gpus

    def _task(self, ready_ms: int, needs: tuple[Need, ...] | None = None) -> tuple[Line, Head]:
        self._number += 1
        needs = needs or self._one(KINDS)
        model = None if needs is CORE else self._one(MODELS)
        bin_, tenant = self._one(BINS), f"tenant-{self._chance.below(50):02d}"
        key = (bin_, tenant, id(needs), model or "-")
        line = self._lines.get(key)
        if line is None:
            stage = "transcode" if needs is CORE else "describe"
            line = self._lines[key] = Line(bin_, tenant, f"{stage}/{key[3]}/{id(needs)}", 1, ready_ms, ())
        wish = self._wishes.get(line.key)
        if wish is None or not wish.to_come:
            median, deviation = CHUNKS[bin_]
            chunks = max(1, int(self._chance.log_normal(median, deviation)))
            left_ms = int(chunks * CHUNK_MS * self._chance.log_normal(1.0, 0.5))
            wish = self._wishes[line.key] = Wish(JobId(f"job_{self._number:012d}"), ready_ms, chunks, left_ms)
        wish.to_come -= 1
        head = Head(
            task_id(wish.id, "describe", wish.to_come),
            ready_ms,
            needs,
            model,
            work_ms=CHUNK_MS,
            left_ms=wish.left_ms,
            since_ms=wish.since_ms,
        )
        self._of[head.task] = line, wish
        return line, head

    def _fill(self) -> None:
        """Until every place is busy."""
        while True:
            plan = decide(self.board, self._now)
            if not plan.placements:
                break
            self.board.planned(plan)
            for one in plan.placements:
                self._started(one)
                self.board.arrived(*self._task(self._now))
        heapify(self._running)

    def _started(self, one: Placement) -> None:
        end_ms = self._now + 1 + int(self._chance.log_normal(CHUNK_MS, 0.3))
        heappush(self._running, Ran(end_ms, one.task, one.place, one.resources, one.gpus))

    def _ended(self) -> list[Ran]:
        """What ended next: as many as one decision may start."""
        found = [heappop(self._running) for _ in range(min(MOST, len(self._running)))]
        self._now = max(self._now, found[-1].end_ms)
        return found

    def _one(self, choices: Sequence[tuple[Any, int]]) -> Any:
        at = self._chance.below(sum(weight for _, weight in choices))
        for what, weight in choices:
            at -= weight
            if at < 0:
                return what
        raise AssertionError("weights add up")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
