"""Why a task waits, from plain values."""

from __future__ import annotations

from dataclasses import replace

from vidprocme.api.waiting import why
from vidprocme.core.errors import ErrorInfo
from vidprocme.core.ids import JobId, TaskId, task_id
from vidprocme.core.job import Bin, Outcome, OutcomeKind, Stage, Task, TaskState
from vidprocme.queue.base import Depth, PoolInfo, TaskView

JOB = JobId("job_1")
POOL = PoolInfo("pool_1", "node", "boot", 1, 1, 0, places=3)
DEPTH = Depth({TaskState.RUNNING: 2}, {Bin.NORMAL: 7})
NOW_MS = 1_000_000


def view(stage: Stage, index: int, state: TaskState, after: tuple[TaskId, ...] = ()) -> TaskView:
    task = Task(task_id(JOB, stage, index), JOB, stage, index, {}, (), after)
    return TaskView(task, state, 0, 0)


def told(one: TaskView, others: tuple[TaskView, ...] = (), pools: tuple[PoolInfo, ...] = (POOL,)) -> tuple[str, str]:
    reason = why(one, {other.task.id: other for other in (*others, one)}, pools, DEPTH, NOW_MS)
    assert reason is not None
    return reason.code, reason.text


def test_a_blocked_task_names_what_it_waits_for() -> None:
    chunks = (
        view(Stage.TRANSCODE, 0, TaskState.SUCCEEDED),
        view(Stage.TRANSCODE, 1, TaskState.RUNNING),
        view(Stage.TRANSCODE, 2, TaskState.DELAYED),
        view(Stage.DESCRIBE, 0, TaskState.READY),  # not among what join waits for
    )
    join = view(Stage.JOIN, 0, TaskState.BLOCKED, tuple(chunk.task.id for chunk in chunks[:3]))

    assert told(join, chunks) == ("WAITS_FOR_OTHERS", "Waits for 2 transcode tasks of its job.")


def test_a_delayed_task_says_when_and_after_what() -> None:
    failed = Outcome(OutcomeKind.FAILED, error=ErrorInfo("FFMPEG_FAILED", "ffmpeg exit 1"))
    delayed = replace(view(Stage.TRANSCODE, 0, TaskState.DELAYED), due_ms=NOW_MS + 12_000, outcome=failed)

    assert told(delayed) == ("BACKOFF", "Is tried again in 12 s after FFMPEG_FAILED.")
    assert told(replace(delayed, due_ms=NOW_MS - 1))[1].startswith("Is tried again in 0 s")


def test_a_ready_task_knows_whether_anybody_will_take_it() -> None:
    ready = view(Stage.PROBE, 0, TaskState.READY)

    assert told(ready, pools=())[0] == "NO_POOL"
    assert told(ready, pools=(replace(POOL, own_jobs_only=True),))[0] == "NO_POOL"
    assert told(ready, pools=(replace(POOL, draining=True),))[0] == "DRAINING"
    assert told(ready) == ("IN_LINE", "In line: 7 wait in bin normal, 2 run now on 1 pool.")


def test_what_does_not_wait_has_no_reason() -> None:
    for state in set(TaskState) - {TaskState.BLOCKED, TaskState.READY, TaskState.DELAYED}:
        assert why(view(Stage.PROBE, 0, state), {}, (POOL,), DEPTH, NOW_MS) is None
