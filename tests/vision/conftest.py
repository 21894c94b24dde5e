"""One real engine for the whole room: the demo model in a process of its own, and pictures of drawn scenes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import imageio_ffmpeg
import pytest

from scripts.drawn import Scene, Thing, caption, jpeg, picture
from vidprocme.vision.llamacpp import LlamaCpp, bare_environment
from vidprocme.vision.openai_http import OpenAiHttp
from vidprocme.vision.registry import Registry

KEY = "a key that nobody guesses"


@dataclass(frozen=True, slots=True)
class Served:
    """An engine process that serves."""

    url: str
    pid: int

    def client(self, *, key: str = KEY, frame_s: float = 30.0, slots: int | None = None) -> OpenAiHttp:
        return OpenAiHttp("demo", self.url, key, frame_s=frame_s, slots=slots)


@pytest.fixture(scope="session")
def ffmpeg() -> str:
    return str(imageio_ffmpeg.get_ffmpeg_exe())


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return Registry(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def served(registry: Registry) -> Iterator[Served]:
    """The demo model behind HTTP with two slots, started as LlamaCpp starts it."""
    model = registry.get("demo")
    config = {
        "text": model.path,
        "mmproj": model.mmproj,
        "threads": 1,
        "slots": 2,
        "context_tokens": 1024,
        "api_key": KEY,
    }
    with subprocess.Popen(
        [sys.executable, "-m", "vidprocme.vision.engine"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=bare_environment(),
        start_new_session=True,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps(config).encode() + b"\n")
        process.stdin.flush()
        ready = json.loads(process.stdout.readline())
        yield Served(ready["address"] + "/v1", process.pid)
        os.kill(process.pid, signal.SIGCONT)
        process.kill()


@pytest.fixture(scope="module")
def llama(registry: Registry) -> Iterator[LlamaCpp]:
    describer = LlamaCpp(registry.get("demo"), threads=1)
    yield describer
    describer.close()


SCENES = (
    Scene("dark", (Thing(4, "red", "circle", "large"),)),
    Scene("bright", (Thing(0, "blue", "square", "small"),)),
    Scene("dark", (Thing(8, "yellow", "triangle", "large"),)),
)
CAPTIONS = [caption(scene) for scene in SCENES]


@pytest.fixture(scope="session")
def frames(ffmpeg: str) -> list[bytes]:
    """JPEG pictures, 640x360, of SCENES."""
    return [jpeg(picture(scene, 640, 360), 640, 360, ffmpeg) for scene in SCENES]


@pytest.fixture(scope="session")
def plain(ffmpeg: str) -> bytes:
    """A picture that the demo model never learned: a plain red field."""
    return jpeg(bytes((254, 0, 0)) * (640 * 360), 640, 360, ffmpeg)


def wait_for_end(pid: int, timeout_s: float = 20.0) -> bool:
    """Has the process ended within the time? Also for one that is not our child."""
    import select

    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], timeout_s)[0])
    finally:
        os.close(handle)
