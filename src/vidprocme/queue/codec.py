"""Between nouns and what the scripts say: arguments out, replies in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, TypeVar

from vidprocme.core import wire
from vidprocme.core.errors import Fatal
from vidprocme.core.event import Event
from vidprocme.core.ids import JobId, TaskId
from vidprocme.core.job import (
    TERMINAL,
    AfterRule,
    Attempt,
    Bin,
    Job,
    Lease,
    Outcome,
    OutcomeKind,
    Stage,
    Task,
    TaskState,
    job_state,
    shape_of,
)
from vidprocme.core.resources import Need
from vidprocme.core.snapshot import Head, Line
from vidprocme.queue.base import TEXT_MOST, AttemptRecord, Claim, Claimed, JobView, PoolReport, Settlement, TaskView
from vidprocme.queue.keys import split_line

TASK_FIELDS = (
    "spec",
    "state",
    "tries",
    "lost",
    "crashes",
    "holder",
    "place",
    "due",
    "started",
    "ended",
    "outcome",
    "progress",
    "bin",
)
JOB_FIELDS = (
    "job",
    "submitted",
    "ended",
    "cancel",
    "uri",
    "mtime",
    "bin",
    "going",
    "late",
    "again",
    *(f"n.{state}" for state in TaskState),
)


Noun = TypeVar("Noun", Task, Job)


def text_of(noun: Task | Job | Outcome) -> str:
    """A noun as it is stored.

    Raises:
        Fatal: QUEUE_TOO_LARGE.
    """
    text = wire.dumps(noun)
    if len(text) > TEXT_MOST:
        what = type(noun).__name__.lower()
        raise Fatal(
            "QUEUE_TOO_LARGE",
            f"This {what} has {len(text)} bytes; the queue takes up to {TEXT_MOST}.",
            "Large results belong into the attempt's files, not into its result.",
            {"bytes": len(text)},
        )
    return text


TASK_WORDS = 4  # arguments of a task, as the scripts' `task_at` reads them


def task_args(tasks: Sequence[Task]) -> list[str]:
    """Four arguments a task: id, spec, what it comes after, and what the scripts need to know of its sort.

    Raises:
        Fatal: QUEUE_BAD_TASK, the same id twice, or a name that a line cannot carry.
    """
    if len({task.id for task in tasks}) != len(tasks):
        raise Fatal("QUEUE_BAD_TASK", "Two tasks of one batch have the same id.", evidence={"tasks": len(tasks)})
    args: list[str] = []
    for task in tasks:
        after = _compact(list(dict.fromkeys(task.after))) if task.after else ""
        limits = task.limits
        sort = _sort(
            task.stage,
            task.bin,
            task.tenant,
            task.model,
            task.needs,
            task.after_rule,
            task.fatal_to_job,
            (limits.tries, limits.lost),
        )
        args += [task.id, text_of(task), after, sort]
    return args


@lru_cache(maxsize=1024)
def _sort(
    stage: Stage,
    bin_: Bin,
    tenant: str,
    model: str | None,
    needs: tuple[Need, ...],
    rule: AfterRule,
    fatal: bool,
    limits: tuple[int, int],
) -> str:
    """What the scripts need to know of a task without reading its spec; the same for many tasks."""
    if "|" in tenant:
        raise Fatal("QUEUE_BAD_TASK", f"A tenant's name cannot have a '|': {tenant!r}.")
    tries, lost = limits
    return _compact(
        {
            "stage": stage,
            "bin": bin_,
            "line": f"{bin_}|{tenant}|{shape_of(stage, model, needs)}",
            "head": _compact([model, wire.to_wire(needs)]),
            "rule": AfterRule(rule),
            "fatal": str(int(fatal)),
            "tries": str(tries),
            "lost": str(lost),
        }
    )


_compact = json.JSONEncoder(separators=(",", ":")).encode


def settlement_args(settlement: Settlement) -> list[str | int]:
    outcome = settlement.outcome
    code = outcome.error.code if outcome.error else ""
    lease = settlement.lease
    delay_ms = max(0, settlement.delay_ms)
    marks = "c" * settlement.crashed + "s" * settlement.smaller + "e" * settlement.elsewhere
    return [lease.task, lease.token, settlement.next, text_of(outcome), outcome.kind, code, delay_ms, marks]


def report_args(report: PoolReport | None, totals: Mapping[str, int] | None) -> list[str]:
    """What a pool says of itself, as the beat's script wants it: two arguments."""
    return [
        wire.dumps(report) if report is not None else "",
        json.dumps(dict(totals), separators=(",", ":")) if totals else "",
    ]


def report_from(text: str) -> PoolReport | None:
    """The report in a pool's presence; None when it said nothing yet, or a newer vidprocme said it."""
    if not text.startswith("{"):
        return None
    try:
        return wire.loads(PoolReport, text)
    except Fatal:
        return None


def rows(flat: Sequence[str], width: int) -> Iterator[Sequence[str]]:
    """A flat reply, cut into rows."""
    return (flat[at : at + width] for at in range(0, len(flat), width))


def claimed_from(reply: Sequence[Any], claims: Sequence[Claim], holder: str, jobs: Mapping[str, Job]) -> Claimed:
    """One granted claim of a turn's reply; `jobs` as the same reply names them."""
    position, token, until_ms, number, lost, spec, job_id, inputs, bin_, smaller = reply
    claim = claims[int(position) - 1]
    task, job = in_bin(wire.loads(Task, spec), bin_), jobs[job_id]
    lease = Lease(task.id, holder, int(token), int(until_ms))
    attempt = Attempt(
        id=lease.attempt,
        task=task,
        job=job,
        number=int(number),
        token=lease.token,
        place=claim.place,
        resources=claim.resources,
        inputs=_inputs_from(inputs),
        smaller=int(smaller),
    )
    return Claimed(attempt, lease, int(lost))


def _inputs_from(flat: Sequence[str]) -> dict[TaskId, Outcome]:
    """Outcomes of the predecessors; one that was cancelled before it ever ran has a bare cancelled outcome."""
    inputs: dict[TaskId, Outcome] = {}
    for task, state, outcome in zip(flat[::3], flat[1::3], flat[2::3], strict=True):
        if outcome:
            inputs[TaskId(task)] = wire.loads(Outcome, outcome)
        elif state == TaskState.CANCELLED:
            inputs[TaskId(task)] = Outcome(OutcomeKind.CANCELLED)
    return inputs


def in_bin(noun: Noun, bin_: str | None) -> Noun:
    """The task or job in the bin where it is now: a person may have moved it since it was made."""
    return noun if not bin_ or noun.bin == bin_ else replace(noun, bin=Bin(bin_))


def job_from(text: str, uri: str | None, mtime: str | None, bin_: str | None = None) -> Job:
    """A stored job, with its source where it was last found, in the bin where it is now."""
    job = in_bin(_job(text), bin_)
    if not uri:
        return job
    return replace(job, source=replace(job.source, uri=uri, mtime_ns=int(mtime or 0)))


@lru_cache(maxsize=256)
def _job(text: str) -> Job:
    return wire.loads(Job, text)


def line_from(reply: Sequence[Any]) -> Line:
    """One line of a turn's reply."""
    name, length, flat = reply
    bin_, tenant, shape = split_line(name)
    heads = tuple(
        Head(TaskId(task), int(score) // 1000, *_head(head))
        for task, score, head in zip(flat[::3], flat[1::3], flat[2::3], strict=True)
    )
    return Line(Bin(bin_), tenant, shape, int(length), heads[0].ready_ms if heads else 0, heads)


@lru_cache(maxsize=1024)
def _head(text: str) -> tuple[tuple[Need, ...], str | None, tuple[str, ...]]:
    model, needs, *avoid = json.loads(text)
    return tuple(wire.from_wire(Need, need) for need in needs), model, tuple(avoid[0]) if avoid else ()


def task_view(fields: Sequence[str | None]) -> TaskView | None:
    """A task from TASK_FIELDS; None when there is none."""
    row = dict(zip(TASK_FIELDS, fields, strict=True))
    if row["spec"] is None:
        return None
    outcome = row["outcome"]
    state = TaskState(row["state"] or "")
    return TaskView(
        task=in_bin(wire.loads(Task, row["spec"]), row["bin"]),
        state=state,
        tries=int(row["tries"] or 0),
        lost=int(row["lost"] or 0),
        crashes=int(row["crashes"] or 0),
        # What was said of the last attempt stays in the hash when it ends.
        holder=row["holder"] if state is TaskState.RUNNING else None,
        place=row["place"],
        due_ms=_whole(row["due"]),
        started_ms=_whole(row["started"]),
        ended_ms=_whole(row["ended"]) if state in TERMINAL else None,
        outcome=wire.loads(Outcome, outcome) if outcome else None,
        progress=float(row["progress"] or 0.0) if state is TaskState.RUNNING else 0.0,
    )


def job_view(fields: Sequence[str | None]) -> JobView | None:
    """A job from JOB_FIELDS; None when there is none, or it is being forgotten."""
    row = dict(zip(JOB_FIELDS, fields, strict=True))
    text = row["job"]
    if text is None or row["going"] is not None:
        return None
    counts = {state: int(row[f"n.{state}"] or 0) for state in TaskState}
    counts = {state: n for state, n in counts.items() if n}
    return JobView(
        job=job_from(text, row["uri"], row["mtime"], row["bin"]),
        # A retry of many tasks goes on: what it has not come to yet is still as it ended.
        state=job_state(counts if row["again"] is None else {TaskState.BLOCKED: 1, **counts}),
        counts=counts,
        submitted_ms=int(row["submitted"] or 0),
        ended_ms=_whole(row["ended"]),
        cancel_asked=row["cancel"] is not None,
        late=row["late"] is not None,
    )


def attempt_record(task: TaskId, text: str) -> AttemptRecord:
    row = json.loads(text)
    return AttemptRecord(
        task=task,
        token=int(row["token"]),
        number=int(row["number"]),
        holder=row["holder"],
        place=row["place"],
        started_ms=int(row["started"]),
        ended_ms=int(row["ended"]),
        next=row["next"],
        # A text in records of older scripts.
        outcome=wire.loads(Outcome, row["outcome"] if isinstance(row["outcome"], str) else json.dumps(row["outcome"])),
    )


def event_from(id_: str, fields: Mapping[str, str]) -> Event:
    data: dict[str, Any] = {k: v for k, v in fields.items() if k not in ("kind", "job", "task", "at")}
    if "token" in data:
        data["token"] = int(data["token"])
    task = fields.get("task")
    return Event(id_, int(fields["at"]), fields["kind"], JobId(fields["job"]), TaskId(task) if task else None, data)


def _whole(text: str | None) -> int | None:
    return int(text) if text else None
