"""scripts/cluster_down.sh, with a kind that knows one cluster and writes down what it is told."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
KIND = """#!/bin/sh
case "$1" in
  get) echo vidprocme ;;
  delete) echo "$@" >> "$TOLD" ;;
esac
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The script in a tree of its own, with a state, and a kind on the PATH."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "cluster_down.sh", tmp_path / "scripts")
    (tmp_path / "infra" / "state").mkdir(parents=True)
    (tmp_path / "infra" / "state" / "local.tfstate").write_text("{}")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "kind").write_text(KIND)
    (tmp_path / "bin" / "kind").chmod(0o755)
    return tmp_path


def run(tree: Path, *words: str, **variables: str) -> tuple[int, str, bool, bool]:
    """Exit status, what it said on stderr, whether a cluster was deleted, whether the state is still there."""
    told = tree / "told"
    env = {"PATH": f"{tree / 'bin'}:{os.environ['PATH']}", "TOLD": str(told), **variables}
    script = str(tree / "scripts" / "cluster_down.sh")
    done = subprocess.run(
        ["bash", script, *words], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stderr, told.exists(), (tree / "infra" / "state" / "local.tfstate").exists()


@pytest.mark.parametrize("words", [(), ("--help",), ("-y",), ("--yes", "really"), ("--yes --force",)])
def test_nothing_is_deleted_unless_it_is_said(tree: Path, words: tuple[str, ...]) -> None:
    status, said, deleted, state = run(tree, *words)
    assert (status, deleted, state) == (2, False, True) and "--yes" in said


def test_said_it_is_gone_with_its_state(tree: Path) -> None:
    assert run(tree, "--yes") == (0, "", True, False)


def test_a_cluster_that_is_not_there_takes_no_state_with_it(tree: Path) -> None:
    """kind deletes what does not exist without a word, and the state may be another cluster's."""
    status, said, deleted, state = run(tree, "--yes", CLUSTER="vidprocm")
    assert (status, deleted, state) == (1, False, True) and "vidprocm" in said
