"""`vidprocme nodes`: the machines that have a pool, and draining one before it is switched off."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import click

from vidprocme.cli.options import LIST_OPTIONS, client_of, shape_of, with_options
from vidprocme.cli.words import age_text, clipped, print_json, printable, printed

NODES = click.argument("nodes", nargs=-1, required=True, metavar="NODE...")
JSON = click.option("--json", "as_json", is_flag=True, help="One document on stdout.")


@click.group()
def nodes() -> None:
    """The machines that pools run on: list them, drain or undrain some."""


@nodes.command("ls")
@with_options(LIST_OPTIONS)
@click.pass_context
def list_nodes(ctx: click.Context, output: str | None, as_json: bool) -> int:
    """Machines with their pools, and how many of their slots are busy; drained ones also when no pool is there."""
    with client_of(ctx) as client:
        found = client.ask("GET", "/v1/nodes")
    if printed(found, shape_of(output, as_json)):
        return 0
    if not found["items"]:
        click.echo("No pool is at work. Start one: vidprocme worker (or vidprocme up).", err=True)
        return 0
    click.echo("POOLS  BUSY  SLOTS      UP  STATE     NODE")
    for node in found["items"]:
        busy, slots = (sum(place[name] for place in node["places"]) for name in ("busy", "slots"))
        name = clipped(printable(node["id"]), 40)
        click.echo(f"{node['pools']:>5}  {busy:>4}  {slots:>5}  {_up(node):>6}  {node['state']:<8}  {name}")
    return 0


@nodes.command()
@NODES
@JSON
@click.pass_context
def drain(ctx: click.Context, nodes: tuple[str, ...], as_json: bool) -> int:
    """Start nothing new on these machines, until they are undrained. What runs ends; it holds across restarts."""
    return _set(ctx, nodes, as_json, "drain")


@nodes.command()
@NODES
@JSON
@click.pass_context
def undrain(ctx: click.Context, nodes: tuple[str, ...], as_json: bool) -> int:
    """Let drained machines take work again."""
    return _set(ctx, nodes, as_json, "undrain")


def _set(ctx: click.Context, nodes: tuple[str, ...], as_json: bool, verb: str) -> int:
    """Said twice it is no error: the machine is as it should be."""
    documents = []
    with client_of(ctx) as client:
        for node in nodes:
            documents.append(client.ask("POST", f"/v1/nodes/{quote(node, safe='')}/{verb}"))
            if not as_json:
                by = documents[-1]["drained_by"]
                told = f"draining (by {printable(by)})" if by else documents[-1]["state"]
                click.echo(f"{printable(node)}: {told}.")
    if as_json:
        print_json({"items": documents})
    return 0


def _up(node: dict[str, Any]) -> str:
    if node["started_at"] is None:
        return "-"
    return age_text((datetime.now(UTC) - datetime.fromisoformat(node["started_at"])).total_seconds())
