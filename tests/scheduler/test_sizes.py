"""Places of several sizes: slices of a GPU (MIG), whole GPUs, machines with several."""

from __future__ import annotations

import pytest

from vidprocme.core.ids import TaskId
from vidprocme.core.job import Bin
from vidprocme.core.resources import Need, Place, PlaceKind, Resources
from vidprocme.core.snapshot import Head, Line
from vidprocme.scheduler import explain
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.config import PolicyConfig
from vidprocme.scheduler.policy import decide

GIB = 2**30
SLICE, LARGE_SLICE, WHOLE = "A100-1g.10gb", "A100-3g.40gb", "A100"


def gpu(id_: str, type_: str, gib: int, gpus: int = 1) -> Place:
    has = Resources(0, 0, 1000, gib * GIB, gpus)
    return Place(id_, id_[0], PlaceKind.GPU, has, 4 * gpus, (), gpu_type=type_)


def need(gib: int, *types: str, gpus: int = 1, milli: int = 1000) -> Need:
    return Need(PlaceKind.GPU, Resources(0, 0, milli, gib * GIB, gpus), types)


def board(*places: Place) -> Board:
    found = Board(PolicyConfig(max_wait_ms={}))
    found.places(places)
    return found


def wait(board: Board, *needs: Need, number: int = 0) -> TaskId:
    head = Head(TaskId(f"job_{number:02d}:describe:0"), number, needs)
    board.arrived(Line(Bin.NORMAL, "ann", f"describe/{number}", 1, 0, ()), head)
    return head.task


def where(board: Board) -> dict[str, str]:
    """By task; the board goes on from there."""
    plan = decide(board, 1_000)
    board.planned(plan)
    return {one.task: one.place for one in plan.placements}


def test_a_small_task_takes_a_slice_and_a_large_one_the_gpu_whichever_comes_first_by_name() -> None:
    for names in (("a/0", "b/0"), ("b/0", "a/0")):
        there = board(gpu(names[0], WHOLE, 80), gpu(names[1], SLICE, 10))
        small, large = wait(there, need(8), number=0), wait(there, need(40), number=1)
        assert where(there) == {small: names[1], large: names[0]}


def test_when_no_slice_is_free_it_takes_the_next_larger_one() -> None:
    there = board(gpu("a/0", WHOLE, 80), gpu("a/1", LARGE_SLICE, 40), gpu("a/2", SLICE, 10))
    found: list[str] = []
    for number in range(4):
        wait(there, need(8), number=number)
        found += where(there).values()
    assert found == ["a/2", "a/1", "a/0"]


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (need(20), explain.NO_MEMORY),  # slices are not joined
        (need(5, LARGE_SLICE), explain.NO_TYPE),
        (need(5, gpus=2), explain.NO_SUCH_PLACE),  # nor are they several GPUs of one place
    ],
)
def test_what_no_slice_holds_says_so_though_all_of_them_together_would(wanted: Need, code: str) -> None:
    there = board(*(gpu(f"a/{number}", SLICE, 10) for number in range(7)))
    task = wait(there, wanted)
    plan = decide(there, 1_000)
    assert not plan.placements
    assert plan.reasons[task].code == code


def test_of_two_ways_the_first_that_is_free_is_taken_by_the_type_of_its_slice() -> None:
    there = board(gpu("a/0", SLICE, 10), gpu("a/1", WHOLE, 80), gpu("a/2", LARGE_SLICE, 40))
    ways = need(8, SLICE), need(8, LARGE_SLICE)
    tasks = [wait(there, *ways, number=number) for number in range(3)]
    assert where(there) == {tasks[0]: "a/0", tasks[1]: "a/2"}
    assert decide(there, 1_000).reasons[tasks[2]].code == explain.NO_PLACE_FREE


def test_one_gpu_is_taken_where_there_is_one_and_the_machine_with_several_is_left_for_a_gang() -> None:
    there = board(gpu("a/0", WHOLE, 80, gpus=4), gpu("b/0", WHOLE, 80))
    one, gang = wait(there, need(8), number=0), wait(there, need(40, gpus=4), number=1)
    assert where(there) == {one: "b/0", gang: "a/0"}


def test_shares_fill_a_gpu_before_they_begin_another() -> None:
    there = board(gpu("a/0", WHOLE, 80, gpus=2), gpu("b/0", WHOLE, 80, gpus=2))
    found = []
    for number in range(4):
        wait(there, need(8, milli=500), number=number)
        (placement,) = decide(there, 1_000).placements
        found.append((placement.place, placement.gpus))
        where(there)
    assert found == [("a/0", (0,)), ("a/0", (0,)), ("a/0", (1,)), ("a/0", (1,))]
