"""A part of a journal begins with all that its board knows: what is decided from there on follows from the part alone."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from tests.scheduler.turns import Turns
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.facts import snapshot_of
from vidprocme.scheduler.journal import replay
from vidprocme.scheduler.policy import decide
from vidprocme.scheduler.whole import heard, told

TURNS, EVERY = 40, 9
BEGIN = ("begins", "known", "seat")


@pytest.mark.parametrize("first", [0, pytest.param(24, marks=pytest.mark.slow)])
def test_what_is_decided_from_where_a_part_begins_is_decided_again_from_it_alone(first: int) -> None:
    """To the end of the world, not only of the part: what it did not know would come out at last. And parts change no decision."""
    seen: Counter[str] = Counter()
    for seed in range(first, first + 24):
        lines, without = written(seed, EVERY), written(seed, TURNS + 1)
        seen += lines.seen
        assert [one for one in lines if '{"decided"' in one] == [one for one in without if '{"decided"' in one], seed
        begins = [at for at, line in enumerate(lines) if line.startswith('{"told": "settings"')]
        assert len(begins) == 5
        for begin in begins:
            found = list(replay(alone(lines[begin:])))
            assert found and [one.again for one in found] == [one.recorded for one in found], (seed, begin)
    assert all(seen[name] > 0 for name in ("held", "beside", "unheard", "unshown")), seen


@pytest.mark.parametrize("name", ["served", "recent", "begins", "known", "seat"])
def test_without_a_piece_of_it_something_else_is_decided(name: str) -> None:
    """The comparison above can fail."""
    different = 0
    for seed in range(36):
        lines = written(seed, EVERY)
        for begin in [at for at, line in enumerate(lines) if line.startswith('{"told": "settings"')]:
            part = [line for line in map(json.loads, alone(lines[begin:])) if line.get("told") != name]
            for line in part:
                if name == "served":
                    line["jobs"] = {job: [*known[:2], -(10**15)] for job, known in line.get("jobs", {}).items()}
                if name == "recent":
                    line["recent"] = [0, {}, {}]
            different += any(one.again != one.recorded for one in replay(map(json.dumps, part)))
        if different:
            return
    raise AssertionError(f"nothing was decided by {name}")


def test_a_board_that_heard_it_knows_all_that_the_other_does() -> None:
    for seed in range(20):
        world = Turns(seed, lambda _line: None)
        for _ in range(12):
            world.turn()
        board, other = world.journal.board, Board(world.journal.board.config)
        decide(board, world.now_ms)  # only tried
        for line in json.loads(json.dumps(list(told(board)))):
            heard(other, line)

        assert snapshot_of(other) == snapshot_of(board), seed
        assert other.recent.told() == board.recent.told() and other.now_ms == board.now_ms
        assert (other.others, other.held.seats.keys()) == (board.others, board.held.seats.keys())
        for id_, seat in board.seats.all.items():
            mine = other.seats.all[id_]
            assert (mine.running, mine.starts, mine.state.kinds) == (seat.running, seat.starts, seat.state.kinds), seed
        for id_, job in board.waiting.jobs.items():
            same = other.waiting.jobs[id_]
            assert (same.since_ms, same.left_ms) == (job.since_ms, job.left_ms)
            assert {one.queue.key: one.served_ms for one in same.batches} == {
                one.queue.key: one.served_ms for one in job.batches
            }


class Lines(list[str]):
    """A journal's, and what there was in its world."""

    seen: Counter[str]


def written(seed: int, every: int) -> Lines:
    """A part begins with the first turn, and with so many later ones each."""
    lines = Lines()
    world = Turns(seed, lines.append)
    for turn in range(TURNS):
        world.turn(begins=turn % every == 0)
    lines.seen = world.seen
    return lines


def alone(lines: list[str]) -> list[str]:
    """From where one part begins to the end, without what later ones begin with."""
    end = next((at for at, line in enumerate(lines) if at and line.startswith('{"told": "settings"')), len(lines))
    return lines[:end] + [
        line
        for line in lines[end:]
        if not line.startswith(tuple(f'{{"told": "{name}"' for name in ("settings", *BEGIN)))
    ]
