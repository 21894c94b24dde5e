"""The check of a deployment: green on a real server, red on everything that may be missing."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from scripts import smoke
from scripts.drawn import random_scenes
from scripts.make_sample import Shown, plan
from tests.cli.served import up

Document = dict[str, Any]
SHOWN: list[Shown] = plan(random_scenes(1, 4), 1, Fraction(10), Fraction(1))
GOOD: Document = {
    "state": "succeeded",
    "degraded": [],
    "error": None,
    "troubles": [],
    "renditions": [{"name": "360p"}],
    "captions": [{"frame_pts_s": float(item.start), "text": item.caption} for item in SHOWN],
}
VTT = "WEBVTT\n" + "".join(f"\n{n} --> {n + 1}\n{item.caption}\n" for n, item in enumerate(SHOWN))


def test_a_real_server_passes_and_a_wish_without_end_is_given_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with up(tmp_path) as server:
        assert smoke.main([server.url]) == 0
        assert "8 captions" in capsys.readouterr().out
        assert smoke.main([server.url, "--limit-s", "0"]) == 1
        assert "has not ended after 0 s" in capsys.readouterr().err
    assert smoke.main([server.url]) == 1  # nobody is there any more
    assert f"smoke: {server.url} (seed " in capsys.readouterr().err


@pytest.mark.slow
def test_a_server_without_workers_does_not_pass_on_what_it_knows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with up(tmp_path) as server:
        assert smoke.main([server.url]) == 0
        seed = re.findall(r"\(seed (\d+)\)", capsys.readouterr().out)

    with up(tmp_path, "--no-pool") as server:
        assert smoke.main([server.url, "--limit-s", "2"]) == 1
        assert "has not ended after 2 s" in capsys.readouterr().err
        assert smoke.main([server.url, "--limit-s", "2", "--seed", *seed]) == 0  # why the default is from the clock


def test_all_that_came_back_is_right() -> None:
    assert smoke.faults(GOOD, VTT, SHOWN) == []


def _failed(job: Document) -> None:
    job |= {"state": "failed", "error": {"code": "NOT_A_VIDEO"}}


def _no_rendition(job: Document) -> None:
    job["renditions"] = []


def _no_captions(job: Document) -> None:
    job["captions"] = []


def _wrong_words(job: Document) -> None:
    for caption in job["captions"][:2]:
        caption["text"] = "a goat."


def _wrong_times(job: Document) -> None:
    for caption in job["captions"]:
        caption["frame_pts_s"] += 1.0


def _degraded(job: Document) -> None:
    job["degraded"] = ["captions: no model"]


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (_failed, "NOT_A_VIDEO"),
        (_no_rendition, "renditions are []"),
        (_no_captions, "0 of 4 captions"),
        (_wrong_words, "2 of 4 captions"),
        (_wrong_times, "of 4 captions are what was drawn"),
        (_degraded, "no model"),
    ],
)
def test_what_is_missing_is_named(harm: Callable[[Document], None], said: str) -> None:
    job = copy.deepcopy(GOOD)
    harm(job)

    assert any(said in fault for fault in smoke.faults(job, VTT, SHOWN))


def test_a_file_of_captions_that_says_something_else_is_seen() -> None:
    (fault,) = smoke.faults(GOOD, VTT.replace(SHOWN[1].caption, "a goat."), SHOWN)

    assert "captions.vtt" in fault
