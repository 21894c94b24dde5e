"""`vidprocme alerts`: what needs a person."""

from __future__ import annotations

from typing import Any

import click

from vidprocme.cli.options import LIST_OPTIONS, client_of, shape_of, with_options
from vidprocme.cli.picking import alert_of
from vidprocme.cli.words import folded, print_json, printable, printed
from vidprocme.core.when import duration_s

JSON = click.option("--json", "as_json", is_flag=True, help="The document that the HTTP API answers with.")
GLYPHS = {"critical": "!!", "warning": "!", "info": "i"}


@click.group()
def alerts() -> None:
    """What needs a person: list alerts, acknowledge or silence them, see and set their rules.

    Servers open them; without one, the list shows what the last one left.
    """


@alerts.command("ls")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(["open", "acknowledged", "silenced", "resolved"]),
    help="In this state (default: all but resolved).",
)
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@with_options(LIST_OPTIONS)
@click.pass_context
def list_alerts(ctx: click.Context, states: tuple[str, ...], limit: int, output: str | None, as_json: bool) -> int:
    """List alerts, newest first."""
    with client_of(ctx) as client:
        found = list(client.items("/v1/alerts", {"state": states}, most=limit))
    if printed({"items": found}, shape_of(output, as_json)):
        return 0
    if not found:
        click.echo("Nothing needs you.", err=True)
    for alert in found:
        click.echo("\n".join(_lines(alert)))
    return 0


@alerts.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option("--note", default="", help="What the others should know.")
@click.pass_context
def ack(ctx: click.Context, ids: tuple[str, ...], note: str) -> int:
    """Say that you look after it."""
    with client_of(ctx) as client:
        for id_ in [alert_of(client, given) for given in ids]:
            alert = client.ask("POST", f"/v1/alerts/{id_}/ack", body={"note": note})
            click.echo(f"{id_}: acknowledged. {printable(alert['title'])}")
    return 0


@alerts.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option(
    "--for", "duration", default="1h", show_default=True, metavar="TIME", help="Such as 30m, 8h, 2d; 0 ends it."
)
@click.option("--note", default="", help="What the others should know.")
@click.pass_context
def silence(ctx: click.Context, ids: tuple[str, ...], duration: str, note: str) -> int:
    """Hear nothing of it for a while."""
    for_s = 0 if duration == "0" else duration_s(duration)
    with client_of(ctx) as client:
        for id_ in [alert_of(client, given) for given in ids]:
            alert = client.ask("POST", f"/v1/alerts/{id_}/silence", body={"for_s": for_s, "note": note})
            click.echo(f"{id_}: {alert['state']}. {printable(alert['title'])}")
    return 0


@alerts.command()
@JSON
@click.pass_context
def rules(ctx: click.Context, as_json: bool) -> int:
    """When alerts open."""
    with client_of(ctx) as client:
        found = client.ask("GET", "/v1/alert-rules")
    if as_json:
        print_json(found)
        return 0
    for rule in found["items"]:
        from_ = "" if rule["threshold"] is None else f"from {rule['threshold']:g} {rule['unit']}, "
        state = rule["severity"] if rule["enabled"] else "off"
        click.echo(f"{rule['id']:<14}  {state:<8}  {from_}for {rule['for_s']} s")
        click.echo("\n".join(folded(rule["explains"], " " * 16)))
    return 0


def _lines(alert: dict[str, Any]) -> list[str]:
    taken = f", {alert['acknowledged_by']} looks after it" if alert["acknowledged_by"] else ""
    lines = folded(f"{GLYPHS[alert['severity']]} {alert['title']} ({alert['state']}{taken})", "")
    lines += folded(alert["text"], "   ")
    lines += folded(alert["hint"], "   ") if alert["hint"] else []
    lines += [f"   newest: {alert['job']}"] if alert.get("job") else []  # an older server does not say
    return [*lines, f"   {alert['id']}  since {alert['opened_at']}"]
