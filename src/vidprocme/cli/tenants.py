"""`vidprocme tenants`: who used how much, and whose turn weighs how much."""

from __future__ import annotations

import shutil
from urllib.parse import quote

import click

from vidprocme.cli.bins import limit_of
from vidprocme.cli.options import LIST_OPTIONS, client_of, shape_of, with_options
from vidprocme.cli.words import clipped, print_json, printable, printed
from vidprocme.core.shares import WEIGHT_MOST, tenant_named

JSON = click.option("--json", "as_json", is_flag=True, help="One document on stdout.")


@click.group()
def tenants() -> None:
    """For whom jobs are (`process --tenant`): of one bin, whoever has used least for its weight is next."""


@tenants.command("ls")
@with_options(LIST_OPTIONS)
@click.pass_context
def list_tenants(ctx: click.Context, output: str | None, as_json: bool) -> int:
    """Who runs or used something, or has a weight or a limit.

    USED is core-seconds (a GPU counts as 12 cores), and one second more for each start; half of it is forgotten every 10 minutes.
    """
    with client_of(ctx) as client:
        answer = client.ask("GET", "/v1/tenants")
    if printed(answer, shape_of(output, as_json), "name"):
        return 0
    found = answer["items"]
    if not found:
        click.echo("No tenants yet. Jobs that name none are of the tenant default.", err=True)
        return 0
    click.echo("      USED  WEIGHT  RUNNING  LIMIT  TENANT")
    room = shutil.get_terminal_size().columns - len("      USED  WEIGHT  RUNNING  LIMIT  ")
    for one in found:
        limit = "-" if one["limit"] is None else one["limit"]
        used, name = f"{one['used_core_s']:,.1f}", clipped(printable(one["name"]), max(8, room))
        click.echo(f"{used:>10}  {one['weight']:>6}  {one['running']:>7}  {limit:>5}  {name}")
    return 0


@tenants.command("set")
@click.argument("name", metavar="TENANT")
@click.option("--weight", type=click.IntRange(1, WEIGHT_MOST), help="Its share beside the others'. Without: as it is.")
@click.option("--limit", metavar="N|none", help="Tasks that may run at once, over all pools. Without: as it is.")
@JSON
@click.pass_context
def set_tenant(ctx: click.Context, name: str, weight: int | None, limit: str | None, as_json: bool) -> int:
    """Set a tenant's weight, or how many of its tasks may run at once."""
    tenant_named(name)
    wish = {"weight": weight} | ({} if limit is None else {"limit": limit_of(limit)})
    with client_of(ctx) as client:
        found = client.ask("PATCH", f"/v1/tenants/{quote(name, safe='')}", body=wish)
    if as_json:
        print_json(found)
    else:
        limited = "no limit" if found["limit"] is None else f"at most {found['limit']} at once"
        click.echo(f"{printable(name)}: weight {found['weight']}, {limited}.")
    return 0
