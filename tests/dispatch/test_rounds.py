"""Which attempts belong to which round: by when somebody asked for another, not by how they went."""

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


def sizes(*runs: Run, retried: tuple[int, ...] = ()) -> list[int]:
    return [len(group) for group in split(runs, retried)]


def test_tries_by_themselves_stay_in_their_round() -> None:
    tries = [run(A, 0, 5, 1, Next.RETRY), run(A, 6, 9, 2, Next.LOST), run(A, 12, None, 2, None)]
    assert sizes(*tries) == [3] and sizes() == [0]


def test_what_started_late_beside_a_failure_is_of_the_round_that_failed() -> None:
    # B starts when nothing runs any more, before the failure of A is known; both are tried again at 50.
    first = [run(A, 0, 5, 1, Next.FAIL), run(B, 6, 8, 1, Next.CANCEL), run(C, 7, 9, 1, Next.FAIL)]
    again = [run(A, 52, 60, 1, Next.SUCCEED), run(B, 53, None, 1, None), run(C, 70, None, 1, None)]

    assert sizes(*first, *again, retried=(50,)) == [3, 3]


def test_a_round_in_which_nothing_started_is_one_too() -> None:
    assert sizes(run(A, 0, 5, 1, Next.FAIL), run(A, 30, 31, 1, Next.FAIL), retried=(10, 30, 40)) == [1, 0, 1, 0]
