"""`vidprocme watch`: one job as it goes, or the whole house."""

from __future__ import annotations

import sys
import time

import click

from vidprocme.cli.canvas import Canvas
from vidprocme.cli.exits import FAILED
from vidprocme.cli.guessing import complete_job
from vidprocme.cli.logs import Story
from vidprocme.cli.options import client_of, same_house
from vidprocme.cli.picking import find
from vidprocme.cli.status import keep_showing
from vidprocme.cli.waiting import line_of
from vidprocme.cli.words import json_text, terminal_size
from vidprocme.client.base import Client, Document
from vidprocme.core.errors import VidprocmeError

LOOK_EVERY_S = 1.0


@click.command()
@click.argument("job", metavar="[ID]", required=False, shell_complete=complete_job)
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each event, or for each look.")
@click.pass_context
def watch(ctx: click.Context, job: str | None, as_json: bool) -> int:
    """What happens to a job, until it has ended; without an ID as `status --watch`. Ctrl-C leaves: the job goes on.

    Of a job, the exit status is 0 when it succeeded, 1 when it failed, was cancelled or is gone.
    """
    with client_of(ctx) as client:
        if job is None:
            keep_showing(client, as_json)
            return 0
        return _watch(client, find(client, job), as_json)


def _watch(client: Client, job: Document, as_json: bool) -> int:
    story = Story(client, job)
    show = _Show(client, story, job["name"], as_json)
    try:
        for event in story.happenings.lively("", "fleet" if show.live else ""):
            show.event(event)
    except KeyboardInterrupt:
        show.clear()
        if not as_json:
            click.echo(f"It goes on. Come back with: {same_house()} watch {job['id']}", err=True)
        raise
    show.clear()
    ended = story.happenings.job
    return 0 if ended is not None and ended["state"] == "succeeded" else FAILED


class _Show:
    """Events as lines; on a terminal, below them how far each stage is."""

    def __init__(self, client: Client, story: Story, name: str, as_json: bool) -> None:
        self._client, self._story, self._name, self._as_json = client, story, name, as_json
        self.live = sys.stdout.isatty() and not as_json
        self._canvas, self._looked_s = Canvas(sys.stdout), float("-inf")

    def event(self, event: Document | None) -> None:
        if event is not None:
            text = json_text(self._story.document(event)) if self._as_json else "\n".join(self._story.lines(event))
            self._canvas.say(text)
        if self.live and (event is not None or time.monotonic() - self._looked_s >= LOOK_EVERY_S):
            self._draw()

    def clear(self) -> None:
        if self.live:
            self._canvas.clear()

    def _draw(self) -> None:
        self._looked_s = time.monotonic()
        try:
            job = self._client.ask("GET", f"/v1/jobs/{self._story.happenings.id}")
        except VidprocmeError:
            return  # the events say what is wrong, or go on when it is mended
        self._canvas.draw([line_of(self._name, job, terminal_size(sys.stdout).columns)])
