"""A person's journeys: the program as a process, on a data folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import psutil
import pytest

from scripts.drawn import random_scenes
from scripts.make_sample import Shown, make, plan
from tests.processes import kill, lives

LIMIT_S = 150.0


@dataclass(frozen=True)
class Person:
    """Somebody at a shell, with a data folder and a place for results."""

    data: Path
    out: Path

    def start(self, *words: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("VIDPROCME_")}
        environment |= {"VIDPROCME_DATA": str(self.data), "VIDPROCME_REDIS_LINGER_S": "0.5", **(env or {})}
        return subprocess.Popen(
            [sys.executable, "-m", "vidprocme", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=self.out.parent,
        )

    def run(self, *words: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        process = self.start(*words, env=env)
        try:
            stdout, stderr = process.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            stdout, stderr = process.communicate()
            raise AssertionError(f"{words} hung; it said: {stdout}\n{stderr}") from None
        return subprocess.CompletedProcess(words, process.returncode, stdout, stderr)

    def process(self, *words: str, env: Mapping[str, str] | None = None) -> tuple[int, list[dict[str, Any]], str]:
        """`process --json`: exit status, one document for each input, stderr."""
        done = self.run("process", "--out", str(self.out), "--json", *words, env=env)
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


@pytest.fixture
def person(tmp_path: Path) -> Iterator[Person]:
    somebody = Person(tmp_path / "data", tmp_path / "out")
    yield somebody
    kill_all(somebody.data)


def processes_of(data: Path) -> list[psutil.Process]:
    """Every process that works on this data folder: by command line, environment, or open files' folder."""
    found = []
    for process in psutil.process_iter():
        try:
            named = str(data) in " ".join(process.cmdline())
            if named or process.environ().get("VIDPROCME_DATA") == str(data):
                found.append(process)
        except psutil.Error:
            continue
    return found


def kill_all(data: Path) -> None:
    """SIGKILL to everything of a data folder, as a power cut would; returns when nothing is left."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        alive = [process for process in processes_of(data) if lives(process)]
        if not alive:
            return
        for process in alive:
            kill(process)
        time.sleep(0.02)
    raise AssertionError("processes outlived SIGKILL")


def until(condition: Callable[[], Any], what: str, limit_s: float = 60.0) -> Any:
    """The first true answer of `condition`, asked often."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        answer = condition()
        if answer:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"waited {limit_s:g} s for: {what}")


@dataclass(frozen=True)
class Clip:
    """A drawn clip and the truth about it."""

    path: Path
    shown: list[Shown]

    def caption_at(self, time_s: float) -> str:
        return next(s.caption for s in self.shown if float(s.start) <= time_s + 1e-6 < float(s.end))


@pytest.fixture(scope="session")
def draw(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Clip]:
    """Draw a clip: `draw(seed, scenes)`, one scene a second."""
    folder = tmp_path_factory.mktemp("clips")

    def one(seed: int, scenes: int, size: tuple[int, int] = (640, 360), fps: int = 30) -> Clip:
        from fractions import Fraction

        path = folder / f"drawn-{seed}-{scenes}-{size[0]}-{fps}.mp4"
        shown = plan(random_scenes(seed, scenes), seed, Fraction(fps), Fraction(1))
        if not path.exists():
            make(path, shown, size=size, fps=Fraction(fps), seed=seed, ffmpeg=imageio_ffmpeg.get_ffmpeg_exe())
        return Clip(path, shown)

    return one
