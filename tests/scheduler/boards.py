"""Boards with a past, made of a seed: places of all kinds with attempts that run there, lines of all bins, reservations, rules, failures."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from vidprocme.core.ids import TaskId
from vidprocme.core.job import Bin
from vidprocme.core.resources import Need, Place, PlaceKind, Resources
from vidprocme.core.shares import BinShare, Shares, TenantShare
from vidprocme.core.snapshot import Head, Line
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.config import PolicyConfig
from vidprocme.scheduler.policy import decide

MODELS = ("ant", "bee")
TENANTS = ("ann", "bob", "cy")
TYPES = ("", "A", "B")
GIB = 2**30
BEGIN_MS = 1_000_000


@dataclass(frozen=True)
class Case:
    """A board and the moment at which it is to decide."""

    seed: int
    board: Board
    now_ms: int


def case(seed: int) -> Case:
    """The same for the same seed."""
    rng = random.Random(seed)
    board = Board(_config(rng))
    board.places(_place(rng, number) for number in range(rng.randint(2, 5)))
    now_ms = BEGIN_MS
    known: list[Line] = []
    board.shares(_shares(rng))
    for round_ in range(3):
        known = [line for one in known if (line := _left(board, one)) is not None]
        known += [_line(rng, f"{round_}{number}", now_ms) for number in range(rng.randint(1, 3))]
        board.lines(known, complete=True)
        if round_ == 2:
            break
        board.planned(decide(board, now_ms))
        now_ms += rng.choice((100, 3_000, 20_000, 70_000))
        for seat in list(board.seats.all.values()):
            for task, (resources, gpus, *_) in list(seat.running.items()):
                if rng.random() < 0.3:
                    board.finished(seat.id, resources, gpus, task)
    for seat in list(board.seats.all.values()):
        if rng.random() < 0.12:
            board.place(replace(seat.place, warm=seat.state.warm, draining=True))
    board.shares(_shares(rng))
    return Case(seed, board, now_ms)


def _config(rng: random.Random) -> PolicyConfig:
    bounds = {Bin.URGENT: 0, Bin.HIGH: 5_000, Bin.NORMAL: 20_000, Bin.BULK: 60_000}
    return PolicyConfig(
        max_wait_ms=bounds if rng.random() < 0.5 else {},
        most=rng.choice((None, None, None, 1, 2)),
    )


def _place(rng: random.Random, number: int) -> Place:
    kinds = (PlaceKind.CPU, PlaceKind.GPU, PlaceKind.GPU, PlaceKind.CPU_MODEL)
    kind = kinds[number] if number < 2 else rng.choice(kinds)
    warm = tuple(rng.sample(MODELS, rng.choice((0, 1, 1))))
    match kind:
        case PlaceKind.CPU:
            has = Resources(cpu_milli=1000 * rng.randint(1, 4), memory_bytes=rng.choice((4, 8)) * GIB)
            return Place(f"p{number}", f"n{number}", kind, has, slots=has.cpu_milli // 1000)
        case PlaceKind.GPU:
            gpus = rng.choice((1, 1, 2, 4))
            has = Resources(4000, 16 * GIB, 1000, rng.choice((8, 16)) * GIB, gpus)
            return Place(f"p{number}", f"n{number}", kind, has, max(gpus, 2), warm, gpu_type=rng.choice(TYPES))
        case _:
            return Place(f"p{number}", f"n{number}", kind, Resources(4000, 8 * GIB), 1, warm)


def _need(rng: random.Random) -> Need:
    kind = rng.choice((PlaceKind.CPU, PlaceKind.GPU, PlaceKind.GPU, PlaceKind.CPU_MODEL))
    if kind is not PlaceKind.GPU:
        memory = rng.choice((0, 1, 2, 3, 12)) * GIB
        return Need(kind, Resources(cpu_milli=rng.choice((500, 1000, 2000)), memory_bytes=memory))
    gpus = rng.choice((0, 0, 2, 3))
    share = 1000 if gpus else rng.choice((300, 500, 1000))
    types = rng.choice(((), (), ("A",), ("A", "B")))
    return Need(kind, Resources(0, 0, share, rng.choice((1, 4, 12, 24)) * GIB, gpus), types)


def _line(rng: random.Random, name: str, now_ms: int) -> Line:
    needs = tuple(_need(rng) for _ in range(rng.choice((1, 1, 2))))
    model = rng.choice(MODELS) if all(need.kind is not PlaceKind.CPU for need in needs) else None
    stage = "describe" if model else "transcode"
    ready = sorted(now_ms - rng.choice((0, 500, 4_000, 9_000, 25_000, 130_000)) for _ in range(rng.randint(1, 4)))
    heads = []
    for at, ready_ms in enumerate(ready):
        second = rng.randint(0, 1)
        job, since_ms, left_ms = f"job_{name}{second}", ready[0] - 7 * second, 40_000 >> second
        avoid = tuple(rng.sample(("p0", "p1", "p2", "p3"), 2)) if rng.random() < 0.15 else ()
        work_ms = rng.choice((0, 2_000, 8_000, 30_000))
        heads.append(Head(TaskId(f"{job}:{stage}:{at}"), ready_ms, needs, model, avoid, work_ms, left_ms, since_ms))
    length = len(heads) + rng.choice((0, 0, 0, 3))
    return Line(rng.choice(list(Bin)), rng.choice(TENANTS), f"{stage}/{name}", length, ready[0], tuple(heads))


def _left(board: Board, line: Line) -> Line | None:
    """What of it still waits."""
    heads = tuple(head for head in line.heads if head.task in board.waiting.tasks)
    length = line.length - len(line.heads) + len(heads)
    return replace(line, heads=heads, length=length) if heads else None


def _shares(rng: random.Random) -> Shares:
    bins = {}
    if rng.random() < 0.3:
        bin_ = rng.choice(list(Bin))
        bins[bin_] = BinShare(rng.random() < 0.5, rng.choice((None, 1, 2)), rng.randint(0, 3))
    tenants = {}
    for name in TENANTS:
        limit = rng.choice((1, 2, 4)) if rng.random() < 0.15 else None
        used = rng.choice((0, 10**6, 10**8, 10**9))
        tenants[name] = TenantShare(used, rng.choice((1, 1, 3)), limit, rng.randint(0, 2))
    return Shares(bins, tenants)
