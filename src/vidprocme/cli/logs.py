"""`vidprocme logs`: what happened to a job, event by event, with the last words of attempts that failed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import click

from vidprocme.cli.bulk import refused
from vidprocme.cli.exits import FAILED
from vidprocme.cli.hands import patiently
from vidprocme.cli.options import house_of
from vidprocme.cli.picking import resolve
from vidprocme.cli.words import evidence_lines, folded, print_json, printable
from vidprocme.core.errors import BadWish, ErrorInfo, Fatal
from vidprocme.core.event import Event
from vidprocme.core.ids import JobId
from vidprocme.core.job import JobState, Limits, Next
from vidprocme.dispatch.results import End, dead_hint, dead_words
from vidprocme.queue.base import AttemptRecord, Queue

BATCH = 500
BLOCK_MS = 1000  # how long a look waits for news; Ctrl-C is heard at once
CANCELLED_FOR = {
    "CANCELLED": "",  # a person did: that stands above
    "DEADLINE": ": its job's deadline passed",
    "JOB_FAILED": ": its job failed",
    "PREDECESSOR_FAILED": ": what it waited for did not succeed",
}
BEFORE_MS = 1000  # a script's first event may carry the server's time of a moment before the job's own


@click.command()
@click.argument("job", metavar="ID")
@click.option("-f", "--follow", is_flag=True, help="Go on with what happens, until the job has ended.")
@click.option("--after", metavar="EVENT", help="Only what came after this event, such as the last one shown.")
@click.option("--task", metavar="T", help="Instead, the log of this task's last attempt: `transcode:3`.")
@click.option(
    "--attempt", type=click.IntRange(1), metavar="N", help="Which attempt of the task; alone: of one in trouble."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each event.")
@click.pass_context
def logs(
    ctx: click.Context,
    job: str,
    follow: bool,
    after: str | None,
    task: str | None,
    attempt: int | None,
    as_json: bool,
) -> int:
    """What happened to a job, oldest first; of an attempt that failed also what it said last.

    With --task or --attempt the log of that attempt: what ffmpeg or the engine was asked and said, and how it ended.

    With -f the exit status is 0 when the job succeeded, 1 when it failed, was cancelled or is gone.
    """
    if task is not None or attempt is not None:
        from vidprocme.cli.attempt_log import print_log

        return print_log(ctx, job, task, attempt, follow=follow)
    with house_of(ctx) as house:
        queue = house.queue
        try:
            id_ = resolve(queue, job)
        except Fatal as error:
            return refused(error)
        last = _event_id(after) if after else ""
        try:
            for event in _events(queue, id_, last, follow):
                _show(queue, event, as_json)
                last = event.id
        except KeyboardInterrupt:
            if not as_json:
                click.echo(f"\nGo on with: vidprocme logs {id_} -f{f' --after {last}' if last else ''}", err=True)
            raise
        view = patiently(lambda: queue.job(id_))
    return FAILED if follow and (view is None or view.state is not JobState.SUCCEEDED) else 0


def _events(queue: Queue, job: JobId, after: str, follow: bool) -> Iterator[Event]:
    """The job's events, and with `follow` those that come until it has ended or is forgotten."""
    view = queue.job(job)
    begin = f"{max(0, view.submitted_ms - BEFORE_MS)}-0" if view else "0"
    oldest = queue.oldest_event()
    if oldest is not None and _numbers(oldest) > _numbers(after or begin) and view is not None:
        first = view.submitted_ms + BEFORE_MS
        if _numbers(oldest)[0] > first:
            click.echo(f"Events before {_clock(_numbers(oldest)[0])} are no longer kept.", err=True)
    at = after or begin
    while True:
        # Asked before the events are: what ended it is then among them.
        view = patiently(lambda: queue.job(job))
        over = not follow or view is None or view.ended_ms is not None
        mark, wait_ms = at, 0 if over else BLOCK_MS
        batch = patiently(lambda mark=mark, wait_ms=wait_ms: queue.events(mark, BATCH, wait_ms))  # type: ignore[misc]
        yield from (event for event in batch if event.job == job)
        if batch:
            at = batch[-1].id
        if over and len(batch) < BATCH:
            return


def _show(queue: Queue, event: Event, as_json: bool) -> None:
    record = _record(queue, event)
    # One that ended well has no error; of one that was stopped its own words are of no use.
    error = record.outcome.error if record and event.data["outcome"] not in ("ok", "cancelled") else None
    if as_json:
        print_json(_document(event, error))
        return
    part = event.task.partition(":")[2] if event.task else ""
    head = f"{_clock(event.at_ms)}  {part:<14}"
    lines = folded(_dead(queue, event) if event.kind == "task.dead" else _words(event, record), f"{head}  ")
    if error is not None:
        lines += folded(f"{error.code}: {error.message}", "          ")
        lines += evidence_lines(error.evidence, indent=" " * 10, most=100)
    if event.kind == "task.dead":
        lines += folded(dead_hint(_end(event), error, event.job), "          ")
    click.echo("\n".join(lines))


def _document(event: Event, error: ErrorInfo | None) -> dict[str, Any]:
    from vidprocme.api.schemas.base import time_text

    document: dict[str, Any] = {
        "id": event.id,
        "at": time_text(event.at_ms),
        "kind": event.kind,
        "job": event.job,
        "task": event.task,
        "data": event.data,
    }
    return document | ({"error": error.public()} if error else {})


def _record(queue: Queue, event: Event) -> AttemptRecord | None:
    """The attempt whose end this event tells; None when it tells of none, or its record is gone."""
    if event.task is None or event.data.get("outcome") in (None, "ok"):
        return None
    task = event.task
    records = patiently(lambda: queue.attempts(task))
    return next((record for record in records if record.token == event.data.get("token")), None)


def _end(event: Event) -> End:
    if event.data.get("poison"):
        return End.POISON
    return End.LOST if event.data.get("outcome") == "lost" else End.TRIES


def _dead(queue: Queue, event: Event) -> str:
    assert event.task is not None
    view = queue.task(event.task)
    return dead_words(_end(event), view.task.limits if view else Limits())


def _words(event: Event, record: AttemptRecord | None) -> str:
    data = event.data
    code, place = data.get("code", ""), data.get("place", "")
    match event.kind:
        case "job.submitted":
            return "submitted"
        case "job.moved":
            return f"moved to bin {data.get('bin', '?')}"
        case "job.cancelled":
            return "a person cancelled it"
        case "job.late":
            return "its deadline passed: what has not ended is cancelled"
        case "job.retried":
            return f"retried: {data.get('tasks', '?')} tasks have fresh tries"
        case "job.ended":
            return f"ended: {data.get('state', '?')}"
        case "job.forgotten":
            return "forgotten"
        case "task.blocked":
            return "planned; waits for other tasks"
        case "task.ready":
            return f"{_back(data, record)}, in line again" if data.get("outcome") else "in line"
        case "task.running":
            return f"started on {place}"
        case "task.delayed":
            return f"{_back(data, record)}; tried again in a moment"
        case "task.failed" if code == "DEAD_LETTER_GIVEN_UP":
            return "given up as a dead letter"
        case "task.cancelled":
            return f"cancelled{CANCELLED_FOR.get(code, f' ({code})' if code else '')}"
        case kind:
            return printable(kind.partition(".")[2])


def _back(data: Mapping[str, Any], record: AttemptRecord | None) -> str:
    """How an attempt ended whose task comes again: handed back and lost are two things."""
    outcome = str(data.get("outcome", "failed"))
    if (record.next == Next.HAND_BACK) if record else (outcome == "cancelled"):
        return "handed back by its pool"
    return "lost: its pool is gone" if data.get("code") == "POOL_LOST" else outcome


def _event_id(text: str) -> str:
    """
    Raises:
        BadWish: EVENT_UNREADABLE.
    """
    ms, dash, number = text.partition("-")
    if not (ms.isascii() and ms.isdigit()) or (dash and not (number.isascii() and number.isdigit())):
        raise BadWish("EVENT_UNREADABLE", f"{text!r} is not the id of an event.", "It looks like 1790000000000-0.")
    return text


def _numbers(event_id: str) -> tuple[int, int]:
    ms, _, number = event_id.partition("-")
    return int(ms), int(number or 0)


def _clock(at_ms: int) -> str:
    """Time of day on this machine; the date too when it is not today's."""
    then = datetime.fromtimestamp(at_ms / 1000)
    return then.strftime("%H:%M:%S" if then.date() == datetime.now().date() else "%m-%d %H:%M")
