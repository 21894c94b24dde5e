"""`vidprocme submit`: videos in, jobs out. One that is wrong never ends the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from vidprocme.cli import exits
from vidprocme.cli.bringing import One, Run
from vidprocme.cli.inputs import SUFFIXES, expand
from vidprocme.cli.options import RECIPE_OPTIONS, client_of, with_options
from vidprocme.cli.waiting import Waiting
from vidprocme.cli.watching import watch_folders
from vidprocme.cli.words import print_json, printable
from vidprocme.core.errors import BadWish
from vidprocme.core.job import Bin


@click.command()
@click.argument("given", nargs=-1, metavar="FILE|DIR|GLOB|URL|-...")
@click.option("--bin", "bin_", type=click.Choice([b.value for b in Bin]), help="How urgent (default normal).")
@click.option("--tenant", metavar="NAME", help="For whom.")
@click.option("--deadline", metavar="WHEN", help="`2h` from now, or an ISO 8601 time; what is late is cancelled.")
@with_options(RECIPE_OPTIONS)
@click.option("--title", metavar="TEXT", help="How the video is called.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="May be repeated.")
@click.option("--recursive", is_flag=True, help="Folders with all that is below them.")
@click.option("--from-file", type=click.File(), metavar="LIST", help="More names, one a line; `-`: stdin.")
@click.option("--watch", "watched", is_flag=True, help="Go on: each new video of the folders that stopped growing.")
@click.option("--wait", is_flag=True, help="Until all jobs have ended. Ctrl-C leaves them running.")
@click.option("--dry-run", is_flag=True, help="Say what would be brought in.")
@click.option(
    "--retry-file", type=click.Path(dir_okay=False, path_type=Path), metavar="F", help="Write failed names here."
)
@click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each on stdout.")
@click.pass_context
def submit(
    ctx: click.Context,
    /,
    given: tuple[str, ...],
    recursive: bool,
    from_file: Any,
    watched: bool,
    wait: bool,
    dry_run: bool,
    retry_file: Path | None,
    quiet: bool,
    as_json: bool,
    tags: tuple[str, ...],
    **fields: str | None,
) -> int:
    """Bring videos in and make jobs of them: files, folders, globs, http addresses; `-` reads names from stdin.

    A file that is sent over HTTP and cut goes on where it was when the same command is said again. Ids go to stdout.
    """
    names = [*given, *_lines(from_file)]
    if not names:
        raise BadWish(
            "NOTHING_GIVEN", "Nothing says what to submit.", "Give files, a folder, an address, or - for stdin."
        )
    form = {name.rstrip("_"): value for name, value in fields.items() if value is not None}
    if tags:
        form["tags"] = ",".join(tags)
    if watched:
        folders = [Path(name) for name in names]
        with client_of(ctx) as client:
            return watch_folders(Run(client, form, quiet=quiet, as_json=as_json), folders, recursive=recursive)
    ones = list(_ones(names, recursive))
    if dry_run:
        return _dry(ones, as_json=as_json)
    with client_of(ctx) as client:
        run = Run(client, form, quiet=quiet, as_json=as_json)
        run.all(ones)
        run.summary()
        if retry_file is not None:
            retry_file.write_text("".join(f"{name}\n" for name in run.failed))
        status = run.status
        if wait and run.begun:
            ended_well = Waiting(client, run.begun, quiet=quiet, as_json=as_json).until_ended()
            status = status if ended_well else exits.FAILED
        return status


def _ones(names: Sequence[str], recursive: bool) -> Iterator[One]:
    for name in names:
        if "://" in name and not Path(name).exists():
            yield One(name)
        elif recursive and Path(name).is_dir():
            inside = sorted(p for p in Path(name).rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
            if not inside:
                yield One(name, error=BadWish("NO_VIDEO_IN_FOLDER", f"Nowhere below {name} is a video."))
            yield from (One(str(path), path) for path in inside)
        else:
            yield from (One(found.given, found.path, found.error) for found in expand([name]))


def _lines(file: Any) -> list[str]:
    return [] if file is None else [line.rstrip("\r\n") for line in file if line.strip()]


def _dry(ones: Sequence[One], *, as_json: bool) -> int:
    wrong = 0
    for one in ones:
        error = _wrong_with(one)
        wrong += error is not None
        if as_json:
            more = {} if error is None else {"error": error.info().public()}
            print_json({"given": printable(one.given), "would": "submit" if error is None else None, **more})
        else:
            click.echo(printable(one.given) if error is None else f"{printable(one.given)}: {error}")
    click.echo(f"{len(ones) - wrong} would be submitted{f', {wrong} cannot be' if wrong else ''}.", err=True)
    return exits.USAGE if wrong else 0


def _wrong_with(one: One) -> BadWish | None:
    """As far as can be seen beforehand."""
    if one.error is None and one.path is not None and not one.path.exists():
        return BadWish("FILE_MISSING", f"There is no file {one.path}.", "Check the path.")
    return one.error
