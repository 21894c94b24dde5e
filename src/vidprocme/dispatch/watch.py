"""How far a job is, from its tasks: per stage, over all, and when it will be done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vidprocme.core.job import TERMINAL, Stage, TaskState
from vidprocme.queue.base import TaskView

# Shares of the work, roughly, for one second of video: only the ETA's steadiness depends on them.
WEIGHTS = {
    Stage.PROBE: 0.0,  # over before anything is known of the rest
    Stage.TRANSCODE: 10.0,
    Stage.FRAMES: 4.0,
    Stage.JOIN: 1.0,
    Stage.DESCRIBE: 4.0,
    Stage.INDEX: 0.2,
}


@dataclass(frozen=True, slots=True)
class StageProgress:
    stage: Stage
    done: int
    total: int
    fraction: float
    running: int
    failed: int = 0


@dataclass(frozen=True, slots=True)
class JobProgress:
    stages: tuple[StageProgress, ...]  # in the order of the pipeline, those that the job has
    fraction: float

    def eta_s(self, elapsed_s: float) -> float | None:
        """Seconds left if it goes on as so far; None while too little is known."""
        if self.fraction < 0.02 or elapsed_s < 1.0:
            return None
        return elapsed_s * (1 - self.fraction) / self.fraction


def progress_of(tasks: Sequence[TaskView]) -> JobProgress:
    """Until probe has ended nobody knows how much there is: the fraction then stays at 0."""
    stages = []
    done_weight = total_weight = 0.0
    for stage in Stage:
        mine = [view for view in tasks if view.task.stage is stage]
        if not mine:
            continue
        parts = [_fraction(view) for view in mine]
        done = sum(1 for view in mine if view.state in TERMINAL)
        running = sum(1 for view in mine if view.state is TaskState.RUNNING)
        failed = sum(1 for view in mine if view.state in (TaskState.FAILED, TaskState.DEAD))
        stages.append(StageProgress(stage, done, len(mine), sum(parts) / len(mine), running, failed))
        weight = WEIGHTS[stage]
        done_weight += weight * sum(parts) / len(mine)
        total_weight += weight
    planned = len(stages) > 1
    return JobProgress(tuple(stages), done_weight / total_weight if planned and total_weight else 0.0)


def _fraction(view: TaskView) -> float:
    if view.state in TERMINAL:
        return 1.0
    return min(0.99, view.progress) if view.state is TaskState.RUNNING else 0.0
