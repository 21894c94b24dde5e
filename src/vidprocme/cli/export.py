"""`vidprocme export`: the captions of a video as a file, by the same writers as the API's."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import click

from vidprocme.cli.guessing import complete_video
from vidprocme.cli.options import client_of
from vidprocme.cli.picking import find, video_of
from vidprocme.core.errors import Fatal

FORMATS = ("srt", "vtt", "json", "jsonl", "csv")


@click.command()
@click.argument("which", metavar="VIDEO|JOB", shell_complete=complete_video)
@click.option("--format", "format_", type=click.Choice(FORMATS), help="Default: by the ending of -o, else srt.")
@click.option("-o", "--out", metavar="FILE", help="Written whole or not at all; default: stdout.")
@click.pass_context
def export(ctx: click.Context, which: str, format_: str | None, out: str | None) -> int:
    """The captions of a video, for players (srt, vtt), scripts (json, jsonl) or tables (csv)."""
    ending = Path(out or "").suffix.removeprefix(".").lower()
    params = {"format": format_ or (ending if ending in FORMATS else "srt")}
    pieces: list[bytes] = []
    with client_of(ctx) as client:
        if which.startswith("job_"):
            job = find(client, which)
            video, params["job"] = job["video"], job["id"]
        else:
            video = video_of(client, which)
        client.fetch(f"/v1/videos/{video}/captions", pieces.append, params)
    if out is None or out == "-":
        sys.stdout.buffer.write(b"".join(pieces))
        return 0
    _write(Path(out), b"".join(pieces))
    click.echo(f"{out}: {params['format']}, {sum(map(len, pieces))} bytes.", err=True)
    return 0


def _write(path: Path, content: bytes) -> None:
    """Aside and renamed, so that a full disk leaves the old file."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_bytes(content)
        aside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        raise Fatal(
            "OUT_UNWRITABLE",
            f"{path} cannot be written: {error.strerror}.",
            "Choose another file.",
            {"path": str(path)},
        ) from error
