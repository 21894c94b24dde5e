"""The verbs that change jobs: cancel, retry, move, drop. Of some by their ids, or of all that a filter finds."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import click

from vidprocme.cli.asking import agreed, counted
from vidprocme.cli.exits import CONFLICT, FAILED
from vidprocme.cli.guessing import complete_job
from vidprocme.cli.main import fail
from vidprocme.cli.operation import follow
from vidprocme.cli.options import client_of, with_options
from vidprocme.cli.picking import CHOICE_OPTIONS, UNFINISHED, filter_of, find
from vidprocme.cli.ready import all_jobs, when_ready
from vidprocme.cli.words import SHORT, print_json, printable
from vidprocme.client.base import Client, Document
from vidprocme.core.errors import BadWish, Fatal, VidprocmeError
from vidprocme.core.job import Bin

BROKEN = ("failed", "cancelled")

BULK_OPTIONS: Sequence[Callable[[Any], Any]] = (
    click.argument("given", nargs=-1, metavar="ID...", shell_complete=complete_job),
    click.option("--all-matching", is_flag=True, help="All jobs that the options below find, instead of IDs."),
    *CHOICE_OPTIONS,
    click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing."),
    click.option("--yes", is_flag=True, help="Do not ask first."),
    click.option("--json", "as_json", is_flag=True, help="One JSON object for each job, or for all that matched."),
)


@dataclass(frozen=True, slots=True)
class Verb:
    """What is done to one job.

    states: those it makes sense for: what a filter without --state finds. refusal: why it would not be done, as far as can be seen
    beforehand. act: do it; returns what a script reads of it and the sentence for a person. wish: of a BulkWish, beside ids and filter;
    None: it cannot be said of many at once. final: it cannot be undone.
    """

    name: str
    done: str
    states: Sequence[str]
    refusal: Callable[[Document], Fatal | None]
    act: Callable[[Client, Document], tuple[Document, str]]
    wish: Document | None
    final: bool = False


# -- the four verbs ----------------------------------------------------------------------------------------------------


@click.command()
@with_options(BULK_OPTIONS)
@click.pass_context
def cancel(ctx: click.Context, /, **options: Any) -> int:
    """Cancel jobs: what waits at once, what runs within 1.5 s. What was published stays."""

    def act(client: Client, job: Document) -> tuple[Document, str]:
        changed = client.ask("POST", f"/v1/jobs/{job['id']}/cancel")
        now = "cancelled" if changed["state"] == "cancelled" else "being cancelled"
        return changed, f"{now}. What was published stays."

    return _run(ctx, Verb("cancel", "cancelled", UNFINISHED, _ended, act, {"action": "cancel"}), **options)


@click.command()
@with_options(BULK_OPTIONS)
@click.pass_context
def retry(ctx: click.Context, /, **options: Any) -> int:
    """Give what failed, died or was cancelled fresh tries; what succeeded is not done again."""

    def refusal(job: Document) -> Fatal | None:
        return None if job["cancel_asked"] else _nothing_broken(job)

    def act(client: Client, job: Document) -> tuple[Document, str]:
        changed = client.ask("POST", f"/v1/jobs/{job['id']}/retry")
        return changed, f"{counted(changed['tasks'], 'task')} {'has' if changed['tasks'] == 1 else 'have'} fresh tries."

    return _run(ctx, Verb("retry", "retried", BROKEN, refusal, act, {"action": "retry"}), **options)


@click.command()
@with_options(BULK_OPTIONS)
@click.option(
    "--to", "to", required=True, type=click.Choice([bin_.value for bin_ in Bin]), help="The bin to move them to."
)
@click.pass_context
def move(ctx: click.Context, /, to: str, **options: Any) -> int:
    """Move jobs to another bin. What waits keeps its place by age; what runs goes on."""

    def refusal(job: Document) -> Fatal | None:
        if job["state"] in UNFINISHED and job["bin"] == to:
            return Fatal("ALREADY_THERE", f"Job {job['id']} is in bin {to} already.")
        return _ended(job)

    def act(client: Client, job: Document) -> tuple[Document, str]:
        changed = client.ask("PATCH", f"/v1/jobs/{job['id']}", body={"bin": to})
        waits = changed["tasks"].get("ready", 0)
        document = {"id": changed["id"], "state": changed["state"], "bin": changed["bin"], "tasks": waits}
        return document, f"moved to {to}; {counted(waits, 'task')} of it wait{'s' * (waits == 1)}."

    return _run(ctx, Verb("move", f"moved to {to}", UNFINISHED, refusal, act, {"action": "move", "bin": to}), **options)


@click.command()
@with_options(BULK_OPTIONS)
@click.option("--succeeded", is_flag=True, help="Also jobs that succeeded: their videos are no longer found.")
@click.pass_context
def drop(ctx: click.Context, /, succeeded: bool, **options: Any) -> int:
    """Give up jobs that failed or were cancelled: they are forgotten, with their dead letters.

    The same video with the same wishes then makes a new job. Files already written to --out stay; `vidprocme gc` frees the rest.
    """

    def refusal(job: Document) -> Fatal | None:
        return None if succeeded and job["state"] == "succeeded" else _not_broken(job)

    def act(client: Client, job: Document) -> tuple[Document, str]:
        client.ask("DELETE", f"/v1/jobs/{job['id']}", params={"succeeded": succeeded})
        return {"id": job["id"], "state": "gone"}, "dropped."

    states = (*BROKEN, "succeeded") if succeeded else BROKEN
    wish = None if succeeded else {"action": "drop"}
    return _run(ctx, Verb("drop", "dropped", states, refusal, act, wish, final=True), **options)


VERBS = (cancel, retry, move, drop)


def _ended(job: Document) -> Fatal | None:
    if job["state"] in UNFINISHED:
        return None
    return Fatal("JOB_ENDED", f"Job {job['id']} has ended already ({job['state']}).")


def _nothing_broken(job: Document) -> Fatal | None:
    if any(job["tasks"].get(state) for state in ("failed", "dead", "cancelled")):
        return None
    return Fatal(
        "NOTHING_TO_RETRY", f"Job {job['id']} is {job['state']}: none of its tasks failed, died or was cancelled."
    )


def _not_broken(job: Document) -> Fatal | None:
    if job["state"] in UNFINISHED:
        return Fatal("JOB_UNFINISHED", f"Job {job['id']} has not ended.", f"`vidprocme jobs cancel {job['id']}` first.")
    if job["state"] == "succeeded":
        return Fatal(
            "JOB_SUCCEEDED", f"Job {job['id']} succeeded.", "--succeeded drops such jobs too, with their videos."
        )
    return None


# -- one run -----------------------------------------------------------------------------------------------------------


def _run(
    ctx: click.Context,
    verb: Verb,
    *,
    given: Sequence[str],
    all_matching: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    **wanted: Any,
) -> int:
    """Exit status: 0 all done; what is the same for all that were refused (5, 6), else 1."""
    filter_ = filter_of(**wanted)
    _check(verb, given, all_matching, filter_)
    filter_ = {"state": list(verb.states), **filter_}
    with client_of(ctx) as client:
        if all_matching and not dry_run:
            return _matching(client, verb, filter_, yes, as_json)
        statuses: list[int] = []
        if all_matching:
            jobs = all_jobs(client, filter_)
            if not jobs:
                click.echo("No such jobs.", err=True)
        else:
            jobs = _named(client, given, statuses, as_json)
        said_so = yes or dry_run or not verb.final or not jobs or not sys.stdin.isatty()  # a script that names them has
        if not said_so and not agreed(verb.name, _which(jobs), yes):
            return FAILED
        done = _each(client, verb, jobs, statuses, dry_run, as_json)
        if (all_matching or len(given) > 1) and (jobs or statuses) and not as_json:
            click.echo(_summary(verb, done, len(statuses), dry_run), err=True)
        if not dry_run and not as_json:
            _say_if_nobody_works(client, verb, done)
    if all_matching and done:  # as when it is done: what it cannot be done to stays as it is
        return 0
    return _status(statuses)


def _matching(client: Client, verb: Verb, filter_: Document, yes: bool, as_json: bool) -> int:
    """To all that match now, by the server, in the background: it goes on when this call is ended."""
    if verb.wish is None:
        return _matching_one_by_one(client, verb, filter_, yes, as_json)
    wish = {**verb.wish, "filter": filter_}
    planned = when_ready(lambda: client.ask("POST", "/v1/jobs:bulk", body={**wish, "dry_run": True}))
    if not planned["matched"]:
        return _no_such_jobs(as_json)
    if not planned["able"]:
        return _none_able(verb, planned["matched"], as_json)
    rest = planned["matched"] - planned["able"]
    if not agreed(verb.name, counted(planned["able"], "job") + (f" ({rest} more cannot be)" if rest else ""), yes):
        return FAILED
    started = client.ask("POST", "/v1/jobs:bulk", body=wish)
    done = follow(client, started["operation"], verb.done)
    if as_json:
        print_json(done)
    else:
        unchanged = f", {done['unchanged']} had nothing to be {verb.done}" if done["unchanged"] else ""
        click.echo(f"{_summary(verb, done['done'], done['failed'], dry_run=False)[:-1]}{unchanged}.", err=True)
        for error in done["errors"]:
            click.echo(
                printable(f"  {error['evidence'].get('job', '')}: {error['code']}: {error['message']}"), err=True
            )
        if done["state"] == "interrupted":
            click.echo("Its server ended before it was through. The same command goes on with the rest.", err=True)
        _say_if_nobody_works(client, verb, done["done"])
    return 0 if done["state"] == "done" and not done["failed"] else FAILED


def _matching_one_by_one(client: Client, verb: Verb, filter_: Document, yes: bool, as_json: bool) -> int:
    jobs, statuses = all_jobs(client, filter_), list[int]()
    if not jobs:
        return _no_such_jobs(as_json)
    if not agreed(verb.name, counted(len(jobs), "job"), yes):
        return FAILED
    done = _each(client, verb, jobs, statuses, False, as_json)
    if not as_json:
        click.echo(_summary(verb, done, len(statuses), dry_run=False), err=True)
    return _status(statuses)


def _none_able(verb: Verb, matched: int, as_json: bool) -> int:
    if as_json:
        print_json({"total": matched, "done": 0, "unchanged": matched, "failed": 0, "errors": []})
    which = "The job that matches cannot" if matched == 1 else f"None of the {matched:,} jobs that match can"
    click.echo(f"{which} be {verb.done}.", err=True)
    return CONFLICT


def _no_such_jobs(as_json: bool) -> int:
    if as_json:
        print_json({"total": 0, "done": 0, "unchanged": 0, "failed": 0, "errors": []})
    click.echo("No such jobs.", err=True)
    return 0


def _check(verb: Verb, given: Sequence[str], all_matching: bool, filter_: Document) -> None:
    """
    Raises:
        BadWish: NO_JOBS_NAMED, JOBS_NAMED_TWICE.
    """
    if not given and not all_matching:
        raise BadWish(
            "NO_JOBS_NAMED",
            f"Nothing says which jobs to {verb.name}.",
            "Give their IDs, or --all-matching with a filter such as --state or --since.",
        )
    if given and (all_matching or filter_):
        raise BadWish("JOBS_NAMED_TWICE", "IDs and a filter do not go together.", "Give one or the other.")


def _named(client: Client, given: Sequence[str], statuses: list[int], as_json: bool) -> list[Document]:
    """The jobs with these ids; for each that there is not, what is wrong is told and its status added."""
    jobs: dict[str, Document] = {}
    for word in given:
        try:
            job = find(client, word)
            jobs[job["id"]] = job
        except Fatal as error:
            statuses.append(_told(error, word, as_json))
    return list(jobs.values())


def _each(
    client: Client, verb: Verb, jobs: Sequence[Document], statuses: list[int], dry_run: bool, as_json: bool
) -> int:
    """One after the other; how many it was done to. What was refused is told, and its status added."""
    done = 0
    for job in jobs:
        try:
            _one(client, verb, job, dry_run, as_json)
            done += 1
        except Fatal as error:
            statuses.append(_told(error, job["id"], as_json))
    return done


def _one(client: Client, verb: Verb, job: Document, dry_run: bool, as_json: bool) -> None:
    id_ = job["id"]
    refusal = verb.refusal(job)
    if refusal is not None:
        raise refusal
    if dry_run:
        name = printable(job["name"])
        if as_json:
            print_json({"id": id_, "state": job["state"], "name": name, "would": verb.name})
        else:
            click.echo(f"{id_[-SHORT:]}  would be {verb.done}: {job['state']}, {job['bin']}, {name}")
        return
    document, words = verb.act(client, job)
    if as_json:
        print_json(document)
    else:
        click.echo(f"{id_}: {words}")


def _told(error: VidprocmeError, id_: str, as_json: bool) -> int:
    if as_json:
        print_json({"id": printable(id_), "error": error.info().public()})
    return fail(error)


def _status(statuses: Sequence[int]) -> int:
    return 0 if not statuses else statuses[0] if len(set(statuses)) == 1 else FAILED


def _summary(verb: Verb, done: int, refusals: int, dry_run: bool) -> str:
    words = f"{done} {'would be ' if dry_run else ''}{verb.done}"
    return f"{words}, {refusals} refused." if refusals else f"{words}."


def _say_if_nobody_works(client: Client, verb: Verb, done: int) -> None:
    if verb.name == "retry" and done and not any(node["pools"] for node in _nodes(client)):
        click.echo("No pool is at work; `vidprocme worker` or `vidprocme up` starts one.", err=True)


def _nodes(client: Client) -> Iterator[Document]:
    return (node for node in client.ask("GET", "/v1/nodes")["items"] if node["state"] == "working")


def _which(jobs: Sequence[Document]) -> str:
    return f"job {jobs[0]['id']}" if len(jobs) == 1 else counted(len(jobs), "job")
