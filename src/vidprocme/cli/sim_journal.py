"""`vidprocme sim journal`: a live pool's journal, decided again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click

from vidprocme.cli.main import fail
from vidprocme.cli.words import printable
from vidprocme.core.errors import BadWish
from vidprocme.simulator.journal import Checked, check

SHOWN = 60  # characters of what differs


def run(files: Sequence[Path], as_json: bool, on_progress: Callable[[int, int], None]) -> int:
    """Tell of each file. 0: every decision of every one is made again as it was; 1: one is not; 2: a file is no journal (on stderr, and the others
    go on)."""
    sizes = [_size(path) for path in files]
    whole, done, worst = sum(sizes), 0, 0
    for path, size in zip(files, sizes, strict=True):

        def told(read: int, before: int = done) -> None:
            on_progress(before + read, whole)

        done += size
        try:
            found = check(_lines(path, told))
        except OSError as error:  # a pool makes room meanwhile
            gone = BadWish("FILE_MISSING", f"{path}: {error.strerror or error}.", "Name one that is there.")
            worst = max(worst, fail(gone))
            continue
        except BadWish as error:
            named = BadWish(error.code, f"{path}: {error.message}", error.hint, {**error.evidence, "file": str(path)})
            worst = max(worst, fail(named))
            continue
        worst = max(worst, int(bool(found.unequal)))
        click.echo(json.dumps({"file": str(path), **found.json()}) if as_json else _text(path, found))
    return worst


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _lines(path: Path, told: Callable[[int], None]) -> Iterator[str]:
    """Whole ones only: of the last one a pool that was killed may have written a part."""
    read = 0
    with path.open("rb") as file:
        for number, line in enumerate(file):
            read += len(line)
            if number % 100 == 0:
                told(read)
            if line.endswith(b"\n"):
                yield line.decode("utf-8", "replace")
    told(read)


def _text(path: Path, found: Checked) -> str:
    equal = found.decisions - found.unequal
    lines = [
        f"{path}",
        f"  {equal:,} of {found.decisions:,} decisions are equal; they place {found.placements:,} attempts",
    ]
    for one in found.different:
        lines.append(f"  line {one.line:,}: other {', '.join(one.what)}")
        for name in one.what:
            for word, what in (("was", one.recorded[name]), ("now", one.again[name])):
                lines.append(f"    {word}: {printable(json.dumps(what))[:SHOWN]}")
    if found.unequal > len(found.different):
        lines.append(f"  and {found.unequal - len(found.different):,} more")
    return "\n".join(lines)
