"""Run a job's attempts one after another in this process: what a pool does, without the pool."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from imageio_ffmpeg import get_ffmpeg_exe

from vidprocme.core.ids import JobId, TaskId, attempt_id
from vidprocme.core.job import Attempt, Job, Outcome, Recipe, Source, Stage, Task
from vidprocme.core.resources import Resources
from vidprocme.core.wire import index_from_bytes
from vidprocme.library.blobs import open_blobs
from vidprocme.planner.graph import first_tasks, plan_next
from vidprocme.stages.context import Context, Report, StageSettings
from vidprocme.stages.table import run

CORE = Resources(cpu_milli=1000)


def job_of(video: Path, recipe: Recipe) -> Job:
    stat = video.stat()
    return Job(JobId("job_1"), Source(f"file://{video}", video.name, "cd" * 32, stat.st_size, stat.st_mtime_ns), recipe)


def settings_of(root: Path) -> StageSettings:
    return StageSettings(str(root / "blobs"), str(root / "cache"), str(root), get_ffmpeg_exe())


def context_of(root: Path, job: Job, task: Task, done: dict[TaskId, Outcome], report: Report) -> Context:
    """The surroundings of one attempt, with a scratch folder of its own."""
    scratch = root / "scratch" / task.id.replace(":", "_")
    scratch.mkdir(parents=True)
    inputs = {name: done[name] for name in task.after}
    attempt = Attempt(attempt_id(task.id, 1), task, job, 1, 1, "here/cpu", CORE, inputs)
    return Context(attempt, settings_of(root), scratch, report)


def run_all(
    root: Path, job: Job, report: Report, body: Callable[[Context], Outcome] = run
) -> list[tuple[Task, Outcome]]:
    """Every task of the job, in the order in which they are planned."""
    waiting, done = list(first_tasks(job)), dict[TaskId, Outcome]()
    ended: list[tuple[Task, Outcome]] = []
    blobs = open_blobs(str(root / "blobs"))
    while waiting:
        task = waiting.pop(0)
        outcome = body(context_of(root, job, task, done, report))
        assert outcome.error is None, outcome.error
        done[task.id] = outcome
        ended.append((task, outcome))
        index = index_from_bytes(blobs.read(outcome.manifest[0].sha256)) if task.stage is Stage.PROBE else None
        waiting += plan_next(job, task, outcome, index)
    return ended
