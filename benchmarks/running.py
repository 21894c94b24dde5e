"""Servers and pools of one data folder as processes, kept alive as a supervisor does it, and hurt by those who measure that.

Every process of ours carries the data folder in its environment; so who belongs to it is known, orphans included.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

from vidprocme.wiring import House

LOOK_EVERY_S = 0.05  # between two looks at who has died
START_AGAIN_MOST_S = 5.0


def environment(data: Path) -> dict[str, str]:
    """Of every process of the data folder: nothing of the caller's own settings."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith("VIDPROCME_")}
    source = str(Path(__file__).parents[1] / "src")
    path = os.pathsep.join(part for part in (source, mine.get("PYTHONPATH", "")) if part)
    return {**mine, "PYTHONPATH": path, "VIDPROCME_DATA": str(data), "VIDPROCME_REDIS_LINGER_S": "2"}


@dataclass
class Service:
    """One command that is to run all the time. `held`: not started again for now."""

    name: str
    argv: Sequence[str]
    fds: tuple[int, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    held: bool = False
    starts: int = 0
    pause_s: float = 0.0

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process is not None and self.process.poll() is None else None


@dataclass
class Services:
    """Starts them, and starts again whoever dies: at once, like a supervisor that was told so."""

    data: Path
    log: Path
    services: dict[str, Service] = field(default_factory=dict)
    over: bool = False

    def __post_init__(self) -> None:
        self._file: IO[bytes] = self.log.open("ab")
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._watch, name="services", daemon=True)

    def add(self, name: str, *words: str, fds: tuple[int, ...] = ()) -> Service:
        """A module of ours with its arguments: `add("pool-a", "vidprocme", "worker")`."""
        service = Service(name, [sys.executable, "-m", *words], fds)
        self.services[name] = service
        return service

    def start(self) -> None:
        for service in self.services.values():
            self._start(service)
        self._thread.start()

    def _start(self, service: Service) -> None:
        service.process = subprocess.Popen(
            service.argv,
            env=environment(self.data),
            stdin=subprocess.DEVNULL,
            stdout=self._file,
            stderr=self._file,
            pass_fds=service.fds,
            process_group=0,
        )
        service.started_s = time.monotonic()
        service.starts += 1

    def _watch(self) -> None:
        while not self.over:
            with self._lock:
                for service in self.services.values():
                    dead = service.process is not None and service.process.poll() is not None
                    if dead and not service.held and not self.over:
                        self._again(service)
            time.sleep(LOOK_EVERY_S)

    def _again(self, service: Service) -> None:
        """At once; one that ends by itself again and again waits longer, as everywhere."""
        now = time.monotonic()
        lived_s = now - service.started_s
        if lived_s < service.pause_s:
            return
        assert service.process is not None
        killed = service.process.returncode == -signal.SIGKILL
        service.pause_s = 0.0 if killed else min(max(0.25, service.pause_s * 2), START_AGAIN_MOST_S)
        self._start(service)

    @contextlib.contextmanager
    def holding(self, *names: str) -> Iterator[None]:
        """Whoever of these dies stays dead until the end of the block. (Nobody is started in the middle of a kill.)"""
        with self._lock:
            for name in names:
                self.services[name].held = True
        try:
            yield
        finally:
            with self._lock:
                for name in names:
                    self.services[name].held = False

    def stop(self) -> None:
        """TERM twice (hand back and end); whoever still runs after 20 s is killed."""
        self.over = True
        if self._thread.is_alive():
            self._thread.join(5)
        running = [s.process for s in self.services.values() if s.process is not None and s.process.poll() is None]
        for number in (signal.SIGTERM, signal.SIGHUP):
            for process in running:
                with contextlib.suppress(OSError):
                    process.send_signal(number)
            time.sleep(0.2)
        for process in running:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        end_all(self.data, grace_s=10)
        self._file.close()


def listening() -> socket.socket:
    """A listening socket of this machine's own, for a server that comes and goes."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen(512)
    return listener


# -- who there is ----------------------------------------------------------------------------------------------------
def processes_of(data: Path) -> list[psutil.Process]:
    """Every process of the data folder, by its environment or command line; not this one, and no zombies.

    Redis writes its title over its environment: it is known by what its keeper wrote down.
    """
    found, redis = [], redis_of(data)
    for process in psutil.process_iter():
        try:
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            is_redis = process.pid == redis and any(word in process.name() for word in ("redis", "valkey"))
            if is_redis or process.environ().get("VIDPROCME_DATA") == str(data) or str(data) in process.cmdline():
                found.append(process)
        except psutil.Error:
            continue
    return found


def end_all(data: Path, grace_s: float = 0.0) -> None:
    """SIGKILL to everything of the data folder, as a power cut; returns when nothing is left."""
    deadline = time.monotonic() + grace_s
    while (alive := processes_of(data)) and time.monotonic() < deadline:
        time.sleep(0.1)
    for _ in range(100):
        if not alive:
            return
        kill(*alive)
        psutil.wait_procs(alive, timeout=0.5)
        alive = processes_of(data)
    raise RuntimeError(f"outlived SIGKILL: {alive}")


def kill(*processes: psutil.Process | int | None) -> int:
    """SIGKILL to each that is still there; returns how many got it. One after another without a pause."""
    hit = 0
    for process in processes:
        pid = process.pid if isinstance(process, psutil.Process) else process
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                hit += 1
    return hit


def children_of(pid: int | None) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children() if pid else []
    except psutil.Error:
        return []


def attempts_of(pool: int | None) -> list[psutil.Process]:
    """The processes of a pool's attempts: the children of its fork server, whose forks have its command line."""
    found = []
    for child in children_of(pool):
        with contextlib.suppress(psutil.Error):
            if "vidprocme.executor.forkserver" in " ".join(child.cmdline()):
                found += child.children()
    return found


def redis_of(data: Path) -> int | None:
    """The pid of the embedded server, as its keeper wrote it."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        return int(json.loads((data / "redis" / "keeper.json").read_text())["server_pid"])
    return None


def follows(house: House) -> bool:
    """Whether the lists and the search know of everything that has happened."""
    with contextlib.closing(house.open_index()) as index:
        newest = house.queue.newest_event()
        return index.last_job_event() == newest and index.last_event() == newest
