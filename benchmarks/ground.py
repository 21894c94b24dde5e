"""A data folder with real servers and pools at work on small videos, the way to submit more, and what is known of them."""

from __future__ import annotations

import os
import random
import secrets
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks import running
from benchmarks.ledger import Ledger
from benchmarks.running import Services, listening
from vidprocme.config import load
from vidprocme.core.errors import Retryable
from vidprocme.core.ids import JobId
from vidprocme.queue.redis import RedisQueue
from vidprocme.transcoder.binary import find
from vidprocme.wiring import House

POOLS = ("pool-a", "pool-b")
PATIENCE_S = 90.0
WISH = {"model": "none", "renditions": "240p", "chunk": "10", "every": "10"}


@dataclass(slots=True)
class Sums:
    accepted: int = 0
    lost: int = 0
    doubled: int = 0
    redone: int = 0
    redone_chunks: int = 0
    missing: int = 0
    stuck: int = 0
    poison: int = 0
    findings: int = 0


class Ground:
    """The long-lived set-up, and what is known of it."""

    def __init__(self, folder: Path, rng: random.Random, wish: Mapping[str, str] | None = None) -> None:
        self.data, self.rng, self.wish = folder / "data", rng, wish or WISH
        self.data.mkdir(parents=True, exist_ok=True)
        ffmpeg = find().path
        self.short = draw(ffmpeg, folder / "short.mp4", seconds=3, fps=10)
        self.long = draw(ffmpeg, folder / "long.mp4", seconds=40, fps=2)  # over 30 s: cut into four chunks
        self.listener = listening()
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.services = Services(self.data, folder / "log.txt")
        fd = self.listener.fileno()
        self.services.add("server", "vidprocme.api.server", "--fd", str(fd), "--parent", str(os.getpid()), fds=(fd,))
        for name in POOLS:
            self.services.add(name, "vidprocme", "worker", "--cores", "2")
        self.house = House(load({"data": self.data}, {}))
        self.ledger = Ledger()
        self.accepted: list[JobId] = []
        self.sums = Sums()

    def start(self) -> None:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # everything is ended on the way out
        # The keeper of Redis is started by whoever comes first, which is us: it is to be known by its environment too.
        os.environ.update(running.environment(self.data))
        _ = self.queue
        self.services.start()
        self.await_ready()

    @property
    def queue(self) -> RedisQueue:
        queue = self.house.queue
        assert isinstance(queue, RedisQueue)
        return queue

    def await_ready(self) -> None:
        """Both pools have joined, and the server answers."""
        until(lambda: len(self.queue.pools()) >= len(POOLS) and self._answers(), "server and pools", PATIENCE_S)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def submit(self, clip: bytes) -> JobId | None:
        """The job of a new video; None when no answer came, or another one than that it was accepted."""
        box = struct.pack(">I4s", 24, b"free") + secrets.token_bytes(16)  # ISO/IEC 14496-12: a box that players skip
        # Other pictures and sizes each time: were all files alike, the store would have the lost one of another job.
        wish = {
            **self.wish,
            "crf": str(secrets.choice(range(18, 40))),
            "frame_width": str(secrets.choice(range(32, 320, 2))),
        }
        files = {"file": (f"{secrets.token_hex(4)}.mp4", clip + box)}
        try:
            answer = httpx.post(f"{self.url}/v1/videos", data=wish, files=files, timeout=60, trust_env=False)
        except httpx.HTTPError:
            return None
        if answer.status_code != 202:
            return None
        job = JobId(answer.json()["id"])
        self.accepted.append(job)
        return job

    def busy_pool(self) -> str:
        """A pool with an attempt that runs, as the diary has it; any one when none has."""
        names = {service.pid: name for name, service in self.services.services.items() if name in POOLS}
        of_holder = {info.id: names.get(info.pid) for info in self.queue.pools()}
        busy = {of_holder.get(span.holder) for span in self.ledger.running()} - {None}
        return str(self.rng.choice(sorted(map(str, busy)) or POOLS))

    def read(self) -> bool:
        """The diary, so far. False while the queue is away."""
        try:
            self.ledger.read(self.queue)
        except Retryable:
            return False
        return True

    def all_ended(self) -> bool:
        try:
            return self.read() and not self.queue.jobs(active=True)
        except Retryable:
            return False


def until(true: Callable[[], Any], what: str, limit_s: float, every_s: float = 0.02) -> Any:
    deadline = time.monotonic() + limit_s
    while True:
        try:
            answer = true()
        except Retryable:
            answer = None
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {limit_s:g} s for: {what}")
        time.sleep(every_s)


def draw(ffmpeg: str, path: Path, *, seconds: int, fps: int) -> bytes:
    """A small clip of moving pictures, with a key frame every 2 s."""
    source = f"testsrc2=size=176x144:rate={fps}:duration={seconds}"
    words = [ffmpeg, "-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", source, "-c:v", "libx264"]
    subprocess.run([*words, "-preset", "ultrafast", "-g", str(2 * fps), "-pix_fmt", "yuv420p", str(path)], check=True)
    return path.read_bytes()


def spread(values: list[float]) -> dict[str, float]:
    ordered = sorted(values) or [0.0]
    return {f"p{p}": round(ordered[min(len(ordered) - 1, len(ordered) * p // 100)], 1) for p in (50, 95, 99)}
