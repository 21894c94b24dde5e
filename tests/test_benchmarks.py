"""The benchmark itself runs, and its counting counts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# A child burns CPU for `own` seconds and leaves an orphan behind that burns `left` seconds in a session of its own.
BURN = """
import os, sys, time
def burn(s):
    while time.process_time() < s: pass
own, left = map(float, sys.argv[1:])
if os.fork() == 0:
    os.setsid()
    burn(left)
    os._exit(0)
burn(own)
"""
MEASURE = """
import json, os, sys
from pathlib import Path
from benchmarks import measure
measure.become_subreaper()
used = measure.run([sys.executable, "-c", sys.argv[1], "0.3", "0.9"], env=os.environ, log=Path(sys.argv[2]))
print(json.dumps([used.cpu_s, used.status, used.peak_pss_bytes.get("ours", 0)]))
"""


def test_what_outlives_its_parent_is_counted(tmp_path: Path) -> None:
    words = [sys.executable, "-c", MEASURE, BURN, str(tmp_path / "log")]
    said = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    cpu_s, status, memory = json.loads(said)
    assert status == 0
    assert cpu_s > 1.19  # 0.3 of the child and 0.9 of the orphan, less a tick
    assert memory > 1_000_000


def test_an_unknown_benchmark_is_refused() -> None:
    done = subprocess.run([sys.executable, "-m", "benchmarks", "nothing"], cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 2
    assert "pipeline" in done.stderr


@pytest.mark.slow
def test_the_quick_pipeline_benchmark_says_what_it_measured(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "benchmarks", "pipeline", "--quick", "--work", str(tmp_path)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

    *text, last = done.stdout.splitlines()
    (result,) = json.loads(last)["pipeline"]
    assert all(len(line) <= 80 for line in text)
    assert [run[0] for run in result["runs"]] == ["by hand", "process"]
    assert result["ratio"] == pytest.approx(result["ours_cpu_s"] / result["hand_cpu_s"])
    assert result["stages_cpu_s"]["transcode"] < result["ours_cpu_s"]
    assert {"ours", "ffmpeg", "redis"} <= set(result["peak_pss_bytes"])


@pytest.mark.slow
def test_the_short_fairness_benchmark_keeps_to_the_weights_and_the_formula() -> None:
    words = [sys.executable, "-m", "benchmarks", "fairness", "--short"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

    result = json.loads(done.stdout.splitlines()[-1])["fairness"]
    assert all(row["claims"] == pytest.approx(row["by_weight"], rel=0.1) for row in result["shares"])
    assert all(result["waits"][bin_]["late"] > 0 for bin_ in ("high", "normal", "bulk"))
