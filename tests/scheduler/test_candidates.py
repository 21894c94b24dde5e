"""The first candidate is the place that was taken, and the sentence says what set it apart."""

from __future__ import annotations

from tests.scheduler.boards import case
from vidprocme.core.ids import TaskId
from vidprocme.core.job import Bin
from vidprocme.core.resources import Need, Place, PlaceKind, Resources
from vidprocme.core.snapshot import Head, Line
from vidprocme.core.why import Candidate
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.candidates import candidates
from vidprocme.scheduler.config import PolicyConfig
from vidprocme.scheduler.forks import fork
from vidprocme.scheduler.policy import decide
from vidprocme.scheduler.states import Ask, PlaceState

GPU = Need(PlaceKind.GPU, Resources(gpu_milli=1000))
CPU_MODEL = Need(PlaceKind.CPU_MODEL, Resources(cpu_milli=1000))
TASK = TaskId("j:describe:0")


def board_of(*places: Place, needs: tuple[Need, ...] = (GPU,), config: PolicyConfig | None = None) -> Board:
    board = Board(config or PolicyConfig())
    board.places(places)
    head = Head(TASK, 0, needs, "demo")
    board.lines([Line(Bin.NORMAL, "ann", "describe", 1, 0, (head,))], complete=True)
    return board


def gpu(name: str, *warm: str) -> Place:
    return Place(name, "n", PlaceKind.GPU, GPU.resources, 1, warm)


def said(board: Board, now_ms: int = 0) -> tuple[tuple[Candidate, ...], str]:
    return candidates(board, decide(board, now_ms), TASK)


def test_what_is_loaded_goes_before_what_is_empty_and_that_before_what_would_be_dropped() -> None:
    found, why = said(board_of(gpu("a", "other"), gpu("b"), gpu("c", "demo"), gpu("d", "other")))

    assert [(one.place, one.rank) for one in found] == [("c", "warm"), ("b", "empty"), ("a", "cold")]
    assert why == "c has demo loaded, and b has nothing loaded."


def test_of_equals_the_first_by_name() -> None:
    assert said(board_of(gpu("b"), gpu("a")))[1] == "a and b are as good as each other, and the first by name is taken."
    assert said(board_of(gpu("b")))[1] == "b is the only place with room for it."


def test_an_alternative_that_it_prefers() -> None:
    cpu = Place("a", "n", PlaceKind.CPU_MODEL, CPU_MODEL.resources)
    found, why = said(board_of(cpu, gpu("z"), needs=(GPU, CPU_MODEL)))

    assert found == (Candidate("z", "empty", 0, 1), Candidate("a", "empty", 0, 2))
    assert why == "z has room for its alternative 1, a for its alternative 2 only."


def test_a_score() -> None:
    def last(node: PlaceState, _ask: Ask) -> tuple[int, int | None]:
        return -node.spec.cpu_milli, None

    small, large = gpu("a"), Place("b", "n", PlaceKind.GPU, Resources(cpu_milli=7, gpu_milli=1000))
    found, why = said(board_of(small, large, config=PolicyConfig(score=last)))

    assert [(one.place, one.score) for one in found] == [("b", -7), ("a", 0)]
    assert why == "b has the lower score, -7 against the 0 of a."


def test_an_overdue_task_takes_the_place_whose_turn_it_is() -> None:
    board = board_of(gpu("a"), config=PolicyConfig(max_wait_ms={Bin.NORMAL: 5}))
    board.seats.all["a"].starts = 3  # the fourth start is for what is overdue in normal

    assert (
        said(board, 10)[1] == "a: the task is overdue, and the next start there is for what is overdue in bin normal."
    )


def test_the_first_is_the_place_that_the_plan_takes() -> None:
    taken = 0
    for seed in range(400):
        one = case(seed)
        board = fork(one.board)
        plan = decide(board, one.now_ms)
        for placement in plan.placements:
            found, why = candidates(board, plan, placement.task)
            assert found[0].place == placement.place, seed
            assert 1 <= len(found) <= 3 and len({one.place for one in found}) == len(found) and why, seed
            taken += 1
    assert taken > 200


def test_without_turns_and_reservations_it_is_so_by_rank_and_score_alone() -> None:
    """The order of the candidates is the policy's own: nothing had to be moved to the front."""
    checked = 0
    for seed in range(300):
        one = case(seed)
        config = PolicyConfig(max_wait_ms={})
        board = fork(one.board, config)
        plan = decide(board, one.now_ms)
        queues = {p.task: fork(board).waiting.tasks[p.task].queue for p in plan.placements}
        for placement in plan.placements:
            if not placement.counted or queues[placement.task].heads[placement.task].avoid:
                continue
            found, _ = candidates(board, plan, placement.task)
            keys = [
                (one.rank == "cold", one.alternative, ("none", "warm", "empty", "cold").index(one.rank))
                for one in found
            ]
            assert keys == sorted(keys), (seed, found)
            checked += len(found) > 1
    assert checked > 50
