"""`vidprocme alive`: the health check of a container or pod."""

from __future__ import annotations

import click

from vidprocme.config import load
from vidprocme.monitor.alive import STILL_S, look

EXIT_OK, EXIT_FAILED = 0, 1


@click.command()
@click.option(
    "--within",
    metavar="S",
    type=click.FloatRange(min=1),
    default=STILL_S,
    show_default=True,
    help="A loop that has not moved for so long stands still.",
)
@click.pass_context
def alive(ctx: click.Context, within: float) -> int:
    """Say whether the pools and servers of this data folder, on this machine or in this container, move.

    Exit status 0 when there is one and all of them do, else 1. Redis is not asked: what waits for it is alive.
    """
    data = load({"data": (ctx.obj or {}).get("data")}).data
    signs = look(data)
    for sign in signs:
        still = "" if sign.age_s <= within else f": it stands still (more than {within:g} s)"
        click.echo(f"{sign.kind} {sign.pid} moved {sign.age_s:.0f} s ago{still}")
    if not signs:
        click.echo(f"No pool and no server of {data} runs here.", err=True)
    return EXIT_OK if signs and all(sign.age_s <= within for sign in signs) else EXIT_FAILED
