"""`vidprocme logs`: what happened to a job, event by event, with the last words of attempts that failed."""

from __future__ import annotations

from datetime import datetime

import click

from vidprocme.cli.exits import FAILED
from vidprocme.cli.guessing import complete_job
from vidprocme.cli.hands import patiently
from vidprocme.cli.happenings import Happenings
from vidprocme.cli.options import client_of
from vidprocme.cli.picking import find
from vidprocme.cli.words import evidence_lines, folded, json_text, printable
from vidprocme.client.base import Client, Document
from vidprocme.core.errors import ErrorInfo
from vidprocme.core.ids import JobId
from vidprocme.core.job import Limits, Next
from vidprocme.dispatch.results import End, dead_hint, dead_words

CANCELLED_FOR = {
    "CANCELLED": "",  # a person did: that stands above
    "DEADLINE": ": its job's deadline passed",
    "JOB_FAILED": ": its job failed",
    "PREDECESSOR_FAILED": ": what it waited for did not succeed",
}


@click.command()
@click.argument("job", metavar="ID", shell_complete=complete_job)
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
    with client_of(ctx) as client:
        story = Story(client, find(client, job))
        last = after or ""
        try:
            for event in story.happenings.until_ended(last) if follow else story.happenings.since(last):
                if not last and event["kind"] != "job.submitted":
                    click.echo(f"Events before {_clock(event['at'])} are no longer kept.", err=True)
                for line in [json_text(story.document(event))] if as_json else story.lines(event):
                    click.echo(line)
                last = event["id"]
        except KeyboardInterrupt:
            if not as_json:
                click.echo(
                    f"\nGo on with: vidprocme logs {story.happenings.id} -f{f' --after {last}' if last else ''}",
                    err=True,
                )
            raise
        ended = story.happenings.job
    return FAILED if follow and (ended is None or ended["state"] != "succeeded") else 0


class Story:
    """The events of a job with what its attempts said."""

    def __init__(self, client: Client, job: Document) -> None:
        self.happenings = Happenings(client, job)
        self._client = client
        self._attempts: dict[int, Document] = {}
        self._tries: dict[str, int] = {}

    def document(self, event: Document) -> Document:
        """A JobEvent, with the error of the attempt whose end it tells."""
        error = self._error(event)
        return event | ({"error": error} if error else {})

    def lines(self, event: Document) -> list[str]:
        part = event["task"].partition(":")[2] if event["task"] else ""
        words = self._dead(event) if event["kind"] == "task.dead" else _words(event, self._attempt(event))
        lines = folded(words, f"{_clock(event['at'])}  {part:<14}  ")
        error = self._error(event)
        if error is not None:
            lines += folded(f"{error['code']}: {error['message']}", "          ")
            lines += evidence_lines(error["evidence"], indent=" " * 10, most=100)
        if event["kind"] == "task.dead":
            known = ErrorInfo(**error) if error else None
            lines += folded(dead_hint(_end(event), known, JobId(event["job"])), "          ")
        return lines

    def _error(self, event: Document) -> Document | None:
        # One that ended well has no error; of one that was stopped its own words are of no use.
        attempt = self._attempt(event)
        return attempt["error"] if attempt and event["data"]["outcome"] not in ("ok", "cancelled") else None

    def _attempt(self, event: Document) -> Document | None:
        """The attempt whose end this event tells; None when it tells of none, or its record is gone."""
        if event["task"] is None or event["data"].get("outcome") in (None, "ok"):
            return None
        token = event["data"].get("token")
        if token is not None and token not in self._attempts:
            path = f"/v1/jobs/{event['job']}/attempts"
            found = patiently(lambda: list(self._client.items(path)))
            self._attempts = {one["token"]: one for one in found if one["ended_at"]}
        return self._attempts.get(token)

    def _dead(self, event: Document) -> str:
        task = event["task"]
        if task not in self._tries:
            path = f"/v1/jobs/{event['job']}/tasks"
            found = patiently(lambda: list(self._client.items(path)))
            self._tries = {one["id"]: one["tries_most"] for one in found}
        return dead_words(_end(event), Limits(tries=self._tries.get(task, Limits().tries)))


def _end(event: Document) -> End:
    if event["data"].get("poison"):
        return End.POISON
    return End.LOST if event["data"].get("outcome") == "lost" else End.TRIES


def _words(event: Document, record: Document | None) -> str:
    data = event["data"]
    code, place = data.get("code", ""), data.get("place", "")
    match event["kind"]:
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


def _back(data: Document, record: Document | None) -> str:
    """How an attempt ended whose task comes again: handed back and lost are two things."""
    outcome = str(data.get("outcome", "failed"))
    if (record["next"] == Next.HAND_BACK) if record else (outcome == "cancelled"):
        return "handed back by its pool"
    return "lost: its pool is gone" if data.get("code") == "POOL_LOST" else outcome


def _clock(at: str) -> str:
    """Time of day on this machine; the date too when it is not today's."""
    then = datetime.fromisoformat(at).astimezone()
    return then.strftime("%H:%M:%S" if then.date() == datetime.now().date() else "%m-%d %H:%M")
