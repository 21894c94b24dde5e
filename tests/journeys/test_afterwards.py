"""What becomes of a video that is given up: no longer found, its room free, and new when it comes again."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.conftest import Clip, Person

DAY_S = 86_400


@pytest.mark.slow
def test_a_video_is_given_up_and_its_room_is_free(person: Person, draw: Callable[..., Clip]) -> None:
    clip = draw(3, 2)

    def said(*words: str, status: int = 0) -> Any:
        done = person.run(*words, "--json")
        assert done.returncode == status, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    code, (document,), _ = person.process("--model", "none", "--preset", "small", str(clip.path))
    assert code == 0
    job = document["job"]
    blobs = [path for path in (person.data / "blobs").glob("??/*") if path.is_file()]
    size = sum(path.stat().st_size for path in blobs)
    assert blobs and said("gc", "--dry-run") == [
        {
            "dry_run": True,
            "blobs": {"count": 0, "bytes": 0},
            "unfinished": {"count": 0, "bytes": 0},
            "scratch": {"count": 0, "bytes": 0},
            "logs": {"count": 0, "bytes": 0},
            "index": {"count": 0, "bytes": 0},
            "bytes": 0,
        }
    ]
    kinds = [event["kind"] for event in said("logs", job)]
    assert kinds[0] == "job.submitted" and kinds[-1] == "job.ended"

    assert said("jobs", "drop", job, "--succeeded", "--yes") == [{"id": job, "state": "gone"}]
    for path in blobs:
        os.utime(path, (time.time() - 2 * DAY_S,) * 2)
    (freed,) = said("gc", "--no-jobs")

    assert freed["blobs"] == {"count": len(blobs), "bytes": size} and freed["index"]["count"] == 1
    assert [path for path in (person.data / "blobs").glob("??/*") if path.is_file()] == []
    assert Path(document["renditions"][0]["path"]).is_file()  # what was handed over stays
    code, (again,), _ = person.process("--model", "none", "--preset", "small", str(clip.path))
    assert code == 0 and again["job"] != job and again["state"] == "succeeded"
