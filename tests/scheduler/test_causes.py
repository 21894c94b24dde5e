"""Every reason names what is in the way: with that taken away from a fork of the board, the task starts, or something else is said of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

import pytest

from tests.scheduler.boards import case
from vidprocme.core.ids import TaskId
from vidprocme.core.job import Bin
from vidprocme.core.resources import Need, Place, PlaceKind, Resources
from vidprocme.core.shares import BinShare, TenantShare
from vidprocme.core.snapshot import Head, Line, Placement, Plan, Reason
from vidprocme.scheduler import explain
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.config import PolicyConfig
from vidprocme.scheduler.explain import CODES
from vidprocme.scheduler.forks import fork
from vidprocme.scheduler.lines import LineQueue
from vidprocme.scheduler.places import Seat
from vidprocme.scheduler.policy import decide

SEEDS = 1_200
FEWEST = 12  # cases of each code that are looked at, at least
MOST = 150
Fork = Board  # that may be changed


# -- taking the cause away -------------------------------------------------------------------------------------------------


def place_for_it(board: Fork, queue: LineQueue) -> None:
    """One that could hold it, beside those that there are."""
    need = queue.group.wants[0].need
    type_ = need.gpu_types[0] if need.gpu_types else ""
    board.place(Place("a0", "a", need.kind, need.resources, 1, gpu_type=type_))


def undrain(board: Fork, queue: LineQueue) -> None:
    for seat in could_hold(board, queue):
        board.place(replace(seat.place, warm=seat.state.warm, draining=False))


def resume(board: Fork, queue: LineQueue) -> None:
    shares = board.ledger.shares()
    board.shares(replace(shares, bins={**shares.bins, queue.bin: replace(shares.bins[queue.bin], paused=False)}))


def no_limits(board: Fork, queue: LineQueue) -> None:
    shares = board.ledger.shares()
    its_bin = replace(shares.bins.get(queue.bin, BinShare()), limit=None)
    mine = replace(shares.tenants.get(queue.tenant, TenantShare()), limit=None)
    board.shares(
        replace(shares, bins={**shares.bins, queue.bin: its_bin}, tenants={**shares.tenants, queue.tenant: mine})
    )


def without(board: Fork, is_cause: Callable[[LineQueue, TaskId], bool]) -> None:
    """All tasks of which this is true are cancelled, those behind the heads too."""
    for queue in list(board.waiting.queues.values()):
        heads = list(queue.heads)
        gone = [task for task in heads if is_cause(queue, task)]
        for task in gone:
            board.left(task)
        if len(gone) == len(heads):
            board.waiting.set_more(queue, 0)


def without_more_urgent(board: Fork, queue: LineQueue) -> None:
    order = list(Bin)
    without(board, lambda other, _task: order.index(other.bin) < order.index(queue.bin))


def without_other_tenants(board: Fork, queue: LineQueue) -> None:
    without(board, lambda other, _task: other.bin is queue.bin and other.tenant != queue.tenant)


def room_for_all(board: Fork, queue: LineQueue) -> None:
    """So many places for it that whatever goes first cannot take them all."""
    need = queue.group.wants[0].need
    type_ = need.gpu_types[0] if need.gpu_types else ""
    for number in range(len(board.waiting.tasks) + 1):
        board.place(Place(f"a{number}", "a", need.kind, need.resources, 1, gpu_type=type_))


def could_hold(board: Board, queue: LineQueue) -> list[Seat]:
    return [
        seat
        for seat in board.seats.all.values()
        if any(ask.could_be_held(seat.state.spec) for ask in queue.group.wants)
    ]


CHANGES: dict[str, Callable[[Fork, LineQueue], None]] = {
    explain.NO_SUCH_PLACE: place_for_it,
    explain.NO_TYPE: place_for_it,
    explain.NO_MEMORY: place_for_it,
    explain.DRAINING: undrain,
    explain.BIN_PAUSED: resume,
    explain.QUOTA: no_limits,
    explain.BIN_BEHIND: without_more_urgent,
    explain.TENANT_OVER_SHARE: without_other_tenants,
    explain.GANG_INCOMPLETE: room_for_all,
    explain.NO_PLACE_FREE: room_for_all,
}


def without_cause(board: Board, task: TaskId, code: str, now_ms: int) -> Plan:
    """What is decided when what the code names is not so."""
    config = board.config
    match code:
        case explain.WAIT_WARM:
            other = fork(board, replace(config, patience_ms={}, lag_ms={}, lag_times=0, keep_percent=0))
        case explain.NEXT_TURN:
            other = fork(board, replace(config, most=None))
        case _:
            other = fork(board)
    batch = other.waiting.tasks[task]
    queue = batch.queue
    if code == explain.ELSEWHERE:
        other.waiting.retold(queue, replace(batch.head(task), avoid=()))
    elif code == explain.RESERVED_FOR:
        return without_reservations(other, task, now_ms)
    elif code in CHANGES:
        CHANGES[code](other, queue)
    return decide(other, now_ms)


def without_reservations(board: Fork, task: TaskId, now_ms: int) -> Plan:
    """Whatever a place is held for is cancelled, one after another, until none is held but for this one."""
    while True:
        plan = decide(board, now_ms)
        holders = set(plan.reserved.values()) - {task}
        if task not in plan.reasons or plan.reasons[task].code != explain.RESERVED_FOR:
            return plan
        assert holders, "it says that a place is held, and none is"
        for holder in holders:
            board.left(holder)


# -- the cases -------------------------------------------------------------------------------------------------------------


@cache
def waits() -> dict[str, list[tuple[int, TaskId]]]:
    """By code, where it is said: the seed and the task."""
    found: dict[str, list[tuple[int, TaskId]]] = {code: [] for code in CODES}
    for seed in range(SEEDS):
        one = case(seed)
        for task, reason in decide(one.board, one.now_ms).reasons.items():
            if len(found[reason.code]) < MOST:
                found[reason.code].append((seed, task))
    return found


def reasons() -> Iterator[tuple[int, Board, Plan]]:
    for seed in range(300):
        one = case(seed)
        yield seed, one.board, decide(one.board, one.now_ms)


def test_every_head_that_waits_has_exactly_one_code() -> None:
    for seed, board, plan in reasons():
        placed = {placement.task for placement in plan.placements}
        told: dict[TaskId, Reason] = dict(plan.reasons)
        board.undo()
        assert set(told) | placed == set(board.waiting.tasks), seed
        assert not set(told) & placed, seed
        assert {reason.code for reason in told.values()} <= set(CODES) - {explain.CANNOT_START}, seed


@pytest.mark.parametrize("code", [code for code in CODES if code != explain.CANNOT_START])
def test_without_its_cause_the_task_starts_or_waits_for_something_else(code: str) -> None:
    cases = waits()[code]
    assert len(cases) >= FEWEST, f"{code} came up {len(cases)} times in {SEEDS} boards"
    for seed, task in cases:
        one = case(seed)
        plan = without_cause(one.board, task, code, one.now_ms)
        starts = any(placement.task == task for placement in plan.placements)
        assert starts or plan.reasons[task].code != code, f"seed {seed}: {task}: {plan.reasons[task].text}"


def test_a_cause_that_is_left_changes_nothing() -> None:
    """The check above can fail: with nothing taken away the code is said again."""
    for code, cases in waits().items():
        for seed, task in cases[:3]:
            one = case(seed)
            assert decide(fork(one.board), one.now_ms).reasons[task].code == code


# -- what this has found ---------------------------------------------------------------------------------------------------

GPUS = Need(PlaceKind.GPU, Resources(gpu_milli=1000, vram_bytes=8, gpus=2))


def said(board: Board, *heads: Head) -> dict[TaskId, str]:
    board.lines([Line(Bin.NORMAL, "ann", "s", len(heads), 0, heads)], complete=True)
    return {task: reason.code for task, reason in decide(board, 0).reasons.items()}


def test_gpus_that_are_free_are_not_said_to_be_missing_when_the_decision_had_ended() -> None:
    board = Board(PolicyConfig(max_wait_ms={}, most=1))
    board.place(Place("p", "n", PlaceKind.GPU, Resources(0, 0, 1000, 8, 4), slots=4))

    assert said(board, *(Head(TaskId(f"j:s:{n}"), 0, (GPUS,)) for n in range(2))) == {"j:s:1": explain.NEXT_TURN}


def test_gpus_are_not_said_to_be_missing_when_something_else_is() -> None:
    board = Board(PolicyConfig(max_wait_ms={}))
    board.place(Place("p", "n", PlaceKind.GPU, Resources(1000, 0, 1000, 8, 3), slots=4))
    cpu = Resources(cpu_milli=1000)
    board.placed(Placement(TaskId("x:s:0"), "p", cpu, ""))
    both = Need(PlaceKind.GPU, GPUS.resources + cpu)

    assert said(board, Head(TaskId("j:s:0"), 0, (both,))) == {"j:s:0": explain.NO_PLACE_FREE}


def test_gpus_whose_memory_is_taken_are_not_free() -> None:
    board = Board(PolicyConfig(max_wait_ms={}))
    board.place(Place("p", "n", PlaceKind.GPU, Resources(0, 0, 1000, 8, 2), slots=4))
    board.placed(Placement(TaskId("x:s:0"), "p", Resources(vram_bytes=1), "", gpus=(1,)))
    head = Head(TaskId("j:s:0"), 0, (GPUS,))
    board.lines([Line(Bin.NORMAL, "ann", "s", 1, 0, (head,))], complete=True)

    text = "It needs 2 GPUs of one place at once; the most that are free are the 1 of p."
    assert dict(decide(board, 0).reasons) == {head.task: Reason(explain.GANG_INCOMPLETE, text)}


def test_what_a_place_is_held_for_is_told_when_there_is_room_and_the_decision_had_ended() -> None:
    board = Board(PolicyConfig(max_wait_ms={Bin.NORMAL: 0}, most=1))
    need = Need(PlaceKind.CPU, Resources(cpu_milli=2000))
    board.place(Place("a", "n", PlaceKind.CPU, Resources(cpu_milli=2000), slots=2))
    board.placed(Placement(TaskId("x:s:0"), "a", Resources(cpu_milli=1000), ""))
    heads = [Head(TaskId(f"j:s:{n}"), n - 9, (need,)) for n in range(2)]
    board.lines([Line(Bin.NORMAL, "ann", "s", 2, 0, tuple(heads))], complete=True)
    board.planned(Plan(reserved={"a": heads[1].task}))
    for name in ("b", "c"):
        board.place(Place(name, "n", PlaceKind.CPU, Resources(cpu_milli=2000), slots=1))

    assert said(board, *heads) == {heads[1].task: explain.NEXT_TURN}
