"""`vidprocme webhooks`: where else what happens is told."""

from __future__ import annotations

import click

from vidprocme.cli.options import LIST_OPTIONS, client_of, shape_of, with_options
from vidprocme.cli.picking import webhook_of
from vidprocme.cli.words import folded, print_json, printable, printed

JSON = click.option("--json", "as_json", is_flag=True, help="The document that the HTTP API answers with.")


@click.group()
def webhooks() -> None:
    """Addresses that are told what happens: list, add, test or remove some."""


@webhooks.command("ls")
@with_options(LIST_OPTIONS)
@click.pass_context
def list_webhooks(ctx: click.Context, output: str | None, as_json: bool) -> int:
    """List them, each with what its address answered last."""
    with client_of(ctx) as client:
        found = client.ask("GET", "/v1/webhooks")
    if printed(found, shape_of(output, as_json)):
        return 0
    if not found["items"]:
        click.echo("No webhooks yet: vidprocme webhooks add NAME URL", err=True)
    for hook in found["items"]:
        state = "off" if not hook["enabled"] else "fails" if hook["failing_since"] else "on"
        last = "" if hook["last_at"] is None else f", answered {hook['last_status'] or 'nothing'} at {hook['last_at']}"
        click.echo(f"{hook['id']}  {state}  {printable(hook['name'])}  {printable(hook['url'])}")
        click.echo(f"   {', '.join(hook['events'])}{last}")
    return 0


@webhooks.command()
@click.argument("name")
@click.argument("url")
@click.option("--event", "events", multiple=True, help="Such as job.failed, alert.opened; without: all.")
@JSON
@click.pass_context
def add(ctx: click.Context, name: str, url: str, events: tuple[str, ...], as_json: bool) -> int:
    """Tell URL what happens. The secret that signs it is shown this once."""
    with client_of(ctx) as client:
        made = client.ask("POST", "/v1/webhooks", body={"name": name, "url": url, "events": list(events) or ["*"]})
    if as_json:
        print_json(made)
    else:
        click.echo(f"{made['id']}: added. Its secret, shown this once:", err=True)
        click.echo(made["secret"])
    return 0


@webhooks.command()
@click.argument("id_", metavar="ID|NAME")
@click.pass_context
def test(ctx: click.Context, id_: str) -> int:
    """Send a test, and say what became of it."""
    with client_of(ctx) as client:
        id_ = webhook_of(client, id_)
        tried = client.ask("POST", f"/v1/webhooks/{id_}/test")
    said = "arrived" if tried["error"] is None else tried["error"]
    click.echo("\n".join(folded(f"{id_}: {said} ({tried['took_s']:.1f} s)", "")))
    return 0 if tried["error"] is None else 1


@webhooks.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID|NAME...")
@click.pass_context
def rm(ctx: click.Context, ids: tuple[str, ...]) -> int:
    """Remove webhooks."""
    with client_of(ctx) as client:
        for id_ in [webhook_of(client, given) for given in ids]:
            client.ask("DELETE", f"/v1/webhooks/{id_}")
            click.echo(f"{id_}: removed.")
    return 0
