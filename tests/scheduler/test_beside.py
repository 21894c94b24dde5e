"""Places of other pools beside a board's own: they are played over as if they were its own."""

from __future__ import annotations

from dataclasses import replace

from tests.scheduler.boards import case
from tests.scheduler.test_counterfactual import CORE, GPU, TASK, board_of, cpu, line, waiting
from tests.scheduler.test_play import takes
from vidprocme.core.ids import TaskId
from vidprocme.core.job import Bin
from vidprocme.core.resources import Place, PlaceKind
from vidprocme.core.shares import BinShare, Shares
from vidprocme.core.snapshot import Placement, Plan
from vidprocme.scheduler.beside import SeatNow, add_seats, seats_of
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.facts import snapshot_of
from vidprocme.scheduler.forks import fork
from vidprocme.scheduler.play import play
from vidprocme.scheduler.policy import decide
from vidprocme.scheduler.why import why


def theirs(board: Board) -> list[SeatNow]:
    return [replace(one, pool="pool_2") for one in seats_of(board)]


def bare(board: Board) -> Board:
    """A fork without places; what they were held for, others hold places for."""
    other, held = fork(board), set(board.held.seats)
    for seat in list(other.seats.all.values()):
        if seat.held_for is not None:
            other.release(seat.held_for)
        other.seats.remove(seat)
    other.planned(Plan())
    other.elsewhere(board.others | held)
    return other


def test_over_other_pools_places_it_starts_as_over_ones_own() -> None:
    """On boards with a past: what runs, turns, what is loaded, what is held and what failed where all count there, too."""
    told, at = 0, 0
    for seed in range(120):
        one = case(seed)
        other, seats = bare(one.board), theirs(one.board)
        for task in waiting(one)[:3]:
            mine, its = play(one.board, task, one.now_ms), play(other, task, one.now_ms, others=seats)
            assert (its.position, its.played, its.start_ms) == (mine.position, mine.played, mine.start_ms), (seed, task)
            assert bool(its.at) == its.played and (not its.at or its.at.endswith(" of pool_2")), seed
            told, at = told + 1, at + its.played
    assert told > 200 and at > 60


def test_it_starts_at_whichever_is_free_first_and_says_where() -> None:
    board = board_of([cpu("a")], takes(line("job_u:transcode:0", bin_=Bin.URGENT), 500), line(TASK))
    run = (CORE.resources, (), 3_000, None)
    board.seats.move(board.seats.all["a"], board.states.taken(board.seats.all["a"].state, CORE.resources, (), None))
    board.seats.all["a"].running[TaskId("job_r:transcode:0")] = run
    there = SeatNow(cpu("a"), 0, ((CORE.resources, (), 1_200, None),), None, "pool_2")  # of the same machine

    alone, both = play(board, TASK, 1_000), play(board, TASK, 1_000, others=[there])
    assert (alone.start_ms, alone.at) == (3_500, "")
    assert (both.position, both.start_ms, both.at) == (1, 1_700, "a of pool_2")
    later = replace(there, runs=((CORE.resources, (), 9_000, None),))
    assert play(board, TASK, 1_000, others=[later]) == alone, "and at ones own if that is it"


def test_what_ends_there_counts_for_a_limit() -> None:
    """One of the bin may run, and it does so at the other pool."""
    shares = Shares({Bin.NORMAL: BinShare(limit=1, running=1)})
    board = board_of([cpu("a")], line(TASK), shares=shares)
    there = SeatNow(cpu("b"), 0, ((CORE.resources, (), 4_000, (Bin.NORMAL, "ann")),), None, "pool_2")

    assert play(board, TASK, 1_000).start_ms is None
    assert play(board, TASK, 1_000, others=[there]).start_ms == 4_000


def test_of_a_kind_that_only_the_other_pool_has() -> None:
    board = board_of([], line(TASK))

    said = why(board, TASK, 1_000, others=[SeatNow(cpu("b"), pool="pool_2")])
    assert (said.reason.code, said.start.start_ms, said.start.at) == ("NO_SUCH_PLACE", 1_000, "b of pool_2")
    assert play(board, TASK, 1_000, others=[SeatNow(replace(cpu("b"), draining=True), pool="p")]).start_ms is None


def test_the_board_is_left_as_it_was_and_a_place_comes_once() -> None:
    for seed in range(40):
        one = case(seed)
        before, seats = snapshot_of(one.board), theirs(one.board)
        for task in waiting(one)[:1]:
            play(one.board, task, one.now_ms, others=[*seats, *seats])
        assert snapshot_of(one.board) == before, seed
    board = board_of([cpu("a")])
    assert add_seats(board, [SeatNow(cpu("a"), pool="p")] * 2) == {"a of p"}
    assert add_seats(board, [SeatNow(cpu("a"), pool="p")]) == frozenset() and set(board.seats.all) == {"a", "a of p"}


def test_there_more_runs_than_there_is_room_for() -> None:
    """The place has become smaller since: nothing starts there before enough has ended."""
    runs = tuple((CORE.resources, (), end_ms, None) for end_ms in (2_000, 3_000, 4_000))
    small = SeatNow(cpu("b", 1), 0, runs, None, "pool_2")

    assert play(board_of([], line(TASK)), TASK, 1_000, others=[small]).start_ms == 4_000


def test_what_another_pool_holds_a_place_for_is_held_there_and_no_longer_elsewhere() -> None:
    board = board_of([cpu("a")], line(TASK))
    board.elsewhere({TASK, TaskId("job_z:transcode:0")})

    add_seats(board, [SeatNow(cpu("b"), held_for=TASK, pool="p"), SeatNow(cpu("c"), held_for=TASK, pool="p")])
    assert [(task, seat.id) for task, seat in board.held.seats.items()] == [(TASK, "c of p")], "one place for a task"
    assert board.others == {"job_z:transcode:0"}


def test_a_model_that_is_being_loaded_is_told_as_loaded() -> None:
    gpu = Place("g", "n", PlaceKind.GPU, GPU.resources)
    board = board_of([gpu], line(TASK, need=GPU, model="demo"))
    board.planned(decide(board, 0))

    (seat,) = seats_of(board)
    assert (seat.place.warm, [run[0] for run in seat.runs]) == (("demo",), [GPU.resources])


def test_a_place_that_is_held_for_a_task_of_which_nothing_is_known_takes_no_other() -> None:
    board = board_of([cpu("a")], line(TASK))
    board.placed(Placement(TaskId("job_r:transcode:0"), "a", CORE.resources, "", work_ms=9_000))
    free = SeatNow(cpu("b"), pool="pool_2")

    assert play(board, TASK, 7, others=[free]).start_ms == 7
    held = replace(free, held_for=TaskId("job_far:transcode:0"))
    assert play(board, TASK, 7, others=[held]).start_ms == 9_000
