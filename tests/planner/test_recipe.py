"""Every field of a wish, and every way in which one cannot be."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidprocme.core.errors import BadWish, Fate
from vidprocme.core.job import Recipe
from vidprocme.planner.recipe import PRESETS, STEPS, make_recipe


def test_no_wish_is_the_default() -> None:
    assert make_recipe({}) == Recipe()


@pytest.mark.parametrize(
    ("field", "text", "changed", "value"),
    [
        ("renditions", "360p, 1080P", "renditions", ("1080p", "360p")),
        ("renditions", "240p,240p", "renditions", ("240p",)),
        ("renditions", "none", "renditions", ()),
        ("renditions", " NONE ", "renditions", ()),
        ("every", "0.5", "every_s", Fraction(1, 2)),
        ("every", "1/60", "every_s", Fraction(1, 60)),
        ("every", "3600", "every_s", Fraction(3600)),
        ("every", " 2 ", "every_s", Fraction(2)),
        ("frame_width", "64", "frame_width_px", 64),
        ("frame_width", "4096", "frame_width_px", 4096),
        ("prompt", " Is there a goat? ", "prompt", "Is there a goat?"),
        ("prompt", "ü" * 2000, "prompt", "ü" * 2000),
        ("crf", "0", "video_crf", 0),
        ("crf", "51", "video_crf", 51),
        ("video_preset", "slow", "video_preset", "slow"),
        ("audio_kbit", "16", "audio_kbit", 16),
        ("audio_kbit", "512", "audio_kbit", 512),
        ("chunk", "2", "chunk_s", 2),
        ("chunk", "300", "chunk_s", 300),
    ],
)
def test_a_field_changes_what_it_names_and_nothing_else(field: str, text: str, changed: str, value: Any) -> None:
    recipe, plain = make_recipe({field: text}), Recipe()

    assert getattr(recipe, changed) == value
    assert all(getattr(recipe, name) == getattr(plain, name) for name in Recipe.__slots__ if name != changed)


@pytest.mark.parametrize("preset", PRESETS)
def test_presets(preset: str) -> None:
    wished = PRESETS[preset]["renditions"]
    names = () if wished == "none" else tuple(wished.split(","))

    assert make_recipe({"preset": preset}).renditions == names
    assert make_recipe({"preset": preset, "renditions": "240p"}).renditions == ("240p",)  # a field beats its preset


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("renditions", "144p"),
        ("renditions", "720"),
        ("every", "0"),
        ("every", "-1"),
        ("every", "1/61"),
        ("every", "3601"),
        ("every", "often"),
        ("every", "1/0"),
        ("every", "nan"),
        ("every", "inf"),
        ("every", "1e999999999"),  # as a Fraction: a number of a thousand million digits
        ("every", "1e-999999999"),
        ("every", "9" * 10_000),
        ("frame_width", "63"),
        ("frame_width", "4097"),
        ("frame_width", "6e2"),
        ("frame_width", "-640"),
        ("frame_width", "٦٤٠"),  # digits, but not everybody's
        ("frame_width", "9" * 5000),  # more digits than int() reads
        ("prompt", ""),
        ("prompt", "   "),
        ("prompt", "x" * 2001),
        ("crf", "52"),
        ("crf", "2.5"),
        ("video_preset", "placebo"),
        ("audio_kbit", "15"),
        ("audio_kbit", "513"),
        ("chunk", "1"),
        ("chunk", "301"),
    ],
)
def test_what_cannot_be_names_its_field(field: str, text: str) -> None:
    with pytest.raises(BadWish) as caught:
        make_recipe({field: text})

    error = caught.value
    assert error.code == "RECIPE_INVALID" and error.evidence == {"field": field} and error.fate is Fate.NEVER
    assert error.message and error.hint and len(error.message) < 300


def test_unknown_names_are_answered_with_those_there_are() -> None:
    with pytest.raises(BadWish) as caught:
        make_recipe({"bitrate": "3M"})
    assert caught.value.code == "RECIPE_UNKNOWN_FIELD" and "audio_kbit" in caught.value.hint
    for beside in ("model", "bin", "tenant", "deadline", "title", "tags"):
        assert beside in caught.value.hint
    with pytest.raises(BadWish) as caught:
        make_recipe({"preset": "tv"})
    assert caught.value.code == "RECIPE_UNKNOWN_PRESET" and "web" in caught.value.hint


@given(st.dictionaries(st.sampled_from(["preset", "every", "renditions", "crf", "chunk", "x"]), st.text(max_size=12)))
def test_any_words_give_a_recipe_or_a_sentence(wish: dict[str, str]) -> None:
    try:
        recipe = make_recipe(wish)
    except BadWish as error:
        assert error.message and error.hint and error.code.startswith("RECIPE_")
    else:
        assert set(recipe.renditions) <= set(STEPS) and recipe.every_s > 0
