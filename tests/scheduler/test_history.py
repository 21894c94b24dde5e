"""What went before must not make a later decision wrong: plans that are taken on in part, heads that are laid aside, ends that are told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.scheduler.boards import case
from vidprocme.core.ids import TaskId
from vidprocme.core.job import Bin
from vidprocme.core.resources import Need, Place, PlaceKind, Resources
from vidprocme.core.shares import BinShare, Shares, TenantShare
from vidprocme.core.snapshot import Head, Line, Plan
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.config import PolicyConfig
from vidprocme.scheduler.forks import fork
from vidprocme.scheduler.play import play
from vidprocme.scheduler.policy import decide

GPU = (Need(PlaceKind.GPU, Resources(gpu_milli=1000)),)
GIB = 1 << 30


def gpu(id_: str, *warm: str, gpus: int = 1) -> Place:
    return Place(id_, "n", PlaceKind.GPU, Resources(gpu_milli=1000, gpus=gpus), gpus, warm)


def core(memory: int = 0) -> tuple[Need, ...]:
    return (Need(PlaceKind.CPU, Resources(cpu_milli=1_000, memory_bytes=memory * GIB)),)


def line(name: str, *heads: Head, bin_: Bin = Bin.NORMAL) -> Line:
    return Line(bin_, "ann", f"stage/{name}", len(heads), 0, heads)


def test_a_head_that_failed_at_the_warm_place_keeps_nobody_else_from_it() -> None:
    """It waits for another one; those behind it go there, and after a minute it goes back itself."""
    board = Board(PolicyConfig())
    board.places([gpu("w", "ant"), gpu("x", "bee")])
    failed = Head(TaskId("job_a:describe:0"), 0, GPU, "ant", avoid=("w",))
    other = Head(TaskId("job_b:describe:0"), 5, GPU, "ant")
    board.lines([line("m", failed, other)], complete=True)

    plan = decide(board, 100)
    assert [(one.task, one.place) for one in plan.placements] == [(other.task, "w")]
    board.lines([line("m", failed)], complete=True)
    plan = decide(board, 100)
    assert plan.placements == () and plan.reasons[failed.task].code == "ELSEWHERE"
    assert [one.place for one in decide(board, 61_000).placements] == ["w"]


def test_of_a_plan_that_is_taken_on_in_part_nothing_is_given_twice() -> None:
    """Beside a reservation: what started there of a cut plan is known where the next one looks."""
    board = Board(PolicyConfig(max_wait_ms={Bin.URGENT: 0}))
    has = Resources(cpu_milli=4_000, memory_bytes=8 * GIB)
    board.places([Place("a", "n", PlaceKind.CPU, has, 8)])
    runs = Head(TaskId("job_r:transcode:0"), 0, core(8), work_ms=100_000)
    board.lines([line("r", runs, bin_=Bin.URGENT)], complete=True)
    board.planned(decide(board, 10))
    big = line("big", Head(TaskId("job_big:transcode:0"), 0, core(8), work_ms=5_000), bin_=Bin.URGENT)
    board.lines([big], complete=True)
    board.planned(decide(board, 20))
    assert board.seats.all["a"].held_for == "job_big:transcode:0"
    small = [Head(TaskId(f"job_s:transcode:{n}"), 0, core(), work_ms=5_000) for n in range(6)]
    board.lines([big, line("s", *small, bin_=Bin.BULK)], complete=True)
    plan = decide(board, 30)
    assert len(plan.placements) == 3
    board.planned(replace(plan, placements=plan.placements[:2]))
    left = [head for head in small if head.task in board.waiting.tasks]
    board.lines([big, line("s", *left, bin_=Bin.BULK)], complete=True)

    plan = decide(board, 40)
    assert len(plan.placements) == 1 and board.seats.all["a"].state.cpu_milli == 0
    board.planned(replace(plan, placements=plan.placements))
    ends = {end_ms for _, _, end_ms, _ in board.seats.all["a"].running.values()}
    assert ends == {100_010, 5_030, 5_040}, "when they will have ended is known of them, too"


def test_who_was_laid_aside_is_still_known_to_have_been_served() -> None:
    board = Board(PolicyConfig(max_wait_ms={}))
    board.places([Place("a", "n", PlaceKind.CPU, Resources(cpu_milli=1_000), 1)])
    first, then = (Head(TaskId(f"job_a:transcode:{n}"), n, core(), avoid=("a",) * n) for n in range(2))
    board.lines([line("a", first, then)], complete=True)
    board.planned(decide(board, 1_000))
    board.finished("a", core()[0].resources, task=first.task)
    for _ in range(2):
        plan = decide(board, 2_000)
        assert plan.placements == () and plan.reasons[then.task].code == "ELSEWHERE"
        board.undo()
        assert board.waiting.tasks[then.task].served_ms == 1_000


def test_no_decision_starts_more_than_it_may() -> None:
    for seed in range(600):
        one = case(seed)
        for most in (1, 2):
            board = fork(one.board, replace(one.board.config, most=most))
            assert len(decide(board, one.now_ms).placements) <= most, seed


@pytest.mark.parametrize("limit", [1, 2])
def test_a_limit_that_what_runs_fills_is_free_when_that_ends(limit: int) -> None:
    board = Board(PolicyConfig())
    board.places([Place("a", "n", PlaceKind.CPU, Resources(cpu_milli=4_000), 4)])
    board.shares(Shares({Bin.NORMAL: BinShare(limit=limit)}))
    heads = [Head(TaskId(f"job_{n}:transcode:0"), n, core(), work_ms=1_500) for n in range(limit + 1)]
    board.lines([line("a", *heads)], complete=True)
    board.planned(decide(board, 1_000))

    assert play(board, heads[-1].task, 1_000).start_ms == 2_500


def test_an_end_that_does_not_say_which_gpus_frees_those_that_it_had() -> None:
    board = Board(PolicyConfig())
    board.places([gpu("g", gpus=2)])
    both = (Need(PlaceKind.GPU, Resources(gpu_milli=1000, gpus=2)),)
    for number in range(2):
        board.lines([line("two", Head(TaskId(f"job_{number}:describe:0"), 0, both))], complete=True)
        plan = decide(board, 1_000)
        board.planned(plan)
        (one,) = plan.placements
        board.finished("g", one.resources, task=one.task)


def test_a_tenant_stands_where_the_queue_last_said_it_does() -> None:
    """Use that is told anew, and is less, moves a line forward, though nothing of it has changed."""
    board = Board(PolicyConfig(most=1))
    board.places([Place("a", "n", PlaceKind.CPU, Resources(cpu_milli=1_000), 1)])
    lines = [
        Line(Bin.NORMAL, name, "stage/x", 1, 0, (Head(TaskId(f"job_{name}:transcode:0"), 0, core(), left_ms=1_000),))
        for name in ("ann", "bob")
    ]
    hour = 3_600_000_000
    board.lines(lines, complete=True)
    for ann, bob, first in ((30, 1, "job_bob"), (1, 20, "job_ann")):
        board.shares(Shares(tenants={"ann": TenantShare(ann * hour), "bob": TenantShare(bob * hour)}))
        board.lines([replace(one, oldest_ms=ann) for one in lines], complete=True)
        (one,) = decide(fork(board), 1_000).placements
        assert one.task.startswith(first)
        board.waiting.first(next(iter(board.waiting.bins[Bin.NORMAL].values())))
    (one,) = decide(board, 1_000).placements
    assert one.task == "job_ann:transcode:0"


@pytest.mark.parametrize(("work_ms", "goes"), [(6_000, True), (8_000, False)])
def test_beside_a_reservation_a_task_must_have_half_as_long_again(work_ms: int, goes: bool) -> None:
    """What runs ends at 10,000: a task of 6 s has ended by then even if it takes half as long again, one of 8 s might not."""
    board = Board(PolicyConfig(max_wait_ms={Bin.URGENT: 0}))
    board.places([Place("a", "n", PlaceKind.CPU, Resources(cpu_milli=4_000), 4)])

    def cores(number: int) -> tuple[Need, ...]:
        return (Need(PlaceKind.CPU, Resources(cpu_milli=1_000 * number)),)

    runs = line("r", Head(TaskId("job_r:transcode:0"), 0, cores(3), work_ms=10_000), bin_=Bin.URGENT)
    board.lines([runs], complete=True)
    board.planned(decide(board, 0))
    big = line("big", Head(TaskId("job_big:transcode:0"), 0, cores(4), work_ms=1_000), bin_=Bin.URGENT)
    board.lines([big], complete=True)
    board.planned(decide(board, 0))
    assert board.seats.all["a"].held_for == "job_big:transcode:0"
    small = line("s", Head(TaskId("job_s:transcode:0"), 0, cores(1), work_ms=work_ms), bin_=Bin.BULK)
    board.lines([big, small], complete=True)
    assert bool(decide(board, 0).placements) == goes


@pytest.mark.parametrize(("now_ms", "task"), [(5_000, "job_ant"), (20_000, "job_bee")])
def test_a_turn_does_not_drop_a_model_before_what_is_overdue_has_waited_longer(now_ms: int, task: str) -> None:
    """Bulk's turn at a place with another model, while one has its own: ten seconds later it takes it."""
    board = Board(PolicyConfig(max_wait_ms={Bin.BULK: 0}, late_patience_ms={Bin.BULK: 10_000}))
    board.places([gpu("a", "ant"), gpu("b", "bee")])
    board.lines([line("b", Head(TaskId("job_first:describe:0"), 0, GPU, "bee"), bin_=Bin.URGENT)], complete=True)
    board.planned(decide(board, 0))
    board.seats.all["a"].starts = 7  # the eighth is bulk's
    ant = line("ant", Head(TaskId("job_ant:describe:0"), 0, GPU, "ant"), bin_=Bin.URGENT)
    bee = line("bee", Head(TaskId("job_bee:describe:0"), 0, GPU, "bee"), bin_=Bin.BULK)
    board.lines([ant, bee], complete=True)

    (one,) = decide(board, now_ms).placements
    assert (one.task.partition(":")[0], one.place) == (task, "a")


def test_what_a_told_plan_starts_counts_as_served_as_what_was_decided() -> None:
    served = 0
    for seed in range(200):
        here, told = case(seed), case(seed)
        plan = decide(here.board, here.now_ms)
        here.board.planned(plan)
        decide(told.board, told.now_ms)
        told.board.planned(Plan(plan.placements, {}, plan.reserved))
        known = [
            {
                (queue.key, id_): batch.served_ms
                for queue in board.waiting.queues.values()
                for id_, batch in queue.batches.items()
            }
            for board in (here.board, told.board)
        ]
        assert known[0] == known[1]
        served += sum(ms == here.now_ms for ms in known[0].values())
    assert served > 20


@pytest.mark.parametrize("tried", [False, True])
def test_a_decision_that_is_undone_while_the_task_of_a_held_place_is_not_shown_forgets_nothing_of_it(
    tried: bool,
) -> None:
    """Another pool had claimed it, and handed it back: what fits in beside it starts as before."""

    def waits(name: str, cpu_milli: int, ready_ms: int, work_ms: int = 0, bin_: Bin = Bin.URGENT) -> Line:
        need = (Need(PlaceKind.CPU, Resources(cpu_milli=cpu_milli)),)
        return line(name, Head(TaskId(f"job_{name}:transcode:0"), ready_ms, need, work_ms=work_ms), bin_=bin_)

    board, large = Board(PolicyConfig()), waits("large", 4_000, 2_000)
    board.places([Place("a", "a", PlaceKind.CPU, Resources(cpu_milli=4_000), 4)])
    board.lines([waits("runs", 3_000, 1_000, 60_000)], complete=True)
    board.planned(decide(board, 1_000))
    board.lines([large], complete=True)
    board.planned(decide(board, 2_100))
    assert list(board.held.seats) == ["job_large:transcode:0"]
    board.lines([], complete=True)
    if tried:
        decide(board, 2_500)
        board.undo()
    board.lines([large, waits("small", 1_000, 3_000, 5_000, Bin.NORMAL)], complete=True)
    assert [one.task for one in decide(board, 3_100).placements] == ["job_small:transcode:0"]
