"""Between nouns and what the scripts say: arguments out, replies in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

from vidprocme.core import wire
from vidprocme.core.errors import Fatal
from vidprocme.core.event import Event
from vidprocme.core.ids import JobId, TaskId
from vidprocme.core.job import (
    TERMINAL,
    Attempt,
    Bin,
    Job,
    Lease,
    Outcome,
    OutcomeKind,
    TaskState,
    job_state,
)
from vidprocme.core.snapshot import Head, Line
from vidprocme.queue.base import AttemptRecord, Claim, Claimed, JobView, PoolReport, Settlement, TaskView, Unreadable
from vidprocme.queue.keys import split_line
from vidprocme.queue.tasktext import sort_from, task_from, task_of, text_of
from vidprocme.queue.unreadable import reads

TASK_FIELDS = (
    "payload",
    "job",
    "sort",
    "after",
    "state",
    "used",
    "lease",
    "line",
    "due",
    "ended",
    "last",
    "progress",
    "size",
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
    "doom",
    "deadline",
    "retried",
    *(f"n.{state}" for state in TaskState),
)


def settlement_args(settlement: Settlement) -> list[str | int]:
    outcome = settlement.outcome
    code = outcome.error.code if outcome.error else ""
    lease = settlement.lease
    delay_ms = max(0, settlement.delay_ms)
    marks = "c" * settlement.crashed + "s" * settlement.smaller + "e" * settlement.elsewhere
    return [
        lease.task,
        lease.token,
        settlement.next,
        settlement.text or text_of(outcome, "outcome"),
        outcome.kind,
        code,
        delay_ms,
        marks,
    ]


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


def claimed_from(reply: Sequence[Any], claims: Sequence[Claim], holder: str, job: Callable[[str], Job]) -> Claimed:
    """One granted claim of a turn's reply; `job` as the same reply names it.

    Raises:
        Unreadable: a newer vidprocme wrote something of it.
    """
    claim = claims[int(reply[0]) - 1]
    lease = Lease(claim.task, holder, int(reply[1]), int(reply[2]))
    try:
        return _claimed_from(reply, claim, lease, job)
    except Fatal as error:
        raise Unreadable(error, claim, lease) from error


@reads("claimed task")
def _claimed_from(reply: Sequence[Any], claim: Claim, lease: Lease, job_of: Callable[[str], Job]) -> Claimed:
    _, _, _, number, lost, payload, job_id, inputs, line, smaller, sort, size = reply
    task, job = task_from(claim.task, job_id, payload, sort, inputs[::3], line, size), job_of(job_id)
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
    for task, state, last in zip(flat[::3], flat[1::3], flat[2::3], strict=True):
        if last:
            inputs[TaskId(task)] = wire.opened(Outcome, json.loads(last)["outcome"])
        elif state == TaskState.CANCELLED:
            inputs[TaskId(task)] = Outcome(OutcomeKind.CANCELLED)
    return inputs


def in_bin(job: Job, bin_: str | None) -> Job:
    """The job in the bin where it is now: a person may have moved it since it was made."""
    return job if not bin_ or job.bin == bin_ else replace(job, bin=Bin(bin_))


def job_from(text: str, uri: str | None, mtime: str | None, bin_: str | None = None) -> Job:
    """A stored job, with its source where it was last found, in the bin where it is now."""
    job = in_bin(_job(text), bin_)
    if not uri:
        return job
    return replace(job, source=replace(job.source, uri=uri, mtime_ns=int(mtime or 0)))


@lru_cache(maxsize=256)
def _job(text: str) -> Job:
    return wire.loads(Job, text)


@reads("line")
def line_from(reply: Sequence[Any]) -> Line:
    """One line of a turn's reply."""
    name, length, flat, sort, avoid = reply
    bin_, tenant, shape = split_line(name)
    its = sort_from(sort)
    shows = its.needs, its.model, tuple(json.loads(avoid)) if avoid else ()
    heads = tuple(
        Head(TaskId(task), int(score) // 1000, *shows) for task, score in zip(flat[::2], flat[1::2], strict=True)
    )
    return Line(Bin(bin_), tenant, shape, int(length), heads[0].ready_ms if heads else 0, heads)


@reads("task")
def task_view(id_: TaskId, fields: Sequence[str | None]) -> TaskView | None:
    """A task from TASK_FIELDS; None when there is none."""
    row = dict(zip(TASK_FIELDS, fields, strict=True))
    task = task_of(id_, row)
    if task is None:
        return None
    state = TaskState(row["state"] or "")
    tries, lost, crashes, _smaller = map(int, (row["used"] or "0 0 0 0").split())
    lease, last = lease_from(row["lease"]), row["last"]
    return TaskView(
        task=task,
        state=state,
        tries=tries,
        lost=lost,
        crashes=crashes,
        # What was said of the last attempt stays in the hash when it ends.
        holder=lease.holder if lease and state is TaskState.RUNNING else None,
        place=lease.place if lease else None,
        due_ms=_whole(row["due"]),
        started_ms=lease.started_ms if lease else None,
        ended_ms=_whole(row["ended"]) if state in TERMINAL else None,
        outcome=wire.opened(Outcome, json.loads(last)["outcome"]) if last else None,
        progress=float(row["progress"] or 0.0) if state is TaskState.RUNNING else 0.0,
    )


class LeaseText(NamedTuple):
    """What a task's hash says of the attempt that runs, or ran last."""

    token: str
    started_ms: int
    cost_milli: int
    call: str
    holder: str
    place: str


def lease_from(text: str | None) -> LeaseText | None:
    """None when there is none, or when it cannot be read."""
    parts = (text or "").split("|", 5)
    if len(parts) != 6 or not all(part.isdecimal() for part in parts[:3]):
        return None
    return LeaseText(parts[0], int(parts[1]), int(parts[2]), *parts[3:])


@reads("job")
def job_view(fields: Sequence[str | None]) -> JobView | None:
    """A job from JOB_FIELDS; None when there is none, or it is being forgotten."""
    row = dict(zip(JOB_FIELDS, fields, strict=True))
    text = row["job"]
    if text is None or row["going"] is not None:
        return None
    counts = {state: int(row[f"n.{state}"] or 0) for state in TaskState}
    counts = {state: n for state, n in counts.items() if n}
    job = job_from(text, row["uri"], row["mtime"], row["bin"])
    often, *times = (int(part) for part in (row["retried"] or "0").split())
    return JobView(
        job=job if row["deadline"] is None else replace(job, deadline_ms=int(row["deadline"])),
        # A retry of many tasks goes on: what it has not come to yet is still as it ended.
        state=job_state(counts if row["again"] is None else {TaskState.BLOCKED: 1, **counts}),
        counts=counts,
        submitted_ms=int(row["submitted"] or 0),
        ended_ms=_whole(row["ended"]),
        cancel_asked=row["cancel"] is not None,
        late=row["late"] is not None,
        doomed=row["doom"] is not None,
        retries=often,
        retried_ms=tuple(times),
    )


@reads("attempt")
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
        outcome=wire.opened(Outcome, row["outcome"]),
    )


def event_from(id_: str, fields: Mapping[str, str]) -> Event:
    row = json.loads(fields["e"])
    kind, job, at_ms, task = row.pop("kind"), row.pop("job"), row.pop("at"), row.pop("task", None)
    if "token" in row:
        row["token"] = int(row["token"])
    return Event(id_, at_ms, kind, JobId(job), TaskId(task) if task else None, row)


def _whole(text: str | None) -> int | None:
    return int(text) if text else None
