"""When a model has to go for another one: each condition alone decides, at its very millisecond."""

from __future__ import annotations

from itertools import product

import pytest

from vidprocme.core.ids import TaskId
from vidprocme.core.job import Bin
from vidprocme.core.resources import Need, Place, PlaceKind, Resources
from vidprocme.core.shares import BinShare, Shares, TenantShare
from vidprocme.core.snapshot import Head, Line, Placement
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.config import PolicyConfig
from vidprocme.scheduler.policy import decide

ANY, LARGE = (
    Need(PlaceKind.GPU, Resources(gpu_milli=1000)),
    Need(PlaceKind.GPU, Resources(gpu_milli=1000, memory_bytes=2)),
)
HUGE = Need(PlaceKind.GPU, Resources(gpu_milli=1000, memory_bytes=3))  # for which no place is large enough
PATIENCE_MS, LAG_MS, WORK_MS = 12_000, 25_000, 5_000
CONFIG = PolicyConfig(
    max_wait_ms={}, patience_ms={Bin.HIGH: PATIENCE_MS}, lag_ms={Bin.HIGH: LAG_MS}, lag_times=2, keep_percent=0
)
THEN_MS = 1_000_000  # when something of the job started
STATES = list(product((True, False), repeat=3))


def place(id_: str, model: str) -> Place:
    return Place(id_, id_, PlaceKind.GPU, Resources(gpu_milli=1000, memory_bytes=2), 2, (model,))


def half_in_use(board: Board, id_: str) -> None:
    """Its GPU is free, and half of its memory is not: nothing LARGE starts there now."""
    board.placed(Placement(TaskId(f"at_{id_}:probe:0"), id_, Resources(memory_bytes=1), "", counted=False))


def arrive(
    board: Board,
    job: str,
    model: str,
    count: int,
    ready_ms: int,
    need: Need = ANY,
    left_ms: int = 0,
    work_ms: int = WORK_MS,
) -> None:
    line = Line(Bin.HIGH, "ann", f"describe/{model}/{need.resources.memory_bytes}", 1, 0, ())
    for number in range(count):
        head = Head(TaskId(f"{job}:describe:{number:03d}"), ready_ms, (need,), model, work_ms=work_ms, left_ms=left_ms)
        board.arrived(line, head)


def start(board: Board, now_ms: int) -> list[tuple[str, str]]:
    """Who starts where; the board goes on from there."""
    plan = decide(board, now_ms)
    board.planned(plan)
    return [(one.task.split(":")[0], one.place) for one in plan.placements]


def beside_a_cat(more: int, job: str = "mine") -> Board:
    """`a` has the ant, and has begun a task of a job at THEN_MS; so many more of it wait. `c` has the cat, and half of its memory is in use."""
    board = Board(CONFIG)
    board.places([place("a", "ant")])
    arrive(board, job, "ant", 1 + more, 0)
    assert start(board, THEN_MS) == [(job, "a")]
    board.place(place("c", "cat"))
    half_in_use(board, "c")
    return board


@pytest.mark.parametrize(("unserved", "unwanted", "much"), STATES)
def test_two_of_three_must_be(unserved: bool, unwanted: bool, much: bool) -> None:
    """Its job is served nowhere; nothing waits for what is loaded there; there is much work for its own model."""
    board = beside_a_cat(5 if much else 4)  # 25 s of work, as much as it takes, and 20 s
    if not unwanted:  # by something for which there is no room
        arrive(board, "other", "cat", 1, 0, LARGE)
    now_ms = THEN_MS + PATIENCE_MS - (not unserved)
    assert start(board, now_ms) == ([("mine", "c")] if unserved + unwanted + much >= 2 else [])


@pytest.mark.parametrize(("theirs", "starts"), [(3, True), (4, False)])
def test_much_is_twice_as_much_as_what_waits_for_the_other_one(theirs: int, starts: bool) -> None:
    board = beside_a_cat(6)
    arrive(board, "other", "cat", theirs, 0, LARGE)
    assert start(board, THEN_MS + PATIENCE_MS) == ([("mine", "c")] if starts else [])


def test_a_task_is_patient_itself_though_its_job_was_never_served() -> None:
    board = beside_a_cat(0, "before")
    arrive(board, "mine", "ant", 1, THEN_MS)
    assert start(board, THEN_MS + PATIENCE_MS - 1) == []
    assert start(board, THEN_MS + PATIENCE_MS) == [("mine", "c")]


@pytest.mark.parametrize(("wanted", "much", "starts"), [(False, False, True), (True, True, True), (True, False, False)])
def test_behind_one_that_came_just_now_another_has_been_patient(wanted: bool, much: bool, starts: bool) -> None:
    """The first of the line is not; the place is for whoever is, by the same rules."""
    board = beside_a_cat(0, "before")
    now_ms = THEN_MS + PATIENCE_MS
    arrive(board, "patient", "ant", 1, THEN_MS, left_ms=90_000)
    arrive(board, "first", "ant", 4 if much else 1, now_ms, left_ms=1_000)
    if wanted:
        arrive(board, "other", "cat", 1, 0, LARGE)
    assert start(board, now_ms) == ([("patient", "c")] if starts else [])


@pytest.mark.parametrize(("ants_ms", "starts"), [(20_000, False), (60_000, True)])
def test_the_last_place_of_a_model_is_kept_while_the_other_one_has_its_own_part(ants_ms: int, starts: bool) -> None:
    """From the patient one behind the first, too. Of six places the ant has one; its part of the work is 1.6 of them, or 2.9."""
    keeps = PolicyConfig(max_wait_ms={}, patience_ms=CONFIG.patience_ms, lag_ms={}, lag_times=0, keep_percent=80)
    board = Board(keeps)
    board.places([place("a", "ant"), place("c", "cat"), *(place(f"d{number}", "dog") for number in range(4))])
    arrive(board, "before", "ant", 1, 0, work_ms=ants_ms)
    arrive(board, "gone", "cat", 1, 0, work_ms=20_000)
    arrive(board, "dogs", "dog", 4, 0)
    assert len(start(board, THEN_MS)) == 6
    board.finished("c", ANY.resources, (), TaskId("gone:describe:000"))
    now_ms = THEN_MS + PATIENCE_MS
    arrive(board, "patient", "ant", 1, THEN_MS, left_ms=90_000)
    arrive(board, "first", "ant", 1, now_ms, left_ms=1_000)
    assert start(board, now_ms) == ([("patient", "c")] if starts else [])


@pytest.mark.parametrize(("bin_", "starts"), [(Bin.HIGH, False), (Bin.URGENT, False), (Bin.NORMAL, True)])
def test_where_its_model_is_nowhere_it_waits_for_what_is_as_urgent_and_wants_the_loaded_one(
    bin_: Bin, starts: bool
) -> None:
    board = Board(CONFIG)
    board.places([place("c", "cat")])
    half_in_use(board, "c")
    arrive(board, "mine", "ant", 1, THEN_MS)
    line = Line(bin_, "ann", "describe/cat/", 1, 0, ())
    board.arrived(line, Head(TaskId("other:describe:0"), 0, (LARGE,), "cat", work_ms=WORK_MS))
    assert start(board, THEN_MS + PATIENCE_MS - 1) == ([("mine", "c")] if starts else [])
    assert start(board, THEN_MS + PATIENCE_MS) == ([] if starts else [("mine", "c")])


@pytest.mark.parametrize("paused", [True, False])
@pytest.mark.parametrize("nowhere", [True, False])
def test_what_may_not_start_keeps_nothing(nowhere: bool, paused: bool) -> None:
    """An urgent task wants the model that is loaded: of a bin that is paused, or of a tenant at its limit."""
    for kept_back in (True, False):
        board = Board(CONFIG)
        if nowhere:
            board.places([place("c", "cat")])
            arrive(board, "mine", "ant", 1, THEN_MS)
        else:
            board.places([place("a", "ant")])
            arrive(board, "mine", "ant", 2, 0)
            assert start(board, THEN_MS) == [("mine", "a")]
            board.place(place("c", "cat"))
        half_in_use(board, "c")
        line = Line(Bin.URGENT, "bob", "describe/cat/", 1, 0, ())
        board.arrived(line, Head(TaskId("other:describe:0"), 0, (LARGE,), "cat", work_ms=WORK_MS))
        bob = TenantShare(0, 1, 0 if kept_back and not paused else None)
        board.shares(Shares({Bin.URGENT: BinShare(paused=kept_back and paused)}, {"bob": bob}))
        now_ms = THEN_MS + (PATIENCE_MS - 1 if nowhere else PATIENCE_MS)
        assert start(board, now_ms) == ([("mine", "c")] if kept_back else [])


@pytest.mark.parametrize(("need", "starts"), [(HUGE, True), (LARGE, False)])
def test_what_no_such_place_could_ever_hold_keeps_nothing(need: Need, starts: bool) -> None:
    board = beside_a_cat(4)
    arrive(board, "other", "cat", 1, 0, need)
    assert start(board, THEN_MS + PATIENCE_MS) == ([("mine", "c")] if starts else [])


@pytest.mark.parametrize("theirs", [0, 50])
def test_work_that_may_not_start_or_that_no_place_could_hold_is_no_reason_to_load_a_model(theirs: int) -> None:
    """Of the same group as mine, or of the same model."""
    board = beside_a_cat(4)
    arrive(board, "other", "cat", 1, 0, LARGE)
    arrive(board, "huge", "ant", theirs, 0, HUGE)
    line = Line(Bin.HIGH, "bob", "describe/ant/bob", 1, 0, ())
    for number in range(theirs):
        board.arrived(line, Head(TaskId(f"bob:describe:{number:03d}"), 0, (ANY,), "ant", work_ms=WORK_MS))
    board.shares(Shares(tenants={"bob": TenantShare(0, 1, 0)}))
    assert start(board, THEN_MS + PATIENCE_MS) == []


def test_a_line_none_of_whose_tasks_are_shown_keeps_nothing() -> None:
    board = beside_a_cat(5)
    arrive(board, "other", "cat", 1, 0, LARGE)
    board.lines([Line(Bin.HIGH, "bob", "describe/cat/far", 7, 0, ())], complete=False)
    assert start(board, THEN_MS + PATIENCE_MS) == [("mine", "c")]


@pytest.mark.parametrize(
    ("somewhere", "late_ms", "starts"), [(True, 19_999, False), (True, 20_000, True), (False, 1, True)]
)
def test_a_turn_waits_for_a_place_with_its_model_while_there_is_one(
    somewhere: bool, late_ms: int, starts: bool
) -> None:
    """It is bulk's turn at `c`, where a cat would go that is more urgent."""
    config = PolicyConfig(max_wait_ms={Bin.BULK: 0}, late_patience_ms={Bin.BULK: 20_000}, pace_ms={})
    board = Board(config)
    board.places([place("a", "ant"), place("c", "cat")] if somewhere else [place("c", "cat")])
    if somewhere:
        arrive(board, "before", "ant", 1, 0)
        assert start(board, THEN_MS) == [("before", "a")]
    board.seats.all["c"].starts = 7
    arrive(board, "urgent", "cat", 2, 0)
    line = Line(Bin.BULK, "ann", "describe/ant/", 1, 0, ())
    board.arrived(line, Head(TaskId("bulk:describe:0"), THEN_MS, (ANY,), "ant", work_ms=WORK_MS))
    assert start(board, THEN_MS + late_ms) == [("bulk" if starts else "urgent", "c")]
