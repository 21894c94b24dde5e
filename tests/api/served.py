"""A server in a process of its own, which can be killed, on a port that stays."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx


class Served:
    """`python -m vidprocme.api.server` over one data folder."""

    def __init__(self, data: Path, redis_url: str) -> None:
        self._data, self._redis_url = data, redis_url
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._address = self._listener.getsockname()
        self.url = f"http://127.0.0.1:{self._address[1]}"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self, **settings: str) -> None:
        if self._listener.fileno() < 0:
            self._listener = socket.create_server(self._address)
        mine = {name: value for name, value in os.environ.items() if not name.startswith("VIDPROCME_")}
        given = {"DATA": str(self._data), "REDIS_URL": self._redis_url, **settings}
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "vidprocme.api.server",
                "--fd",
                str(self._listener.fileno()),
                "--parent",
                str(os.getpid()),
            ],
            env={**mine, **{f"VIDPROCME_{name.upper()}": value for name, value in given.items()}},
            stdin=subprocess.DEVNULL,
            pass_fds=(self._listener.fileno(),),
        )
        with httpx.Client(base_url=self.url, trust_env=False) as client:
            deadline = time.monotonic() + 30
            while True:
                try:
                    client.get("/healthz")
                    return
                except httpx.TransportError:
                    assert time.monotonic() < deadline and self.process.poll() is None

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def vanish(self) -> None:
        """kill -9, and nobody listens any more: who connects is refused at once."""
        self._listener.close()
        self.kill()

    def wait_killed(self) -> None:
        assert self.process is not None
        assert self.process.wait(30) == -9

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
        self._listener.close()


@contextmanager
def served(data: Path, redis_url: str) -> Iterator[Served]:
    server = Served(data, redis_url)
    try:
        yield server
    finally:
        server.close()
