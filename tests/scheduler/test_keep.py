"""Places that stay loaded with what is often asked for, though nothing of it waits just now."""

from __future__ import annotations

import pytest

from vidprocme.core.ids import TaskId
from vidprocme.core.job import Bin
from vidprocme.core.resources import Need, Place, PlaceKind, Resources
from vidprocme.core.snapshot import Head, Line, Plan
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.config import PolicyConfig
from vidprocme.scheduler.policy import decide
from vidprocme.scheduler.recent import Recent

NEED = (Need(PlaceKind.GPU, Resources(gpu_milli=1000)),)
MINUTE_MS = 60_000


def gpu(id_: str, model: str) -> Place:
    return Place(id_, id_, PlaceKind.GPU, Resources(gpu_milli=1000), 1, (model,))


def arrive(board: Board, model: str, name: str, count: int, ready_ms: int) -> None:
    line = Line(Bin.HIGH, "ann", f"describe/{model}/", 1, 0, ())
    for number in range(count):
        board.arrived(line, Head(TaskId(f"{name}:describe:{number}"), ready_ms, NEED, model, work_ms=5_000))


def run(board: Board, now_ms: int) -> Plan:
    """Decide, and let all that started end."""
    plan = decide(board, now_ms)
    board.planned(plan)
    for one in plan.placements:
        board.finished(one.place, one.resources, one.gpus, one.task)
    return plan


def busy_with_both(config: PolicyConfig) -> Board:
    """One GPU of two has each model, both were asked for as much, and now only `ant` is: for longer than anybody's patience."""
    board = Board(config)
    board.places([gpu("a", "ant"), gpu("b", "bee")])
    arrive(board, "ant", "first", 1, 0)
    arrive(board, "bee", "second", 1, 0)
    assert len(run(board, 0).placements) == 2
    arrive(board, "ant", "third", 40, 1_000)
    return board


@pytest.mark.parametrize(("percent", "gone"), [(0, True), (50, False)])
def test_the_last_place_of_a_model_that_is_asked_for_is_kept(percent: int, gone: bool) -> None:
    board = busy_with_both(PolicyConfig(keep_percent=percent))
    plan = run(board, 2 * MINUTE_MS)
    assert {one.place for one in plan.placements} == ({"a", "b"} if gone else {"a"})
    if not gone:
        assert {reason.code for reason in plan.reasons.values()} == {"WAIT_WARM"}


def test_what_was_not_asked_for_in_two_windows_is_not_kept() -> None:
    board = busy_with_both(PolicyConfig(keep_percent=50, max_wait_ms={}))
    assert {one.place for one in run(board, 21 * MINUTE_MS).placements} == {"a", "b"}


def test_a_plan_that_is_told_counts_as_one_that_was_decided() -> None:
    here, told = busy_with_both(PolicyConfig()), busy_with_both(PolicyConfig())
    plan = decide(here, MINUTE_MS)
    here.planned(plan)
    decide(told, MINUTE_MS)
    told.planned(Plan(plan.placements, {}, plan.reserved))
    for board in (here, told):
        board.recent.look(MINUTE_MS)
        assert board.recent.models == {"ant", "bee"} and board.recent.part("ant", 100, 100) == 66


def test_what_was_tried_and_undone_is_not_counted() -> None:
    board = busy_with_both(PolicyConfig())
    decide(board, MINUTE_MS)
    board.undo()
    board.recent.look(MINUTE_MS)
    assert board.recent.part("ant", 100, 100) == 50


def test_parts_of_recent_work() -> None:
    recent = Recent(1_000)
    recent.add("ant", 300, 0)
    recent.add("bee", 100, 999)
    recent.look(999)
    assert (recent.part("ant", 8, 100), recent.part("bee", 8, 100), recent.part("cat", 8, 100)) == (6, 2, 0)
    assert (recent.part("bee", 8, 10), recent.part("ant", 8, 50)) == (1, 3)  # one at least
    recent.add("bee", 100, 1_000)
    recent.look(1_500)  # half of the window before is over
    assert (recent.part("ant", 4, 100), recent.part("bee", 4, 100)) == (2, 2)
    recent.look(2_000)
    assert recent.models == {"bee"}
    recent.look(9_000)
    assert recent.models == frozenset() and recent.part("bee", 8, 100) == 0


def test_a_clock_that_goes_back_over_the_border_of_a_window_forgets_nothing() -> None:
    recent = Recent(1_000)
    recent.add("ant", 300, 1_900)
    recent.add("bee", 300, 2_010)
    recent.look(1_990)
    assert (recent.part("ant", 8, 100), recent.part("bee", 8, 100)) == (4, 4)
    recent.add("bee", 100, 1_995)
    recent.look(2_500)
    assert (recent.part("ant", 11, 100), recent.part("bee", 11, 100)) == (3, 8)
    recent.look(900)  # a clock that was set back
    assert recent.models == frozenset()
    recent.look(9_000)
    recent.look(2_500)  # to look changes nothing
    assert (recent.part("ant", 11, 100), recent.part("bee", 11, 100)) == (3, 8)


@pytest.mark.parametrize(
    ("spread", "places"), [(frozenset(), ["a", "a", "a", "b"]), ({Bin.HIGH}, ["a", "b", "a", "b"])]
)
def test_a_bin_fills_one_place_after_another_or_spreads_over_them(spread: frozenset[Bin], places: list[str]) -> None:
    board = Board(PolicyConfig(spread=frozenset(spread)))
    board.places([Place(id_, id_, PlaceKind.CPU, Resources(cpu_milli=3_000), 3) for id_ in ("a", "b")])
    need = (Need(PlaceKind.CPU, Resources(cpu_milli=1_000)),)
    for number in range(4):
        head = Head(TaskId(f"job:transcode:{number}"), number, need)
        board.arrived(Line(Bin.HIGH, "ann", "transcode/", 1, 0, ()), head)
    assert [one.place for one in decide(board, 10).placements] == places


def test_where_it_failed_is_not_where_it_spreads_to() -> None:
    board = Board(PolicyConfig(spread=frozenset(Bin)))
    board.places([Place(id_, id_, PlaceKind.CPU, Resources(cpu_milli=3_000), 3) for id_ in ("a", "b", "c")])
    need = (Need(PlaceKind.CPU, Resources(cpu_milli=1_000)),)
    for number, avoid in enumerate(((), ("b",))):
        head = Head(TaskId(f"job:transcode:{number}"), number, need, avoid=avoid)
        board.arrived(Line(Bin.HIGH, "ann", f"transcode/{number}", 1, 0, ()), head)
    assert [one.place for one in decide(board, 10).placements] == ["a", "c"]
