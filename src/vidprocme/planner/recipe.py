"""A person's wish, checked and completed: names and strings in, a Recipe out, or a sentence about what cannot be."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from vidprocme.core.errors import BadWish
from vidprocme.core.job import Recipe

# Steps are heights of a landscape picture (the short side): the names people know from players.
STEPS: tuple[str, ...] = ("2160p", "1440p", "1080p", "720p", "480p", "360p", "240p")

PRESETS: Mapping[str, Mapping[str, str]] = {
    "web": {"renditions": "720p,480p,360p"},
    "small": {"renditions": "360p"},
    "full": {"renditions": "2160p,1440p,1080p,720p,480p,360p"},
    "frames": {"renditions": "none"},
}

X264_PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")


SHOWN = 60  # characters of a wrong word that its error repeats
# Without an exponent: Fraction("1e999999999") is a number of a thousand million digits, and a stranger may write it.
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9}|/[0-9]{1,9})?", re.ASCII)


# What is wished for beside a recipe's own fields, and taken out before it comes here.
BESIDE = ("model", "bin", "tenant", "deadline", "title", "tags")


def make_recipe(wish: Mapping[str, str]) -> Recipe:
    """A Recipe from the fields a person gave (command line, form or query), defaults for the rest.

    Fields: preset, renditions, every, frame_width, prompt, crf, video_preset, audio_kbit, chunk. `model` is resolved by
    the caller, who knows which models there are.

    Raises:
        BadWish: RECIPE_UNKNOWN_FIELD, RECIPE_UNKNOWN_PRESET, RECIPE_INVALID (evidence names the field).
    """
    fields = dict(wish)
    preset = fields.pop("preset", "web")
    if preset not in PRESETS:
        raise BadWish(
            "RECIPE_UNKNOWN_PRESET",
            f"There is no preset {_shown(preset)}.",
            f"Presets: {', '.join(PRESETS)}.",
            {"field": "preset"},
        )
    fields = {**PRESETS[preset], **fields}
    recipe = Recipe()
    for name, text in fields.items():
        parse = _FIELDS.get(name)
        if parse is None:
            raise BadWish(
                "RECIPE_UNKNOWN_FIELD",
                f"A recipe has no field {_shown(name)}.",
                f"Fields: {', '.join(['preset', *sorted(_FIELDS), *BESIDE])}.",
                {"field": name[:SHOWN]},
            )
        recipe = replace(recipe, **parse(text.strip()))
    return recipe


def _renditions(text: str) -> dict[str, Any]:
    if text.lower() in ("none", ""):
        return {"renditions": ()}
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in STEPS:
            raise _invalid(
                "renditions", f"There is no rendition {_shown(name)}.", f"Choose from {', '.join(STEPS)}, or none."
            )
    return {"renditions": tuple(step for step in STEPS if step in names)}


def _every(text: str) -> dict[str, Any]:
    try:
        value = Fraction(text) if _SECONDS.fullmatch(text) else Fraction(-1)
    except ZeroDivisionError:
        value = Fraction(-1)
    if not Fraction(1, 60) <= value <= 3600:
        raise _invalid(
            "every",
            f"{_shown(text)} is not a time between frames.",
            "Give seconds from 1/60 to 3600, such as 1 or 0.5.",
        )
    return {"every_s": value}


def _prompt(text: str) -> dict[str, Any]:
    if not 1 <= len(text) <= 2000:
        raise _invalid("prompt", f"The prompt has {len(text)} characters.", "Give 1 to 2000.")
    return {"prompt": text}


def _video_preset(text: str) -> dict[str, Any]:
    if text not in X264_PRESETS:
        raise _invalid("video_preset", f"x264 has no preset {_shown(text)}.", f"Choose from {', '.join(X264_PRESETS)}.")
    return {"video_preset": text}


def _whole(name: str, field: str, low: int, high: int) -> Callable[[str], dict[str, Any]]:
    def parse(text: str) -> dict[str, Any]:
        value = int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else -1
        if not low <= value <= high:
            raise _invalid(name, f"{_shown(text)} is not a whole number from {low} to {high}.", "Give one.")
        return {field: value}

    return parse


def _shown(text: str) -> str:
    """What a person wrote, as a sentence can hold it."""
    return repr(text if len(text) <= SHOWN else text[:SHOWN] + "...")


def _invalid(field: str, message: str, hint: str) -> BadWish:
    return BadWish("RECIPE_INVALID", message, hint, {"field": field})


_FIELDS: Mapping[str, Callable[[str], dict[str, Any]]] = {
    "renditions": _renditions,
    "every": _every,
    "frame_width": _whole("frame_width", "frame_width_px", 64, 4096),
    "prompt": _prompt,
    "crf": _whole("crf", "video_crf", 0, 51),
    "video_preset": _video_preset,
    "audio_kbit": _whole("audio_kbit", "audio_kbit", 16, 512),
    "chunk": _whole("chunk", "chunk_s", 2, 300),
}
