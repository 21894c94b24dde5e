"""`vidprocme status`: is work being done, what needs a person, what waits and what runs where."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from typing import Any

import click

from vidprocme.cli.alerts import GLYPHS
from vidprocme.cli.asking import counted
from vidprocme.cli.canvas import Canvas
from vidprocme.cli.colour import coloured
from vidprocme.cli.options import client_of
from vidprocme.cli.words import age_text, clipped, print_json, printable
from vidprocme.cli.wrap import wrapped
from vidprocme.client.base import Client, Document
from vidprocme.core.errors import Fatal, Retryable

LOOK_EVERY_S = 2.0
PLAIN_EVERY_S = 10.0  # without a terminal
PATIENCE_S = 60.0  # how long a server or queue may be out of reach
ALERTS_SHOWN = 3
RATE_MIN = 5  # minutes of which the rate is the mean
COLOURS = {"working": "green", "idle": "green", "attention": "yellow", "stuck": "red"}


@click.command()
@click.option("--watch", is_flag=True, help="Go on: drawn anew when it changes. Ctrl-C ends it.")
@click.option("--json", "as_json", is_flag=True, help="One document; with --watch one a line.")
@click.pass_context
def status(ctx: click.Context, watch: bool, as_json: bool) -> int:
    """The house in one sentence; open alerts, bins, and what runs at each place or why nothing does."""
    with client_of(ctx) as client:
        if watch:
            keep_showing(client, as_json)
        elif as_json:
            print_json(_seen(client))
        else:
            _echo(_page(_seen(client)))
    return 0


def keep_showing(client: Client, as_json: bool) -> None:
    """Until Ctrl-C. On a terminal the whole page, in place; else a line when its sentence changed, a document with as_json."""
    live = sys.stdout.isatty() and not as_json
    canvas, told, said_s = Canvas(sys.stdout), "", float("-inf")
    for seen in _again_and_again(client):
        if live:
            size = shutil.get_terminal_size()
            canvas.draw(_bare(_page(seen))[: size.lines - 1])
        elif as_json:
            print_json(seen)
        elif (text := _sentence(seen)) != told and time.monotonic() - said_s >= PLAIN_EVERY_S:
            told, said_s = text, time.monotonic()
            click.echo(f"{seen['overview']['at']}  {text}")
        sys.stdout.flush()


def _again_and_again(client: Client) -> Iterator[Document]:
    reached_s = float("-inf")  # who is away from the first is not waited for
    while True:
        try:
            yield _seen(client)
            reached_s = time.monotonic()
        except Retryable as error:
            if time.monotonic() - reached_s > PATIENCE_S:
                raise
            click.echo(f"{error} Asked again.", err=True)
        time.sleep(LOOK_EVERY_S)


def _seen(client: Client) -> Document:
    """{"overview": OverviewDocument, "alerts": open ones, "nodes": NodeDocuments}; alerts null: they are not for this key."""
    return {
        "overview": client.ask("GET", "/v1/overview"),
        "alerts": _open_alerts(client),
        "nodes": client.ask("GET", "/v1/nodes")["items"],
    }


def _open_alerts(client: Client) -> list[Document] | None:
    """They tell of all tenants' work: a key of one tenant sees none, and the rest all the same."""
    try:
        return list(client.items("/v1/alerts", {"state": "open"}, most=100))
    except Fatal as error:
        if error.code != "TENANT_NOT_YOURS":
            raise
        return None


def _sentence(seen: Document) -> str:
    return f"{seen['overview']['text']} {seen['overview']['detail']}".rstrip()


def _page(seen: Document) -> list[str]:
    overview, columns = seen["overview"], shutil.get_terminal_size().columns
    lines = [click.style(line, fg=COLOURS[overview["verdict"]], bold=True) for line in wrapped(overview["text"], "")]
    lines += wrapped(printable(overview["detail"]), "") if overview["detail"] else []
    alerts = seen["alerts"] or []
    for alert in alerts[:ALERTS_SHOWN]:
        glyph, title = GLYPHS[alert["severity"]], printable(alert["title"])
        lines.append(click.style(clipped(f"{glyph} {title}  {alert['id']}", columns), fg="yellow"))
    if seen["alerts"] is None and overview["alerts_open"]:
        open_ = counted(overview["alerts_open"], "open alert")
        lines += wrapped(f"{open_}: for keys that are bound to no tenant.", "  ")
    if len(alerts) > ALERTS_SHOWN:
        lines.append(f"  {len(alerts) - ALERTS_SHOWN} more alerts: vidprocme alerts ls")
    lines += ["", *_bins(overview["bins"])]
    places = [(node, place) for node in seen["nodes"] for place in node["places"]]
    if places:
        lines += ["", *_places(places, columns)]
    return lines


def _bins(bins: list[Document]) -> list[str]:
    lines = ["BIN      WAITING  RUNNING  OLDEST       RATE  STATE"]
    for one in bins:
        oldest = "-" if one["oldest_wait_s"] is None else age_text(one["oldest_wait_s"])
        whole = one["per_minute"][-RATE_MIN - 1 : -1]  # the minute that goes on is left out
        rate = f"{sum(whole) / max(1, len(whole)):.1f}/min"
        state = "paused" if one["paused"] else "open" if one["limit"] is None else f"at most {one['limit']}"
        lines.append(f"{one['name']:<7}  {one['waiting']:>7}  {one['running']:>7}  {oldest:>6}  {rate:>9}  {state}")
    return lines


def _places(places: list[tuple[Document, Document]], columns: int) -> list[str]:
    width = min(28, max(len("PLACE"), *(len(printable(place["id"])) for _, place in places)))
    known = any(place["vram_total_bytes"] is not None for _, place in places)  # else no driver says it
    lines = [f"{'PLACE':<{width}}  BUSY  {'      VRAM  ' * known}NOW"]
    for node, place in places:
        name = clipped(printable(place["id"]), width)
        share = place["busy_fraction"] if place["utilization"] is None else place["utilization"]
        head = f"{name:<{width}}  {share:>4.0%}  {f'{_vram(place):>10}  ' if known else ''}"
        lines.append(head + clipped(_now(node, place), max(12, columns - len(head))))
    return lines


def _vram(place: Document) -> str:
    if place["vram_total_bytes"] is None:
        return "-"
    used = "?" if place["vram_used_bytes"] is None else f"{place['vram_used_bytes'] / 2**30:.0f}"
    return f"{used}/{place['vram_total_bytes'] / 2**30:.0f} GB"


def _now(node: Document, place: Document) -> str:
    runs = [f"{one['stage']} {one['progress']:.0%} {printable(one['name'])}" for one in place["now"]]
    drains = "draining: " if node["state"] == "draining" else ""
    if runs:
        return f"{drains}{runs[0]}{f' and {len(runs) - 1} more' if len(runs) > 1 else ''}"
    return f"{drains}{printable(place['idle_reason'] or 'idle')}"


def _echo(lines: list[str]) -> None:
    click.echo("\n".join(lines), color=coloured(sys.stdout))


def _bare(lines: list[Any]) -> list[str]:
    return lines if coloured(sys.stdout) else [click.unstyle(line) for line in lines]
