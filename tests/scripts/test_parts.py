"""Markers, parts and what test-all wants name the same things."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

from scripts.parts import ONLY_IN_ALL, PARTS, WANTED_BY_ALL, environment

ROOT = Path(__file__).resolve().parent.parent.parent


def test_every_marker_is_a_part_and_every_part_a_marker() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"]
    markers = {line.partition(":")[0] for line in settings["markers"]}
    parts = {part.marker for part in PARTS}

    assert markers - {"slow"} == parts == set(WANTED_BY_ALL)
    assert parts >= ONLY_IN_ALL


def test_every_part_can_be_looked_for() -> None:
    assert {part.is_here() for part in PARTS} <= {True, False}


def test_bytecode_is_written_somewhere() -> None:
    assert environment({"A": "b"}) == {"A": "b"}
    assert environment({"PYTHONDONTWRITEBYTECODE": "1"}) == {"PYTHONPYCACHEPREFIX": str(Path(sys.prefix) / "pycache")}
    assert environment({"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPYCACHEPREFIX": "/x"}) == {"PYTHONPYCACHEPREFIX": "/x"}
