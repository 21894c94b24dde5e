"""Markers, parts and what test-all wants name the same things."""

from __future__ import annotations

import tomllib
from pathlib import Path

from scripts.parts import ONLY_IN_ALL, PARTS, WANTED_BY_ALL

ROOT = Path(__file__).resolve().parent.parent.parent


def test_every_marker_is_a_part_and_every_part_a_marker() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"]
    markers = {line.partition(":")[0] for line in settings["markers"]}
    parts = {part.marker for part in PARTS}

    assert markers - {"slow"} == parts == set(WANTED_BY_ALL)
    assert parts >= ONLY_IN_ALL


def test_every_part_can_be_looked_for() -> None:
    assert {part.is_here() for part in PARTS} <= {True, False}
