"""Which attempts belong to which round, from attempts alone."""

from __future__ import annotations

from tests.dispatch.things import new_job
from tests.queue.things import new_task
from vidprocme.core.job import Next, OutcomeKind, Stage, Task, TaskState
from vidprocme.dispatch.rounds import Run, split
from vidprocme.queue.base import TaskView

JOB = new_job()
A, B, C = (new_task(JOB, Stage.TRANSCODE, number) for number in range(3))


def run(task: Task, start: int, end: int | None, try_number: int, next_: Next | None) -> Run:
    view = TaskView(task, TaskState.RUNNING, try_number, 0)
    kind = None if next_ is None else OutcomeKind.FAILED
    return Run(view, 1, try_number, "here/cpu", "pool", start, end, kind, next_)


def sizes(*runs: Run) -> list[int]:
    return [len(group) for group in split(runs)]


def test_tries_by_themselves_and_lost_ones_stay_in_their_round() -> None:
    assert sizes(
        run(A, 0, 5, 1, Next.RETRY),
        run(A, 6, 9, 2, Next.LOST),
        run(A, 10, 11, 2, Next.HAND_BACK),
        run(A, 12, None, 2, None),
    ) == [4]
    assert sizes(run(A, 0, 5, 1, Next.LOST), run(A, 6, 9, 1, Next.HAND_BACK), run(A, 10, None, 1, None)) == [3]


def test_a_first_try_again_begins_a_round_with_whatever_was_quicker() -> None:
    first = [run(A, 0, 5, 1, Next.FAIL), run(B, 1, 8, 1, Next.SUCCEED)]
    # C had never run: it starts before A does, after the retry.
    again = [run(C, 50, 60, 1, Next.SUCCEED), run(A, 52, None, 1, None)]

    assert sizes(*first, *again) == [2, 2]


def test_what_began_while_others_still_ran_is_of_the_round_before() -> None:
    assert sizes(
        run(A, 0, 5, 1, Next.FAIL),
        run(B, 1, 20, 1, Next.CANCEL),
        run(C, 6, 9, 1, Next.CANCEL),
        run(A, 30, 31, 1, Next.FAIL),
    ) == [3, 1]


def test_within_one_millisecond() -> None:
    assert sizes(run(A, 5, 5, 1, Next.FAIL), run(A, 5, None, 1, None)) == [1, 1]


def test_three_rounds() -> None:
    assert sizes(*(run(A, at, at + 1, 1, Next.FAIL) for at in (0, 10, 20))) == [1, 1, 1]
    assert sizes() == [0]
