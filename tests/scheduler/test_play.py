"""When a task is said to start: in small cases to the millisecond, and on random boards beside a world that goes as predicted."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from tests.scheduler.boards import Case, case
from tests.scheduler.test_counterfactual import CORE, GPU, TASK, board_of, cpu, line, running, waiting
from vidprocme.core.ids import TaskId
from vidprocme.core.job import Bin
from vidprocme.core.resources import Place, PlaceKind
from vidprocme.core.shares import BinShare, Shares
from vidprocme.core.snapshot import Line
from vidprocme.core.why import Start
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.config import PolicyConfig
from vidprocme.scheduler.facts import snapshot_of
from vidprocme.scheduler.forks import fork
from vidprocme.scheduler.play import play
from vidprocme.scheduler.policy import decide

TICK_MS = 100


def runs(board: Board, place: str, until_ms: int | None, name: str = "r") -> None:
    seat = board.seats.all[place]
    board.seats.move(seat, board.states.taken(seat.state, CORE.resources, (), None))
    seat.running[TaskId(f"job_{name}:transcode:0")] = (CORE.resources, (), until_ms, None)


def takes(one: Line, work_ms: int) -> Line:
    return replace(one, heads=tuple(replace(head, work_ms=work_ms) for head in one.heads))


def test_it_starts_when_what_runs_and_what_is_before_it_have_ended() -> None:
    board = board_of(
        [cpu("a")], takes(line("job_u:transcode:0", "job_u:transcode:1", bin_=Bin.URGENT), 500), line(TASK)
    )
    runs(board, "a", 1_300)

    assert play(board, TASK, 1_000) == Start(
        2, True, 2_300, "2 tasks start before it, when attempts end as predicted and nothing more comes before it"
    )


def test_at_once() -> None:
    two = board_of([cpu("a", 2)], line("job_u:transcode:0", bin_=Bin.URGENT), line(TASK))

    assert play(two, TASK, 9) == Start(1, True, 9, "1 task starts with it, before it")
    assert play(board_of([cpu("a")], line(TASK)), TASK, 9) == Start(0, True, 9, "it starts with the next decision")


def test_what_takes_longer_than_was_predicted_may_end_at_any_moment() -> None:
    board = board_of([cpu("a")], line(TASK))
    runs(board, "a", 10)

    assert play(board, TASK, 1_000).start_ms == 1_001


def test_nobody_knows_how_long_something_takes() -> None:
    """Then its place is counted, strictly by bin and age, with those behind the heads of more urgent bins."""
    urgent = replace(line("job_u:transcode:0", bin_=Bin.URGENT), length=4)
    board = board_of([cpu("a")], urgent, line("job_n:transcode:0", TASK))
    runs(board, "a", None)

    said = play(board, TASK, 1_000)
    assert said == Start(
        5,
        False,
        None,
        "4 tasks of more urgent bins are placed first on CPU places; "
        "nobody has predicted how long the attempt that runs by then will take",
    )


def test_what_only_a_person_can_change_is_not_waited_for() -> None:
    paused = board_of([cpu("a")], line(TASK), shares=Shares({Bin.NORMAL: BinShare(paused=True)}))
    runs(paused, "a", 5_000)

    text = "The normal bin is paused: none of its 1 waiting task starts before it is resumed"
    assert play(paused, TASK, 0) == Start(0, False, None, text)


def test_tasks_behind_the_heads_are_played_too() -> None:
    one = takes(line("job_u:transcode:0", bin_=Bin.URGENT), 1_000)
    board = board_of([cpu("a")], replace(one, length=6), line(TASK))

    said = play(board, TASK, 0)
    assert (said.position, said.start_ms) == (6, 6_000)


def test_a_limit_is_free_again_when_what_was_started_on_the_way_has_ended() -> None:
    lines = [takes(line("job_a:transcode:0"), 700), line(TASK)]
    board = board_of([cpu("a", 5)], *lines, shares=Shares({Bin.NORMAL: BinShare(limit=1)}))

    assert play(board, TASK, 0).start_ms == 700


def test_it_makes_no_more_decisions_than_it_may() -> None:
    board = board_of([cpu("a")], replace(takes(line("job_u:transcode:0", bin_=Bin.URGENT), 10), length=99), line(TASK))

    assert play(board, TASK, 0).start_ms == 990
    said = play(board, TASK, 0, decisions=20)
    assert (said.played, said.start_ms, said.how) == (False, None, "it is not its turn within 20 decisions")


# -- beside a world --------------------------------------------------------------------------------------------------------


def happens(one: Case, task: TaskId, until_ms: int) -> tuple[int, int] | None:
    """When it starts and what before it, if the pool decides every TICK_MS and attempts take as long as is predicted."""
    board, now_ms, before = fork(one.board), one.now_ms, 0
    while now_ms <= until_ms + TICK_MS:
        for seat in list(board.seats.all.values()):
            for ended, (resources, gpus, end_ms, whose) in list(seat.running.items()):
                if end_ms is not None and end_ms <= now_ms and now_ms > one.now_ms:
                    board.finished(seat.id, resources, gpus, ended)
                    if whose is not None:
                        board.ended(*whose)
        while True:
            plan = decide(board, now_ms)
            for placement in plan.placements:
                if placement.task == task:
                    return now_ms, before
                before += 1
            board.planned(plan)
            if not plan.placements or board.config.most is None:
                break
        now_ms += TICK_MS
    return None


def test_it_starts_when_it_is_said_to() -> None:
    right = Counter[str]()
    for seed in range(250):
        one = case(seed)
        bare(one.board)
        for task in waiting(one)[:4]:
            said = play(one.board, task, one.now_ms)
            if said.start_ms is None:
                continue
            assert said.played and said.start_ms >= one.now_ms
            found = happens(one, task, said.start_ms)
            close = found is not None and abs(found[0] - said.start_ms) <= TICK_MS
            right["time" if close else "other time"] += 1
            right["position" if close and found and found[1] == said.position else "other position"] += 1
    assert right["time"] > 150 and right["other time"] * 20 < right["time"], right
    assert right["other position"] * 10 < right["position"], right


def bare(board: Board) -> None:
    """Nothing stands behind the heads: of that nobody knows how it will go."""
    for queue in list(board.waiting.queues.values()):
        board.waiting.set_more(queue, 0)


def test_the_board_is_left_as_it_was() -> None:
    for seed in range(80):
        one = case(seed)
        before = snapshot_of(one.board)
        for task in waiting(one)[:2]:
            play(one.board, task, one.now_ms)
        assert snapshot_of(one.board) == before, seed


def test_a_model_is_loaded_when_patience_ends() -> None:
    """No attempt ends then: the moment itself is what it waits for."""
    gpus = [
        Place(name, "n", PlaceKind.GPU, GPU.resources, 1, (model,)) for name, model in (("a", "demo"), ("b", "big"))
    ]
    config = PolicyConfig(max_wait_ms={}, patience_ms=dict.fromkeys(Bin, 4_000), lag_ms={}, lag_times=0)
    board = board_of(gpus, line(TASK, need=GPU, model="demo"), config=config)
    board.placed(running("a", GPU))

    assert play(board, TASK, 1_000).start_ms == 4_000
