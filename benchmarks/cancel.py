"""How long after a cancel no process of the job is left: ffmpeg in the middle of a slow encode, on a pool at work.

python -m benchmarks cancel [--trials 20] [--work DIR]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from benchmarks import running
from benchmarks.ground import PATIENCE_S, Ground, until
from benchmarks.soak import kind_of
from vidprocme.transcoder.binary import find

GOAL_S = 2.0
WISH = {"model": "none", "renditions": "720p", "video_preset": "veryslow"}


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks cancel", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--work", type=Path, help="keep everything here (default: a temporary folder)")
    options = parser.parse_args(argv)
    folder = options.work or Path(tempfile.mkdtemp(prefix="cancel-"))
    folder.mkdir(parents=True, exist_ok=True)
    ground = Ground(folder, random.Random(1), wish=WISH)
    clip = _noise(folder / "noise.mp4")
    took_s: list[float] = []
    try:
        ground.start()
        for number in range(1, options.trials + 1):
            took_s.append(_trial(ground, clip))
            left = options.trials - number
            print(f"{number:>4}/{options.trials}  {took_s[-1]:5.2f} s  {left} to go", file=sys.stderr, flush=True)
    finally:
        ground.house.close()
        ground.services.stop()
        ground.listener.close()
    worst, median = max(took_s), statistics.median(took_s)
    print(f"{len(took_s)} cancels: no process of the job left after {median:.2f} s (median), {worst:.2f} s (worst)")
    machine = {"cores": os.cpu_count(), "python": platform.python_version()}
    print(json.dumps({"machine": machine, "cancel": {"took_s": took_s, "median_s": median, "worst_s": worst}}))
    if not options.work:
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if worst <= GOAL_S else 1


def _noise(path: Path) -> bytes:
    """A clip that is hard to encode: half a minute of work at least."""
    source = "testsrc2=size=1280x720:rate=25:duration=8,noise=alls=60:allf=t"
    words = [find().path, "-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", source, "-c:v", "libx264"]
    subprocess.run([*words, "-preset", "ultrafast", "-crf", "40", "-pix_fmt", "yuv420p", str(path)], check=True)
    return path.read_bytes()


def _trial(ground: Ground, clip: bytes) -> float:
    ground.await_ready()
    job = until(lambda: ground.submit(clip), "a submit", PATIENCE_S)
    until(lambda: _of_attempts(ground, "ffmpeg"), "an ffmpeg", PATIENCE_S)
    asked_s = time.monotonic()
    ground.queue.cancel(job)
    until(lambda: not _of_attempts(ground, "attempt", "ffmpeg"), "no process", PATIENCE_S, 0.01)
    took_s = time.monotonic() - asked_s
    until(ground.all_ended, "the job to end", PATIENCE_S)
    return round(took_s, 3)


def _of_attempts(ground: Ground, *kinds: str) -> list[psutil.Process]:
    return [process for process in running.processes_of(ground.data) if kind_of(process) in kinds]
