"""What takes long says so on its way: bytes that move are reports, and a report may stop them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.numbered import Numbered, make
from tests.stages.test_stages import silent
from tests.stages.things import context_of, job_of, run_all
from vidprocme.core.errors import Cancelled
from vidprocme.core.job import Recipe, Stage
from vidprocme.library.blobs import SYNC_BYTES, BlobStore, open_blobs
from vidprocme.planner.graph import first_tasks

MIB = 1 << 20


@pytest.fixture(params=["folder", "bucket"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    return open_blobs(tmp_path / "blobs" if request.param == "folder" else "memory://")


def moves(blobs: BlobStore, path: Path, out: Path) -> dict[str, Callable[[Callable[[int], None]], object]]:
    """Every way in which many bytes go in or out."""
    sha256 = blobs.put_file(path, "there").sha256
    fresh = path.with_name("fresh")
    fresh.write_bytes(os.urandom(path.stat().st_size))
    return {
        "put": lambda on_bytes: blobs.put_file(fresh, "x", on_bytes),
        "fetch": lambda on_bytes: blobs.fetch(sha256, out, on_bytes),
        "adopt": lambda on_bytes: blobs.adopt(fresh, "x", on_bytes),
    }


@pytest.mark.parametrize("way", ["put", "fetch", "adopt"])
def test_every_block_is_told(way: str, blobs: BlobStore, tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(os.urandom(7 * MIB + 1))
    told: list[int] = []

    moves(blobs, path, tmp_path / "out")[way](told.append)

    assert told[-1] == 7 * MIB + 1
    assert len(told) >= 7 or way == "fetch"  # a bucket of this process hands out all at once
    if way == "fetch":
        assert (tmp_path / "out").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("way", ["put", "fetch", "adopt"])
def test_a_stop_on_the_way_leaves_nothing_half_done(way: str, blobs: BlobStore, tmp_path: Path) -> None:
    path, before = tmp_path / "large", {"large", "fresh", "blobs"}
    path.write_bytes(os.urandom(7 * MIB))
    move = moves(blobs, path, tmp_path / "out")[way]

    def stop(done: int) -> None:
        if done > 3 * MIB:
            raise Cancelled()

    with pytest.raises(Cancelled):
        move(stop)

    assert len(list(blobs.stored())) == 1
    assert {entry.name for entry in tmp_path.iterdir()} <= before
    assert not (tmp_path / "blobs" / ".aside").exists() or not list((tmp_path / "blobs" / ".aside").iterdir())


def test_an_upload_is_told_too(tmp_path: Path) -> None:
    """Not only the hashing before it: the network is the slow part."""
    path = tmp_path / "large"
    path.write_bytes(os.urandom(7 * MIB))
    told: list[int] = []

    open_blobs("memory://").put_file(path, "x", told.append)

    assert told.count(7 * MIB) == 2


def test_a_file_larger_than_a_sync_step_is_kept_whole(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.write(b"begin")
        file.truncate(SYNC_BYTES + 5 * MIB)
    told: list[int] = []
    blobs = open_blobs(tmp_path / "blobs")

    kept = blobs.adopt(path, "x", told.append)

    assert kept.size_bytes == told[-1] == SYNC_BYTES + 5 * MIB
    assert blobs.verify(kept.sha256)


def test_progress_is_said_at_most_once_a_second(tmp_path: Path) -> None:
    job = job_of(make(tmp_path / "a.mp4", Numbered(frames=2)), Recipe())
    said: list[tuple[float, str]] = []

    def report(fraction: float, note: str = "") -> None:
        said.append((fraction, note))

    context = context_of(tmp_path, job, first_tasks(job)[0], {}, report)
    began = time.monotonic()
    for n in range(10_000):
        context.say(n / 10_000)

    assert said[0] == (0.0, "") and len(said) <= 1 + (time.monotonic() - began)
    context._said_s = float("-inf")
    context.moved("keeping a.mp4")(3 * MIB)
    assert said[-1] == (9_999 / 10_000, "keeping a.mp4: 3 MiB")  # no further, but alive


def test_a_stage_whose_sources_lie_in_a_bucket_says_that_it_fetches(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mp4", Numbered(frames=60))
    job = job_of(path, Recipe(renditions=("180p",)))
    stages = {task.stage for task, _ in run_all(tmp_path, job, silent)}
    assert Stage.JOIN in stages

    said: list[str] = []

    def report(fraction: float, note: str = "") -> None:
        del fraction
        said.append(note)

    context = context_of(tmp_path / "again", job, first_tasks(job)[0], {}, report)
    context.__dict__["blobs"] = bucket = open_blobs("memory://")
    fetched = context.file_of(bucket.put_file(path, "a.mp4"))

    assert fetched.read_bytes() == path.read_bytes() and said == ["fetching a.mp4: 0 MiB"]
