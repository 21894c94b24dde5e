"""`vidprocme bins`: how much waits in each, pausing them, and how much of each may run at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from vidprocme.cli.options import LIST_OPTIONS, client_of, shape_of, with_options
from vidprocme.cli.words import age_text, print_json, printed
from vidprocme.core.errors import BadWish
from vidprocme.core.job import Bin

BINS = click.argument("bins", nargs=-1, required=True, metavar="BIN...")
JSON = click.option("--json", "as_json", is_flag=True, help="One document on stdout.")


@click.group()
def bins() -> None:
    """The bins that tasks wait in, most urgent first: list them, pause, resume or limit some."""


@bins.command("ls")
@with_options(LIST_OPTIONS)
@click.pass_context
def list_bins(ctx: click.Context, output: str | None, as_json: bool) -> int:
    """What waits and runs in each bin, since when, and what holds it back.

    After OVERDUE AFTER the oldest task of a bin gets turns of its own, before fresher ones of more urgent bins.
    """
    with client_of(ctx) as client:
        found = client.ask("GET", "/v1/bins")
    if printed(found, shape_of(output, as_json), "name"):
        return 0
    click.echo("BIN      WAITING  OLDEST  OVERDUE AFTER  RUNNING  LIMIT  STATE")
    for row in found["items"]:
        oldest, after = _age(row["oldest_wait_s"], "-"), _age(row["overdue_after_s"], "never")
        limit = "-" if row["limit"] is None else row["limit"]
        state = "paused" if row["paused"] else "open"
        click.echo(
            f"{row['name']:<7}  {row['waiting']:>7}  {oldest:>6}  {after:>13}  {row['running']:>7}  {limit:>5}  {state}"
        )
    return 0


@bins.command()
@BINS
@JSON
@click.pass_context
def pause(ctx: click.Context, bins: tuple[str, ...], as_json: bool) -> int:
    """Start nothing more of these bins, until they are resumed. What runs goes on; it holds across restarts."""
    return _set(ctx, bins, as_json, paused=True)


@bins.command()
@BINS
@JSON
@click.pass_context
def resume(ctx: click.Context, bins: tuple[str, ...], as_json: bool) -> int:
    """Let what waits in these bins start again."""
    return _set(ctx, bins, as_json, paused=False)


@bins.command()
@click.argument("bin_", metavar="BIN")
@click.argument("limit", metavar="N|none")
@JSON
@click.pass_context
def limit(ctx: click.Context, bin_: str, limit: str, as_json: bool) -> int:
    """Let at most N tasks of a bin run at once, over all pools. What runs already goes on."""
    (wanted,) = _named((bin_,))
    most = limit_of(limit)
    with client_of(ctx) as client:
        found = client.ask("PATCH", f"/v1/bins/{wanted}", body={"limit": most})
    if as_json:
        print_json(found)
    else:
        click.echo(f"{wanted}: {'no limit' if not most else f'at most {most} at once'}.")
    return 0


def limit_of(text: str) -> int:
    """As the API takes it: 0 is none.

    Raises:
        BadWish: LIMIT_BAD.
    """
    if text == "none":
        return 0
    if not text.isdecimal() or not int(text):
        raise BadWish(
            "LIMIT_BAD", f"A limit is a whole number from 1 on, or none, not {text!r}.", "To stop a bin, pause it."
        )
    return int(text)


def _set(ctx: click.Context, names: tuple[str, ...], as_json: bool, *, paused: bool) -> int:
    """Said twice it is no error: the bin is as it should be."""
    wanted = _named(names)
    with client_of(ctx) as client:
        before = {one["name"]: one["paused"] for one in client.ask("GET", "/v1/bins")["items"]}
        documents: list[dict[str, Any]] = []
        for bin_ in wanted:
            documents.append(client.ask("PATCH", f"/v1/bins/{bin_}", body={"paused": paused}))
            if not as_json:
                click.echo(f"{bin_}: {'paused' if paused else 'open'}{' already' if before[bin_] == paused else ''}.")
    if as_json:
        print_json({"items": documents})
    return 0


def _named(names: Sequence[str]) -> tuple[str, ...]:
    """
    Raises:
        BadWish: BIN_UNKNOWN.
    """
    wrong = [name for name in names if name not in list(Bin)]
    if wrong:
        raise BadWish("BIN_UNKNOWN", f"There is no bin {wrong[0]!r}.", f"Bins: {', '.join(Bin)}.")
    return tuple(dict.fromkeys(names))


def _age(seconds: float | None, nothing: str) -> str:
    return nothing if seconds is None else age_text(seconds)
