"""`vidprocme submit`: videos in, jobs out. One that is wrong never ends the others."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from vidprocme.cli import exits
from vidprocme.cli.inputs import SUFFIXES, expand
from vidprocme.cli.options import RECIPE_OPTIONS, client_of, with_options
from vidprocme.cli.waiting import Waiting
from vidprocme.cli.words import print_json, printable
from vidprocme.client.base import Client, Document
from vidprocme.core.errors import BadWish, VidprocmeError
from vidprocme.core.job import Bin

SETTLED_S = 3.0  # a file that did not change for so long is whole
LOOK_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class One:
    """What one name on the command line stands for: a file here, or an address."""

    given: str
    path: Path | None = None
    error: BadWish | None = None


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
        return _watch(ctx, names, form, recursive, quiet, as_json)
    ones = list(_ones(names, recursive))
    if dry_run:
        return _dry(ones)
    with client_of(ctx) as client:
        run = _Run(client, form, quiet=quiet, as_json=as_json)
        run.all(ones)
        run.summary()
        if retry_file is not None:
            retry_file.write_text("".join(f"{name}\n" for name in run.failed))
        status = run.status
        if wait and run.begun:
            ended_well = Waiting(client, run.begun, quiet=quiet, as_json=as_json).until_ended()
            status = status or (0 if ended_well else exits.FAILED)
        return status


class _Run:
    """One after another; what became of each."""

    def __init__(self, client: Client, form: dict[str, str], *, quiet: bool, as_json: bool) -> None:
        self._client, self._form, self._quiet, self._as_json = client, form, quiet, as_json
        self.begun: dict[str, str] = {}  # id of a job or an import -> name
        self.failed: list[str] = []
        self._created = self._known = 0
        self._statuses: set[int] = set()

    def all(self, ones: Iterable[One]) -> None:
        for one in ones:
            self.one(one)

    def one(self, one: One) -> bool:
        try:
            if one.error is not None:
                raise one.error
            accepted = self._bring(one)
        except VidprocmeError as error:
            self._fail(one, error)
            if error.code == "SERVER_UNREACHABLE":
                raise
            return False
        self._tell(one, accepted)
        return True

    def _bring(self, one: One) -> Document:
        if one.path is None:
            body = {"source": {"url": one.given}, **self._form}
            if "tags" in body:
                body["tags"] = self._form["tags"].split(",")
            return self._client.ask("POST", "/v1/videos", body=body)
        with _Bar(one.path.name, quiet=self._quiet) as bar:
            return self._client.submit(one.path, self._form, bar.show)

    def _tell(self, one: One, accepted: Document) -> None:
        id_ = str(accepted["id"])
        name = one.path.name if one.path else one.given
        self.begun[id_] = name
        known = accepted.get("created") is False  # of an import nobody knows it yet: null
        self._created += not known
        self._known += known
        if self._as_json:
            print_json({"given": printable(one.given), **accepted})
            return
        click.echo(id_)
        if known and not self._quiet:
            click.echo(f"{printable(name)}: known already, {accepted['state']} ({id_}).", err=True)

    def _fail(self, one: One, error: VidprocmeError) -> None:
        self.failed.append(one.given)
        self._statuses.add(exits.status_of(error))
        if self._as_json:
            print_json({"given": printable(one.given), "error": error.info().public()})
        click.echo(f"{printable(one.given)}: {error.code}: {error}", err=True)

    def summary(self) -> None:
        if not self._quiet:
            known = f", {self._known} known already" if self._known else ""
            failed = f", {len(self.failed)} failed" if self.failed else ""
            click.echo(f"{self._created} submitted{known}{failed}.", err=True)

    @property
    def status(self) -> int:
        """What is the same for all that failed; else 1."""
        if not self._statuses:
            return 0
        return self._statuses.pop() if len(self._statuses) == 1 else exits.FAILED


class _Bar:
    """How far one file is, on a terminal."""

    def __init__(self, name: str, *, quiet: bool) -> None:
        self._name, self._live = printable(name)[:40], not quiet and sys.stderr.isatty()
        self._began_s, self._said_s, self._first = time.monotonic(), 0.0, -1

    def __enter__(self) -> _Bar:
        return self

    def show(self, done: int, total: int) -> None:
        now_s = time.monotonic()
        if self._first < 0:
            self._first = done  # what an earlier run had sent
        if not self._live or now_s - self._said_s < 0.2:
            return
        self._said_s = now_s
        rate = (done - self._first) / max(0.001, now_s - self._began_s)
        left = f" eta {(total - done) / rate:.0f} s" if rate > 0 else ""
        sys.stderr.write(f"\r\x1b[K{self._name}  {done * 100 // max(1, total)}%  {rate / 1e6:.0f} MB/s{left}")
        sys.stderr.flush()

    def __exit__(self, *_: object) -> None:
        if self._live and self._said_s:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


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


def _dry(ones: Sequence[One]) -> int:
    for one in ones:
        click.echo(printable(one.given) if one.error is None else f"{printable(one.given)}: {one.error}")
    wrong = sum(one.error is not None for one in ones)
    click.echo(f"{len(ones) - wrong} would be submitted{f', {wrong} cannot be' if wrong else ''}.", err=True)
    return exits.USAGE if wrong else 0


def _watch(
    ctx: click.Context, names: Sequence[str], form: dict[str, str], recursive: bool, quiet: bool, as_json: bool
) -> int:
    """Until Ctrl-C. A file is brought in once it did not change for a few seconds, and again when it changed since."""
    folders = [Path(name) for name in names]
    wrong = next((str(folder) for folder in folders if not folder.is_dir()), None)
    if wrong is not None:
        raise BadWish("NOT_A_FOLDER", f"{wrong} is no folder.", "--watch looks into folders.")
    seen: dict[Path, tuple[tuple[int, int], float]] = {}
    done: dict[Path, tuple[int, int]] = {}
    with client_of(ctx) as client:
        run = _Run(client, form, quiet=quiet, as_json=as_json)
        if not quiet:
            click.echo(f"Watching {', '.join(map(str, folders))}. Ctrl-C ends it.", err=True)
        try:
            while True:
                for path in _videos_in(folders, recursive):
                    if _is_settled(path, seen, done):
                        done[path] = seen[path][0]
                        run.one(One(str(path), path))
                time.sleep(LOOK_EVERY_S)
        except KeyboardInterrupt:
            run.summary()
            return exits.INTERRUPTED


def _is_settled(path: Path, seen: dict[Path, tuple[tuple[int, int], float]], done: dict[Path, tuple[int, int]]) -> bool:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return False
    now_s, mark = time.monotonic(), (stat.st_size, stat.st_mtime_ns)
    known = seen.get(path)
    if known is None or known[0] != mark:
        seen[path] = (mark, now_s)
        return False
    return stat.st_size > 0 and now_s - known[1] >= SETTLED_S and done.get(path) != mark


def _videos_in(folders: Sequence[Path], recursive: bool) -> Iterator[Path]:
    for folder in folders:
        found = folder.rglob("*") if recursive else folder.iterdir()
        yield from sorted(path for path in found if path.suffix.lower() in SUFFIXES and path.is_file())
