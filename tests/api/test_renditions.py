"""Renditions whose blobs are in a bucket: what is asked for is read of them, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from tests.api.serving import serving
from tests.api.test_videos import assert_problem
from vidprocme.api.sending import span_of
from vidprocme.api.server import create_app
from vidprocme.config import Settings
from vidprocme.core.ids import JobId, task_id
from vidprocme.core.job import Job, Next, Outcome, OutcomeKind, Recipe, Source, Stage, Task
from vidprocme.core.media import RenditionFile
from vidprocme.core.resources import Resources
from vidprocme.core.wire import to_wire
from vidprocme.queue.base import Claim, Settlement
from vidprocme.wiring import House

JOB = JobId("job_1")
CONTENT = bytes(range(256)) * 1000


@pytest.fixture
def house(tmp_path: Path, redis_url: str) -> Iterator[House]:
    with House(Settings(data=tmp_path / "data", redis_url=redis_url, blobs="memory:///")) as made:
        made.queue.client.flushdb()  # type: ignore[attr-defined]
        yield made


def joined(house: House, sha256: str) -> None:
    """A job whose join has published one rendition, as a pool publishes it."""
    task = Task(task_id(JOB, Stage.JOIN, 0), JOB, Stage.JOIN, 0, {}, ())
    house.queue.submit(Job(JOB, Source("blob:x", "a.mp4", "0" * 64, 1), Recipe()), [task])
    file = RenditionFile("360p", sha256, 640, 360, 10, Fraction(1), len(CONTENT))
    claims = [Claim(task.id, "node/cpu", Resources())]
    (claimed,) = house.queue.turn("pool_test", [], claims, lease_ms=60_000).claimed
    outcome = Outcome(OutcomeKind.OK, {"renditions": [to_wire(file)]})
    house.queue.turn("pool_test", [Settlement(claimed.lease, Next.SUCCEED, outcome)], [], lease_ms=60_000)


def test_a_rendition_comes_out_of_a_bucket(house: House) -> None:
    kept = house.blobs.put_bytes(CONTENT, "360p.mp4")
    assert house.blobs.local_path(kept.sha256) is None
    joined(house, kept.sha256)
    url = f"/v1/jobs/{JOB}/renditions/360p.mp4"

    with serving(create_app(house)) as client:
        whole, head = client.get(url), client.head(url)
        parts = {
            asked: client.get(url, headers={"range": asked}) for asked in ("bytes=-3", "bytes=5-9", "bytes=255990-")
        }
        beyond = client.get(url, headers={"range": f"bytes={len(CONTENT)}-"})
        other = client.get(url, headers={"range": "bytes=5-9", "if-range": '"another"'})

    assert (whole.status_code, whole.content) == (200, CONTENT)
    assert whole.headers["etag"] == f'"{kept.sha256}"' and whole.headers["content-type"] == "video/mp4"
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(CONTENT)))
    assert {answer.status_code for answer in parts.values()} == {206}
    assert [answer.content for answer in parts.values()] == [CONTENT[-3:], CONTENT[5:10], CONTENT[255990:]]
    assert parts["bytes=5-9"].headers["content-range"] == f"bytes 5-9/{len(CONTENT)}"
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(CONTENT)}")
    assert other.status_code == 200, "what it has is of another version"
    assert_no_copies(house)


@pytest.mark.parametrize(
    ("asked", "span"),
    [
        ("", None),
        ("bytes=0-0", (0, 1)),
        ("bytes=2-", (2, 10)),
        ("bytes=2-99", (2, 10)),
        ("bytes=-4", (6, 10)),
        ("bytes=-99", (0, 10)),
        ("bytes=-0", (10, 10)),
        ("bytes=10-", (10, 10)),
        ("bytes=4-2", None),
        ("bytes=-", None),
        ("bytes=1-2,5-6", None),
        ("lines=1-2", None),
        ("bytes=٣-", None),
        (f"bytes={'9' * 40}-", None),
    ],
)
def test_what_a_range_asks_for(asked: str, span: tuple[int, int] | None) -> None:
    assert span_of(asked, 10) == span


def test_a_seek_reads_what_it_asks_for(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = house.blobs.put_bytes(CONTENT, "360p.mp4")
    joined(house, kept.sha256)
    read: list[int] = []
    pieces = house.blobs.pieces

    def counted(sha256: str, start: int, end: int) -> Iterator[bytes]:
        for piece in pieces(sha256, start, end):
            read.append(len(piece))
            yield piece

    monkeypatch.setattr(house.blobs, "pieces", counted)
    url = f"/v1/jobs/{JOB}/renditions/360p.mp4"

    with serving(create_app(house)) as client:
        client.get(url, headers={"range": "bytes=100-199"})
        client.head(url)

    assert read == [100]


def test_a_blob_that_is_not_there_is_said(house: House) -> None:
    joined(house, "1" * 64)

    with serving(create_app(house)) as client:
        answer = client.get(f"/v1/jobs/{JOB}/renditions/360p.mp4")

    assert_problem(answer, 503, "BLOB_MISSING")
    assert_no_copies(house)


def assert_no_copies(house: House) -> None:
    uploads = house.data / "uploads"
    assert not uploads.exists() or list(uploads.iterdir()) == []
