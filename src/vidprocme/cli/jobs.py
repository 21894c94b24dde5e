"""`vidprocme jobs`: list them, look at one, see dead letters. What changes them is in bulk.py."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import Any

import click

from vidprocme.cli.bulk import VERBS, refused
from vidprocme.cli.options import house_of, with_options
from vidprocme.cli.picking import CHOICE_OPTIONS, choice_of, resolve
from vidprocme.cli.words import age_text, clipped, evidence_lines, folded, page, print_json, printable, table
from vidprocme.core.errors import Fatal
from vidprocme.core.ids import JobId
from vidprocme.dispatch.choosing import UNFINISHED, Choice, chosen
from vidprocme.dispatch.results import last_error
from vidprocme.queue.base import Queue, TaskView

JSON = click.option("--json", "as_json", is_flag=True, help="The document that the HTTP API answers with.")


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
@JSON
@click.pass_context
def list_jobs(ctx: click.Context, /, limit: int, active: bool, as_json: bool, **wanted: Any) -> int:
    """List jobs, newest first. --state, --bin and --tenant may be given several times."""
    with house_of(ctx) as house:
        now_ms = house.queue.now_ms()
        choice = choice_of(now_ms, **wanted)
        found = chosen(house.queue, choice)
        views = list(islice((view for view in found if not active or view.state in UNFINISHED), limit))
    if as_json:
        from vidprocme.api.schemas.base import time_text
        from vidprocme.api.schemas.jobs import JobList, job_summary

        counts = Counter(view.state.value for view in views)
        items = [job_summary(view) for view in views]
        print_json(JobList(items=items, total_estimate=len(items), counts=counts, as_of=time_text(now_ms)).model_dump())
    elif views:
        click.echo("\n".join(table(views, now_ms, shutil.get_terminal_size().columns)))
    elif active or choice != Choice():
        click.echo("No such jobs.", err=True)
    else:
        click.echo("No jobs yet. Begin with: vidprocme process VIDEO --out DIR", err=True)
    return 0


@jobs.command()
@click.argument("job", metavar="ID")
@JSON
@click.pass_context
def show(ctx: click.Context, job: str, as_json: bool) -> int:
    """Show one job: its stages, where it stands, why it waits, what broke."""
    from vidprocme.api.schemas.jobs import job_document

    with house_of(ctx) as house:
        try:
            document = job_document(house.queue, house.blobs, resolve(house.queue, job))
        except Fatal as error:
            return refused(error)
    if as_json:
        print_json(document.model_dump())
    else:
        click.echo("\n".join(page(document)))
    return 0


@jobs.command("dead")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="At most this many.")
@click.option("--json", "as_json", is_flag=True, help="One document with all of them.")
@click.pass_context
def list_dead(ctx: click.Context, limit: int, as_json: bool) -> int:
    """Dead letters, newest first: tasks whose tries are used up, each with what broke and the last words of it.

    `jobs retry` gives their jobs fresh tries from the stage that failed, `jobs drop` gives them up.
    """
    with house_of(ctx) as house:
        now_ms = house.queue.now_ms()
        letters = [letter for task in house.queue.dead(limit) if (letter := house.queue.task(task)) is not None]
        names = _names(house.queue, {letter.task.job for letter in letters})
        total = house.queue.depth().by_state.get("dead", 0)  # type: ignore[call-overload]
    if as_json:
        print_json({"items": [_document(letter, names) for letter in letters], "total": total})
        return 0
    if not letters:
        click.echo("No dead letters.", err=True)
    for letter in letters:
        click.echo("\n".join(_letter(letter, names, now_ms)))
    if total > len(letters):
        click.echo(f"{total - len(letters)} more; --limit shows them.", err=True)
    return 0


def _names(queue: Queue, ids: set[JobId]) -> dict[JobId, str]:
    return {id_: view.job.source.name for id_ in ids if (view := queue.job(id_)) is not None}


def _document(letter: TaskView, names: dict[JobId, str]) -> dict[str, object]:
    from vidprocme.api.schemas.base import time_text

    error = last_error(letter)
    return {
        "task": letter.task.id,
        "job": letter.task.job,
        "name": printable(names.get(letter.task.job, "")),
        "stage": letter.task.stage.value,
        "bin": letter.task.bin.value,
        "tenant": letter.task.tenant,
        "tries": letter.tries,
        "lost": letter.lost,
        "died_at": None if letter.ended_ms is None else time_text(letter.ended_ms),
        "error": error.public() if error else None,
    }


def _letter(letter: TaskView, names: dict[JobId, str], now_ms: int) -> Sequence[str]:
    part = letter.task.id.partition(":")[2]
    tries = f"{letter.tries} tr{'y' if letter.tries == 1 else 'ies'}" + (f", lost {letter.lost}" if letter.lost else "")
    age = age_text((now_ms - (letter.ended_ms or now_ms)) / 1000)
    head = f"{letter.task.job}  {part}  {tries}, {age} ago  "
    columns = shutil.get_terminal_size().columns
    lines = [head + clipped(printable(names.get(letter.task.job, "?")), max(8, columns - len(head)))]
    error = last_error(letter)
    if error is not None:
        lines += folded(f"{error.code}: {error.message}", "  error     ")
        lines += folded(error.hint, "            ") if error.hint else []
        lines += evidence_lines(error.evidence)
    return lines
