"""`vidprocme gc`: free what nobody needs any more."""

from __future__ import annotations

import fcntl
import shutil
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import click

from vidprocme.cli.options import house_of
from vidprocme.cli.words import print_json
from vidprocme.core.errors import BadWish
from vidprocme.core.when import UNITS_S
from vidprocme.dispatch.follower import forget_gone
from vidprocme.dispatch.sweeping import Sum, unneeded
from vidprocme.wiring import House

LEAST_S = 3600.0  # --older: an attempt puts its outputs and an upload its file seconds before they are named; a slow disk is slower
ASIDE_S = 3600.0  # of unfinished files: as long as nobody wrote to them
WORDS = {
    "blobs": ("blob", "that no job names"),
    "unfinished": ("unfinished file", "of killed processes"),
    "scratch": ("scratch folder", "of dead pools"),
    "logs": ("folder", "of logs that are old or whose job is gone"),
    "index": ("video", "in the search index whose job is gone"),
}


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would be freed, and free nothing.")
@click.option(
    "--older",
    metavar="TIME",
    default="24h",
    show_default=True,
    help="Only blobs that nobody has put for so long; at least 1h.",
)
@click.option("--no-jobs", is_flag=True, help="Free all blobs, although the queue has not one job.")
@click.option("--json", "as_json", is_flag=True, help="One document on stdout.")
@click.pass_context
def gc(ctx: click.Context, dry_run: bool, older: str, no_jobs: bool, as_json: bool) -> int:
    """Free what nobody needs any more: blobs that no job names, scratch of dead pools, rows of forgotten jobs.

    Safe while everything runs: what an attempt has put and not yet published is younger than --older.
    """
    older_s = _seconds(older)
    with house_of(ctx) as house:
        found = {
            "blobs": _blobs(house, older_s, no_jobs, dry_run),
            "unfinished": _unfinished(house, dry_run),
            "scratch": _scratch(house, dry_run),
            "logs": _logs(house, dry_run),
            "index": _index(house, dry_run),
        }
    if as_json:
        print_json(
            {
                "dry_run": dry_run,
                **{name: {"count": sum_.count, "bytes": sum_.bytes} for name, sum_ in found.items()},
                "bytes": sum(sum_.bytes for sum_ in found.values()),
            }
        )
        return 0
    for name, sum_ in found.items():
        if sum_.count:
            what, why = WORDS[name]
            size = f", {size_text(sum_.bytes)}" if name != "index" else ""
            click.echo(f"{sum_.count} {what}{'s' * (sum_.count != 1)} {why}{size}")
    total = size_text(sum(sum_.bytes for sum_ in found.values()))
    click.echo(f"{total} would be freed." if dry_run else f"{total} freed.", err=True)
    return 0


def _blobs(house: House, older_s: float, no_jobs: bool, dry_run: bool) -> Sum:
    blobs = house.blobs
    free = unneeded(blobs.stored(), house.queue, house.clock.now_ms(), int(older_s * 1000), no_jobs=no_jobs)
    coming = house.arrivals.contents()  # whole uploads of which a killed server has made no job yet
    free = [blob for blob in free if blob.sha256 not in coming]
    return Sum.of(blob.size_bytes for blob in free if dry_run or blobs.discard(blob))


def _unfinished(house: House, dry_run: bool) -> Sum:
    """Half-written blobs, and forms that stopped on their way in."""
    count, size = house.blobs.unfinished(ASIDE_S)
    if not dry_run:
        house.blobs.sweep_aside(ASIDE_S)
    oldest_s, sizes = time.time() - ASIDE_S, [0] * 0
    for path in (house.data / "uploads").glob("upload-*"):
        try:
            stat = path.stat()
            if stat.st_mtime < oldest_s:
                sizes.append(stat.st_size)
                if not dry_run:
                    path.unlink()
        except FileNotFoundError:
            continue
    return Sum(count + len(sizes), size + sum(sizes))


def _scratch(house: House, dry_run: bool) -> Sum:
    found = Sum.of(_size(folder) for folder in house.dead_scratch())
    if not dry_run:
        house.sweep_scratch()
    return found


def _logs(house: House, dry_run: bool) -> Sum:
    found = house.unneeded_logs()
    sizes = [_size(folder) for folder in found]
    if not dry_run:
        for folder in found:
            shutil.rmtree(folder, ignore_errors=True)
    return Sum.of(sizes)


def _index(house: House, dry_run: bool) -> Sum:
    """Rows that the follower has not removed; it does so itself while it runs."""
    if not house.index_path.exists():
        return Sum()
    with _alone(house) as alone, closing(house.open_index()) as index:
        if dry_run or not alone:
            gone = [video for video in index.videos(1_000_000) if house.queue.job(video.job) is None]
            return Sum(len(gone) if dry_run else 0)
        return Sum(forget_gone(house.queue, index, house.blobs))


@contextmanager
def _alone(house: House) -> Iterator[bool]:
    """Whether no follower of this machine writes the index; while inside, none begins to."""
    house.follower_lock.parent.mkdir(parents=True, exist_ok=True)
    with house.follower_lock.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.lstat().st_size if not path.is_dir() else 0
        except FileNotFoundError:
            continue
    return total


def _seconds(text: str) -> float:
    """
    Raises:
        BadWish: TIME_UNREADABLE, TIME_TOO_SHORT.
    """
    number = text.rstrip("abcdefghijklmnopqrstuvwxyz ")
    unit = text[len(number) :].strip()
    if not number.isdigit() or unit not in UNITS_S:
        raise BadWish("TIME_UNREADABLE", f"{text!r} is no length of time.", "Say 90m, 24h or 7d.")
    seconds = float(int(number) * UNITS_S[unit])
    if seconds < LEAST_S:
        raise BadWish(
            "TIME_TOO_SHORT",
            f"{text} is too short: what was put and is not published yet may be that old.",
            f"Say {LEAST_S / 3600:.0f}h or more.",
        )
    return seconds


def size_text(size: int) -> str:
    """`812 bytes`, `4.2 MB`."""
    amount = float(size)
    for unit in ("bytes", "KB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            return f"{size} bytes" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1000
    raise AssertionError("unreachable")
