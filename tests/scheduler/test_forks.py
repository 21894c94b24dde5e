"""A fork decides as its board does, and what happens to it is its own."""

from __future__ import annotations

import random

import pytest

from tests.scheduler.boards import TENANTS, case
from vidprocme.core.ids import JobId, TaskId, job_of
from vidprocme.core.job import Bin
from vidprocme.core.resources import Need, Place, PlaceKind, Resources
from vidprocme.core.shares import Shares, TenantShare
from vidprocme.core.snapshot import Head, Line, Plan
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.config import PolicyConfig
from vidprocme.scheduler.facts import snapshot_of
from vidprocme.scheduler.forks import fork
from vidprocme.scheduler.policy import decide


def told(plan: Plan) -> tuple[object, ...]:
    return plan.placements, dict(plan.reasons), dict(plan.reserved)


def ends(board: Board) -> dict[str, object]:
    return {seat.id: dict(seat.running) for seat in board.seats.all.values()}


@pytest.mark.parametrize("first", range(0, 400, 100))
def test_a_fork_decides_as_its_board_does(first: int) -> None:
    for seed in range(first, first + 100):
        one = case(seed)
        other = fork(one.board)
        assert snapshot_of(other) == snapshot_of(one.board), seed
        assert ends(other) == ends(one.board), seed
        assert told(decide(other, one.now_ms)) == told(decide(one.board, one.now_ms)), seed


def test_and_goes_on_deciding_as_it_does() -> None:
    """As ends and time pass: what was reserved, when a job was served last and who has used what are all known to it."""
    for seed in range(150):
        one = case(seed)
        other, now_ms = fork(one.board), one.now_ms
        for _ in range(6):
            plans = [decide(board, now_ms) for board in (one.board, other)]
            assert told(plans[0]) == told(plans[1]), seed
            for board, plan in zip((one.board, other), plans, strict=True):
                board.planned(plan)
                for seat in sorted(board.seats.all.values(), key=lambda seat: seat.id)[:2]:
                    for task, (resources, gpus, *_) in list(seat.running.items()):
                        board.finished(seat.id, resources, gpus, task)
            now_ms += 7_000


def test_what_was_charged_since_the_queue_told_is_known_as_the_board_knows_it() -> None:
    """By whom each is measured is of when it was told: told anew, the same use would put them in another order."""
    for seed in range(200):
        one, rng = case(seed), random.Random(seed)
        board = one.board
        for name in TENANTS:
            board.charge(name, rng.choice((0, 10**8, 10**9, 10**10)))
        if seed % 2:
            board.planned(decide(board, one.now_ms))
        other = fork(board)
        assert accounts(other) == accounts(board), seed
        assert told(decide(other, one.now_ms)) == told(decide(board, one.now_ms)), seed


def accounts(board: Board) -> dict[str, tuple[object, ...]]:
    ledger = board.ledger
    bins = {bin_.value: (one.told, one.started, one.shut) for bin_, one in ledger.bins.items()}
    known = {name: (one.told, one.used, one.others, one.offset, one.full) for name, one in ledger.accounts.items()}
    return {**bins, **known, "mean": (ledger.mean,)}


def test_a_fork_of_charged_accounts_goes_by_the_same_order() -> None:
    """cy's use has grown a hundredfold, which makes ann's look small, were they all compared anew."""
    hour = 3_600_000_000
    board = Board(PolicyConfig(max_wait_ms={}))
    board.place(Place("p", "n", PlaceKind.CPU, Resources(cpu_milli=1000)))
    needs = (Need(PlaceKind.CPU, Resources(cpu_milli=1000)),)
    lefts = {"ann": 1_000, "bob": 60_000, "cy": 90_000}
    heads = {name: (Head(TaskId(f"{name}:probe:0"), 0, needs, left_ms=left),) for name, left in lefts.items()}
    board.lines([Line(Bin.NORMAL, name, "probe", 1, 0, some) for name, some in heads.items()], complete=True)
    board.shares(Shares(tenants={name: TenantShare(n * hour) for name, n in {"ann": 90, "bob": 10, "cy": 10}.items()}))
    board.charge("cy", 10_000 * hour)

    assert [one.task for one in decide(board, 0).placements] == ["bob:probe:0"]
    assert [one.task for one in decide(fork(board), 0).placements] == ["bob:probe:0"]


def test_what_happens_to_a_fork_leaves_the_board_alone() -> None:
    for seed in range(60):
        one = case(seed)
        before = snapshot_of(one.board)
        other = fork(one.board)
        other.planned(decide(other, one.now_ms))
        for seat in list(other.seats.all.values()):
            other.gone(seat.id)
        assert snapshot_of(one.board) == before, seed


def test_a_fork_knows_how_much_is_left_of_a_job() -> None:
    """As it was told after its heads were seen: that says who goes first."""
    board = Board()
    board.place(Place("p", "n", PlaceKind.CPU, Resources(cpu_milli=1000)))
    needs = (Need(PlaceKind.CPU, Resources(cpu_milli=1000)),)
    heads = tuple(
        Head(TaskId(f"{job}:probe:0"), 0, needs, left_ms=left) for job, left in (("long", 9_000), ("short", 10))
    )
    board.lines([Line(Bin.NORMAL, "ann", "probe", 2, 0, heads)], complete=True)
    board.progress(JobId("short"), 50_000)

    assert [one.task for one in decide(fork(board), 0).placements] == ["long:probe:0"]


def test_a_fork_that_knows_few_heads_counts_the_others() -> None:
    """The oldest of each line, and all of a job that it is to keep; how many wait is the same."""
    for seed in range(100):
        one = case(seed)
        whole = one.board.waiting
        keep = sorted(whole.jobs)[-1:]
        few = fork(one.board, heads=len(whole.queues), keep=keep).waiting
        for key, queue in whole.queues.items():
            kept = set(few.queues[key].heads)
            assert len(few.queues[key]) == len(queue), seed
            oldest = min(queue.heads.values(), key=lambda head: (head.ready_ms, head.task)).task
            assert kept == {oldest, *(task for task in queue.heads if job_of(task) in keep)}, seed
