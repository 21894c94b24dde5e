"""`make help`, which is where people look first."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = 80  # of a terminal nobody has made wider


def test_help_names_every_verb_in_lines_that_fit() -> None:
    said = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    (verbs,) = re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.M)

    assert set(re.findall(r"^  make ([a-z-]+) +\S", said, re.M)) == set(verbs.split())
    assert [line for line in said.splitlines() if len(line) > COLUMNS] == []
