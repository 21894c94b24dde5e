"""What a task is told agrees with itself."""

from __future__ import annotations

from dataclasses import replace

from tests.scheduler.boards import case
from tests.scheduler.test_counterfactual import GPU, TASK, board_of, cpu, line, running
from vidprocme.core.ids import TaskId
from vidprocme.core.job import Bin
from vidprocme.core.resources import Place, PlaceKind
from vidprocme.core.shares import BinShare, Shares
from vidprocme.core.snapshot import Placement, Reason
from vidprocme.core.why import Candidate, Change, Start, Why
from vidprocme.core.wire import dumps, loads
from vidprocme.scheduler.beside import SeatNow
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.counterfactual import smallest_change
from vidprocme.scheduler.explain import CODES
from vidprocme.scheduler.facts import snapshot_of
from vidprocme.scheduler.forks import fork
from vidprocme.scheduler.policy import decide
from vidprocme.scheduler.why import CUT, why


def test_all_of_it_for_a_task_of_a_paused_bin() -> None:
    board = board_of([cpu("b"), cpu("a")], line(TASK), shares=Shares({Bin.NORMAL: BinShare(paused=True)}))

    text = "The normal bin is paused: none of its 1 waiting task starts before it is resumed"
    assert why(board, TASK, 7) == Why(
        Reason("BIN_PAUSED", f"{text}."),
        Start(0, False, None, text),
        (Change("RESUME_BIN", "Resume the normal bin.", "vidprocme bins resume normal"),),
        (Candidate("a", "none", 0, 1), Candidate("b", "none", 0, 1)),
        "a and b are as good as each other, and the first by name is taken.",
    )


def test_a_task_that_the_next_decision_starts_needs_no_change() -> None:
    said = why(board_of([cpu("a")], line(TASK)), TASK, 7)

    assert (said.changes, said.start.start_ms, said.candidates[0].place) == ((), 7, "a")
    assert said.reason == Reason("NEXT_TURN", "a has room for it: the next decision starts it.")


def one_gpu_with_another_model(busy_ms: int = 0) -> tuple[Board, SeatNow]:
    """Ours, which is free after so long; and another pool's, which has the model, and is busy for a minute."""
    own = Place("alpha/gpu:0", "alpha", PlaceKind.GPU, GPU.resources, 1, ("other",))
    theirs = replace(own, id="beta/gpu:0", node="beta", warm=("demo",))
    board = board_of([own], line(TASK, need=GPU, model="demo"))
    if busy_ms:
        board.placed(Placement(TaskId("job_r:describe:0"), own.id, GPU.resources, "", work_ms=busy_ms))
    return board, SeatNow(theirs, 0, ((GPU.resources, (), 60_000, None),), None, "pool_2")


def test_a_model_that_is_loaded_at_another_pool_is_nothing_to_wait_for() -> None:
    """Each pool decides by its own places."""
    board, theirs = one_gpu_with_another_model()
    said = why(board, TASK, 7, others=[theirs])
    assert said.reason.code == "NEXT_TURN"
    assert (said.start.start_ms, said.start.at, said.start.position) == (7, "", 0)

    board, theirs = one_gpu_with_another_model(busy_ms=10_000)
    said = why(board, TASK, 7, others=[theirs])
    assert (said.start.start_ms, said.start.at) == (10_000, "")
    board.finished("alpha/gpu:0", GPU.resources, (), TaskId("job_r:describe:0"))
    assert [one.task for one in decide(board, 10_000).placements] == [TASK]

    board, theirs = one_gpu_with_another_model(busy_ms=90_000)
    said = why(board, TASK, 7, others=[theirs])
    assert (said.start.start_ms, said.start.at) == (60_000, "beta/gpu:0 of pool_2")


def test_nothing_small_would_do() -> None:
    board = board_of([cpu("a")], line(*(f"job_x:transcode:{n}" for n in range(1, 40)), TASK))
    board.placed(running("a"))

    said = why(board, TASK, 7)
    assert (said.changes, said.candidates, said.chosen) == ((), (), "")


def test_a_place_that_is_not_there_yet_is_told_as_a_change_and_not_as_a_choice() -> None:
    said = why(board_of([cpu("a")], line(TASK, need=GPU, model="demo")), TASK, 7)

    assert [one.code for one in said.changes] == ["MORE_PLACES"]
    assert (said.candidates, said.chosen) == ((), "")


def test_on_random_boards() -> None:
    told = 0
    for seed in range(60):
        one = case(seed)
        plan = decide(fork(one.board), one.now_ms)
        reasons = dict(plan.reasons)
        for task in sorted(fork(one.board).waiting.tasks)[:3]:
            said = why(one.board, task, one.now_ms)
            starts = task not in reasons
            assert said.reason.code in CODES and (starts or said.reason == reasons[task]), seed
            assert not starts or said.start.start_ms == one.now_ms, seed
            assert bool(said.candidates) == bool(said.chosen) and (said.candidates or not starts), seed
            assert not said.candidates or starts or said.changes, seed
            assert loads(Why, dumps(said)) == said, "it travels"
            assert said == why(one.board, task, one.now_ms), "the same question, the same answer"
            told += 1
    assert told > 120


class Budget:
    """There is time for so many decisions."""

    def __init__(self, left: int) -> None:
        self.left = left

    def __call__(self) -> bool:
        self.left -= 1
        return self.left >= 0


def test_what_there_was_no_time_for_is_said() -> None:
    """However early it is cut, the answer is the whole one, or says that it is not."""
    cut = 0
    for seed in range(24):
        one = case(seed)
        before = snapshot_of(one.board)
        for task in sorted(fork(one.board).waiting.tasks)[:2]:
            whole = why(one.board, task, one.now_ms)
            for left in (0, 1, 2, 3, 5, 8, 13, 40):
                said = why(one.board, task, one.now_ms, go_on=Budget(left))
                late = "no time" in said.start.how
                assert said == whole or late, (seed, left)
                assert said.cut <= late and not (said.cut and said.changes), (seed, left)
                assert said.start.start_ms in (whole.start.start_ms, None), (seed, left)
                assert said.reason == whole.reason, (seed, left)
                cut += said.cut
        assert snapshot_of(one.board) == before, seed
    assert cut > 50


def test_without_time_nothing_is_tried() -> None:
    board = board_of([cpu("a")], line(TASK), shares=Shares({Bin.NORMAL: BinShare(limit=1, running=1)}))

    said = why(board, TASK, 7, go_on=lambda: False)
    how = f"it is not its turn within 0 decisions, and there was no time for more; {CUT}"
    assert said == Why(whole_reason(board), Start(0, False, None, how), cut=True)
    asked = Budget(0)
    assert smallest_change(board, TASK, 7, go_on=asked) is None and asked.left == -1


def whole_reason(board: Board) -> Reason:
    return why(board, TASK, 7).reason
