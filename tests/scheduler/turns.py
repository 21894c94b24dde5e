"""A pool's turns in a random world, written into a journal: whatever can be told to a board, in the order in which a pool tells it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from tests.scheduler import boards
from vidprocme.core.ids import TaskId
from vidprocme.core.job import Bin
from vidprocme.core.resources import Need, Place, PlaceKind, Resources
from vidprocme.core.shares import Shares
from vidprocme.core.snapshot import Head, Line, Placement
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.config import PolicyConfig
from vidprocme.scheduler.journal import Journal

STEPS_MS = (100, 100, 1_000, 1_000, 4_000, 20_000, 70_000, 300_000)
SHOWN = 6  # lines of a turn at most


class Turns:
    """The same for the same seed."""

    def __init__(self, seed: int, write: Callable[[str], None]) -> None:
        self.rng = rng = random.Random(seed)
        self.journal = Journal(Board(_config(rng)), write)
        self.places = [boards._place(rng, number) for number in range(rng.randint(3, 6))]
        self.lines: dict[str, Line] = {}  # as they are in the queue
        self.runs: list[Placement] = []
        self.sent: tuple[Placement, ...] = ()  # decided, while the lines that are shown next were on their way
        self.now_ms, self.number = boards.BEGIN_MS, 0
        self.seen: Counter[str] = Counter()  # of what there was

    def turn(self, begins: bool = False) -> None:
        """See, decide, and what becomes of it. begins: a part of the journal does, with this turn."""
        rng, journal = self.rng, self.journal
        self.now_ms += rng.choice(STEPS_MS)
        self._end()
        self._come()
        if begins:
            journal.begin()
        self.seen["held"] += bool(journal.board.held)
        self.seen["unheard"] += any(not queue.heads for queue in journal.board.waiting.queues.values())
        keys = sorted(self.lines)
        shown = keys if rng.random() < 0.4 else rng.sample(keys, min(len(keys), SHOWN))
        self.seen["unshown"] += len(journal.board.waiting.queues.keys() - set(shown)) > 0
        journal.lines([self._seen_of(self.lines[key]) for key in shown], complete=len(shown) == len(keys))
        journal.shares(self._shares())
        waits = sorted(head.task for line in self.lines.values() for head in line.heads)
        if rng.random() < 0.3:
            journal.elsewhere(rng.sample(waits, min(len(waits), rng.choice((0, 1, 3)))))
        journal.places(self._places())
        for placement in self.sent:
            journal.begun(placement)
        for placement in self.sent:
            self._claim(placement)
        self.sent = ()
        if rng.random() < 0.85:  # otherwise the pool rests
            self._decide()

    def _decide(self) -> None:
        rng, journal = self.rng, self.journal
        plan = journal.decide(self.now_ms + rng.randint(0, 50))
        if rng.random() < 0.2 and (most := rng.randint(0, 2)) < len(plan.placements):
            plan = replace(plan, placements=plan.placements[:most])
        journal.planned(plan)
        self.seen["placed"] += len(plan.placements)
        self.seen["beside"] += sum(not one.counted for one in plan.placements)
        if rng.random() < 0.3:
            self.sent = plan.placements
        else:
            for placement in plan.placements:
                self._claim(placement)

    def _claim(self, placement: Placement) -> None:
        """It starts, or another pool had it."""
        for key, line in list(self.lines.items()):
            heads = tuple(head for head in line.heads if head.task != placement.task)
            if len(heads) < len(line.heads):
                self.lines[key] = replace(line, heads=heads, length=line.length - 1)
        if self.rng.random() < 0.12:
            self.journal.taken_back(placement)
        else:
            self.runs.append(Placement(placement.task, placement.place, placement.resources, ""))

    def _end(self) -> None:
        ended = [one for one in self.runs if self.rng.random() < 0.2]
        self.runs = [one for one in self.runs if one not in ended]
        for one in ended:
            self.journal.finished(one)

    def _come(self) -> None:
        """New lines, tasks that are back with where they failed, other predictions; and what is empty goes."""
        rng = self.rng
        for _ in range(rng.choice((0, 1, 2, 3))):
            self.number += 1
            line = self._small(boards._line(rng, str(self.number), self.now_ms))
            self.lines[line.key] = line
        for key, line in list(self.lines.items()):
            if line.length <= 0 or (rng.random() < 0.05 and not self.sent):
                del self.lines[key]
            elif rng.random() < 0.3:
                left_ms = rng.choice((0, 9_000, 90_000))
                heads = [self._moved(head, left_ms) for head in line.heads]
                heads += self._next(line, len(heads))
                oldest_ms = min((head.ready_ms for head in heads), default=line.oldest_ms)
                self.lines[key] = replace(
                    line, heads=tuple(heads), length=max(line.length, len(heads)), oldest_ms=oldest_ms
                )

    def _small(self, line: Line) -> Line:
        """Of most lines what they need is to be had."""
        if self.rng.random() < 0.3:
            return line
        model = line.heads[0].model
        amounts = ((0, 0, 300), (0, 0, 1000)) if model else ((500,), (1000,), (1000,), (3000,))
        kind = PlaceKind.GPU if model else PlaceKind.CPU
        needs = (Need(kind, Resources(*self.rng.choice(amounts))),)
        return replace(line, heads=tuple(replace(head, needs=needs) for head in line.heads))

    def _moved(self, head: Head, left_ms: int) -> Head:
        avoid = ("p1",) if self.rng.random() < 0.05 else head.avoid
        return replace(head, work_ms=self.rng.choice((0, 900, 3_000, 60_000)), left_ms=left_ms, avoid=avoid)

    def _next(self, line: Line, known: int) -> list[Head]:
        """One more of a job that waits there, which stood behind the heads."""
        if not line.heads or known >= 6:
            return []
        self.number += 1
        first = self.rng.choice(line.heads)
        task = TaskId(f"{first.task.rpartition(':')[0]}:{1000 + self.number}")
        return [replace(first, task=task, ready_ms=self.now_ms - self.rng.choice((0, 50, 5_000)))]

    def _seen_of(self, line: Line) -> Line:
        """The oldest of its heads; now and then none, since all that were looked at had just been claimed."""
        heads = sorted(line.heads, key=lambda head: (head.ready_ms, head.task))
        return replace(line, heads=tuple(heads[: self.rng.choice((0, 2, 4, 8, 8, 8))]))

    def _shares(self) -> Shares:
        """Of some tenants."""
        told = boards._shares(self.rng)
        bins = told.bins if self.rng.random() < 0.5 else {}
        return Shares(bins, {name: one for name, one in told.tenants.items() if self.rng.random() < 0.6})

    def _places(self) -> list[Place]:
        """Now and then one is away, or drains, or has another model."""
        rng = self.rng
        for at, place in enumerate(self.places):
            if rng.random() < 0.08:
                self.places[at] = replace(place, draining=not place.draining)
            elif rng.random() < 0.08:
                self.places[at] = replace(place, warm=(rng.choice(boards.MODELS),))
        return [place for place in self.places if rng.random() > 0.05]


def _config(rng: random.Random) -> PolicyConfig:
    """Everything soon overdue or patient for long enough: so that what is known of the past decides."""
    some = {Bin.URGENT: 0, Bin.HIGH: 2_000, Bin.NORMAL: 5_000, Bin.BULK: 15_000}
    return PolicyConfig(
        max_wait_ms=rng.choice((some, dict.fromkeys(Bin, 60000), {})),
        patience_ms=some,
        pace_ms=rng.choice((some, {})),
        late_patience_ms=some,
        lag_ms={},
        lag_times=rng.choice((0, 2)),
        keep_percent=rng.choice((20, 100)),
        most=rng.choice((None, None, 2)),
    )
