"""How far a job is: what was cancelled or failed is over, and not done."""

from __future__ import annotations

from dataclasses import replace

from vidprocme.core.ids import JobId, task_id
from vidprocme.core.job import Stage, Task, TaskState
from vidprocme.dispatch.watch import StageProgress, progress_of
from vidprocme.queue.base import TaskView

JOB = JobId("job_1")


def views(stage: Stage, *states: TaskState) -> list[TaskView]:
    tasks = [Task(task_id(JOB, stage, n), JOB, stage, n, {}, ()) for n in range(len(states))]
    return [TaskView(task, state, 0, 0) for task, state in zip(tasks, states, strict=True)]


PROBED = views(Stage.PROBE, TaskState.SUCCEEDED)


def test_what_was_cancelled_is_not_done() -> None:
    done, dead, cancelled = TaskState.SUCCEEDED, TaskState.DEAD, TaskState.CANCELLED
    progress = progress_of(
        [*PROBED, *views(Stage.TRANSCODE, done, dead, cancelled, done), *views(Stage.JOIN, cancelled)]
    )

    assert progress.stages[1:] == (
        StageProgress(Stage.TRANSCODE, done=2, total=4, fraction=0.5, failed=1, cancelled=1),
        StageProgress(Stage.JOIN, done=0, total=1, fraction=0.0, cancelled=1),
    )
    assert all(stage.ended for stage in progress.stages)
    assert 0.4 < progress.fraction < 0.5 and progress.settled == 1.0, "nothing more of it comes"


def test_a_stage_ends_with_its_last_task_and_not_before() -> None:
    def ended(*states: TaskState) -> bool:
        return progress_of([*PROBED, *views(Stage.TRANSCODE, *states)]).stages[1].ended

    assert not ended(TaskState.SUCCEEDED, TaskState.CANCELLED, TaskState.BLOCKED)
    assert ended(TaskState.SUCCEEDED, TaskState.CANCELLED, TaskState.FAILED)


def test_what_failed_makes_the_rest_seem_no_longer() -> None:
    half = [*PROBED, *views(Stage.DESCRIBE, TaskState.SUCCEEDED, TaskState.FAILED, TaskState.READY, TaskState.READY)]

    assert progress_of(half).eta_s(60.0) == 60.0
    assert progress_of([replace(view, state=TaskState.READY) for view in half]).eta_s(60.0) is None
