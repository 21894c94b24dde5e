"""`vidprocme videos`: the library. What there is, what was made of one, and taking one away."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from vidprocme.cli.asking import agreed, counted
from vidprocme.cli.exits import FAILED
from vidprocme.cli.guessing import complete_video
from vidprocme.cli.options import LIST_OPTIONS, client_of, shape_of, with_options
from vidprocme.cli.picking import video_of
from vidprocme.cli.progress import clock
from vidprocme.cli.supervise import read_address
from vidprocme.cli.words import clipped, print_json, printable, printed
from vidprocme.core.errors import BadWish, Fatal

JSON = click.option("--json", "as_json", is_flag=True, help="The API's document on stdout.")
NAME_CELLS = 40


@click.group()
def videos() -> None:
    """The videos there are: list them, show one, open it at a moment, remove some."""


@videos.command("ls")
@click.option("-q", "--query", default="", help="A part of the title or name.")
@click.option("--state", multiple=True, help="Of its newest job; may be given again.")
@click.option("--tag", multiple=True, help="May be given again: all of them.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1))
@with_options(LIST_OPTIONS)
@click.pass_context
def list_videos(
    ctx: click.Context,
    query: str,
    state: tuple[str, ...],
    tag: tuple[str, ...],
    limit: int,
    output: str | None,
    as_json: bool,
) -> int:
    """Newest first."""
    with client_of(ctx) as client:
        found = list(client.items("/v1/videos", {"q": query, "state": state, "tag": tag}, most=limit))
    if printed({"items": found}, shape_of(output, as_json)):
        return 0
    if not found:
        click.echo("No video fits. `vidprocme submit FILE` brings one in.", err=True)
        return 0
    click.echo(f"{'VIDEO':<28}  {'STATE':<9}  {'LENGTH':>8}  {'CAPTIONS':>8}  TITLE")
    for one in found:
        length = "-" if one["duration_s"] is None else clock(one["duration_s"])
        title = printable(one["title"])
        if output == "wide":
            title = f"{title}  {one['created_at'][:16]}Z  {', '.join(map(printable, one['tags']))}".rstrip()
        else:
            title = clipped(title, NAME_CELLS)
        click.echo(f"{one['id']:<28}  {one['state']:<9}  {length:>8}  {one['captions']:>8}  {title}")
    return 0


@videos.command()
@click.argument("video", metavar="VIDEO", shell_complete=complete_video)
@JSON
@click.pass_context
def show(ctx: click.Context, video: str, as_json: bool) -> int:
    """One video with what was made of it."""
    with client_of(ctx) as client:
        found = client.ask("GET", f"/v1/videos/{video_of(client, video)}")
    if as_json:
        print_json(found)
        return 0
    for line in _page(found):
        click.echo(line)
    return 0


@videos.command()
@click.argument("which", nargs=-1, required=True, metavar="VIDEO...", shell_complete=complete_video)
@click.option("--yes", is_flag=True, help="Do not ask first.")
@JSON
@click.pass_context
def rm(ctx: click.Context, which: tuple[str, ...], yes: bool, as_json: bool) -> int:
    """Cancel what runs of these videos and forget all their jobs. `vidprocme gc` then frees their files."""
    with client_of(ctx) as client:
        videos = list(dict.fromkeys(video_of(client, given) for given in which))
        if not agreed("remove", counted(len(videos), "video"), yes):
            return FAILED
        for video in videos:
            client.ask("DELETE", f"/v1/videos/{video}")
            click.echo(json.dumps({"id": video, "removed": True}) if as_json else f"{video}: removed.")
    return 0


@videos.command("open")
@click.argument("which", metavar="VIDEO[@TIME]", shell_complete=complete_video)
@click.option("--print", "only_print", is_flag=True, help="Say the address, and open nothing.")
@click.pass_context
def open_video(ctx: click.Context, which: str, only_print: bool) -> int:
    """Open a video's page in the browser, at a moment: vid_...@0:41."""
    video, _, moment = which.partition("@")
    query = f"?t={_seconds(moment):g}" if moment else ""
    with client_of(ctx) as client:
        found = client.ask("GET", f"/v1/videos/{video_of(client, video)}")
        base = client.where if "://" in client.where else read_address(Path(client.where)).get("url", "")
    if not base:
        raise Fatal("SERVER_NONE", "No server shows the pages of this data folder.", "Start one: vidprocme up")
    address = f"{str(base).rstrip('/')}/videos/{found['id']}{query}"
    click.echo(address)
    if not only_print:
        click.launch(address)
    return 0


def _seconds(moment: str) -> float:
    """`41`, `0:41`, `1:02:03.5`"""
    parts = moment.split(":")
    if len(parts) > 3 or not all(part.replace(".", "", 1).isdecimal() and part.isascii() for part in parts):
        raise BadWish("TIME_UNREADABLE", f"{moment[:40]!r} is no moment.", "Say 41, 0:41 or 1:02:03.")
    return sum(float(part) * 60.0**place for place, part in enumerate(reversed(parts)))


def _page(video: dict[str, Any]) -> list[str]:
    size = "" if video["width_px"] is None else f", {video['width_px']}x{video['height_px']}"
    length = "length not known yet" if video["duration_s"] is None else clock(video["duration_s"])
    lines = [
        f"{printable(video['title'])}  ({video['id']})",
        f"  {video['state']}, {length}{size}, {video['size_bytes']:,} bytes, tenant {video['tenant']}",
        f"  {video['frames']} frames, {video['captions']} captions",
    ]
    lines += [
        f"  {one['name']}  {one['width_px']}x{one['height_px']}  {one['bytes']:,} bytes" for one in video["renditions"]
    ]
    if video["tags"]:
        lines.append(f"  tags: {', '.join(map(printable, video['tags']))}")
    lines += [f"  {printable(name)}: {printable(value)}" for name, value in video["metadata"].items()]
    lines += [f"  less than wished: {printable(note)}" for note in video["degraded"]]
    lines += [f"  {one['id']}  {one['state']}  {one['created_at']}" for one in video["jobs"]]
    if video["error"]:
        lines += [f"  {printable(video['error']['message'])}", f"    {printable(video['error']['hint'])}"]
    return lines
