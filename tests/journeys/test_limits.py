"""Counted decodes, full disks, and what a wall of limits does not let through."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import pytest

from scripts.numbered import Numbered, make, numbers
from tests.journeys.conftest import LIMIT_S, Clip, Person
from vidprocme.core.ids import JobId
from vidprocme.core.job import Stage
from vidprocme.core.media import Chunk
from vidprocme.core.wire import from_wire
from vidprocme.queue import embedded
from vidprocme.queue.redis import RedisQueue

Draw = Callable[..., Clip]


@pytest.mark.parametrize("seconds", [10, 40])
def test_every_picture_is_decoded_once_and_a_little(person: Person, tmp_path: Path, seconds: int) -> None:
    """Pictures decoded, as each attempt counted them, are the source's and what the plan names beyond."""
    source = make(tmp_path / "n.mp4", Numbered(fps=Fraction(30), frames=seconds * 30, gop=30, audio_start=Fraction(0)))
    status, (document,), _ = person.process(str(source), "--model", "none", "--chunk", "10")
    assert status == 0

    with embedded.open(person.data) as server:
        queue = RedisQueue.connect(f"unix://{server.socket}", ours=True)
        views = [view for view in queue.tasks(JobId(document["job"])) if view.task.stage is Stage.TRANSCODE]
        attempts = [queue.attempts(view.task.id) for view in views]
        queue.close()
    chunks = [from_wire(Chunk, view.task.payload["chunk"]) for view in views]
    decoded = [sum(record.outcome.usage.frames_decoded for record in records) for records in attempts]

    assert len(chunks) == (1 if seconds <= 30 else 4)
    assert sum(chunk.frames for chunk in chunks) == seconds * 30
    for chunk, count in zip(chunks, decoded, strict=True):
        assert chunk.frames <= count <= chunk.frames + chunk.run_in + chunk.run_out
    assert decoded[-1] == chunks[-1].frames  # nothing lies beyond the last chunk
    assert numbers(person.out / "n" / f"{document['renditions'][0]['name']}.mp4") == list(range(seconds * 30))


@contextmanager
def small_disk(where: Path, megabytes: int) -> Iterator[Path]:
    where.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(where)], check=True)
    try:
        yield where
    finally:
        subprocess.run(["umount", "-l", str(where)], check=True)


@pytest.mark.mounts
def test_a_full_disk_for_results_fails_that_video_and_loses_nothing(person: Person, draw: Draw, tmp_path: Path) -> None:
    clip = draw(101, 12)
    with small_disk(tmp_path / "small", 1) as small:
        (small / "ballast").write_bytes(b"x" * 950_000)
        cramped = Person(person.data, small / "out")
        status, (document,), stderr = cramped.process(str(clip.path), "--model", "none")

        assert status == 1 and document["error"]["code"] == "DISK_FULL" and document["error"]["hint"], stderr
        assert not [p for p in (small / "out").rglob("*") if p.name.endswith(".part")]
        (small / "ballast").unlink()
        status, (document,), _ = cramped.process(str(clip.path), "--model", "none")
        assert status == 0 and document["renditions"][0]["frames"] == 360


@pytest.mark.slow
@pytest.mark.mounts
def test_a_full_disk_for_blobs_ends_in_a_sentence_and_goes_on_later(person: Person, draw: Draw, tmp_path: Path) -> None:
    clip = draw(101, 12)
    with small_disk(tmp_path / "small", 1) as small:
        (small / "ballast").write_bytes(b"x" * 1_000_000)
        where = {"VIDPROCME_BLOBS": str(small / "blobs"), "VIDPROCME_RETRY_LATER_S": "1"}
        status, (document,), _ = person.process(str(clip.path), "--model", "none", env=where)

        assert status == 1 and document["error"]["code"] == "DISK_FULL"
        (small / "ballast").unlink()
        status, (document,), _ = person.process(str(clip.path), "--model", "none", "--renditions", "240p", env=where)
        assert status == 0 and document["renditions"][0]["frames"] == 360


@pytest.mark.mounts
def test_a_full_disk_that_gets_room_while_the_task_waits_needs_nobody(
    person: Person, draw: Draw, tmp_path: Path
) -> None:
    clip = draw(101, 12)
    with small_disk(tmp_path / "small", 1) as small:
        (small / "ballast").write_bytes(b"x" * 1_000_000)
        where = {"VIDPROCME_BLOBS": str(small / "blobs"), "VIDPROCME_RETRY_LATER_S": "4"}
        words = (
            "process",
            "--out",
            str(person.out),
            "--json",
            "--model",
            "none",
            "--renditions",
            "240p",
            str(clip.path),
        )
        process = person.start(*words, env=where)
        assert process.stderr
        for line in process.stderr:
            if "DISK_FULL" in line:
                (small / "ballast").unlink()
                break
        stdout, rest = process.communicate(timeout=LIMIT_S)

        assert process.returncode == 0, rest
        assert json.loads(stdout)["state"] == "succeeded"
