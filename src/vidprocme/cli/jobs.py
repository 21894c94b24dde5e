"""`vidprocme jobs`: list them, look at one, see dead letters. What changes them is in bulk.py."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import click

from vidprocme.cli.bulk import VERBS
from vidprocme.cli.guessing import complete_job
from vidprocme.cli.options import LIST_OPTIONS, client_of, shape_of, with_options
from vidprocme.cli.picking import CHOICE_OPTIONS, UNFINISHED, filter_of, find, listed
from vidprocme.cli.words import (
    age_text,
    clipped,
    error_lines,
    evidence_lines,
    page,
    print_json,
    printable,
    printed,
    table,
)
from vidprocme.client.base import Client, Document

# Pools answer why a job waits with the beats that follow the first look at it.
ANSWER_TRIES, ANSWER_S = 7, 0.7
NOBODY = "NO_POOL"  # none is at work that could say it


@click.group()
def jobs() -> None:
    """List jobs, show one; cancel, retry, move or drop some.

    An ID may be shortened to any unique beginning or end of it.
    """


for verb in VERBS:
    jobs.add_command(verb)


@jobs.command("ls")
@with_options(CHOICE_OPTIONS)
@click.option("--limit", type=click.IntRange(1, 1_000_000), default=50, show_default=True, help="At most this many.")
@click.option("--active", is_flag=True, help="Only those that have not ended.")
@with_options(LIST_OPTIONS)
@click.pass_context
def list_jobs(ctx: click.Context, /, limit: int, active: bool, output: str | None, as_json: bool, **wanted: Any) -> int:
    """List jobs, newest first. --state, --bin, --tenant, --stage and --code may be given several times."""
    params = filter_of(**wanted)
    narrowed = bool(params) or active
    if active:
        params["state"] = [state for state in params.get("state") or UNFINISHED if state in UNFINISHED]
    with client_of(ctx) as client:
        if active and not params["state"]:  # --active --state failed
            found: Document = {"items": [], "total_estimate": 0, "counts": {}, "as_of": None}
        else:
            found = listed(client, params, limit)
    items, shape = found["items"], shape_of(output, as_json)
    if printed(found, shape):
        return 0
    if items:
        columns = shutil.get_terminal_size().columns
        click.echo("\n".join(table(items, found["as_of"], columns, wide=shape == "wide")))
    elif found["as_of"] is None and not active:
        click.echo("The list of jobs is being made. Ask again in a moment.", err=True)
    elif narrowed:
        click.echo("No such jobs.", err=True)
    else:
        click.echo("No jobs yet. Begin with: vidprocme process VIDEO --out DIR", err=True)
    return 0


@jobs.command()
@click.argument("job", metavar="ID", shell_complete=complete_job)
@click.option("--json", "as_json", is_flag=True, help="The document that the HTTP API answers with.")
@click.pass_context
def show(ctx: click.Context, job: str, as_json: bool) -> int:
    """Show one job: its stages, where it stands, why it waits, what broke."""
    with client_of(ctx) as client:
        path = f"/v1/jobs/{find(client, job)['id']}"
        document = client.ask("GET", path)
        for _ in range(0 if as_json else ANSWER_TRIES):
            if not _is_answered_later(document):
                break
            time.sleep(ANSWER_S)
            document = client.ask("GET", path)
    if as_json:
        print_json(document)
    else:
        click.echo("\n".join(page(document)))
    return 0


def _is_answered_later(job: Document) -> bool:
    """The pools have only now been asked why it waits, and there are some that can say it."""
    asked = any(wait["state"] == "ready" and wait["code"] != NOBODY for wait in job["waiting"])
    return asked and not job["why"]


@jobs.command("dead")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="At most this many.")
@click.option("--json", "as_json", is_flag=True, help="One document with all of them.")
@click.pass_context
def list_dead(ctx: click.Context, limit: int, as_json: bool) -> int:
    """Dead letters: tasks whose tries are used up, those of the job that ended last first; each with what broke and the last words
    of it.

    `jobs retry` gives their jobs fresh tries from the stage that failed, `jobs drop` gives them up.
    """
    with client_of(ctx) as client:
        whole = listed(client, {"state": "dead", "sort": "-ended_at"}, sys.maxsize)
        found = whole["items"]
        total = sum(job["tasks"].get("dead", 0) for job in found)
        letters = [letter for letter, _ in zip(_letters(client, found), range(limit), strict=False)]
    if as_json:
        print_json({"items": letters, "total": total})
        return 0
    if not letters:
        click.echo("No dead letters.", err=True)
    for letter in letters:
        click.echo("\n".join(_lines(letter, whole["as_of"])))
    if total > len(letters):
        click.echo(f"{total - len(letters)} more; --limit shows them.", err=True)
    return 0


def _letters(client: Client, jobs: list[Document]) -> Iterator[Document]:
    """Of each job those that died last come first."""
    for job in jobs:
        dead = list(client.items(f"/v1/jobs/{job['id']}/tasks", {"state": "dead"}))
        for task in sorted(dead, key=lambda task: task["ended_at"] or "", reverse=True):
            yield {
                "task": task["id"],
                "job": job["id"],
                "name": printable(job["name"]),
                "stage": task["stage"],
                "bin": job["bin"],
                "tenant": job["tenant"],
                "tries": task["tries"],
                "lost": task["lost"],
                "died_at": task["ended_at"],
                "error": task["error"],
            }


def _lines(letter: Document, as_of: str | None) -> list[str]:
    part = letter["task"].partition(":")[2]
    lost = f", lost {letter['lost']}" if letter["lost"] else ""
    tries = f"{letter['tries']} tr{'y' if letter['tries'] == 1 else 'ies'}{lost}"
    now = datetime.fromisoformat(as_of) if as_of else datetime.now(UTC)
    died = datetime.fromisoformat(letter["died_at"]) if letter["died_at"] else now
    head = f"{letter['job']}  {part}  {tries}, {age_text((now - died).total_seconds())} ago  "
    columns = shutil.get_terminal_size().columns
    lines = [head + clipped(letter["name"], max(8, columns - len(head)))]
    if letter["error"]:
        lines += error_lines(letter["error"], "  error     ") + evidence_lines(letter["error"]["evidence"])
    return lines
