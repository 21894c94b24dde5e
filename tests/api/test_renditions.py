"""Renditions whose blobs are in a bucket: copied for the answer, and the copy goes again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from tests.api.serving import serving
from tests.api.test_videos import assert_problem
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
        whole, part = client.get(url), client.get(url, headers={"range": "bytes=-3"})

    assert (whole.status_code, whole.content) == (200, CONTENT)
    assert whole.headers["etag"] == f'"{kept.sha256}"'
    assert (part.status_code, part.content) == (206, CONTENT[-3:])
    assert_no_copies(house)


def test_a_blob_that_is_not_there_is_said(house: House) -> None:
    joined(house, "1" * 64)

    with serving(create_app(house)) as client:
        answer = client.get(f"/v1/jobs/{JOB}/renditions/360p.mp4")

    assert_problem(answer, 503, "BLOB_MISSING")
    assert_no_copies(house)


def test_a_reader_that_goes_away_leaves_no_copy(house: House) -> None:
    kept = house.blobs.put_bytes(CONTENT * 200, "360p.mp4")
    joined(house, kept.sha256)

    with serving(create_app(house)) as client:
        with client.stream("GET", f"/v1/jobs/{JOB}/renditions/360p.mp4") as answer:
            next(answer.iter_raw())
        client.close()
        deadline = time.monotonic() + 30
        while list((house.data / "uploads").iterdir()):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def assert_no_copies(house: House) -> None:
    assert list((house.data / "uploads").iterdir()) == []
