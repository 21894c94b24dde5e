"""`vidprocme up` for Prometheus to watch: on a Redis of the test's own, or on a small disk."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.cli.served import environment
from tests.journeys.conftest import kill_all
from tests.monitoring.watching import await_


@dataclass(frozen=True)
class Server:
    """A running `vidprocme up`."""

    process: subprocess.Popen[str]
    url: str
    data: Path
    log: Path

    @property
    def address(self) -> str:
        return self.url.removeprefix("http://")

    def get(self, path: str) -> Any:
        return httpx.get(f"{self.url}{path}", timeout=30, trust_env=False).json()

    def metrics(self) -> str:
        return httpx.get(f"{self.url}/metrics", timeout=30, trust_env=False).text

    def post(self, clip: Path, **fields: str) -> str:
        """The id of the new job."""
        with clip.open("rb") as file:
            files = {"file": (clip.name, file)}
            answer = httpx.post(f"{self.url}/v1/videos", data=fields, files=files, timeout=30, trust_env=False)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def cancel(self, job: str) -> None:
        assert httpx.post(f"{self.url}/v1/jobs/{job}/cancel", timeout=30, trust_env=False).status_code == 202

    def ended(self, job: str) -> str:
        """The state of the job, once it has ended."""
        why = f"the end of {job}"
        found = await_(lambda: (seen := self.get(f"/v1/jobs/{job}"))["ended_at"] is not None and seen, why)
        return str(found["state"])

    def child(self, word: str) -> psutil.Process | None:
        """The child of the supervisor with this word on its command line, when it is there."""
        for child in psutil.Process(self.process.pid).children():
            try:
                if word in child.cmdline():
                    return child
            except psutil.Error:
                continue  # ended meanwhile
        return None

    def pool(self) -> psutil.Process:
        found: psutil.Process = await_(lambda: self.child("worker"), "a pool")
        return found

    def attempts(self) -> list[psutil.Process]:
        """The processes of running attempts, and resident workers: children of the pool's fork server."""
        try:
            servers = [one for one in self.pool().children() if any("forkserver" in word for word in one.cmdline())]
            return [one for server in servers for one in server.children()]
        except psutil.Error:
            return []


@contextmanager
def serving(folder: Path, *options: str, before: Sequence[str] = (), **variables: str) -> Iterator[Server]:
    """Started, and ended hard. `before`: words in front of the command, such as `unshare -m`, that exec it in the end."""
    data, log = folder / "data", folder / "up.log"
    argv = [sys.executable, "-m", "vidprocme", "--data", str(data), "up", "--port", "0", "--cores", "2", *options]
    with log.open("w") as errors:
        process = subprocess.Popen(
            [*before, *argv],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment(**variables),
            process_group=0,
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()  # comes when /readyz says yes
        assert line.startswith("vidprocme is up at http://127.0.0.1:"), log.read_text()
        yield Server(process, line.split()[4], data, log)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        kill_all(data)
