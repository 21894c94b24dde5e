"""What would start a task now: each kind of change in the case that it is for, and on random boards that what is told is true."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from tests.scheduler.boards import Case, case
from tests.scheduler.test_forks import told
from vidprocme.core.ids import TaskId
from vidprocme.core.job import Bin
from vidprocme.core.resources import Need, Place, PlaceKind, Resources
from vidprocme.core.shares import BinShare, Shares, TenantShare
from vidprocme.core.snapshot import Head, Line, Placement
from vidprocme.core.why import Change
from vidprocme.scheduler import counterfactual
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.config import PolicyConfig
from vidprocme.scheduler.counterfactual import smallest_change
from vidprocme.scheduler.facts import snapshot_of
from vidprocme.scheduler.forks import fork
from vidprocme.scheduler.policy import decide
from vidprocme.scheduler.trial import Trial, least

GIB = 2**30
CORE = Need(PlaceKind.CPU, Resources(cpu_milli=1000))
GPU = Need(PlaceKind.GPU, Resources(gpu_milli=1000, vram_bytes=8 * GIB))
TASK = TaskId("job_x:transcode:0")


def cpu(name: str, slots: int = 1, node: str = "n") -> Place:
    return Place(name, node, PlaceKind.CPU, Resources(cpu_milli=1000 * slots), slots)


def line(*tasks: str, need: Need = CORE, bin_: Bin = Bin.NORMAL, tenant: str = "ann", model: str | None = None) -> Line:
    heads = tuple(Head(TaskId(task), n, (need,), model, since_ms=1) for n, task in enumerate(tasks))
    return Line(bin_, tenant, f"transcode/{tasks[0]}", len(heads), 0, heads)


def board_of(
    places: list[Place], *lines: Line, shares: Shares | None = None, config: PolicyConfig | None = None
) -> Board:
    board = Board(config or PolicyConfig(max_wait_ms={}))
    board.places(places)
    board.lines(lines, complete=True)
    board.shares(shares or Shares())
    return board


def changes(board: Board, now_ms: int = 0) -> list[tuple[str, str, int]]:
    found = smallest_change(board, TASK, now_ms)
    return [(one.code, one.command, one.amount) for one in found.changes] if found else []


def running(place: str, need: Need = CORE) -> Placement:
    return Placement(TaskId("job_r:transcode:0"), place, need.resources, "")


def test_a_paused_bin() -> None:
    board = board_of([cpu("a")], line(TASK), shares=Shares({Bin.NORMAL: BinShare(paused=True)}))

    assert changes(board) == [("RESUME_BIN", "vidprocme bins resume normal", 0)]


def test_the_limit_of_a_bin_is_raised_by_as_little_as_does() -> None:
    """Two that are older go first, and one more runs than is allowed by now."""
    shares = Shares({Bin.NORMAL: BinShare(limit=4, running=5)})
    board = board_of([cpu("a", 9)], line("job_x:transcode:8", "job_x:transcode:9", TASK), shares=shares)

    assert changes(board) == [("RAISE_BIN_LIMIT", "vidprocme bins limit normal 8", 8)]


def test_the_limit_of_a_tenant_with_a_name_that_a_shell_would_take_apart() -> None:
    shares = Shares(tenants={"ann's": TenantShare(limit=1, running=1)})

    assert changes(board_of([cpu("a")], line(TASK, tenant="ann's"), shares=shares)) == [
        ("RAISE_TENANT_LIMIT", "vidprocme tenants set 'ann'\\''s' --limit 2", 2)
    ]


def test_the_least_urgent_bin_that_does() -> None:
    others = [line(f"job_{bin_}:transcode:0", bin_=bin_) for bin_ in (Bin.URGENT, Bin.HIGH)]
    bulk = line(TASK, bin_=Bin.BULK)

    assert changes(board_of([cpu("a")], others[1], bulk)) == [("MOVE_JOB", "vidprocme jobs move job_x --to urgent", 0)]
    assert changes(board_of([cpu("a", 2)], others[1], line("job_n:transcode:0"), bulk)) == [
        ("MOVE_JOB", "vidprocme jobs move job_x --to high", 0)
    ]


def test_the_whole_job_is_moved() -> None:
    """An older task of the same job goes first in the other bin too: moving it does not do, and one place more does."""
    board = board_of([cpu("a")], line("job_x:transcode:9", TASK))

    assert changes(board) == [("MORE_PLACES", "vidprocme worker --cores 1", 1)]


def test_a_weight() -> None:
    shares = Shares(tenants={"ann": TenantShare(used=10**9), "bob": TenantShare(used=10**8)})
    other = line("job_o:transcode:0", bin_=Bin.URGENT, tenant="bob")
    board = board_of([cpu("a")], other, line(TASK, bin_=Bin.URGENT), shares=shares)

    (found,) = changes(board)
    assert found[0] == "RAISE_WEIGHT" and found[1] == f"vidprocme tenants set ann --weight {found[2]}"
    for weight, starts in ((found[2], True), (found[2] - 1, False)):
        tenants = {**shares.tenants, "ann": TenantShare(10**9, weight)}
        board.shares(Shares(tenants=tenants))
        assert (decide(board, 0).placements[0].task == TASK) is starts, weight


@pytest.mark.parametrize("limit", [None, 5])
def test_what_the_next_turn_does_by_itself_is_no_change(limit: int | None) -> None:
    """bob goes first by what was told; by what cy has used since, ann has used little."""
    hour = 3_600_000_000
    left = {"ann": 1_000, "bob": 60_000, "cy": 90_000}
    lines = [line(TASK if name == "ann" else f"job_{name}:transcode:0", tenant=name) for name in left]
    lines = [replace(one, heads=tuple(replace(head, left_ms=left[one.tenant]) for head in one.heads)) for one in lines]
    used = {"ann": TenantShare(90 * hour, limit=limit), "bob": TenantShare(10 * hour), "cy": TenantShare(10 * hour)}
    board = board_of([cpu("a")], *lines, shares=Shares(tenants=used))
    assert changes(board)[0][0] == "MOVE_JOB"

    board.charge("cy", 10_000 * hour)
    assert [one.task for one in decide(board, 0).placements] == ["job_bob:transcode:0"]
    found = smallest_change(board, TASK, 0)
    assert found is not None and [one.code for one in found.changes] == ["NEXT_DECISION"]
    assert (
        found.changes[0].text == "Nothing has to change: by what everybody has used by now one of the next starts it."
    )


def test_a_model_that_would_be_loaded_where_another_is() -> None:
    gpus = [
        Place(name, "n", PlaceKind.GPU, GPU.resources, 1, (model,)) for name, model in (("a", "demo"), ("b", "big"))
    ]
    board = board_of(gpus, line(TASK, need=GPU, model="demo"))
    board.placed(running("a", GPU))

    found = smallest_change(board, TASK, 0)
    assert found is not None
    assert [(one.code, one.command) for one in found.changes] == [("LOAD_NOW", "")]
    assert found.changes[0].text.startswith("Load demo at b in place of big")


def test_a_place_where_it_failed() -> None:
    failed = line(TASK, bin_=Bin.URGENT)
    failed = replace(failed, heads=tuple(replace(head, avoid=("a",)) for head in failed.heads))

    assert changes(board_of([cpu("a")], failed), 5) == [("GO_BACK", "", 0)]


def test_a_drained_machine() -> None:
    places = [replace(cpu(f"p{n}", node=f"node-{n}"), draining=True) for n in range(2)]

    assert changes(board_of(places, line(TASK))) == [("UNDRAIN", "vidprocme nodes undrain node-0", 0)]


def test_so_many_places_more() -> None:
    """Three that are older want one, too; of two sorts the smaller one is named."""
    board = board_of([cpu("b", 2), cpu("a")], line(*(f"job_x:transcode:{n}" for n in range(1, 7)), TASK))

    found = smallest_change(board, TASK, 0)
    assert found is not None and found.changes == (
        Change("MORE_PLACES", "4 CPU places more such as a (1 core each).", "vidprocme worker --cores 4", 4),
    )


def test_a_place_that_there_is_not_yet_by_what_it_has_to_have() -> None:
    typed = replace(GPU, gpu_types=("H100",))

    found = smallest_change(board_of([cpu("a")], line(TASK, need=typed, model="demo")), TASK, 0)
    text = "1 GPU place more (100 % of a GPU, 8.0 GiB GPU memory, of type H100)."
    assert found is not None and found.changes == (Change("MORE_PLACES", text, "", 1),)


def test_nothing_but_the_next_decision() -> None:
    board = board_of([cpu("a", 9)], line("job_x:transcode:9", TASK), config=PolicyConfig(max_wait_ms={}, most=1))

    assert changes(board) == [("NEXT_DECISION", "", 0)]


def test_two_rules_and_no_place_are_told_together() -> None:
    shares = Shares({Bin.NORMAL: BinShare(paused=True, limit=1, running=1)}, {"ann": TenantShare(limit=2, running=2)})
    board = board_of([cpu("a")], line(TASK), shares=shares)
    board.placed(running("a"))

    assert [code for code, _, _ in changes(board)] == [
        "RESUME_BIN",
        "RAISE_BIN_LIMIT",
        "RAISE_TENANT_LIMIT",
        "MORE_PLACES",
    ]


def test_nothing_small_is_none() -> None:
    board = board_of([cpu("a")], line(*(f"job_x:transcode:{n}" for n in range(1, 40)), TASK))

    assert smallest_change(board, TASK, 0) is None


@pytest.mark.parametrize(("wanted", "most"), [(1, 1), (1, 9), (5, 5), (6, 16), (9, 8), (16, 16), (17, 16)])
def test_the_least_number(wanted: int, most: int) -> None:
    asked: list[int] = []

    def helps(number: int) -> bool:
        asked.append(number)
        return number >= wanted

    found = least(helps, most)
    assert found == (wanted if wanted <= most else None)
    assert max(asked) <= most and (found is None or asked[-1] == found)


# -- on random boards ------------------------------------------------------------------------------------------------------


def waiting(one: Case) -> list[TaskId]:
    return sorted(decide(fork(one.board), one.now_ms).reasons)


def test_what_is_told_starts_the_task_and_the_board_is_left_as_it_was() -> None:
    codes: Counter[str] = Counter()
    for seed in range(500):
        one = case(seed)
        before, plan = snapshot_of(one.board), told(decide(fork(one.board), one.now_ms))
        for task in waiting(one)[:2]:
            found = smallest_change(one.board, task, one.now_ms)
            if found is None:
                codes["none"] += 1
                continue
            assert found.changes and found.changes[-1].code in counterfactual.CODES
            codes.update(change.code for change in found.changes)
            assert task in [placement.task for placement in found.plan.placements], seed
            again = decide(fork(found.board), one.now_ms)  # without a bound on the starts of one decision
            assert task in [placement.task for placement in again.placements], "the board has the change"
        assert snapshot_of(one.board) == before, seed
        assert told(decide(fork(one.board), one.now_ms)) == plan, seed
    assert set(counterfactual.CODES) <= set(codes), codes
    assert codes["none"] * 50 < codes.total(), codes


def test_what_did_not_help_was_taken_back() -> None:
    """After every single change has failed, the fork decides what the board does."""
    failed = 0
    for seed in range(80):
        one = case(seed)
        for task in waiting(one)[:2]:
            trial = Trial(one.board, task, one.now_ms, 200)
            before = told(decide(fork(trial.board), one.now_ms))
            for way in (*counterfactual.RULES, *counterfactual.WAYS):
                if way(trial) is not None:
                    break
                assert told(decide(fork(trial.board), one.now_ms)) == before, (seed, task, way)
                failed += 1
    assert failed > 500


def test_it_makes_no_more_decisions_than_it_may() -> None:
    for seed in range(60):
        one = case(seed)
        for task in waiting(one)[:1]:
            few = smallest_change(one.board, task, one.now_ms, decisions=1)
            assert few is None or len(few.changes) == 1
            assert smallest_change(one.board, task, one.now_ms, decisions=0) is None


def test_where_it_failed_is_remembered_when_going_back_does_not_help() -> None:
    failed = line(TASK)
    failed = replace(failed, heads=tuple(replace(head, avoid=("a",)) for head in failed.heads))
    board = board_of([cpu("a")], failed)
    board.placed(running("a"))
    trial = Trial(board, TASK, 5, 9)

    assert not trial.forget_failures()
    assert trial.queue.heads[TASK].avoid == ("a",)
