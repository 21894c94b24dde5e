"""The index made again by hand."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from tests.cli.things import said, submit
from vidprocme.core.ids import VideoId
from vidprocme.library.base import JobWant, Note, VideoWant
from vidprocme.library.notes import VIDEO_NOTES, VideoNote
from vidprocme.wiring import House


def test_titles_and_tags_are_there_as_soon_as_the_index_is_made_again(
    house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = submit(house, tmp_path)
    with contextlib.closing(house.open_index()) as index:
        assert index.videos() == []
    said(capsys, "index", "rebuild")
    with contextlib.closing(house.open_index()) as index:
        (video,) = index.videos()
    house.records(VIDEO_NOTES, VideoNote).put(video.id, VideoNote("Night shift", ("dock",), {"camera": "2"}))

    assert "1 job indexed" in said(capsys, "index", "rebuild")[1]

    with contextlib.closing(house.open_index()) as index:
        assert index.notes() == {VideoId(video.id): Note("Night shift", ("dock",))}
        assert [one.title for one in index.videos(9, VideoWant(tags=frozenset({"DOCK"})))] == ["Night shift"]
        assert index.count_jobs(JobWant(q="night"))["queued"] == 1 and index.job_rows([job])[job].title == "Night shift"
