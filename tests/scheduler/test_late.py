"""What is overdue at a place: whoever fell due first, of those for whom the place will do and whom nothing keeps back."""

from __future__ import annotations

import pytest

from vidprocme.core.ids import TaskId
from vidprocme.core.job import Bin
from vidprocme.core.resources import Need, Place, PlaceKind, Resources
from vidprocme.core.shares import Shares, TenantShare
from vidprocme.core.snapshot import Head, Line
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.config import PolicyConfig
from vidprocme.scheduler.late import ELSEWHERE_HERE_MS, Late

CORE, TWO = Need(PlaceKind.CPU, Resources(cpu_milli=1000)), Need(PlaceKind.CPU, Resources(cpu_milli=2000))
BOUND_MS, READY_MS = 10_000, 1_000_000
DUE_MS = READY_MS + BOUND_MS


def task(job: str) -> TaskId:
    return TaskId(f"{job}:transcode:0")


def board() -> Board:
    """Two places of two cores and two slots."""
    found = Board(PolicyConfig(max_wait_ms={Bin.BULK: BOUND_MS}, pace_ms={}))
    found.places(Place(id_, id_, PlaceKind.CPU, Resources(cpu_milli=2_000), 2) for id_ in ("p", "q"))
    return found


def wait(board: Board, job: str, ready_ms: int, *avoid: str, need: Need = CORE, tenant: str = "ann") -> None:
    line = Line(Bin.BULK, tenant, f"transcode/{need.resources.cpu_milli}", 1, 0, ())
    board.arrived(line, Head(task(job), ready_ms, (need,), avoid=avoid))


def first(board: Board, now_ms: int, place: str = "p") -> str | None:
    found = Late(board, now_ms).first(Bin.BULK, board.seats.all[place])
    return None if found is None else found[1].task.split(":")[0]


def first_anywhere(board: Board, now_ms: int) -> str | None:
    found = Late(board, now_ms).first_of(list(board.waiting.bins[Bin.BULK].values()))
    return None if found is None else found[1].task.split(":")[0]


def all_of(board: Board, now_ms: int) -> list[str]:
    found = Late(board, now_ms).all_of(list(board.waiting.bins[Bin.BULK].values()))
    return [head.task.split(":")[0] for _, head in found]


def test_whoever_fell_due_first_whatever_it_asks_for() -> None:
    there = board()
    wait(there, "second", READY_MS)
    wait(there, "first", READY_MS - 1, need=TWO)
    assert first(there, DUE_MS - 2) is None
    assert not Late(there, DUE_MS - 2).any(Bin.BULK)
    assert first(there, DUE_MS - 1) == "first" == first_anywhere(there, DUE_MS - 1)
    assert Late(there, DUE_MS - 1).any(Bin.BULK)
    assert all_of(there, DUE_MS - 1) == ["first"]
    assert all_of(there, DUE_MS) == ["first", "second"]


@pytest.mark.parametrize(("later_ms", "found"), [(-1, None), (0, "failed")])
def test_not_where_it_failed_within_the_last_minute(later_ms: int, found: str | None) -> None:
    there = board()
    wait(there, "failed", READY_MS, "p")
    now_ms = READY_MS + ELSEWHERE_HERE_MS + later_ms
    assert first(there, now_ms) == found
    assert first(there, now_ms, "q") == "failed"
    late = Late(there, now_ms)
    batch = there.waiting.tasks[task("failed")]
    assert late.failed_here(batch.head(task("failed")), there.seats.all["p"]) is (found is None)


def test_behind_one_that_failed_here_the_next_that_may_start_here() -> None:
    """Not one for which a place is held, nor one of a tenant at its limit, nor one that another pool has a place for and that does not fit."""
    there = board()
    wait(there, "failed", READY_MS, "p")
    wait(there, "held", READY_MS + 1)
    wait(there, "full", READY_MS + 2, tenant="bob")
    wait(there, "elsewhere", READY_MS + 3, need=TWO)
    wait(there, "failed-too", READY_MS + 4, "q", "p")
    wait(there, "free", READY_MS + 5)
    there.shares(Shares(tenants={"bob": TenantShare(0, 1, 0)}))
    there.elsewhere([task("elsewhere")])
    there.hold(there.seats.all["q"], task("held"))
    wait_one = there.seats.all["p"]
    there.seats.move(
        wait_one, there.states.take(wait_one.state, there.states.ask(CORE, None))[0]
    )  # a core is left there
    late = Late(there, DUE_MS + 5)
    found = late.first(Bin.BULK, wait_one)
    assert found is not None and found[1].task == task("free")
    late.restore()
    assert [head.task for _, head in late.all_of(list(there.waiting.bins[Bin.BULK].values()))] == [
        task("failed"),
        task("failed-too"),
        task("free"),
    ]
    found = late.first_of(list(there.waiting.bins[Bin.BULK].values()))
    assert found is not None and found[1].task == task("failed")
    assert Late(there, DUE_MS + 4).first(Bin.BULK, wait_one) is None


def test_one_that_another_pool_has_a_place_for_is_first_where_it_fits_now_and_nowhere_else() -> None:
    there = board()
    wait(there, "elsewhere", READY_MS, need=TWO)
    wait(there, "free", READY_MS + 1)
    there.elsewhere([task("elsewhere")])
    now_ms = DUE_MS + 1
    assert first(there, now_ms) == "elsewhere"
    assert first_anywhere(there, now_ms) == "free" and all_of(there, now_ms) == ["free"]
    seat = there.seats.all["p"]
    there.seats.move(seat, there.states.take(seat.state, there.states.ask(CORE, None))[0])
    assert first(there, now_ms) == "free"
    assert first(there, now_ms, "q") == "elsewhere"


def test_what_was_laid_aside_is_there_again_for_the_next_place_and_the_next_decision() -> None:
    there = board()
    wait(there, "full", READY_MS, tenant="bob")
    wait(there, "free", READY_MS + 1)
    there.shares(Shares(tenants={"bob": TenantShare(0, 1, 0)}))
    late = Late(there, DUE_MS + 1)
    for place in ("p", "q"):
        found = late.first(Bin.BULK, there.seats.all[place])
        assert found is not None and found[1].task == task("free")
    late.restore()
    there.shares(Shares(tenants={"bob": TenantShare(0, 1, None)}))
    assert first(there, DUE_MS + 1) == "full"
