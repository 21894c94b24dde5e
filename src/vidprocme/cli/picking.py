"""How a person names jobs on a command line: by id, whole or shortened, or by what is true of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from vidprocme.core.errors import BadWish, Fatal
from vidprocme.core.ids import JobId
from vidprocme.core.job import Bin, JobState
from vidprocme.core.when import TIMES, moment_ms
from vidprocme.dispatch.choosing import Choice
from vidprocme.queue.base import Queue

FORGOTTEN_LOOKED_FOR = 100  # of so many with the same beginning or end those are left out that are on their way out

CHOICE_OPTIONS: Sequence[Callable[[Any], Any]] = (
    click.option(
        "--state", "states", multiple=True, type=click.Choice([s.value for s in JobState]), help="In this state."
    ),
    click.option("--bin", "bins", multiple=True, type=click.Choice([b.value for b in Bin]), help="In this bin."),
    click.option("--tenant", "tenants", multiple=True, metavar="NAME", help="Of this tenant."),
    click.option("--since", metavar="WHEN", help=f"Submitted since: {TIMES}."),
    click.option("--until", metavar="WHEN", help="Submitted before."),
    click.option("--name", metavar="GLOB", help="Named so: '*.mov' (any case)."),
)


def choice_of(
    now_ms: int,
    *,
    states: Sequence[str],
    bins: Sequence[str],
    tenants: Sequence[str],
    since: str | None,
    until: str | None,
    name: str | None,
) -> Choice:
    """The options of CHOICE_OPTIONS as a Choice; each that can be given several times means any of them.

    Raises:
        BadWish: TIME_UNREADABLE.
    """
    return Choice(
        states=frozenset(map(JobState, states)),
        bins=frozenset(map(Bin, bins)),
        tenants=frozenset(tenants),
        since_ms=None if since is None else moment_ms(since, now_ms),
        until_ms=None if until is None else moment_ms(until, now_ms),
        name=name or "",
    )


def resolve(queue: Queue, given: str) -> JobId:
    """The one job whose id begins or ends so.

    Raises:
        Fatal: JOB_UNKNOWN. BadWish: JOB_AMBIGUOUS.
    """
    part = given.upper().removeprefix("JOB_") if given.isascii() else ""
    if part and queue.job(JobId(given)) is not None:
        return JobId(given)
    found = queue.find_jobs(part)
    if len(found) <= FORGOTTEN_LOOKED_FOR:
        found = tuple(id_ for id_ in found if queue.job(id_) is not None)
    if not found:
        raise Fatal("JOB_UNKNOWN", f"There is no job {given!r}.", "`vidprocme jobs ls` shows those there are.")
    if len(found) > 1:
        raise BadWish(
            "JOB_AMBIGUOUS",
            f"{given!r} stands for {len(found)} jobs: {', '.join(found[:3])}{' ...' if len(found) > 3 else ''}.",
            "Give more of it.",
        )
    return found[0]
