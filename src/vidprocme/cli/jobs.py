"""`vidprocme jobs`: list them, look at one, cancel or retry it."""

from __future__ import annotations

import json
import shutil
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from vidprocme.cli.main import fail
from vidprocme.cli.options import house_of
from vidprocme.core.errors import BadWish, Fatal, VidprocmeError
from vidprocme.core.ids import JobId
from vidprocme.queue.base import JobView, Queue

if TYPE_CHECKING:
    from vidprocme.api.schemas import AttemptDocument, JobDocument

EXIT_NOT_FOUND, EXIT_CONFLICT = 5, 6
MOST_SEARCHED = 10_000  # jobs among which a shortened id is looked up
SHORT = 8  # characters of an id's end in a list
JSON = click.option("--json", "as_json", is_flag=True, help="The document that the HTTP API answers with.")


@click.group()
def jobs() -> None:
    """List jobs, show one, cancel or retry it.

    An ID may be shortened to any unique beginning or end of it.
    """


@jobs.command("ls")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most this many.")
@click.option("--active", is_flag=True, help="Only those that have not ended.")
@JSON
@click.pass_context
def list_jobs(ctx: click.Context, limit: int, active: bool, as_json: bool) -> int:
    """List jobs, newest first."""
    with house_of(ctx) as house:
        views = house.queue.jobs(limit=limit, active=active)
        now_ms = house.clock.now_ms()
    if as_json:
        from vidprocme.api.schemas import JobList, job_summary

        _print_json(JobList(items=[job_summary(view) for view in views]).model_dump())
    elif views:
        click.echo("\n".join(_table(views, now_ms, shutil.get_terminal_size().columns)))
    else:
        click.echo("No jobs yet. Begin with: vidprocme process VIDEO --out DIR", err=True)
    return 0


@jobs.command()
@click.argument("job", metavar="ID")
@JSON
@click.pass_context
def show(ctx: click.Context, job: str, as_json: bool) -> int:
    """Show one job: its stages, why it waits, what broke."""
    from vidprocme.api.schemas import job_document

    with house_of(ctx) as house:
        try:
            document = job_document(house.queue, house.blobs, resolve(house.queue, job), house.clock.now_ms())
        except Fatal as error:
            return _refused(error)
    if as_json:
        _print_json(document.model_dump())
    else:
        click.echo("\n".join(_page(document)))
    return 0


@jobs.command()
@click.argument("job", metavar="ID")
@JSON
@click.pass_context
def cancel(ctx: click.Context, job: str, as_json: bool) -> int:
    """Cancel a job: what waits at once, what runs within 1.5 s."""
    with house_of(ctx) as house:
        try:
            id_ = resolve(house.queue, job)
            if not house.control.cancel(id_):
                raise Fatal("JOB_ENDED", f"Job {id_} has ended already ({_state(house.queue, id_)}).")
        except Fatal as error:
            return _refused(error)
        state = _state(house.queue, id_)
    if as_json:
        _print_json({"id": id_, "state": state, "tasks": 0})
    else:
        click.echo(f"{id_}: {'cancelled' if state == 'cancelled' else 'being cancelled'}. What was published stays.")
    return 0


@jobs.command()
@click.argument("job", metavar="ID")
@JSON
@click.pass_context
def retry(ctx: click.Context, job: str, as_json: bool) -> int:
    """Give what failed, died or was cancelled fresh tries."""
    with house_of(ctx) as house:
        try:
            id_ = resolve(house.queue, job)
            tasks = house.control.retry(id_)
            if not tasks:
                raise Fatal(
                    "NOTHING_TO_RETRY",
                    f"Job {id_} is {_state(house.queue, id_)}: none of its tasks failed, died or was cancelled.",
                )
        except Fatal as error:
            return _refused(error)
        state = _state(house.queue, id_)
        served = any(not pool.own_jobs_only and not pool.draining for pool in house.queue.pools())
    if as_json:
        _print_json({"id": id_, "state": state, "tasks": tasks})
    else:
        click.echo(f"{id_}: {tasks} task{'s' * (tasks > 1)} {'have' if tasks > 1 else 'has'} fresh tries.")
        if not served:
            click.echo("No pool is at work; `vidprocme worker` or `vidprocme up` starts one.", err=True)
    return 0


def resolve(queue: Queue, given: str) -> JobId:
    """The one job whose id begins or ends so.

    Raises:
        Fatal: JOB_UNKNOWN. BadWish: JOB_AMBIGUOUS.
    """
    part = given.upper().removeprefix("JOB_") if given.isascii() else ""
    if part and queue.job(JobId(given)) is not None:
        return JobId(given)
    found = []
    if part:
        for view in queue.jobs(limit=MOST_SEARCHED):
            number = view.job.id.removeprefix("job_")
            if number.startswith(part) or number.endswith(part):
                found.append(view.job.id)
    if not found:
        raise Fatal("JOB_UNKNOWN", f"There is no job {given!r}.", "`vidprocme jobs ls` shows those there are.")
    if len(found) > 1:
        raise BadWish(
            "JOB_AMBIGUOUS",
            f"{given!r} stands for {len(found)} jobs: {', '.join(found[:3])}{' ...' if len(found) > 3 else ''}.",
            "Give more of it.",
        )
    return found[0]


def _refused(error: VidprocmeError) -> int:
    status = fail(error)
    return {"JOB_UNKNOWN": EXIT_NOT_FOUND, "JOB_ENDED": EXIT_CONFLICT, "NOTHING_TO_RETRY": EXIT_CONFLICT}.get(
        error.code, status
    )


def _state(queue: Queue, job: JobId) -> str:
    view = queue.job(job)
    return view.state.value if view else "gone"


def _print_json(document: object) -> None:
    click.echo(json.dumps(document, ensure_ascii=False))


# -- in words ----------------------------------------------------------------------------------------------------------


def _table(views: Sequence[JobView], now_ms: int, columns: int) -> list[str]:
    lines = [f"{'ID':<{SHORT}}  {'STATE':<9}  {'BIN':<6}  {'TASKS':>7}  {'AGE':>7}  NAME"]
    for view in views:
        done, total = _counts(view)
        age = age_text((now_ms - view.submitted_ms) / 1000)
        head = f"{view.job.id[-SHORT:]:<{SHORT}}  {view.state:<9}  {view.job.bin:<6}  {done:>3}/{total:<3}  {age:>7}  "
        lines.append(head + clipped(printable(view.job.source.name), max(8, columns - len(head))))
    return lines


def _counts(view: JobView) -> tuple[int, int]:
    from vidprocme.core.job import TERMINAL

    return sum(n for state, n in view.counts.items() if state in TERMINAL), sum(view.counts.values())


def _page(job: JobDocument) -> list[str]:
    asked = ", cancel asked" if job.cancel_asked and job.ended_at is None else ""
    lines = [
        f"{printable(job.name)}: {job.state}{asked}, {job.progress:.0%}",
        f"  job       {job.id}",
        f"  video     {job.video}  {job.size_bytes:,} bytes",
        f"  bin       {job.bin}",
        f"  created   {job.created_at}",
    ]
    if job.ended_at:
        lines.append(f"  ended     {job.ended_at}")
    lines.append("  stages")
    for stage in job.stages:
        running = f", {stage.running} running" if stage.running else ""
        lines.append(f"    {stage.name:<10} {stage.done}/{stage.total}{running}  {stage.fraction:.0%}")
    for wait in job.waiting:
        count = f" ({wait.count} tasks)" if wait.count > 1 else ""
        lines += _folded(f"{wait.stage} {wait.state}{count}: {wait.text}", "  waiting   ")
    for trouble in job.troubles:
        lines += _trouble(trouble)
    if job.renditions:
        shown = ", ".join(f"{r.name} {r.width_px}x{r.height_px}" for r in job.renditions)
        lines += _folded(shown, "  files     ")
    if job.frames or job.captions:
        lines.append(f"  words     {len(job.captions)} captions for {job.frames} frames")
    for note in job.degraded:
        lines += _folded(note, "  note      ")
    if job.error:
        lines += _folded(f"{job.error.code}: {job.error.message}", "  error     ")
        if job.error.hint:
            lines += _folded(job.error.hint, "            ")
        lines += _evidence(job.error.evidence)
    return lines


def _trouble(attempt: AttemptDocument) -> list[str]:
    why = f" {attempt.error.code}: {attempt.error.message}" if attempt.error else ""
    task = attempt.task.partition(":")[2]
    return _folded(
        f"{task} try {attempt.number} on {attempt.place}: {attempt.outcome}, then {attempt.next}.{why}", "  attempt   "
    )


def _evidence(evidence: dict[str, object]) -> list[str]:
    lines = []
    for name, value in evidence.items():
        if isinstance(value, list):
            lines.append(f"    {name}:")
            lines += [line for item in value[-5:] for line in _folded(printable(str(item)), "      ")]
        else:
            lines += _folded(f"{name}: {printable(str(value))}", "    ")
    return lines


def _folded(text: str, head: str) -> list[str]:
    import textwrap

    width = min(100, max(60, shutil.get_terminal_size().columns))
    return textwrap.wrap(printable(text), width, initial_indent=head, subsequent_indent=" " * len(head)) or [head]


def age_text(age_s: float) -> str:
    """`12 s`, `4 min`, `3 h`, `5 d`."""
    for unit, size_s in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if age_s >= size_s:
            return f"{age_s / size_s:.0f} {unit}"
    return f"{max(0.0, age_s):.0f} s"


def printable(text: str) -> str:
    """Without what could steer a terminal (a name may hold escape codes), and fit to be encoded."""
    shown = text.encode("utf-8", "replace").decode()
    return "".join(sign if sign.isprintable() else "?" for sign in shown)


def clipped(text: str, cells: int) -> str:
    """At most so many cells of a terminal, where a wide sign takes two."""
    used = 0
    for at, sign in enumerate(text):
        used += 2 if unicodedata.east_asian_width(sign) in "WF" else 1
        if used > cells:
            return text[: max(0, at - 3)] + "..."
    return text
