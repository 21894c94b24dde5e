"""`vidprocme logs JOB --task T`: the log of one attempt, once or followed to its end."""

from __future__ import annotations

import sys
import time
from typing import Any

import click

from vidprocme.cli.exits import FAILED
from vidprocme.cli.options import client_of
from vidprocme.cli.picking import resolve
from vidprocme.client.base import Client
from vidprocme.core.errors import BadWish

LOOK_EVERY_S = 0.5
GOOD = frozenset({None, "ok", "cancelled"})


def print_log(ctx: click.Context, job: str, task: str | None, number: int | None, *, follow: bool) -> int:
    """The log on stdout; which attempt it is of, on stderr. With `follow` the exit status says whether the attempt went well.

    Raises:
        BadWish: ATTEMPT_UNKNOWN; what the server says of job, task and log.
    """
    with client_of(ctx) as client:
        job = resolve(client, job)
        chosen = _chosen(list(client.items(f"/v1/jobs/{job}/attempts")), job, task, number)
        click.echo(f"{chosen['task'].partition(':')[2]}, attempt {chosen['number']}, on {chosen['place']}", err=True)
        path = f"/v1/jobs/{job}/attempts/{chosen['task']}/{chosen['number']}/log"
        if follow and chosen["outcome"] is None:
            _follow(client, path)
            ended = client.items(f"/v1/jobs/{job}/attempts")
            same = (one for one in ended if (one["task"], one["number"]) == (chosen["task"], chosen["number"]))
            chosen = next(same, chosen)
        else:
            client.fetch(f"{path}.txt", lambda piece: sys.stdout.write(piece.decode(errors="replace")))
    return FAILED if follow and chosen["outcome"] != "ok" else 0


def _follow(client: Client, path: str) -> None:
    offset = 0
    while True:
        part = client.ask("GET", path, params={"offset": offset})
        if part["text"]:
            click.echo(part["text"], nl=False)
        offset = part["next_offset_bytes"]
        if part["ended"] and offset >= part["size_bytes"]:
            return
        if offset >= part["size_bytes"]:
            time.sleep(LOOK_EVERY_S)


def _chosen(attempts: list[dict[str, Any]], job: str, task: str | None, number: int | None) -> dict[str, Any]:
    """The attempt that was named; of several the newest one that went wrong, else the newest.

    Running ones come first, then the newest.
    """
    wanted = [
        one
        for one in attempts
        if (task is None or one["task"] in (task, f"{job}:{task}")) and (number is None or one["number"] == number)
    ]
    if not wanted:
        there = sorted({one["task"].partition(":")[2] for one in attempts})
        raise BadWish(
            "ATTEMPT_UNKNOWN",
            f"Job {job} has no attempt" + (f" {number}" if number else "") + (f" of {task}" if task else "") + ".",
            f"There are attempts of: {', '.join(there[:20]) or 'nothing yet'}.",
        )
    return next((one for one in wanted if task is None and one["outcome"] not in GOOD), wanted[0])
