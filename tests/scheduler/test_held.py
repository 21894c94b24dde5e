"""Beside a reservation nothing starts where it failed, however long that is ago."""

from __future__ import annotations

import pytest

from vidprocme.core.ids import TaskId
from vidprocme.core.job import Bin
from vidprocme.core.resources import Need, Place, PlaceKind, Resources
from vidprocme.core.snapshot import Head, Line, Plan
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.config import PolicyConfig
from vidprocme.scheduler.late import ELSEWHERE_HERE_MS
from vidprocme.scheduler.policy import decide

NOW_MS = 3_600_000
HAS = Resources(cpu_milli=4_000, memory_bytes=8)


def task(name: str, needs: Resources, *avoid: str, bin_: Bin = Bin.URGENT) -> Line:
    head = Head(TaskId(f"job_{name}:transcode:0"), 0, (Need(PlaceKind.CPU, needs),), avoid=avoid)
    return Line(bin_, "ann", f"transcode/{name}", 1, 0, (head,))


@pytest.mark.parametrize(
    ("avoid", "goes"), [((), "a"), (("a",), "b"), (("b",), "a"), (("a", "b"), None)], ids=["none", "a", "b", "both"]
)
def test_beside_a_reservation_a_task_does_not_go_back_to_where_it_failed(
    avoid: tuple[str, ...], goes: str | None
) -> None:
    """Both places lack cores for the tasks that they are held for, and the one that comes asks for memory alone."""
    board = Board(PolicyConfig(max_wait_ms={Bin.URGENT: 0}))
    board.places([Place(name, "n", PlaceKind.CPU, HAS, 8) for name in ("a", "b")])
    board.lines([task(f"r{n}", Resources(cpu_milli=3_000)) for n in range(2)], complete=True)
    board.planned(decide(board, 0))
    held = {name: TaskId(f"job_big{name}:transcode:0") for name in ("a", "b")}
    big = [task(f"big{name}", Resources(cpu_milli=4_000)) for name in held]
    board.lines(big, complete=True)
    board.planned(Plan(reserved=held))
    assert NOW_MS >= ELSEWHERE_HERE_MS, "where nothing is held it would go back by now"

    board.lines([*big, task("s", Resources(memory_bytes=1), *avoid, bin_=Bin.BULK)], complete=True)
    plan = decide(board, NOW_MS)

    assert plan.reserved == held
    assert [(one.place, one.counted) for one in plan.placements] == ([] if goes is None else [(goes, False)])
