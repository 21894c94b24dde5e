"""The sample video is what its truth says, and the demo model reads it."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest

from scripts.drawn import Scene, Thing, caption, picture, random_scenes
from scripts.make_sample import MISREAD, make, plan, truth
from vidprocme.vision.llamacpp import LlamaCpp
from vidprocme.vision.prompt import FRAME_CAPTION

ROOT = Path(__file__).parents[2]


def test_captions() -> None:
    two = Scene("dark", (Thing(0, "red", "star", "small"), Thing(4, "blue", "circle", "large")))

    assert (
        caption(two) == "a small red star at the top left and a large blue circle in the center on a dark background."
    )
    assert caption(Scene("bright")) == "an empty bright background."


def test_the_same_seed_gives_the_same_scenes() -> None:
    assert random_scenes(5, 30) == random_scenes(5, 30) != random_scenes(6, 30)
    assert not any(tuple(t.cell for t in s.things) in MISREAD for s in random_scenes(5, 500, skip=MISREAD))


@pytest.mark.parametrize("shape", ["circle", "square", "triangle", "star"])
def test_a_thing_is_where_it_should_be_with_soft_edges(shape: str) -> None:
    data = picture(Scene("dark", (Thing(8, "yellow", shape, "large"),)), 96, 96)
    red = [data[3 * n] for n in range(96 * 96)]
    bright = [(n % 96, n // 96) for n, value in enumerate(red) if value > 200]

    assert len(data) == 96 * 96 * 3
    assert abs(sum(x for x, _ in bright) / len(bright) - 80) < 8
    assert abs(sum(y for _, y in bright) / len(bright) - 80) < 8
    assert any(100 < value < 190 for value in red)
    assert all(red[n] < 100 for n in range(96 * 96) if n % 96 < 48 or n // 96 < 48)


def test_the_clip_is_what_its_truth_says(tmp_path: Path, ffmpeg: str) -> None:
    fps = Fraction(30000, 1001)
    shown = plan(random_scenes(3, 6), 3, fps)
    make(tmp_path / "clip.mp4", shown, size=(320, 180), fps=fps, seed=3, ffmpeg=ffmpeg)

    with av.open(str(tmp_path / "clip.mp4")) as clip:
        pictures = [
            (Fraction(frame.pts or 0) * Fraction(frame.time_base or 0), bytes(frame.reformat(format="gray").planes[0]))
            for frame in clip.decode(video=0)
        ]
    with av.open(str(tmp_path / "clip.mp4")) as clip:
        sound_s = sum(Fraction(frame.samples, frame.sample_rate) for frame in clip.decode(audio=0))
    changes = [
        time
        for (_, before), (time, now) in pairwise(pictures)
        if sum(abs(a - b) for a, b in zip(before, now, strict=True)) / len(now) > 2
    ]

    assert [time for time, _ in pictures] == [n / fps for n in range(int(shown[-1].end * fps))]
    assert changes == [item.start for item in shown[1:]]
    assert abs(sound_s - shown[-1].end) < Fraction(1, 10)


def test_the_script_writes_the_video_and_the_truth(tmp_path: Path) -> None:
    argv = [sys.executable, "scripts/make_sample.py", str(tmp_path / "a.mp4"), "--truth", str(tmp_path / "truth.json")]
    subprocess.run([*argv, "--scenes", "3", "--scene-seconds", "1/2", "--size", "320x180"], cwd=ROOT, check=True)

    told = json.loads((tmp_path / "truth.json").read_text())
    assert [(row["start"], row["end"]) for row in told] == [("0", "1/2"), ("1/2", "1"), ("1", "3/2")]
    assert (tmp_path / "a.mp4").stat().st_size > 1000


def test_an_odd_size_is_refused(tmp_path: Path, ffmpeg: str) -> None:
    with pytest.raises(ValueError, match="even size"):
        make(tmp_path / "a.mp4", plan(random_scenes(1, 1), 1, Fraction(30)), size=(321, 180), ffmpeg=ffmpeg)


def test_the_demo_model_reads_a_clip_it_never_saw(tmp_path: Path, ffmpeg: str, llama: LlamaCpp) -> None:
    """Every class of scene, through H.264, scaled to the 640 pixels that the pipeline gives a model: 90 % exact or more."""
    fps = Fraction(30)
    shown = plan(random_scenes(101, 40), 101, fps, Fraction(1))
    make(tmp_path / "clip.mp4", shown, size=(640, 360), fps=fps, seed=101, ffmpeg=ffmpeg)
    stills = [
        "-vf",
        "select=not(mod(n\\,30)),scale=640:-2",
        "-fps_mode",
        "passthrough",
        "-q:v",
        "3",
        "-pix_fmt",
        "yuvj420p",
    ]
    subprocess.run(
        [ffmpeg, "-v", "error", "-i", str(tmp_path / "clip.mp4"), *stills, str(tmp_path / "%03d.jpg")], check=True
    )
    frames = [path.read_bytes() for path in sorted(tmp_path.glob("*.jpg"))]

    results = llama.describe(frames, FRAME_CAPTION.text)

    assert len(frames) == 40
    wrong = [
        (row["caption"], result.text)
        for row, result in zip(truth(shown), results, strict=True)
        if row["caption"] != result.text
    ]
    assert len(wrong) <= 4, wrong
