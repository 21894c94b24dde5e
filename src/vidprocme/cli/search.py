"""`vidprocme search`: the moment in what was processed."""

from __future__ import annotations

import sys

import click

from vidprocme.cli.guessing import complete_video
from vidprocme.cli.options import client_of
from vidprocme.cli.progress import clock
from vidprocme.cli.words import print_json, printable
from vidprocme.cli.wrap import wrapped


@click.command()
@click.argument("words", nargs=-1, required=True)
@click.option("--video", metavar="VIDEO", shell_complete=complete_video, help="Look in this one only.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000))
@click.option("--json", "as_json", is_flag=True, help='One object: {"items": [...]}.')
@click.pass_context
def search(ctx: click.Context, words: tuple[str, ...], video: str | None, limit: int, as_json: bool) -> int:
    """Find the moments whose captions hold all these WORDS; "quoted words" as a phrase.

    Each begins with what `vidprocme videos open` takes: the video and the moment.
    """
    with client_of(ctx) as client:
        hits = list(client.items("/v1/search", {"q": " ".join(words), "video": video}, most=limit))
        nothing_yet = not hits and not as_json and not client.ask("GET", "/v1/videos", params={"limit": 1})["items"]
        here = "://" not in client.where
    if as_json:
        print_json({"items": hits})
        return 0
    for hit in hits:
        at, until = clock(hit["start_s"]), clock(hit["end_s"])
        line = printable(f"{hit['video_id']}@{at}  {hit['title']}  {at}-{until}  {hit['snippet']}")
        # One line each for grep and its like; a person reads what fits.
        click.echo("\n".join(wrapped(line, "")) if sys.stdout.isatty() else line)
    if not hits:
        click.echo("\n".join(wrapped(_nothing(nothing_yet, here), "")), err=True)
    return 0


def _nothing(nothing_yet: bool, here: bool) -> str:
    if not nothing_yet:
        return "Nothing found: no caption has all these words. (Only videos with captions can be searched.)"
    if here:
        return "Nothing was processed into this data folder yet: vidprocme process VIDEO --out DIR"
    return "That server has no videos yet: vidprocme submit VIDEO"
