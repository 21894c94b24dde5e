"""How far a job is, from its tasks: per stage, over all, and when it will be done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from vidprocme.core.job import OutcomeKind, Stage, TaskState
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


# How attempts end that a person should look at; what was cancelled or handed back was stopped by somebody.
BAD = frozenset({OutcomeKind.FAILED, OutcomeKind.TIMEOUT, OutcomeKind.LOST})


@dataclass(frozen=True, slots=True)
class StageProgress:
    """How many of a stage's tasks are done (they succeeded), run, or ended otherwise. `fraction` 0..1 of it is done."""

    stage: Stage
    done: int
    total: int
    fraction: float
    running: int = 0
    failed: int = 0  # dead ones too
    cancelled: int = 0

    @property
    def ended(self) -> bool:
        return self.done + self.failed + self.cancelled == self.total


@dataclass(frozen=True, slots=True)
class JobProgress:
    """`fraction` 0..1 of the work is done; `settled` counts what failed or was cancelled too: nothing more of it comes."""

    stages: tuple[StageProgress, ...]  # in the order of the pipeline, those that the job has
    fraction: float
    settled: float

    def eta_s(self, elapsed_s: float) -> float | None:
        """Seconds left if it goes on as so far; None while too little is known."""
        if self.settled < 0.02 or elapsed_s < 1.0:
            return None
        return elapsed_s * (1 - self.settled) / self.settled


def suspects(tasks: Sequence[TaskView], most: int) -> list[TaskView]:
    """The tasks in whose attempts a person should look for what went wrong, at most so many: those that are in trouble now, then
    those that were, then those that may have been before a retry; of each the latest first."""

    def rank(view: TaskView) -> tuple[int, int]:
        ended_badly = view.outcome is not None and view.outcome.kind in BAD
        troubled = view.tries > 1 or view.lost > 0 or view.crashes > 0
        if ended_badly or (troubled and view.state is not TaskState.SUCCEEDED):
            return 0, -(view.started_ms or 0)
        return 1 if troubled else 2, -(view.started_ms or 0)

    begun = [
        view for view in tasks if view.tries or view.lost or (view.outcome is not None and view.outcome.kind in BAD)
    ]
    return sorted(begun, key=rank)[:most]


def progress_of(tasks: Sequence[TaskView]) -> JobProgress:
    """Until probe has ended nobody knows how much there is: the fraction then stays at 0."""
    stages = []
    done_weight = settled_weight = total_weight = 0.0
    for stage in Stage:
        mine = [view for view in tasks if view.task.stage is stage]
        if not mine:
            continue
        states = Counter(view.state for view in mine)
        done, cancelled = states[TaskState.SUCCEEDED], states[TaskState.CANCELLED]
        failed = states[TaskState.FAILED] + states[TaskState.DEAD]
        begun = sum(min(0.99, view.progress) for view in mine if view.state is TaskState.RUNNING)
        fraction = (done + begun) / len(mine)
        stages.append(StageProgress(stage, done, len(mine), fraction, states[TaskState.RUNNING], failed, cancelled))
        weight = WEIGHTS[stage]
        done_weight += weight * fraction
        settled_weight += weight * (fraction + (failed + cancelled) / len(mine))
        total_weight += weight
    if len(stages) < 2 or not total_weight:
        return JobProgress(tuple(stages), 0.0, 0.0)
    return JobProgress(tuple(stages), done_weight / total_weight, settled_weight / total_weight)
