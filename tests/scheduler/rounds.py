"""Rounds of a small world under the real `decide`: tasks come, pools look, claim, run and finish; nothing is decided here.

Pools see the lines as a turn shows them: of too many half of the most urgent bins, the others in rotation, the oldest heads of each, and what they know of the others may be
old. Claims on tasks that another pool took are refused; of the places that pools hold the others hear with their next look, and of one task the
first pool alone. Time is counted in rounds; one round is one millisecond to `decide`.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from vidprocme.core.ids import TaskId
from vidprocme.core.job import Bin
from vidprocme.core.resources import Need, Place, PlaceKind, Resources
from vidprocme.core.snapshot import Head, Line, Placement
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.config import PolicyConfig
from vidprocme.scheduler.policy import decide

HEADS = 8


@dataclass(frozen=True)
class Wish:
    """A task that is to come: its bin, tenant, cores, for how many rounds it will run, and for how many that is predicted (0: nobody has)."""

    bin: Bin
    tenant: str
    cores: int
    rounds: int
    guess: int = 0


@dataclass
class Waiting:
    wish: Wish
    id: TaskId
    since: int
    started: int | None = None

    @property
    def age(self) -> tuple[int, str]:
        return self.since, self.id


@dataclass
class Pool:
    board: Board
    running: list[tuple[int, Placement]] = field(default_factory=list)  # ends in this round


Key = tuple[Bin, str, int]  # of a line: bin, tenant, cores
Arrive = Callable[[int, Counter[Bin]], list[Wish]]


class World:
    """`arrive(now, waiting)` says what comes in a round, beside so many that wait in each bin."""

    def __init__(self, cores: list[list[int]], config: PolicyConfig, arrive: Arrive, shown: int = 64) -> None:
        """
        Args:
            cores: of the places of each pool.
            shown: lines that one look shows.
        """
        self.config, self.arrive, self.shown = config, arrive, shown
        self.now, self.number = 0, 0
        self.cursors: list[Key | None] = [None, None]  # of the most urgent lines, and of all
        self.tasks: dict[TaskId, Waiting] = {}
        self.waiting: dict[TaskId, Waiting] = {}
        self.lines: set[Key] = set()  # that there ever were
        self.reserved: dict[TaskId, Pool] = {}  # who holds a place for it, as the pools said
        self.shared = 0  # looks that told of a place which another pool holds
        self.beside = 0  # starts beside a reservation
        self.pools = []
        for number, places in enumerate(cores):
            made = [
                Place(f"p{number}{i}", "n", PlaceKind.CPU, Resources(cpu_milli=1000 * n), slots=n)
                for i, n in enumerate(places)
            ]
            board = Board(config)
            board.places(made)
            self.pools.append(Pool(board))

    def round(self) -> Iterator[Waiting]:
        """One round; yields what is overdue from it on, before anything starts."""
        for wish in self.arrive(self.now, Counter(t.wish.bin for t in self.waiting.values())):
            self.number += 1
            task = Waiting(wish, TaskId(f"t{self.number:06d}"), self.now)
            self.tasks[task.id] = self.waiting[task.id] = task
        yield from (t for t in self.waiting.values() if t.since + self.config.max_wait_ms[t.wish.bin] == self.now)
        for pool in self.pools:
            for ends, placement in pool.running:
                if ends <= self.now:
                    pool.board.finished(placement.place, placement.resources, task=placement.task)
            pool.running = [(ends, placement) for ends, placement in pool.running if ends > self.now]
            self.look_and_start(pool)
        self.now += 1

    def look_and_start(self, pool: Pool) -> None:
        """As Dispatcher._turns: look, decide, claim, until nothing more can start."""
        while True:
            lines, complete = self.look()
            pool.board.lines(lines, complete=complete)
            pool.board.elsewhere(self.say(pool))
            plan = decide(pool.board, self.now)
            pool.board.planned(plan)
            if not plan.placements:
                return
            for placement in plan.placements:
                task = self.waiting.pop(placement.task, None)
                if task is None:
                    pool.board.taken_back(placement)
                else:
                    task.started = self.now
                    self.beside += not placement.counted
                    pool.running.append((self.now + task.wish.rounds, placement))

    def say(self, pool: Pool) -> set[TaskId]:
        """As queue/lua/_holds.lua: what this pool holds, in place of what it said before. Returns what others do."""
        self.reserved = {
            task: owner for task, owner in self.reserved.items() if owner is not pool and task in self.waiting
        }
        others = set(self.reserved)
        for task in pool.board.held.seats:
            if task in self.waiting:
                self.reserved.setdefault(task, pool)
        self.shared += bool(others)
        return others

    def look(self) -> tuple[list[Line], bool]:
        by_line: dict[Key, list[Waiting]] = {}
        for task in self.waiting.values():
            by_line.setdefault((task.wish.bin, task.wish.tenant, task.wish.cores), []).append(task)
        keys = sorted(by_line)
        self.lines |= set(keys)
        if len(keys) > self.shown:
            keys = self.some(keys)
        lines = []
        for key in keys:
            bin_, tenant, cores = key
            tasks = sorted(by_line[key], key=lambda t: t.age)
            needs = (Need(PlaceKind.CPU, Resources(cpu_milli=1000 * cores)),)
            heads = tuple(Head(t.id, t.since, needs, work_ms=t.wish.guess) for t in tasks[:HEADS])
            lines.append(Line(bin_, tenant, f"transcode/-/cpu{cores}", len(tasks), heads[0].ready_ms, heads))
        return lines, len(by_line) <= self.shown

    def some(self, keys: list[Key]) -> list[Key]:
        """As queue/lua/turn.lua chooses the lines that it shows."""
        chosen: list[Key] = []
        for bin_ in Bin:
            mine, room = [key for key in keys if key[0] is bin_], self.shown // 2 - len(chosen)
            if room <= 0 or len(mine) == len(keys):
                break
            chosen += self.behind(0, mine)[:room] if len(mine) > room else mine
            if len(mine) > room:
                self.cursors[0] = chosen[-1]
        for key in self.behind(1, keys):
            if len(chosen) == self.shown:
                break
            chosen += [key] * (key not in chosen)
            self.cursors[1] = key
        return chosen

    def behind(self, cursor: int, keys: list[Key]) -> list[Key]:
        last = self.cursors[cursor]
        at = 0 if last is None else sum(1 for key in keys if key <= last)
        return keys[at:] + keys[:at]


def saturating(seed: int, cores: int, most_rounds: int, *, guessed: bool = False) -> Arrive:
    """More urgent work than there is ever room for, and of every other bin now and then a task or a few at once.

    Args:
        guessed: of each is predicted how long it will take, anything from one round to twice what is true.
    """
    rng = random.Random(seed)

    def wish(bin_: Bin) -> Wish:
        rounds = rng.randint(1, most_rounds)
        guess = rng.randint(1, 2 * rounds) if guessed else 0
        return Wish(bin_, rng.choice(("ann", "bob")), rng.choice((1, cores)), rounds, guess)

    def arrive(now: int, waiting: Counter[Bin]) -> list[Wish]:
        wishes = [wish(Bin.URGENT) for _ in range(2 * cores + 4 - waiting[Bin.URGENT])]
        for bin_, most in ((Bin.HIGH, 3), (Bin.NORMAL, 3), (Bin.BULK, 2)):
            if now == 0 or rng.random() < 0.2:
                wishes += [wish(bin_) for _ in range(rng.randint(1, most)) if waiting[bin_] < most]
        return wishes

    return arrive
