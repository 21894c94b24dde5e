"""The verbs that change jobs: cancel, retry, move, drop. Of some by their ids, or of all that a filter finds."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import click

from vidprocme.cli.exits import FAILED
from vidprocme.cli.main import fail
from vidprocme.cli.options import house_of, with_options
from vidprocme.cli.picking import CHOICE_OPTIONS, choice_of, resolve
from vidprocme.cli.words import SHORT, print_json, printable
from vidprocme.core.errors import BadWish, Fatal, VidprocmeError
from vidprocme.core.ids import JobId
from vidprocme.core.job import Bin, JobState
from vidprocme.dispatch.choosing import UNFINISHED, Choice, chosen
from vidprocme.queue.base import JobView, Queue
from vidprocme.wiring import House

BROKEN = frozenset({JobState.FAILED, JobState.CANCELLED})

BULK_OPTIONS: Sequence[Callable[[Any], Any]] = (
    click.argument("given", nargs=-1, metavar="ID..."),
    click.option("--all-matching", is_flag=True, help="All jobs that the options below find, instead of IDs."),
    *CHOICE_OPTIONS,
    click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing."),
    click.option("--yes", is_flag=True, help="Do not ask first."),
    click.option("--json", "as_json", is_flag=True, help="One JSON object for each job on stdout."),
)


@dataclass(frozen=True, slots=True)
class Verb:
    """What is done to one job.

    states: those it makes sense for: what a filter without --state finds. refusal: why it would not be done, as far as can be
    seen beforehand. act: do it; returns what a script reads of it and the sentence for a person. final: it cannot be undone.
    """

    name: str
    done: str
    states: frozenset[JobState]
    refusal: Callable[[JobView], Fatal | None]
    act: Callable[[House, JobView], tuple[dict[str, object], str]]
    final: bool = False


# -- the four verbs ----------------------------------------------------------------------------------------------------


@click.command()
@with_options(BULK_OPTIONS)
@click.pass_context
def cancel(ctx: click.Context, /, **options: Any) -> int:
    """Cancel jobs: what waits at once, what runs within 1.5 s. What was published stays."""
    return _run(ctx, Verb("cancel", "cancelled", UNFINISHED, _ended, _cancel), **options)


@click.command()
@with_options(BULK_OPTIONS)
@click.pass_context
def retry(ctx: click.Context, /, **options: Any) -> int:
    """Give what failed, died or was cancelled fresh tries; what succeeded is not done again."""
    return _run(ctx, Verb("retry", "retried", BROKEN, _nothing_broken, _retry), **options)


@click.command()
@with_options(BULK_OPTIONS)
@click.option(
    "--to", "to", required=True, type=click.Choice([bin_.value for bin_ in Bin]), help="The bin to move them to."
)
@click.pass_context
def move(ctx: click.Context, /, to: str, **options: Any) -> int:
    """Move jobs to another bin. What waits keeps its place by age; what runs goes on."""
    target = Bin(to)

    def refusal(view: JobView) -> Fatal | None:
        if view.state in UNFINISHED and view.job.bin is target:
            return Fatal("ALREADY_THERE", f"Job {view.job.id} is in bin {target} already.")
        return _ended(view)

    def act(house: House, view: JobView) -> tuple[dict[str, object], str]:
        tasks = house.control.move(view.job.id, target)
        return {
            "bin": target.value,
            "tasks": tasks,
        }, f"moved to {target}; {_tasks(tasks)} of it wait{'s' * (tasks == 1)}."

    return _run(ctx, Verb("move", f"moved to {target}", UNFINISHED, refusal, act), **options)


@click.command()
@with_options(BULK_OPTIONS)
@click.option("--succeeded", is_flag=True, help="Also jobs that succeeded: their videos are no longer found.")
@click.pass_context
def drop(ctx: click.Context, /, succeeded: bool, **options: Any) -> int:
    """Give up jobs that failed or were cancelled: they are forgotten, with their dead letters.

    The same video with the same wishes then makes a new job. Files already written to --out stay; `vidprocme gc` frees the rest.
    """

    def refusal(view: JobView) -> Fatal | None:
        return None if succeeded and view.state is JobState.SUCCEEDED else _not_broken(view)

    def act(house: House, view: JobView) -> tuple[dict[str, object], str]:
        house.control.drop(view.job.id, succeeded=succeeded)
        return {}, "dropped."

    states = BROKEN | {JobState.SUCCEEDED} if succeeded else BROKEN
    return _run(ctx, Verb("drop", "dropped", states, refusal, act, final=True), **options)


VERBS = (cancel, retry, move, drop)


def _ended(view: JobView) -> Fatal | None:
    if view.state in UNFINISHED:
        return None
    return Fatal("JOB_ENDED", f"Job {view.job.id} has ended already ({view.state}).")


def _cancel(house: House, view: JobView) -> tuple[dict[str, object], str]:
    if not house.control.cancel(view.job.id):
        raise Fatal("JOB_ENDED", f"Job {view.job.id} has ended already ({state_of(house.queue, view.job.id)}).")
    state = state_of(house.queue, view.job.id)
    return {"tasks": 0}, f"{'cancelled' if state == 'cancelled' else 'being cancelled'}. What was published stays."


def _nothing_broken(view: JobView) -> Fatal | None:
    stopping = view.ended_ms is None and (view.cancel_asked or view.doomed)  # what runs is told to stop
    if stopping or any(view.counts.get(state) for state in ("failed", "dead", "cancelled")):  # type: ignore[call-overload]
        return None
    return Fatal(
        "NOTHING_TO_RETRY", f"Job {view.job.id} is {view.state}: none of its tasks failed, died or was cancelled."
    )


def _retry(house: House, view: JobView) -> tuple[dict[str, object], str]:
    tasks = house.control.retry(view.job.id)
    if not tasks:
        raise _nothing_broken(view) or Fatal("NOTHING_TO_RETRY", f"Job {view.job.id} was retried meanwhile.")
    return {"tasks": tasks}, f"{_tasks(tasks)} {'has' if tasks == 1 else 'have'} fresh tries."


def _not_broken(view: JobView) -> Fatal | None:
    if view.state in UNFINISHED:
        return Fatal(
            "JOB_UNFINISHED", f"Job {view.job.id} has not ended.", f"`vidprocme jobs cancel {view.job.id}` first."
        )
    if view.state is JobState.SUCCEEDED:
        return Fatal(
            "JOB_SUCCEEDED", f"Job {view.job.id} succeeded.", "--succeeded drops such jobs too, with their videos."
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
    with house_of(ctx) as house:
        choice = choice_of(house.queue.now_ms(), **wanted)
        _check(verb, given, all_matching, choice)
        if all_matching and choice == Choice() and not (yes or dry_run or sys.stdin.isatty()):
            raise BadWish(
                "FILTER_MISSING", f"That would {verb.name} all jobs there are.", "Say which, or --yes to mean all."
            )
        statuses: list[int] = []
        if all_matching:
            if not choice.states:
                choice = Choice(verb.states, choice.bins, choice.tenants, choice.since_ms, choice.until_ms, choice.name)
            views = list(chosen(house.queue, choice))
            if not views:
                click.echo("No such jobs.", err=True)
        else:
            views = _named(house.queue, given, statuses, as_json)
        if not dry_run and views and not _agreed(verb, views, all_matching, yes):
            click.echo("Nothing was done.", err=True)
            return FAILED
        several = all_matching or len(given) > 1
        done = 0
        for view in views:
            try:
                _one(house, verb, view, dry_run, as_json)
                done += 1
            except Fatal as error:
                statuses.append(_told(error, view.job.id, as_json))
        if several and (views or statuses) and not as_json:
            click.echo(_summary(verb, done, len(statuses), dry_run), err=True)
        if verb.name == "retry" and done and not dry_run and not as_json:
            _say_if_nobody_works(house.queue)
    return 0 if not statuses else statuses[0] if len(set(statuses)) == 1 else FAILED


def _check(verb: Verb, given: Sequence[str], all_matching: bool, choice: Choice) -> None:
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
    if given and (all_matching or choice != Choice()):
        raise BadWish("JOBS_NAMED_TWICE", "IDs and a filter do not go together.", "Give one or the other.")


def _named(queue: Queue, given: Sequence[str], statuses: list[int], as_json: bool) -> list[JobView]:
    """The jobs with these ids; for each that there is not, what is wrong is told and its status added."""
    views: dict[JobId, JobView] = {}
    for word in given:
        try:
            id_ = resolve(queue, word)
            view = queue.job(id_)
            if view is None:
                raise Fatal("JOB_UNKNOWN", f"There is no job {word!r}.")
            views[id_] = view
        except Fatal as error:
            statuses.append(_told(error, word, as_json))
    return list(views.values())


def _agreed(verb: Verb, views: Sequence[JobView], all_matching: bool, yes: bool) -> bool:
    """Whether a person at a terminal says so. Nobody is asked in a script, or about named jobs that can be had back."""
    if yes or not sys.stdin.isatty() or not (all_matching or verb.final):
        return True
    which = f"job {views[0].job.id}" if len(views) == 1 else f"{len(views)} jobs"
    return click.confirm(f"{verb.name.capitalize()} {which}?", err=True)


def _one(house: House, verb: Verb, view: JobView, dry_run: bool, as_json: bool) -> None:
    id_ = view.job.id
    refusal = verb.refusal(view)
    if refusal is not None:
        raise refusal
    if dry_run:
        name = printable(view.job.source.name)
        if as_json:
            print_json({"id": id_, "state": view.state.value, "name": name, "would": verb.name})
        else:
            click.echo(f"{id_[-SHORT:]}  would be {verb.done}: {view.state}, {view.job.bin}, {name}")
        return
    document, words = verb.act(house, view)
    if as_json:
        print_json({"id": id_, "state": state_of(house.queue, id_), **document})
    else:
        click.echo(f"{id_}: {words}")


def _told(error: Fatal, id_: str, as_json: bool) -> int:
    if as_json:
        print_json({"id": printable(id_), "error": error.info().public()})
    return refused(error)


def _summary(verb: Verb, done: int, refusals: int, dry_run: bool) -> str:
    words = f"{done} {'would be ' if dry_run else ''}{verb.done}"
    return f"{words}, {refusals} refused." if refusals else f"{words}."


def _say_if_nobody_works(queue: Queue) -> None:
    if not any(not pool.own_jobs_only and not pool.draining for pool in queue.pools()):
        click.echo("No pool is at work; `vidprocme worker` or `vidprocme up` starts one.", err=True)


def refused(error: VidprocmeError) -> int:
    """Say why, on stderr; returns the exit status."""
    return fail(error)


def state_of(queue: Queue, job: JobId) -> str:
    view = queue.job(job)
    return view.state.value if view else "gone"


def _tasks(count: int) -> str:
    return f"{count} task{'s' * (count != 1)}"
