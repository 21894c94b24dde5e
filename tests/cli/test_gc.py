"""`vidprocme gc` frees what nobody names, and nothing that somebody does or is about to."""

from __future__ import annotations

import os
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.things import HOLDER, attempt, documents, said, submit
from tests.dispatch.test_follower import everything
from vidprocme.cli.gc import size_text
from vidprocme.core.ids import JobId, task_id
from vidprocme.core.job import Next, Outcome, OutcomeKind, Source
from vidprocme.core.resources import Resources
from vidprocme.library.arrivals import Arrival, ArrivalState, new_id
from vidprocme.library.blobs import FolderBlobs
from vidprocme.processes import hold
from vidprocme.queue.base import Claim, Settlement
from vidprocme.wiring import House

Capsys = pytest.CaptureFixture[str]
DAY_S = 86_400


def blob(house: House, content: bytes, age_s: float = 2 * DAY_S) -> str:
    sha256 = house.blobs.put_bytes(content, "x").sha256
    path = house.blobs.local_path(sha256)
    assert path is not None
    os.utime(path, (time.time() - age_s, time.time() - age_s))
    return sha256


def upload(house: House, content: bytes, name: str) -> tuple[JobId, str]:
    """A job of an upload whose file lies among the blobs."""
    sha256 = blob(house, content)
    source = Source(f"blob:{sha256}", name, sha256, len(content))
    return house.control.submit(source, house.recipe({"model": "none"})).job, sha256


def publish(house: House, job: JobId, sha256: str) -> None:
    artifact = house.blobs.put_bytes(house.blobs.read(sha256), "frames.idx")
    outcome = Outcome(OutcomeKind.OK, {"degraded": []}, (artifact,))
    attempt(house, task_id(job, "probe", 0), Next.SUCCEED, outcome)


def test_only_old_blobs_that_nobody_names_go(house: House, capsys: Capsys) -> None:
    job, source = upload(house, b"a film", "film.mp4")
    published, orphan, young = blob(house, b"published"), blob(house, b"orphan"), blob(house, b"young", age_s=7200)
    publish(house, job, published)
    blob(house, b"published")  # named, and old

    out, err = said(capsys, "gc", "--dry-run")
    assert out == "1 blob that no job names, 6 bytes\n" and err == "6 bytes would be freed.\n"
    assert house.blobs.has(orphan)

    (document,) = documents(capsys, "gc")
    assert document["blobs"] == {"count": 1, "bytes": 6} and document["bytes"] == 6 and not document["dry_run"]
    assert [house.blobs.has(sha256) for sha256 in (source, published, young, orphan)] == [True, True, True, False]
    said(capsys, "gc", "--older", "1h")
    assert not house.blobs.has(young) and house.blobs.has(published)
    assert "TIME_TOO_SHORT" in said(capsys, "gc", "--older", "30m", status=2)[1]
    assert "TIME_UNREADABLE" in said(capsys, "gc", "--older", "soon", status=2)[1]


def test_what_a_running_attempt_is_about_to_publish_stays(house: House, capsys: Capsys) -> None:
    job, _ = upload(house, b"a film", "film.mp4")
    known = blob(house, b"same as long ago")  # its job is gone; the attempt makes the same content again
    turn = house.queue.turn(HOLDER, [], [Claim(task_id(job, "probe", 0), "p", Resources())], lease_ms=60_000)
    artifact = house.blobs.put_bytes(b"same as long ago", "frames.idx")
    said(capsys, "gc")
    outcome = Outcome(OutcomeKind.OK, {"degraded": []}, (artifact,))
    house.queue.turn(HOLDER, [Settlement(turn.claimed[0].lease, Next.SUCCEED, outcome)], [], lease_ms=60_000)
    assert house.blobs.has(known)


def test_a_blob_of_an_upload_that_has_no_job_yet_stays(house: House, capsys: Capsys) -> None:
    """Its server was killed between the two, and is away for longer than a day."""
    job, _ = upload(house, b"a film", "film.mp4")
    coming, orphan = blob(house, b"coming"), blob(house, b"orphan")
    arrival = Arrival(new_id(0), "b.mp4", 6, 0, "default", content=coming, state=ArrivalState.HASHING)
    house.arrivals.create(arrival, lambda _others: None)

    (document,) = documents(capsys, "gc")

    assert document["blobs"] == {"count": 1, "bytes": 6}
    assert house.blobs.has(coming) and not house.blobs.has(orphan)
    assert house.queue.job(job) is not None


def test_a_blob_that_is_put_while_gc_deletes_it_survives(tmp_path: Path) -> None:
    """Between the list and the deletion somebody puts the same content and goes on, believing it is there."""
    blobs = FolderBlobs(tmp_path / "blobs")
    sha256 = blobs.put_bytes(b"twice", "x").sha256
    path = blobs.local_path(sha256)
    assert path is not None
    os.utime(path, (1, 1))
    (listed,) = blobs.stored()
    blobs.put_bytes(b"twice", "x")
    assert not blobs.discard(listed) and blobs.read(sha256) == b"twice"
    os.utime(path, (1, 1))
    assert blobs.discard(listed) and not blobs.has(sha256) and not blobs.discard(listed)


def test_a_blob_that_a_killed_gc_had_set_aside_comes_back(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path / "blobs")
    sha256 = blobs.put_bytes(b"here", "x").sha256
    path = blobs.local_path(sha256)
    assert path is not None
    path.rename(tmp_path / "blobs" / ".aside" / f"gc-{sha256}")
    assert blobs.unfinished(0) == (0, 0) and blobs.sweep_aside(0) == 0
    assert blobs.read(sha256) == b"here"


def test_an_empty_queue_is_most_likely_the_wrong_one(house: House, capsys: Capsys) -> None:
    sha256 = blob(house, b"somebody's")
    assert "GC_NO_JOBS" in said(capsys, "gc", status=1)[1] and house.blobs.has(sha256)
    said(capsys, "gc", "--no-jobs")
    assert not house.blobs.has(sha256)


def test_scratch_of_dead_pools_and_unfinished_files_go(house: House, tmp_path: Path, capsys: Capsys) -> None:
    submit(house, tmp_path)
    scratch = house.data / "scratch"
    for name in ("pool_dead", "pool_alive"):
        (scratch / name / "attempt").mkdir(parents=True)
        (scratch / name / "attempt" / "chunk.mp4").write_bytes(b"x" * 1500)
    (house.data / "uploads").mkdir()
    for name, age_s in (("upload-old", 7200), ("upload-new", 60)):
        path = house.data / "uploads" / name
        path.write_bytes(b"12345")
        os.utime(path, (time.time() - age_s, time.time() - age_s))
    lock = hold(scratch / "pool_alive.lock")
    try:
        (planned,) = documents(capsys, "gc", "--dry-run")
        assert planned["scratch"] == {"count": 1, "bytes": 1500} and planned["unfinished"] == {"count": 1, "bytes": 5}
        assert "1 scratch folder of dead pools, 1.5 KB" in said(capsys, "gc")[0]
    finally:
        os.close(lock)
    assert not (scratch / "pool_dead").exists() and (scratch / "pool_alive" / "attempt").exists()
    assert [path.name for path in (house.data / "uploads").iterdir()] == ["upload-new"]


def test_a_dropped_job_frees_its_blobs_and_its_row(house: House, capsys: Capsys) -> None:
    job, source = upload(house, b"a film", "film.mp4")
    with closing(house.open_index()) as index:
        everything(house.queue, house.blobs, index)  # type: ignore[arg-type]
        assert [video.job for video in index.videos()] == [job]
        said(capsys, "jobs", "cancel", job)
        said(capsys, "jobs", "drop", job)
        index.set_last_event(house.queue.newest_event() or "")  # as if the follower had missed it
        assert "GC_NO_JOBS" in said(capsys, "gc", status=1)[1]

        out, _ = said(capsys, "gc", "--no-jobs")

        assert "1 video in the search index whose job is gone" in out and index.videos() == []
    assert not house.blobs.has(source)


def test_sizes_in_words() -> None:
    assert [size_text(n) for n in (0, 999, 1000, 4_200_000, 5_000_000_000_000)] == [
        "0 bytes",
        "999 bytes",
        "1.0 KB",
        "4.2 MB",
        "5000.0 GB",
    ]
