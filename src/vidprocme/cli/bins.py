"""`vidprocme bins`: how much waits in each, pausing them, and how much of each may run at once."""

from __future__ import annotations

from collections.abc import Sequence

import click

from vidprocme.cli.options import house_of
from vidprocme.cli.words import age_text, print_json
from vidprocme.core.errors import BadWish
from vidprocme.core.job import Bin
from vidprocme.wiring import House

BINS = click.argument("bins", nargs=-1, required=True, metavar="BIN...")
JSON = click.option("--json", "as_json", is_flag=True, help="One document on stdout.")


@click.group()
def bins() -> None:
    """The bins that tasks wait in, most urgent first: list them, pause, resume or limit some."""


@bins.command("ls")
@JSON
@click.pass_context
def list_bins(ctx: click.Context, as_json: bool) -> int:
    """What waits and runs in each bin, since when, and what holds it back.

    After OVERDUE AFTER the oldest task of a bin gets turns of its own, before fresher ones of more urgent bins.
    """
    with house_of(ctx) as house:
        rows = _rows(house)
    if as_json:
        print_json({"items": rows})
        return 0
    click.echo("BIN      WAITING  OLDEST  OVERDUE AFTER  RUNNING  LIMIT  STATE")
    for row in rows:
        oldest, after = _age(row["oldest_wait_s"], "-"), _age(row["overdue_after_s"], "never")
        limit = "-" if row["limit"] is None else row["limit"]
        state = "paused" if row["paused"] else "open"
        click.echo(
            f"{row['bin']:<7}  {row['waiting']:>7}  {oldest:>6}  {after:>13}  {row['running']:>7}  {limit:>5}  {state}"
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
    with house_of(ctx) as house:
        house.queue.limit_bin(wanted, most)
    if as_json:
        print_json({"bin": wanted.value, "limit": most})
    else:
        click.echo(f"{wanted}: {'no limit' if most is None else f'at most {most} at once'}.")
    return 0


def limit_of(text: str) -> int | None:
    """
    Raises:
        BadWish: LIMIT_BAD.
    """
    if text == "none":
        return None
    if not text.isdecimal():
        raise BadWish("LIMIT_BAD", f"A limit is a whole number, or none, not {text!r}.")
    return int(text)


def _set(ctx: click.Context, names: tuple[str, ...], as_json: bool, *, paused: bool) -> int:
    """Said twice it is no error: the bin is as it should be."""
    wanted = _named(names)
    with house_of(ctx) as house:
        for bin_ in wanted:
            changed = house.queue.pause(bin_) if paused else house.queue.resume(bin_)
            if not as_json:
                word = "paused" if paused else "open"
                click.echo(f"{bin_}: {word}{'' if changed else ' already'}.")
        if as_json:
            print_json({"paused": [bin_.value for bin_ in Bin if bin_ in house.queue.paused()]})
    return 0


def _named(names: Sequence[str]) -> tuple[Bin, ...]:
    """
    Raises:
        BadWish: BIN_UNKNOWN.
    """
    wrong = [name for name in names if name not in list(Bin)]
    if wrong:
        raise BadWish("BIN_UNKNOWN", f"There is no bin {wrong[0]!r}.", f"Bins: {', '.join(Bin)}.")
    return tuple(dict.fromkeys(map(Bin, names)))


def _rows(house: House) -> list[dict[str, object]]:
    queue = house.queue
    depth, shares = queue.depth(), queue.bins()
    now_ms = queue.now_ms()
    rows: list[dict[str, object]] = []
    for bin_ in Bin:
        since_ms = depth.oldest_by_bin_ms.get(bin_)
        bound_ms = house.policy.max_wait_ms.get(bin_)
        rows.append(
            {
                "bin": bin_.value,
                "waiting": depth.waiting_by_bin.get(bin_, 0),
                "oldest_wait_s": None if since_ms is None else round(max(0, now_ms - since_ms) / 1000, 1),
                "overdue_after_s": None if bound_ms is None else bound_ms / 1000,
                "running": shares[bin_].running,
                "limit": shares[bin_].limit,
                "paused": shares[bin_].paused,
            }
        )
    return rows


def _age(seconds: object, nothing: str) -> str:
    return nothing if seconds is None else age_text(float(str(seconds)))
