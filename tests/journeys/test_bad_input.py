"""Everything a person can hand over that is not a good video: a sentence, a code, and nothing lost of the others."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import imageio_ffmpeg
import pytest

from tests.journeys.conftest import Clip, Person

Draw = Callable[..., Clip]


def ffmpeg(*words: str) -> None:
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *words], check=True)


def test_a_batch_of_bad_files_and_one_good_one(person: Person, draw: Draw, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    good = draw(101, 12).path.read_bytes()
    (folder / "text.mp4").write_text("this is not a video, it is a letter\n" * 40)
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "random.mkv").write_bytes(os.urandom(20_000))
    # The index of a plain recording comes last: cut off, it is missing. At the front, cutting loses pictures instead.
    plain = folder / "whole.mp4"
    ffmpeg("-i", str(draw(101, 12).path), "-c", "copy", str(plain))
    (folder / "cut-index.mp4").write_bytes(plain.read_bytes()[: plain.stat().st_size // 2])
    plain.unlink()
    (folder / "cut-pictures.mp4").write_bytes(good[: len(good) * 2 // 3])
    ffmpeg("-f", "lavfi", "-i", "sine=duration=2", str(folder / "sound.m4a"))
    (folder / "secret.txt").write_text("not for anybody")
    (folder / "playlist.mp4").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.txt\n#EXT-X-ENDLIST\n")
    (folder / "concat.mp4").write_text(f"ffconcat version 1.0\nfile '{folder / 'secret.txt'}'\n")
    (folder / "good.mp4").write_bytes(good)
    names = ["text", "empty", "random", "cut-index", "cut-pictures", "sound", "playlist", "concat", "good"]
    files = [next(folder.glob(f"{name}.*")) for name in names]

    status, documents, stderr = person.process(
        *map(str, files), str(folder / "missing.mp4"), str(tmp_path / "nothing-*.mp4"), "--model", "none"
    )

    assert status == 1 and "Traceback" not in stderr
    found = {Path(d["source"]).stem: d for d in documents}
    codes = {name: d["error"] and d["error"]["code"] for name, d in found.items()}
    assert codes == {
        "text": "NOT_A_VIDEO",
        "empty": "EMPTY_FILE",
        "random": "NOT_A_VIDEO",
        "cut-index": "TRUNCATED",
        "cut-pictures": None,
        "sound": "NO_VIDEO",
        "playlist": "NOT_A_VIDEO",
        "concat": "NOT_A_VIDEO",
        "good": None,
        "missing": "FILE_MISSING",
        "nothing-*": "NO_MATCH",
    }
    for document in documents:
        if document["error"]:
            assert document["state"] == "failed"
            assert len(document["error"]["message"]) > 20 and document["error"]["hint"]
    assert found["cut-pictures"]["state"] == "succeeded" and found["cut-pictures"]["degraded"]
    assert 0 < found["cut-pictures"]["renditions"][0]["frames"] < 360
    assert found["good"]["renditions"][0]["frames"] == 360
    # Nothing half-written: a folder for what succeeded (and result.json of what failed), no temporary file anywhere.
    left = [p for p in person.out.rglob("*") if p.suffix == ".part"]
    assert left == []


@pytest.mark.parametrize(
    "name", ['it\'s "quoted".mp4', "two words.mp4", ";$(touch x).mp4", "-dash.mp4", "100%d [1].mp4"]
)
def test_names_are_only_names(person: Person, draw: Draw, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(draw(101, 12).path.read_bytes())

    status, (document,), _ = person.process("--model", "none", "--renditions", "240p", "--", name)

    assert status == 0 and document["renditions"][0]["frames"] == 360
    assert Path(document["renditions"][0]["path"]).parent.name == path.stem
    assert not (tmp_path / "x").exists()


def test_odd_sizes_and_single_pictures(person: Person, tmp_path: Path) -> None:
    odd, one = tmp_path / "odd.mkv", tmp_path / "one.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=639x359:r=25:d=1", "-c:v", "libx264", "-pix_fmt", "yuv444p", str(odd))
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=1", "-frames:v", "1", "-pix_fmt", "yuv420p", str(one))

    status, (first, second), _ = person.process(str(odd), str(one), "--model", "none")

    assert status == 0
    assert (first["renditions"][0]["width_px"], first["renditions"][0]["height_px"]) == (638, 358)
    assert first["renditions"][0]["frames"] == 25
    assert second["renditions"][0]["frames"] == 1 and len(second["frames"]) == 1


def test_a_folder_stands_for_its_videos(person: Person, draw: Draw, tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    (folder / "a.mp4").write_bytes(draw(101, 12).path.read_bytes())
    (folder / "a.mkv").write_bytes(draw(101, 12).path.read_bytes())
    (folder / "notes.txt").write_text("hello")

    status, documents, _ = person.process(str(folder), "--model", "none", "--renditions", "240p")

    assert status == 0
    assert [Path(d["source"]).name for d in documents] == ["a.mkv", "a.mp4"]
    assert sorted(p.name for p in person.out.iterdir()) == ["a", "a-2"]

    empty = tmp_path / "empty"
    empty.mkdir()
    status, (document,), _ = person.process(str(empty))
    assert status == 1 and document["error"]["code"] == "NO_VIDEO_IN_FOLDER"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("process",), "FILE"),
        (("process", "x.mp4"), "--out"),
        (("process", "x.mp4", "--out", "o", "--crf", "99"), "RECIPE_INVALID"),
        (("process", "x.mp4", "--out", "o", "--preset", "best"), "RECIPE_UNKNOWN_PRESET"),
        (("process", "x.mp4", "--out", "o", "--renditions", "721p"), "RECIPE_INVALID"),
        (("process", "x.mp4", "--out", "o", "--wrong"), "--wrong"),
        (("nonsense",), "nonsense"),
        (("search", "!!!"), "EMPTY_QUERY"),
    ],
)
def test_usage_errors_exit_with_2(person: Person, words: tuple[str, ...], says: str) -> None:
    done = person.run(*words)

    assert done.returncode == 2 and says in done.stderr and "Traceback" not in done.stderr


def test_an_unknown_model_is_named_with_those_there_are(person: Person, draw: Draw) -> None:
    done = person.run("process", str(draw(101, 12).path), "--out", str(person.out), "--model", "gpt")

    assert done.returncode in (1, 2) and "MODEL_UNKNOWN" in done.stderr and "demo" in done.stderr


def test_a_changed_source_is_noticed(person: Person, draw: Draw, tmp_path: Path) -> None:
    """A file that is replaced while its job waits must not become part of the old job's result."""
    path = tmp_path / "mine.mp4"
    path.write_bytes(draw(101, 12).path.read_bytes())
    person.process(str(path), "--model", "none", "--renditions", "240p")
    path.write_bytes(draw(7, 8).path.read_bytes())

    status, (document,), _ = person.process(str(path), "--model", "none", "--renditions", "240p")

    assert status == 0 and document["renditions"][0]["frames"] == 240
