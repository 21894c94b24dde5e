"""`vidprocme tenants`: who used how much, and whose turn weighs how much."""

from __future__ import annotations

import shutil

import click

from vidprocme.cli.bins import limit_of
from vidprocme.cli.options import house_of
from vidprocme.cli.words import clipped, print_json, printable
from vidprocme.core.shares import WEIGHT_MOST, TenantShare, tenant_named

JSON = click.option("--json", "as_json", is_flag=True, help="One document on stdout.")


@click.group()
def tenants() -> None:
    """For whom jobs are (`process --tenant`): of one bin, whoever has used least for its weight is next."""


@tenants.command("ls")
@JSON
@click.pass_context
def list_tenants(ctx: click.Context, as_json: bool) -> int:
    """Who runs or used something, or has a weight or a limit.

    USED is core-seconds (a GPU counts as 12 cores); half of it is forgotten every 10 minutes.
    """
    with house_of(ctx) as house:
        found = house.queue.tenants()
    if as_json:
        print_json({"items": [_document(name, share) for name, share in found.items()]})
        return 0
    if not found:
        click.echo("No tenants yet. Jobs that name none are of the tenant default.", err=True)
        return 0
    click.echo("      USED  WEIGHT  RUNNING  LIMIT  TENANT")
    room = shutil.get_terminal_size().columns - len("      USED  WEIGHT  RUNNING  LIMIT  ")
    for name, share in found.items():
        limit = "-" if share.limit is None else share.limit
        used = f"{share.used / 1e6:,.1f}"
        click.echo(
            f"{used:>10}  {share.weight:>6}  {share.running:>7}  {limit:>5}  {clipped(printable(name), max(8, room))}"
        )
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
    with house_of(ctx) as house:
        now = house.queue.tenants().get(name, TenantShare())
        most = now.limit if limit is None else limit_of(limit)
        house.queue.set_tenant(name, now.weight if weight is None else weight, most)
        share = house.queue.tenants().get(name, TenantShare())
    if as_json:
        print_json(_document(name, share))
    else:
        limited = "no limit" if share.limit is None else f"at most {share.limit} at once"
        click.echo(f"{printable(name)}: weight {share.weight}, {limited}.")
    return 0


def _document(name: str, share: TenantShare) -> dict[str, object]:
    return {
        "tenant": name,
        "used_core_s": round(share.used / 1e6, 3),
        "weight": share.weight,
        "running": share.running,
        "limit": share.limit,
    }
