"""`vidprocme videos` and `export`, here and over HTTP."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from tests.api.shelved import jpeg, shelve
from tests.cli.things import documents, said
from vidprocme.dispatch.follower import follow
from vidprocme.wiring import House

Capsys = pytest.CaptureFixture[str]
pytestmark = pytest.mark.usefixtures("both_ways")


@pytest.fixture
def video(house: House, tmp_path: Path) -> str:
    made = shelve(house, tmp_path, [jpeg(99), jpeg(50)], ["a \x1b[31mman", "=1+1"], name="cl\x1bip.mp4")
    with contextlib.closing(house.open_index()) as index:
        while follow(house.queue, house.blobs, index, block_ms=1):
            pass
    return made


def test_a_video_is_listed_shown_and_removed(video: str, capsys: Capsys) -> None:
    head, row = said(capsys, "videos", "ls")[0].splitlines()
    assert head.split()[0] == "VIDEO" and row.split()[:2] == [video, "succeeded"] and "\x1b" not in row
    assert documents(capsys, "videos", "ls", "--state", "failed") == [{"items": []}]
    page = said(capsys, "videos", "show", video)[0]
    assert "2 frames, 2 captions" in page and "\x1b" not in page
    (shown,) = documents(capsys, "videos", "show", video)
    assert (shown["id"], shown["captions"]) == (video, 2)

    assert said(capsys, "videos", "ls", "-o", "ids")[0] == f"{video}\n"
    assert "\x1b" not in said(capsys, "videos", "ls", "-o", "wide")[0]
    assert "CONFIRM_MISSING" in said(capsys, "videos", "rm", video, status=2)[1]

    assert said(capsys, "videos", "rm", video, "--yes")[0] == f"{video}: removed.\n"

    assert "VIDEO_UNKNOWN" in said(capsys, "videos", "show", video, status=5)[1]


def test_a_page_is_opened_at_a_moment(video: str, both_ways: str, capsys: Capsys) -> None:
    if both_ways == "here":
        assert "SERVER_NONE" in said(capsys, "videos", "open", video, status=1)[1]
        return
    assert said(capsys, "videos", "open", f"{video}@1:02.5", "--print")[0].endswith(f"/videos/{video}?t=62.5\n")
    assert "TIME_UNREADABLE" in said(capsys, "videos", "open", f"{video}@x", status=2)[1]


def test_captions_are_exported(video: str, tmp_path: Path, capsys: Capsys) -> None:
    out = tmp_path / "words.csv"

    said(capsys, "export", video, "-o", str(out))
    assert out.read_text().splitlines()[2].endswith(",'=1+1,demo")
    said(capsys, "export", "job_1", "--format", "vtt", "-o", str(out))
    assert out.read_text().startswith("WEBVTT\n")
    assert "VIDEO_UNKNOWN" in said(capsys, "export", "vid_none", status=5)[1]
    assert "OUT_UNWRITABLE" in said(capsys, "export", video, "-o", str(tmp_path / "no" / "x.srt"), status=1)[1]


@pytest.mark.usefixtures("both_ways")
def test_a_hint_names_verbs_and_no_paths(video: str, capsys: Capsys) -> None:
    err = " ".join(said(capsys, "api", "GET", "/v1/videos/vid_none", status=5)[1].split())
    assert "`vidprocme videos ls` lists those there are" in err and "GET /v1" not in err
    err = " ".join(
        said(capsys, "api", "GET", f"/v1/videos/{video}/captions", "-f", "job=job_none", status=5)[1].split()
    )
    assert f"`vidprocme videos show {video}` names them" in err and "GET /v1" not in err


@pytest.mark.usefixtures("both_ways")
def test_a_video_is_named_by_a_part_of_its_id(video: str, tmp_path: Path, capsys: Capsys) -> None:
    for part in (video[:9], video.removeprefix("vid_")[:5], video[-5:]):
        assert video in said(capsys, "videos", "show", part)[0]
        said(capsys, "export", part, "-o", str(tmp_path / "words.srt"))
    assert "videos ls" in said(capsys, "videos", "show", "vid_none", status=5)[1]


def test_a_moment_is_found(video: str, both_ways: str, capsys: Capsys) -> None:
    out = said(capsys, "search", "31mman")[0]
    assert out.startswith(f"{video}@0:00  cl?ip.mp4  0:00-0:01") and "\x1b" not in out
    assert len(out.splitlines()) == len(documents(capsys, "search", "31mman")[0]["items"])  # each is one line
    (found,) = documents(capsys, "search", "31mman", "--video", video)
    assert [(hit["video_id"], hit["name"], hit["start_s"]) for hit in found["items"]] == [(video, "cl\x1bip.mp4", 0.0)]
    assert documents(capsys, "search", "31mman", "--video", "vid_other") == [{"items": []}]
    assert "Nothing found" in said(capsys, "search", "goat")[1]
    assert "EMPTY_QUERY" in said(capsys, "search", "!!!", status=2)[1]
    said(capsys, "videos", "rm", video, "--yes")
    nothing = "Nothing was processed" if both_ways == "here" else "has no videos yet"
    assert nothing in said(capsys, "search", "goat")[1]
