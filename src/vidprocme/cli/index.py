"""`vidprocme index`: the search index is derived; this makes it again."""

from __future__ import annotations

import contextlib
import fcntl
import sys

import click

from vidprocme.cli.options import house_of
from vidprocme.core.errors import Retryable
from vidprocme.dispatch.follower import rebuild
from vidprocme.dispatch.jobs_follower import rebuild_jobs
from vidprocme.dispatch.repeating import repeat_notes
from vidprocme.library.notes import VIDEO_NOTES, VideoNote


@click.group()
def index() -> None:
    """The search index of the data folder."""


@index.command("rebuild")
@click.pass_context
def rebuild_index(ctx: click.Context) -> None:
    """Make the index again from the queue and the blobs. Safe at any time."""
    with house_of(ctx) as house:
        queue = house.queue
        house.follower_lock.parent.mkdir(parents=True, exist_ok=True)
        with house.follower_lock.open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Retryable(
                    "INDEX_FOLLOWED",
                    "Another vidprocme process is writing this index now.",
                    "Stop it (or wait for it), then run this again.",
                ) from None
            with contextlib.closing(house.open_index()) as target:
                live = sys.stderr.isatty()
                target.clear()
                repeat_notes(house.records(VIDEO_NOTES, VideoNote), target)
                total = rebuild_jobs(queue, target)

                def on_progress(done: int) -> None:
                    if live:
                        click.echo(f"\r{done} of {total}", nl=False, err=True)

                count = rebuild(queue, house.blobs, target, on_progress)
        start = "\r" if live else ""
        click.echo(f"{start}{count} job{'' if count == 1 else 's'} indexed.", err=True)
