"""Folders of results: ours are written again, everybody else's are left alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.journeys.conftest import Clip, Person

Draw = Callable[..., Clip]
SMALL = ("--model", "none", "--renditions", "240p")


def test_files_of_others_are_never_touched(person: Person, draw: Draw, tmp_path: Path) -> None:
    source = tmp_path / "goat.mp4"
    shutil.copy(draw(101, 12).path, source)
    theirs = person.out / "goat"
    (theirs / "frames").mkdir(parents=True)
    for name in ("1080p.mp4", "captions.srt", "frames/000500.jpg"):
        (theirs / name).write_text("mine")

    status, (document,), _ = person.process(str(source), *SMALL)

    assert status == 0 and Path(document["renditions"][0]["path"]).parent == person.out / "goat-2"
    assert all((theirs / name).read_text() == "mine" for name in ("1080p.mp4", "captions.srt", "frames/000500.jpg"))

    (person.out / "goat-2" / "notes.txt").write_text("mine")
    status, (again,), _ = person.process(str(source), *SMALL)
    assert status == 0 and again["renditions"][0]["path"] == document["renditions"][0]["path"]
    assert (person.out / "goat-2" / "notes.txt").read_text() == "mine"


def test_the_same_name_from_two_folders_stays_two(person: Person, draw: Draw, tmp_path: Path) -> None:
    for folder, seed in (("a", 101), ("b", 7)):
        (tmp_path / folder).mkdir()
        shutil.copy(draw(seed, 12).path, tmp_path / folder / "goat.mp4")
        assert person.process(str(tmp_path / folder / "goat.mp4"), *SMALL)[0] == 0

    jobs = {json.loads((person.out / name / "result.json").read_text())["job"] for name in ("goat", "goat-2")}
    assert len(jobs) == 2
    # Each finds its own again, also the second alone, and describing goes where the video is.
    described = person.run("describe", str(tmp_path / "b" / "goat.mp4"), "--model", "demo", "--out", str(person.out))
    assert described.returncode == 0, described.stderr
    assert not (person.out / "goat" / "captions.vtt").exists() and (person.out / "goat-2" / "captions.vtt").exists()
    assert sorted(p.name for p in person.out.iterdir()) == ["goat", "goat-2"]


def test_describe_takes_the_job_that_the_folder_shows(person: Person, draw: Draw) -> None:
    clip = str(draw(101, 12).path)
    elsewhere = Person(person.data, person.out.parent / "elsewhere")
    person.process(clip, "--model", "none", "--renditions", "360p,240p")
    elsewhere.process(clip, "--model", "none", "--renditions", "240p", "--every", "3")

    assert person.run("describe", clip, "--model", "demo", "--out", str(person.out)).returncode == 0

    folder = person.out / Path(clip).stem
    document = json.loads((folder / "result.json").read_text())
    assert [r["name"] for r in document["renditions"]] == ["360p", "240p"] and len(document["captions"]) == 12
    assert document["source"] == clip and (folder / "360p.mp4").exists()


def test_another_recipe_removes_what_it_no_longer_makes(person: Person, draw: Draw) -> None:
    clip = str(draw(101, 12).path)
    person.process(clip, "--model", "none", "--renditions", "360p,240p")
    person.process(clip, *SMALL, "--every", "4")

    folder = person.out / Path(clip).stem
    assert sorted(p.name for p in folder.glob("*.mp4")) == ["240p.mp4"]
    assert len(list((folder / "frames").iterdir())) == 3


def test_where_results_cannot_go_is_said(person: Person, draw: Draw, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    done = person.run("process", str(draw(101, 12).path), "--out", str(tmp_path / "file"))
    assert done.returncode == 2 and "OUT_UNWRITABLE" in done.stderr and "Traceback" not in done.stderr

    status, (empty, address), _ = person.process("", "https://example.com/a.mp4")
    assert status == 1 and [empty["error"]["code"], address["error"]["code"]] == ["EMPTY_ARGUMENT", "NOT_A_FILE"]


def test_a_stored_result_that_lost_its_blobs_is_made_anew(person: Person, draw: Draw) -> None:
    clip = str(draw(101, 12).path)
    _, (first,), _ = person.process(clip, *SMALL)
    blobs = sorted((p for p in (person.data / "blobs").rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    blobs[-1].unlink()  # the rendition
    broken = next(p for p in blobs if p.exists() and p.read_bytes()[:2] == b"PK")  # the frames
    broken.chmod(0o644)
    broken.write_bytes(b"PK damaged")

    status, (again,), stderr = person.process(clip, *SMALL)

    assert status == 0 and again["job"] != first["job"] and "made anew" in stderr
    assert again["renditions"][0]["frames"] == 360 and len(again["frames"]) == 12
