"""`vidprocme sim record`: a live queue's videos as a table that `sim queueing --trace` plays."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import click

from vidprocme.cli.options import house_of
from vidprocme.core.errors import BadWish, Fatal
from vidprocme.core.job import JobState, Next, TaskState
from vidprocme.core.when import moment_ms
from vidprocme.queue.base import JobView, Queue, TaskView
from vidprocme.simulator.films import Ran, Recorded, films_of, rows


def run(ctx: click.Context, since: str | None, on_progress: Callable[[int, int], None]) -> int:
    """
    Raises:
        BadWish: TIME_UNREADABLE. Fatal: NOTHING_RECORDED.
    """
    if os.environ.get("VIDPROCME_SERVER"):
        raise BadWish(
            "LOCAL_VERB",
            "`sim record` reads a queue on this machine, and VIDPROCME_SERVER names a server.",
            "Run it there, or unset the variable; --data names the folder of a house.",
        )
    with house_of(ctx) as house:
        queue = house.queue
        since_ms = moment_ms(since, queue.now_ms()) if since is not None else None
        found: list[Recorded] = []
        others = 0
        for number, view in enumerate(queue.each_job(since_ms=since_ms), 1):
            if view.state is JobState.SUCCEEDED:
                found.append(Recorded(view.submitted_ms, view.job.bin, view.job.tenant, tuple(_tasks(queue, view))))
            else:
                others += 1
            on_progress(number, number)
    films = films_of(found)
    if not films:
        when = "in that time" if since is not None else f"in the house of {house.data}"
        hint = "Name an earlier --since, or none." if since is not None else "Name another house with --data."
        raise Fatal("NOTHING_RECORDED", f"No job has succeeded {when}.", hint)
    for line in rows(films):
        click.echo(line, nl=False)
    left = f"; {others:,} that failed, were cancelled or go on are left out" if others else ""
    click.echo(f"{len(films):,} videos recorded{left}", err=True)
    return 0


def _tasks(queue: Queue, view: JobView) -> Iterator[Ran]:
    for task in queue.tasks(view.job.id):
        ran = _ran(queue, task)
        if ran is not None:
            yield ran


def _ran(queue: Queue, view: TaskView) -> Ran | None:
    """Its last attempt, if it ended well."""
    if view.state is not TaskState.SUCCEEDED:
        return None
    good = [one for one in queue.attempts(view.task.id) if one.next == Next.SUCCEED]
    if not good:
        return None
    last, task = good[-1], view.task
    return Ran(task.stage, task.index, task.model, task.size, last.place, last.started_ms, last.ended_ms)
