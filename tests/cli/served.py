"""`vidprocme up` as a process of its own, on a fresh data folder; and what is left of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import httpx
import imageio_ffmpeg
import psutil

from scripts.drawn import random_scenes
from scripts.make_sample import MISREAD, make, plan
from tests.processes import kill, left

DEADLINE_S = 90.0


def environment(**more: str) -> dict[str, str]:
    """Of a child: nothing of the tester's own settings, and a Redis that goes soon."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith("VIDPROCME_")}
    return {**mine, "VIDPROCME_REDIS_LINGER_S": "0.5", **more}


def draw(path: Path, scenes: int, *, seed: int = 7, size: tuple[int, int] = (320, 180), scene_s: int = 1) -> list[str]:
    """Draw a clip with one scene after another; returns what its captions should say."""
    shown = plan(random_scenes(seed, scenes, skip=MISREAD), seed, Fraction(10), Fraction(scene_s))
    make(path, shown, size=size, fps=Fraction(10), seed=seed, ffmpeg=imageio_ffmpeg.get_ffmpeg_exe())
    return [item.caption for item in shown]


def noise(path: Path, seconds: int) -> None:
    """Write a clip that is hard to encode: every picture is new."""
    source = f"testsrc2=size=1280x720:rate=15:duration={seconds},noise=alls=60:allf=t"
    argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-f", "lavfi", "-i", source]
    codec = ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "40", "-pix_fmt", "yuv420p"]
    subprocess.run([*argv, *codec, str(path)], check=True, timeout=60)


def await_(what: Callable[[], Any], why: str) -> Any:
    """The first true answer. There is nothing to wait on but another process's state, so it is asked for again and again."""
    deadline = time.monotonic() + DEADLINE_S
    while not (answer := what()):
        assert time.monotonic() < deadline, why
        time.sleep(0.02)
    return answer


@dataclass
class Up:
    """A running server."""

    process: subprocess.Popen[str]
    url: str
    data: Path
    log: Path

    def child(self, word: str) -> psutil.Process | None:
        """The child of the supervisor with this word on its command line, once it is there."""
        for child in psutil.Process(self.process.pid).children():
            try:
                if word in child.cmdline():
                    return child
            except psutil.Error:
                continue  # ended meanwhile
        return None

    def pool(self) -> psutil.Process:
        found: psutil.Process = await_(lambda: self.child("worker"), "no pool")
        return found

    def server(self) -> psutil.Process:
        found: psutil.Process = await_(lambda: self.child("vidprocme.api.server"), "no server")
        return found

    def all(self) -> list[psutil.Process]:
        """Every process of it: children and theirs, and the keeper of its Redis with the Redis."""
        mine = psutil.Process(self.process.pid)
        facts = json.loads((self.data / "redis" / "keeper.json").read_text())
        redis = [psutil.Process(facts[name]) for name in ("keeper_pid", "server_pid")]
        return [mine, *mine.children(recursive=True), *redis]

    def get(self, path: str) -> Any:
        return httpx.get(f"{self.url}{path}", timeout=30, trust_env=False).json()

    def post(self, clip: Path, **fields: str) -> str:
        """The id of the new job."""
        with clip.open("rb") as file:
            answer = httpx.post(
                f"{self.url}/v1/videos", data=fields, files={"file": (clip.name, file)}, timeout=30, trust_env=False
            )
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def ended(self, job: str) -> Any:
        """The job, once it has ended."""
        return await_(
            lambda: (found := self.get(f"/v1/jobs/{job}"))["ended_at"] is not None and found,
            f"job {job} did not end; log: {self.log.read_text()}",
        )

    def ready(self) -> Any:
        return httpx.get(f"{self.url}/readyz", timeout=30, trust_env=False).json()


@contextmanager
def up(folder: Path, *options: str, **variables: str) -> Iterator[Up]:
    """Started, and ended hard if the test has not ended it."""
    data, log = folder / "data", folder / "up.log"
    argv = [sys.executable, "-m", "vidprocme", "--data", str(data), "up", "--port", "0", "--cores", "2", *options]
    with log.open("w") as errors:
        process = subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment(**variables), process_group=0
        )
    assert process.stdout is not None
    running: list[psutil.Process] = []
    try:
        line = process.stdout.readline()  # comes when /readyz says yes
        assert line.startswith("vidprocme is up at http://127.0.0.1:"), log.read_text()
        server = Up(process, line.split()[4], data, log)
        running = server.all()
        yield server
    finally:
        if process.poll() is None:
            running = [*server.all()] if running else []
            process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        still_there = left(running)
        for one in running:  # a test that fails leaves nothing behind either
            kill(one)
        assert still_there == []
