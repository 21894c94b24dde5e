"""`vidprocme nodes`: the machines that have a pool, and draining one before it is switched off."""

from __future__ import annotations

import getpass

import click

from vidprocme.cli.options import house_of
from vidprocme.cli.words import age_text, clipped, print_json, printable
from vidprocme.core.errors import BadWish
from vidprocme.queue.base import PoolView
from vidprocme.wiring import House

NODES = click.argument("nodes", nargs=-1, required=True, metavar="NODE...")
JSON = click.option("--json", "as_json", is_flag=True, help="One document on stdout.")


@click.group()
def nodes() -> None:
    """The machines that pools run on: list them, drain or undrain some."""


@nodes.command("ls")
@JSON
@click.pass_context
def list_nodes(ctx: click.Context, as_json: bool) -> int:
    """Machines with their pools, and how many of their slots are busy; drained ones also when no pool is there."""
    with house_of(ctx) as house:
        rows = _rows(house)
    if as_json:
        print_json({"items": rows})
        return 0
    if not rows:
        click.echo("No pool is at work. Start one: vidprocme worker (or vidprocme up).", err=True)
        return 0
    click.echo("POOLS  BUSY  SLOTS      UP  STATE     NODE")
    for row in rows:
        up = "-" if row["up_s"] is None else age_text(float(str(row["up_s"])))
        name = clipped(printable(str(row["node"])), 40)
        click.echo(f"{row['pools']:>5}  {row['busy']:>4}  {row['slots']:>5}  {up:>6}  {row['state']:<8}  {name}")
    return 0


@nodes.command()
@NODES
@JSON
@click.pass_context
def drain(ctx: click.Context, nodes: tuple[str, ...], as_json: bool) -> int:
    """Start nothing new on these machines, until they are undrained. What runs ends; it holds across restarts."""
    with house_of(ctx) as house:
        known = {str(row["node"]) for row in _rows(house)}
        wrong = [node for node in nodes if node not in known]
        if wrong:
            there = ", ".join(sorted(known)) or "none"
            raise BadWish(
                "NODE_UNKNOWN", f"No pool of a machine {printable(wrong[0])[:100]!r} is there.", f"There: {there}."
            )
        changed = {node: house.queue.drain_node(node, _who()) for node in nodes}
    return _tell(changed, as_json, "draining")


@nodes.command()
@NODES
@JSON
@click.pass_context
def undrain(ctx: click.Context, nodes: tuple[str, ...], as_json: bool) -> int:
    """Let drained machines take work again."""
    with house_of(ctx) as house:
        changed = {node: house.queue.undrain_node(node) for node in nodes}
    return _tell(changed, as_json, "not drained")


def _tell(changed: dict[str, bool], as_json: bool, word: str) -> int:
    """Said twice it is no error: the machine is as it should be."""
    if as_json:
        print_json({"changed": [node for node, did in changed.items() if did]})
        return 0
    for node, did in changed.items():
        click.echo(f"{printable(node)}: {word}{'' if did else ' already'}.")
    return 0


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "command line"


def _rows(house: House) -> list[dict[str, object]]:
    queue = house.queue
    drained, now_ms = queue.drained_nodes(), queue.now_ms()
    found: dict[str, list[PoolView]] = {node: [] for node in drained}
    for pool in queue.fleet():
        found.setdefault(pool.node, []).append(pool)
    rows: list[dict[str, object]] = []
    for node, pools in sorted(found.items()):
        places = [place for pool in pools if pool.report for place in pool.report.places]
        draining = node in drained or all(pool.info.draining for pool in pools)
        rows.append(
            {
                "node": node,
                "pools": len(pools),
                "busy": sum(place.busy for place in places),
                "slots": sum(place.slots for place in places),
                "up_s": max((now_ms - pool.info.started_ms) / 1000 for pool in pools) if pools else None,
                "state": "draining" if draining else "working",
                "drained_by": drained.get(node),
            }
        )
    return rows
