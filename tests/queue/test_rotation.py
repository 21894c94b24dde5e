"""Of very many lines each is shown again within a bound, whatever comes and goes, and the most urgent ones are always among those shown."""

from __future__ import annotations

import random
from math import ceil

import pytest

from tests.queue.things import look, submitted
from vidprocme.core.job import Bin
from vidprocme.queue.base import LINES
from vidprocme.queue.redis import RedisQueue

HALF = LINES // 2


class Lines:
    """The lines of a queue, put there and taken away by hand. In each stands the same task."""

    def __init__(self, queue: RedisQueue) -> None:
        self.queue, self.there = queue, set[str]()
        _, probe = submitted(queue)
        self.task = probe.id
        (line,) = look(queue).lines
        self.remove([f"{line.bin}|{line.tenant}|{line.shape}"])

    def add(self, names: list[str]) -> None:
        of = self.queue.keys.of
        self.queue.commands(("ZADD", of(f"line:{name}"), 1, self.task) for name in names)
        self.queue.commands(("ZADD", of("lines"), 0, name) for name in names)
        self.there |= set(names)

    def remove(self, names: list[str]) -> None:
        of = self.queue.keys.of
        self.queue.commands(("DEL", of(f"line:{name}")) for name in names)
        self.queue.commands(("ZREM", of("lines"), name) for name in names)
        self.there -= set(names)

    def shown(self, holder: str = "pool") -> set[str]:
        turn = look(self.queue, holder)
        names = [f"{line.bin}|{line.tenant}|{line.shape}" for line in turn.lines]
        assert len(set(names)) == len(names) == min(LINES, len(self.there)) and turn.lines_total == len(self.there)
        return set(names)


def name(bin_: Bin, number: int) -> str:
    return f"{bin_}|tenant{number:03}|probe/-/cpu1000"


@pytest.mark.parametrize("seed", range(6))
def test_a_line_is_seen_again_within_the_bound_whatever_comes_and_goes(queue: RedisQueue, seed: int) -> None:
    """One turn for each 32 lines begun that there were since it was seen last; an urgent one as if there were no others."""
    rng = random.Random(seed)
    every = [name(bin_, number) for bin_ in Bin for number in range(rng.choice((30, 45, 70)))]
    lines = Lines(queue)
    lines.add(rng.sample(every, len(every) * 3 // 4))
    since: dict[str, tuple[int, set[str]]] = {line: (0, set(lines.there)) for line in lines.there}
    longest = 0
    for number in range(1, 60):
        assert len(lines.there) > LINES
        shown = lines.shown()
        urgent = {line for line in lines.there if line.startswith("urgent|")}
        assert len(shown & urgent) >= min(HALF, len(urgent))
        for line in lines.there:
            began, met = since.get(line, (number - 1, set()))
            met |= lines.there
            since[line] = (number, set()) if line in shown else (began, met)
            waited = number - began
            longest = max(longest, waited)
            assert waited <= ceil(len(met) / HALF), (
                f"{line} was last seen {waited} turns ago; {len(met)} lines were there since"
            )
            if line in urgent:
                assert waited <= ceil(len([one for one in met if one.startswith("urgent|")]) / HALF)
        lines.remove(going := rng.sample(sorted(lines.there), min(25, len(lines.there) - LINES - 1)))
        for line in going:
            since.pop(line, None)
        lines.add(rng.sample(sorted(set(every) - lines.there), min(25, len(every) - len(lines.there))))
    assert longest > 1, "or nothing was rotated"


def test_lines_that_vanish_before_the_others_push_none_out_of_sight(queue: RedisQueue) -> None:
    """The cursor names a line: as a rank it passed by as many as had gone before it."""
    lines = Lines(queue)
    lines.add([name(Bin.NORMAL, number) for number in range(4 * LINES)])
    seen: set[str] = set()
    for number in range(4):
        seen |= lines.shown()
        lines.remove([name(Bin.NORMAL, number * 40 + k) for k in range(40)])
    assert lines.there <= seen


def test_few_urgent_lines_are_shown_in_every_turn_and_bulk_keeps_half(queue: RedisQueue) -> None:
    lines = Lines(queue)
    urgent, high = ([name(bin_, number) for number in range(20)] for bin_ in (Bin.URGENT, Bin.HIGH))
    lines.add([*urgent, *high, *(name(Bin.BULK, number) for number in range(500))])
    seen_high: set[str] = set()
    bulk: set[str] = set()
    for _ in range(ceil(540 / HALF)):
        shown = lines.shown()
        assert set(urgent) <= shown
        seen_high |= shown & set(high)
        bulk |= {line for line in shown if line.startswith("bulk|")}
    assert seen_high == set(high) and len(bulk) == 500


def test_each_pool_has_a_rotation_of_its_own(queue: RedisQueue) -> None:
    lines = Lines(queue)
    lines.add([name(Bin.NORMAL, number) for number in range(2 * LINES)])
    assert lines.shown("a") == lines.shown("b") != lines.shown("a")
