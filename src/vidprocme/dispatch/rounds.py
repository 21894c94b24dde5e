"""How a job went: its attempts, and its rounds. A round is what happened from one submit or retry to the next. Pure but for the reads."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vidprocme.core.job import TERMINAL, JobState, Next, OutcomeKind, Stage, TaskState
from vidprocme.dispatch.watch import suspects
from vidprocme.queue.base import AttemptRecord, JobView, Queue, TaskView

# Of a job with more tasks only those that a person would look at are asked for all their attempts; the others show their last.
ASK_MOST = 500


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt, as it stands. `number` counts the attempts of its task that are kept; `record` None: it runs, or only its task was
    asked."""

    view: TaskView
    number: int
    try_number: int
    place: str
    holder: str
    started_ms: int
    ended_ms: int | None
    kind: OutcomeKind | None
    next: str | None
    record: AttemptRecord | None = None

    @property
    def running(self) -> bool:
        return self.ended_ms is None


@dataclass(frozen=True, slots=True)
class StageRun:
    """A stage in one round. `start_ms` None: nothing of it began in this round."""

    stage: Stage
    start_ms: int | None
    end_ms: int | None
    state: str
    tasks: int
    done: int
    failed: int
    kept: bool


@dataclass(frozen=True, slots=True)
class Round:
    number: int
    start_ms: int
    end_ms: int | None
    wait_ms: int  # from its begin to the first start
    stages: tuple[StageRun, ...]


def runs_of(view: TaskView, records: Sequence[AttemptRecord]) -> list[Run]:
    """The attempts of a task, oldest first, with the one that runs."""
    found = [
        Run(
            view,
            number,
            one.number,
            one.place,
            one.holder,
            one.started_ms,
            one.ended_ms,
            one.outcome.kind,
            one.next,
            one,
        )
        for number, one in enumerate(records, start=1)
    ]
    if view.state is TaskState.RUNNING and view.started_ms is not None:
        number = len(found) + 1
        found.append(
            Run(view, number, view.tries + 1, view.place or "", view.holder or "", view.started_ms, None, None, None)
        )
    return found


def all_runs(queue: Queue, tasks: Sequence[TaskView]) -> list[Run]:
    """The attempts of a job, by when they started."""
    begun = [view for view in tasks if view.started_ms is not None or view.tries or view.lost]
    if len(tasks) <= ASK_MOST:
        begun = list(tasks)  # a task that was retried says nothing of its attempts until the next one
    asked = begun if len(begun) <= ASK_MOST else suspects(tasks, ASK_MOST)
    wanted = {view.task.id for view in asked}
    runs: list[Run] = []
    for view in begun:
        if view.task.id in wanted:
            runs += runs_of(view, queue.attempts(view.task.id))
        elif (last := _last_run(view)) is not None:
            runs.append(last)
    return sorted(runs, key=lambda run: (run.started_ms, run.view.task.id, run.number))


def _last_run(view: TaskView) -> Run | None:
    """What a task says of its last attempt by itself."""
    if view.started_ms is None:
        return None
    ended_ms = None if view.state is TaskState.RUNNING else view.ended_ms
    kind = view.outcome.kind if view.outcome and ended_ms is not None else None
    next_ = Next.SUCCEED.value if kind is OutcomeKind.OK else None
    if ended_ms is None and view.state is not TaskState.RUNNING:
        return None
    return Run(view, 1, max(1, view.tries), view.place or "", view.holder or "", view.started_ms, ended_ms, kind, next_)


def rounds(queue: Queue, job: JobView, tasks: Sequence[TaskView]) -> list[Round]:
    """The rounds of a job, oldest first; at least one. Only the last fifty retries are known: older rounds are one."""
    starts = [job.submitted_ms, *job.retried_ms]
    groups = split(all_runs(queue, tasks), job.retried_ms)
    found = []
    for place, (start_ms, group) in enumerate(zip(starts, groups, strict=True)):
        last = place == len(groups) - 1
        over_ms = job.ended_ms if last else max((run.ended_ms or 0 for run in group), default=starts[place + 1])
        begins_ms = group[0].started_ms if group else None
        until_ms = over_ms if over_ms is not None else queue.now_ms()
        stages = tuple(_stages(tasks, group, until_ms, job.state if last else None))
        number = place + 1 + job.retries - len(job.retried_ms)
        found.append(Round(number, start_ms, over_ms, max(0, (begins_ms or until_ms) - start_ms), stages))
    return found


def split(runs: Sequence[Run], retried_ms: Sequence[int]) -> list[list[Run]]:
    """Attempts, oldest first, by the round in which they started: one more than there were retries; a round may have none."""
    groups: list[list[Run]] = [[] for _ in range(len(retried_ms) + 1)]
    for run in runs:
        groups[bisect_right(retried_ms, run.started_ms)].append(run)
    return groups


def _stages(
    tasks: Sequence[TaskView], runs: Sequence[Run], until_ms: int, state: JobState | None
) -> Iterator[StageRun]:
    """`state`: the job's, in the last round; None in an earlier one."""
    for stage in Stage:
        mine = [view for view in tasks if view.task.stage is stage]
        if not mine:
            continue
        here = [run for run in runs if run.view.task.stage is stage]
        done = sum(
            view.state is TaskState.SUCCEEDED and view.ended_ms is not None and view.ended_ms <= until_ms
            for view in mine
        )
        last = {run.view.task.id: run for run in here}
        bad = sum(run.next in (Next.FAIL, Next.RETRY) for run in last.values())
        if state is not None:
            bad = sum(view.state in (TaskState.FAILED, TaskState.DEAD) for view in mine)
        kept = not here and done == len(mine)
        start = min((run.started_ms for run in here), default=None)
        end = None if not here or any(run.running for run in here) else max(run.ended_ms or 0 for run in here)
        said = _said(mine, here, done, bad, state)
        if said == "waiting" and state is None:
            continue  # it did not come to this in that round
        yield StageRun(stage, start, end, said, len(mine), done, bad, kept)


def _said(mine: Sequence[TaskView], here: Sequence[Run], done: int, bad: int, state: JobState | None) -> str:
    if any(run.running for run in here):
        return "running"
    if done == len(mine):
        return "succeeded"
    if bad:
        return "failed"
    over = all(view.state in TERMINAL for view in mine) if state is not None else bool(here)
    if over:
        return "cancelled"
    return "running" if here else "waiting"
