"""`vidprocme keys`: who may ask the server. Works on the data folder, so that the first key can be made; and over HTTP."""

from __future__ import annotations

import click

from vidprocme.cli.options import LIST_OPTIONS, client_of, shape_of, with_options
from vidprocme.cli.words import print_json, printable, printed
from vidprocme.cli.wrap import wrapped
from vidprocme.core.errors import BadWish
from vidprocme.core.when import duration_s

JSON = click.option("--json", "as_json", is_flag=True, help="One document on stdout.")
SCOPES = ("read", "submit", "operate", "admin")


@click.group()
def keys() -> None:
    """Keys of the server. With the first one it asks everybody for theirs, on this machine too (but see VIDPROCME_AUTH)."""


@keys.command("add")
@click.argument("name")
@click.option(
    "--scope", type=click.Choice(SCOPES), default="submit", show_default=True, help="Each includes the former."
)
@click.option("--tenant", metavar="NAME", help="It sees and makes only what is that tenant's.")
@click.option("--expires", metavar="TIME", help="From now: 12h, 30d. Without: never.")
@JSON
@click.pass_context
def add(ctx: click.Context, name: str, scope: str, tenant: str | None, expires: str | None, as_json: bool) -> int:
    """Make a key. It is shown this once."""
    wish = {"name": name, "scope": scope, "tenant": tenant, "expires_in_s": duration_s(expires) if expires else None}
    with client_of(ctx) as client:
        made = client.ask("POST", "/v1/keys", body=wish)
    if as_json:
        print_json(made)
        return 0
    click.echo(made["key"])
    for line in wrapped(f"{made['id']}: {_told(made)}. Keep it now: it cannot be shown again.", ""):
        click.echo(line, err=True)
    return 0


@keys.command("ls")
@with_options(LIST_OPTIONS)
@click.pass_context
def list_keys(ctx: click.Context, output: str | None, as_json: bool) -> int:
    """The keys, without their secrets."""
    with client_of(ctx) as client:
        found = list(client.items("/v1/keys"))
    if printed({"items": found}, shape_of(output, as_json)):
        return 0
    if not found:
        click.echo("No keys yet. On this machine nobody is asked for one: vidprocme keys add NAME", err=True)
    for key in found:
        used = f"used {key['last_used_at'][:16]}Z" if key["last_used_at"] else "never used"
        click.echo(f"{key['id']}  {key['prefix']}...\n  {_told(key)}, {used}")
    return 0


@keys.command("rm")
@click.argument("key", metavar="ID|NAME")
@click.pass_context
def remove(ctx: click.Context, key: str) -> int:
    """Revoke a key, at once. Its sign-ins end with it."""
    with client_of(ctx) as client:
        found = [item for item in client.items("/v1/keys") if key in (item["id"], item["name"])]
        if len(found) > 1:
            ids = ", ".join(item["id"] for item in found)
            raise BadWish("KEY_AMBIGUOUS", f"{len(found)} keys are named {key!r}.", f"Name one by its id: {ids}.")
        client.ask("DELETE", f"/v1/keys/{found[0]['id'] if found else key}")
    click.echo(f"{printable(found[0]['name'])}: revoked.", err=True)
    return 0


def _told(key: dict[str, object]) -> str:
    tenant = f", tenant {printable(str(key['tenant']))}" if key["tenant"] else ""
    until = f", until {str(key['expires_at'])[:16]}Z" if key["expires_at"] else ""
    return f"{printable(str(key['name']))}, {key['scope']}{tenant}{until}"
