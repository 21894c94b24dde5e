"""`vidprocme search`: the moment in what was processed into this data folder."""

from __future__ import annotations

import contextlib
import json

import click

from vidprocme.cli.options import house_of
from vidprocme.cli.progress import clock
from vidprocme.cli.wrap import wrapped
from vidprocme.core.media import seconds


@click.command()
@click.argument("words", nargs=-1, required=True)
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000))
@click.option("--json", "as_json", is_flag=True, help='One object: {"items": [...]}.')
@click.pass_context
def search(ctx: click.Context, words: tuple[str, ...], limit: int, as_json: bool) -> int:
    """Find the moments whose captions hold all these WORDS; "quoted words" as a phrase."""
    with house_of(ctx) as house, contextlib.closing(house.open_index()) as index:
        hits = index.search(" ".join(words), limit)
        nothing_yet = not hits and not index.videos(1)
    if as_json:
        items = [
            {
                "video_id": hit.video,
                "job_id": hit.job,
                "name": hit.name,
                "start_s": seconds(hit.start),
                "end_s": seconds(hit.end),
                "text": hit.text,
                "snippet": hit.snippet,
                "score": hit.score,
            }
            for hit in hits
        ]
        click.echo(json.dumps({"items": items}, ensure_ascii=False))
        return 0
    for hit in hits:
        for line in wrapped(f"{hit.name}  {clock(float(hit.start))}-{clock(float(hit.end))}  {hit.snippet}", ""):
            click.echo(line)
    if nothing_yet:
        click.echo("Nothing was processed into this data folder yet: vidprocme process VIDEO --out DIR", err=True)
    elif not hits:
        click.echo(
            "Nothing found: no caption has all these words. (Only videos with captions can be searched.)", err=True
        )
    return 0
