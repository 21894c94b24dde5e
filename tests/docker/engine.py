"""The image and the host-network compose file, run by a real Docker engine."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[2]
IMAGE = "vidprocme:test"
DEADLINE_S = 120.0


def docker(*words: str, timeout_s: float = 120.0, check: bool = True) -> str:
    """What it prints on stdout. Raises AssertionError with what it said when it fails; without `check`, returns all it said."""
    done = subprocess.run(["docker", *words], capture_output=True, text=True, timeout=timeout_s, check=False)
    if not check:
        return done.stdout + done.stderr
    assert done.returncode == 0, f"docker {' '.join(words)}: {done.stdout}{done.stderr}"
    return done.stdout


def built_image() -> str:
    """The image to test: the one that VIDPROCME_TEST_IMAGE names, else built here from the Dockerfile.

    PYTHON_IMAGE names another base (scripts/standin_images.sh). BuildKit is asked for by variable: Debian's client speaks it
    without the buildx plugin.
    """
    given = os.environ.get("VIDPROCME_TEST_IMAGE")
    if given:
        return given
    words = ["docker", "build", "--network", "host", "--tag", IMAGE, str(ROOT)]
    if base := os.environ.get("PYTHON_IMAGE"):
        words += ["--build-arg", f"PYTHON_IMAGE={base}"]
    if bundle := os.environ.get("PIP_CERT"):
        words += ["--secret", f"id=ca,src={bundle}"]
    done = subprocess.run(
        words, env=os.environ | {"DOCKER_BUILDKIT": "1"}, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return IMAGE


def compose_words() -> list[str]:
    """Compose as a plugin, else the older program of its own."""
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    if plugin.returncode == 0:
        return ["docker", "compose"]
    found = shutil.which("docker-compose")
    assert found, "neither `docker compose` nor docker-compose is installed"
    return [found]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def await_(what: Callable[[], Any], why: str) -> Any:
    """The first true answer."""
    deadline = time.monotonic() + DEADLINE_S
    while not (answer := what()):
        assert time.monotonic() < deadline, why
        time.sleep(0.1)
    return answer


@dataclass
class Stack:
    """Redis, server and two workers, as docker-compose.hostnet.yml starts them."""

    project: str
    url: str
    words: list[str]
    env: dict[str, str]

    def compose(self, *words: str, timeout_s: float = 180.0) -> str:
        done = subprocess.run(
            [*self.words, *words],
            cwd=ROOT,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert done.returncode == 0, f"compose {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    def container(self, service: str) -> str:
        return self.compose("ps", "-q", service).strip()

    def health(self, service: str) -> str:
        state = json.loads(docker("inspect", self.container(service)))[0]["State"]
        return str(state["Health"]["Status"])

    def get(self, path: str) -> Any:
        return httpx.get(f"{self.url}{path}", timeout=30, trust_env=False).json()

    def is_ready(self) -> bool:
        try:
            parts = self.get("/readyz")["parts"]
        except (httpx.HTTPError, ValueError, KeyError):
            return False
        return all(part["ok"] for part in parts.values()) and len(self.pools()) == 2

    def pools(self) -> list[str]:
        text = httpx.get(f"{self.url}/metrics", timeout=30, trust_env=False).text
        return [line for line in text.splitlines() if line.startswith("vidprocme_pool_places{")]

    def post(self, clip: Path, **fields: str) -> str:
        """The id of the new job."""
        with clip.open("rb") as file:
            answer = httpx.post(
                f"{self.url}/v1/videos", data=fields, files={"file": (clip.name, file)}, timeout=60, trust_env=False
            )
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def ended(self, job: str) -> Any:
        return await_(
            lambda: (found := self.get(f"/v1/jobs/{job}"))["ended_at"] is not None and found,
            f"job {job} did not end: {self.compose('logs', '--tail', '40')}",
        )


@contextmanager
def stack(image: str) -> Iterator[Stack]:
    """Up and ready; everything of it is removed afterwards, its volumes too."""
    project, port, redis_port = f"vidprocmetest{os.getpid()}", free_port(), free_port()
    env = os.environ | {"VIDPROCME_IMAGE": image, "VIDPROCME_PORT": str(port), "REDIS_PORT": str(redis_port)}
    words = [*compose_words(), "-f", str(ROOT / "docker-compose.hostnet.yml"), "-p", project]
    made = Stack(project, f"http://127.0.0.1:{port}", words, env | {"VIDPROCME_WORKER_CORES": "1"})
    try:
        made.compose("up", "--detach", "--no-build", "redis", "server", "worker-1", "worker-2")
        await_(made.is_ready, "the stack did not become ready")
        yield made
    finally:
        made.compose("down", "--volumes", "--timeout", "10")
