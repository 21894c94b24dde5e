"""What a run says at its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vidprocme.cli.summary import CAPTIONS_SHOWN, leftovers_line, summary


def document(texts: list[str]) -> dict[str, Any]:
    captions = [{"start_s": float(at), "text": text, "model": "demo"} for at, text in enumerate(texts)]
    return {
        "source": "goat.mp4",
        "error": None,
        "elapsed_s": 1.0,
        "media": None,
        "renditions": [],
        "frames": [],
        "captions": captions,
        "degraded": [],
    }


def test_equal_captions_are_one_moment_and_counted_as_one() -> None:
    texts = [f"a goat {at // 2}" for at in range(2 * (CAPTIONS_SHOWN + 3))]
    said = summary(document(texts), Path("out"), known=False)
    assert f"captions  {len(texts)} in {CAPTIONS_SHOWN + 3} moments, by model demo" in said
    assert "... 3 more moments; captions.vtt has all captions" in said
    assert "moments" not in summary(document(["a goat", "a boat"]), Path("out"), known=False)


def test_who_would_finish_what_is_left_is_said() -> None:
    alone = " ".join(leftovers_line(["job_1", "job_2"]).split())
    worked = " ".join(leftovers_line(["job_1", "job_2"], worked=True, paused=["bulk"]).split())
    assert "`vidprocme worker` would finish them" in alone and "paused" not in alone
    assert "the pools at work finish them. Nothing starts of what is paused: bin bulk." in worked
    assert leftovers_line([]) == ""
