"""What a pool decides when it knows for which tasks others hold places."""

from __future__ import annotations

from tests.scheduler.test_policy import CONFIG, CORE, line
from vidprocme.core.ids import TaskId
from vidprocme.core.job import Bin
from vidprocme.core.resources import Need, Place, PlaceKind, PlaceLoad, Resources
from vidprocme.core.snapshot import Line, Plan, Snapshot
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.facts import board_of
from vidprocme.scheduler.policy import decide

NOW_MS = 3_600_000
BIG = Need(PlaceKind.CPU, Resources(cpu_milli=4000))
BULK = line({"first": 1, "second": 2}, BIG, bin_=Bin.BULK)
URGENT = line({f"u{n}": 3 + n for n in range(20)}, CORE, bin_=Bin.URGENT)
FIRST, SECOND = TaskId("first"), TaskId("second")


def board_at(starts: int, free_cores: int, *lines: Line, others: set[TaskId] | None = None) -> Board:
    """One place of four cores that has made so many starts. (The eighth is bulk's turn.)"""
    here = Place("p", "node", PlaceKind.CPU, Resources(cpu_milli=4000), 8)
    load = PlaceLoad(here, Resources(cpu_milli=1000 * free_cores), 8, starts, None)
    board = board_of(Snapshot({one.key: one for one in lines}, {"p": load}), CONFIG)
    board.elsewhere(others or set())
    return board


def went(plan: Plan) -> list[str]:
    return [placement.task for placement in plan.placements]


def test_its_turn_is_the_next_ones_where_it_would_have_to_be_held_for() -> None:
    assert decide(board_at(7, 3, BULK, URGENT), NOW_MS).reserved == {"p": FIRST}
    assert decide(board_at(7, 3, BULK, URGENT, others={FIRST}), NOW_MS).reserved == {"p": SECOND}
    none = decide(board_at(7, 3, BULK, URGENT, others={FIRST, SECOND}), NOW_MS)
    assert went(none) == ["u0", "u1", "u2"] and none.reserved == {"p": "u3"}, "by the usual order"


def test_its_turn_is_its_own_where_it_fits_now() -> None:
    plan = decide(board_at(7, 4, BULK, URGENT, others={FIRST, SECOND}), NOW_MS)

    assert went(plan) == ["first"] and plan.placements[0].reason.startswith("OVERDUE")


def test_it_stands_where_it_stood_once_no_other_holds_for_it() -> None:
    board = board_at(7, 3, BULK, URGENT, others={FIRST})
    assert decide(board, NOW_MS).reserved == {"p": SECOND}
    board.elsewhere(set())
    assert decide(board, NOW_MS).reserved == {"p": FIRST}


def test_the_most_urgent_bin_holds_for_the_oldest_for_which_nobody_does() -> None:
    big = line({"first": 1, "second": 2}, BIG, bin_=Bin.URGENT)

    assert decide(board_at(0, 3, big), NOW_MS).reserved == {"p": FIRST}
    assert decide(board_at(0, 3, big, others={FIRST}), NOW_MS).reserved == {"p": SECOND}
    assert decide(board_at(0, 3, big, others={FIRST, SECOND}), NOW_MS).reserved == {}
    assert went(decide(board_at(0, 4, big, others={FIRST, SECOND}), NOW_MS)) == ["first"]


def test_what_is_held_here_is_let_go_when_another_pool_was_first() -> None:
    board = board_at(7, 3, BULK, URGENT)
    board.planned(decide(board, NOW_MS))
    assert set(board.held.seats) == {FIRST}

    board.elsewhere({SECOND})
    assert set(board.held.seats) == {FIRST}
    board.elsewhere({FIRST})
    assert not board.held and decide(board, NOW_MS).reserved == {"p": SECOND}


def test_a_plan_that_was_tried_is_undone_first() -> None:
    board = board_at(7, 3, BULK, URGENT)
    decide(board, NOW_MS)
    board.elsewhere({FIRST})
    board.elsewhere(set())
    assert not board.held and set(board.waiting.tasks) == {FIRST, SECOND, *(TaskId(f"u{n}") for n in range(20))}
