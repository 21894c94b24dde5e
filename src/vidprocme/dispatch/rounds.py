"""How a job went: its attempts, and its rounds. A round is what happened from one submit or retry to the next. Pure but for the reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from vidprocme.core.job import TERMINAL, JobState, Next, OutcomeKind, Stage, TaskState
from vidprocme.dispatch.watch import suspects
from vidprocme.queue.base import AttemptRecord, JobView, Queue, TaskView

# Of a job with more tasks only those that a person would look at are asked for all their attempts; the others show their last.
ASK_MOST = 500
EVENTS_BATCH, EVENT_LOOKS = 500, 4
_ENDS_A_TRY = frozenset({Next.RETRY, Next.FAIL, Next.CANCEL})


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
    """The rounds of a job, oldest first; at least one."""
    groups = split(all_runs(queue, tasks))
    starts = [job.submitted_ms]
    for before, group in pairwise(groups):
        ended_ms = max((run.ended_ms or 0 for run in before), default=0)
        starts.append(_retried_ms(queue, job, ended_ms, group[0].started_ms))
    found = []
    for number, (start_ms, group) in enumerate(zip(starts, groups, strict=True), start=1):
        last = number == len(groups)
        over_ms = job.ended_ms if last else max((run.ended_ms or 0 for run in group), default=start_ms)
        begins_ms = group[0].started_ms if group else None
        until_ms = over_ms if over_ms is not None else queue.now_ms()
        stages = tuple(_stages(tasks, group, until_ms, job.state if last else None))
        found.append(Round(number, start_ms, over_ms, max(0, (begins_ms or until_ms) - start_ms), stages))
    return found


def split(runs: Sequence[Run]) -> list[list[Run]]:
    """Attempts by rounds. A retry gives fresh tries: a first try of a task that had used up one tells of it.

    The round begins with the first attempt before which nothing ran since that task's last one ended: another task may
    have been quicker to start again.
    """
    groups: list[list[Run]] = [[]]
    tried: dict[str, int] = {}  # task -> where in the round its last try that ended stands
    for run in runs:
        group = groups[-1]
        if run.try_number == 1 and run.view.task.id in tried:
            at = _first_after_rest(group, tried[run.view.task.id])
            groups[-1:] = [group[:at], group[at:]]
            group = groups[-1]
            tried = {one.view.task.id: place for place, one in enumerate(group) if one.next in _ENDS_A_TRY}
        if run.next in _ENDS_A_TRY:
            tried[run.view.task.id] = len(group)
        group.append(run)
    return groups


def _first_after_rest(runs: Sequence[Run], after: int) -> int:
    """Where the first run behind the one at `after` stands that started when nothing ran; their number when there is none."""
    busy_ms = max(run.ended_ms if run.ended_ms is not None else 1 << 62 for run in runs[: after + 1])
    for at in range(after + 1, len(runs)):
        run = runs[at]
        if run.started_ms >= busy_ms:
            return at
        busy_ms = max(busy_ms, run.ended_ms if run.ended_ms is not None else 1 << 62)
    return len(runs)


def _retried_ms(queue: Queue, job: JobView, after_ms: int, before_ms: int) -> int:
    """When somebody asked for a retry, as the diary has it; else when the first attempt started."""
    at = f"{max(0, after_ms - 1)}-0"
    for _ in range(EVENT_LOOKS):
        events = queue.events(at, EVENTS_BATCH)
        for event in events:
            if event.at_ms > before_ms:
                return before_ms
            if event.job == job.job.id and event.kind == "job.retried":
                return min(event.at_ms, before_ms)
        if len(events) < EVENTS_BATCH:
            break
        at = events[-1].id
    return before_ms


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
