"""A fresh data folder, a drawn clip, and everything that should come out of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av

from tests.journeys.conftest import Clip, Person

Draw = Callable[..., Clip]


def test_a_clip_becomes_renditions_frames_captions_and_a_moment_to_find(person: Person, draw: Draw) -> None:
    clip = draw(101, 12)

    status, (document,), stderr = person.process(str(clip.path), "--model", "demo")

    assert status == 0 and document["state"] == "succeeded" and document["error"] is None and document["degraded"] == []
    assert "transcode" in stderr
    folder = person.out / clip.path.stem
    assert [(r["name"], r["frames"]) for r in document["renditions"]] == [("360p", 360)]
    assert pictures(folder / "360p.mp4") == 360
    # Times: one frame at 0, 1, 2 ... s, each with its true pts, and a JPEG that can be opened.
    assert [f["pts_s"] for f in document["frames"]] == list(range(12))
    assert all(av.open(f["path"]).streams.video[0].width == 640 for f in document["frames"])
    assert [(c["start_s"], c["end_s"], c["frame_pts_s"]) for c in document["captions"]] == [
        (n, n + 1, n) for n in range(12)
    ]
    assert json.loads((folder / "result.json").read_text()) == document
    assert (folder / "captions.vtt").read_text().startswith("WEBVTT")
    assert (folder / "captions.srt").read_text().count("-->") == 12

    caption = document["captions"][5]
    found = person.run("search", f'"{caption["text"].rstrip(".")}"', "--json")
    items = json.loads(found.stdout)["items"]
    assert any(item["start_s"] <= 5 < item["end_s"] and item["text"] == caption["text"] for item in items)


def test_captions_say_what_was_drawn(person: Person, draw: Draw) -> None:
    clip = draw(2026, 40)

    status, (document,), _ = person.process(str(clip.path), "--model", "demo")

    assert status == 0
    spoken = {c["frame_pts_s"]: c["text"] for c in document["captions"]}
    assert sorted(spoken) == list(range(40))  # every frame's time is exact
    right = sum(text == clip.caption_at(time) for time, text in spoken.items())
    assert right >= 36, f"{right} of 40 word for word"


def test_the_same_again_is_there_at_once_and_written_anew(person: Person, draw: Draw) -> None:
    clip = draw(101, 12)
    _, (first,), _ = person.process(str(clip.path))
    (person.out / clip.path.stem / "360p.mp4").unlink()
    copy = person.out.parent / "another name.mp4"
    copy.write_bytes(clip.path.read_bytes())

    status, (again, copied), _ = person.process(str(clip.path), str(copy))

    assert status == 0 and again["job"] == first["job"] == copied["job"]
    assert pictures(person.out / clip.path.stem / "360p.mp4") == 360
    assert pictures(person.out / "another name" / "360p.mp4") == 360


def test_without_a_model_everything_but_captions_is_done(person: Person, draw: Draw) -> None:
    clip = draw(101, 12)

    done = person.run("process", str(clip.path), "--out", str(person.out))

    assert done.returncode == 0
    document = json.loads((person.out / clip.path.stem / "result.json").read_text())
    assert document["state"] == "succeeded" and document["degraded"] == ["captions: no model"]
    assert document["captions"] == [] and len(document["frames"]) == 12
    assert "vidprocme models add" in done.stdout and f"vidprocme describe {document['job']}" in done.stdout
    assert all(len(line) <= 80 for line in done.stdout.splitlines() if str(person.out) not in line)

    described = person.run("describe", str(clip.path), "--model", "demo", "--out", str(person.out))
    assert described.returncode == 0, described.stderr
    after = json.loads((person.out / clip.path.stem / "result.json").read_text())
    assert len(after["captions"]) == 12 and after["captions"][0]["model"] == "demo" and after["degraded"] == []


def test_none_asks_for_no_captions(person: Person, draw: Draw) -> None:
    status, (document,), _ = person.process(str(draw(101, 12).path), "--model", "none")

    assert status == 0 and document["captions"] == [] and document["degraded"] == []


def test_a_model_added_by_path_is_used_without_being_named(person: Person, draw: Draw) -> None:
    import vidprocme.vision

    weights = Path(vidprocme.vision.__file__).parent / "demo"
    text = next(p for p in weights.glob("*.gguf") if "mmproj" not in p.name)
    assert person.run("models", "add", str(text), "--name", "mine").returncode == 0

    status, (document,), _ = person.process(str(draw(101, 12).path))

    assert status == 0 and {c["model"] for c in document["captions"]} == {"mine"}


def test_a_source_is_referenced_and_never_copied(person: Person, draw: Draw) -> None:
    clip = draw(101, 12)
    person.process(str(clip.path), "--model", "none")

    sizes = {p.stat().st_size for p in (person.data / "blobs").rglob("*") if p.is_file()}
    assert sizes and clip.path.stat().st_size not in sizes


def test_only_frames_are_made_when_no_rendition_is_wanted(person: Person, draw: Draw) -> None:
    clip = draw(101, 12)

    status, (document,), _ = person.process(str(clip.path), "--preset", "frames", "--every", "1/2", "--model", "demo")

    assert status == 0 and document["renditions"] == []
    times = [Fraction(str(f["pts_s"])) for f in document["frames"]]
    assert times == [Fraction(n, 2) for n in range(24)]
    assert len(document["captions"]) == 24


def pictures(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))
