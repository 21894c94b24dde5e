"""A Redis server of our own for one data folder, shared by everybody who uses the folder.

The first user starts a keeper (keeper.py), which holds the server; every user holds a shared lock. Five seconds after the
last one has gone, however it went, the server stops.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from vidprocme import processes
from vidprocme.core.errors import ErrorInfo, Fatal, Fate, Retryable
from vidprocme.core.wire import from_wire
from vidprocme.queue.keeper import LINGER_S, LOG_MOST_BYTES, ask, read_facts, tail, write_facts

WATCH_S = 0.5  # how often a user looks whether the keeper lives
WATCH_MOST_S = 10.0  # the longest pause before it tries again to start one
LINGER_VARIABLE = "VIDPROCME_REDIS_LINGER_S"

LOG = logging.getLogger("vidprocme.queue")


@dataclass(frozen=True, slots=True)
class _Wished:
    """How a server that is started is to be. One that runs already stays as it is."""

    binary: str | None
    memory_bytes: int


class EmbeddedServer:
    """A running server, for as long as this is open. Close it, or use it in a `with`."""

    def __init__(self, folder: Path, users: IO[bytes], facts: dict[str, Any], wished: _Wished) -> None:
        self._folder, self._users, self._wished = folder, users, wished
        self.socket = str(facts["socket"])
        self.name = str(facts["server"])  # redis or valkey
        self.version = str(facts["version"])
        self.binary = str(facts["binary"])
        self._closing = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="vidprocme-redis-watch", daemon=True)
        self._watcher.start()

    @property
    def url(self) -> str:
        """The address for RedisQueue.connect(url, ours=True)."""
        return f"unix://{self.socket}"

    def close(self) -> None:
        """Stop using it. Safe to call twice."""
        self._closing.set()
        if self._watcher is not threading.current_thread():
            self._watcher.join()
        if not self._users.closed:
            # Said aloud: closing alone would not free it when a forked child still has the file.
            fcntl.flock(self._users, fcntl.LOCK_UN)
            self._users.close()

    def __enter__(self) -> EmbeddedServer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _watch(self) -> None:
        """Start a new keeper when the old one was killed. (A server that dies is its keeper's affair.)"""
        pause_s, told = WATCH_S, ""
        while not self._closing.wait(pause_s):
            try:
                if not _keeper_lives(self._folder):
                    with _locked(self._folder / "start.lock", time.monotonic() + 5):
                        _ensure_keeper(self._folder, self._wished, time.monotonic() + 30)
                pause_s, told = WATCH_S, ""
            except (
                Exception
            ) as error:  # a full disk, say: without this thread the queue would not come back when there is room
                if str(error) != told:  # once for each trouble; the queue's own calls say that it is unreachable
                    LOG.warning("the embedded Redis cannot be started again: %s", error)
                told = str(error)
                pause_s = min(pause_s * 2, WATCH_MOST_S)


def open(  # noqa: A001
    data: Path, *, configured_binary: str | None = None, memory_bytes: int = 0, wait_s: float = 15.0
) -> EmbeddedServer:
    """The data folder's server, started when nobody uses it yet.

    Args:
        data: the data folder; the server's files go into its `redis` folder.
        configured_binary: a server program that a person chose; None = find one.
        memory_bytes: what it may use for data, when it is started now; 0: no limit.
        wait_s: how long to wait for it.

    Raises:
        Fatal: QUEUE_NO_SERVER, QUEUE_SERVER_TOO_OLD, QUEUE_DATA_MISSING, QUEUE_DATA_DAMAGED, QUEUE_SOCKET_UNSAFE,
            QUEUE_IN_ANOTHER_CONTAINER.
        Retryable: QUEUE_START_FAILED, QUEUE_START_SLOW (both quote the log).
    """
    deadline, wished = time.monotonic() + wait_s, _Wished(configured_binary, memory_bytes)
    folder = data.resolve() / "redis"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    users = (folder / "users.lock").open("ab")
    try:
        _lock(users, fcntl.LOCK_SH, folder, deadline)
        with _locked(folder / "start.lock", deadline):
            _ensure_keeper(folder, wished, deadline)
        return EmbeddedServer(folder, users, _facts(folder, deadline), wished)
    except BaseException:
        users.close()
        raise


def _ensure_keeper(folder: Path, wished: _Wished, deadline: float) -> None:
    """Start a keeper unless one lives; the caller holds start.lock."""
    if _keeper_lives(folder):
        return
    # What stands there is out of date, but names the server that the new keeper has to end first.
    if facts := read_facts(folder):
        write_facts(folder, facts | {"ready": False})
    # -P: the current folder is no place for our modules; the path is ours as this process found it.
    argv = [sys.executable, "-P", "-m", "vidprocme.queue.keeper", str(folder)]
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    argv += ["--linger", os.environ.get(LINGER_VARIABLE, str(LINGER_S))]
    argv += ["--memory", str(wished.memory_bytes)]
    if wished.binary:
        argv += ["--binary", wished.binary]
    log_path = folder / "keeper.log"
    if log_path.exists() and log_path.stat().st_size > LOG_MOST_BYTES:
        log_path.replace(folder / "keeper.log.1")
    with log_path.open("ab") as log:
        with subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            close_fds=True,
            start_new_session=True,
            env=environment,
        ) as launcher:
            assert launcher.stdout
            # The launcher ends at once; the keeper behind it has the pipe and says one line.
            ready, _, _ = select.select([launcher.stdout], [], [], max(0.1, deadline - time.monotonic()))
            line = launcher.stdout.readline() if ready else b""
    if not ready:
        raise _slow(folder)
    if not line:
        raise _failed(folder)
    said = json.loads(line)
    if said is not None:
        info = from_wire(ErrorInfo, said)
        kind = Fatal if info.fate is Fate.NEVER else Retryable
        raise kind(info.code, info.message, info.hint, info.evidence)


def _facts(folder: Path, deadline: float) -> dict[str, Any]:
    """What the keeper published, once the server answers."""
    here = processes.pid_namespace()
    while True:
        facts = read_facts(folder)
        if facts.get("ready") and ask(Path(facts["socket"]), "PING") == "+PONG":
            return facts
        if facts.get("ready") and facts.get("pid_namespace", here) != here and not Path(facts["socket"]).exists():
            raise _elsewhere(folder)
        if time.monotonic() > deadline:
            raise _slow(folder)
        time.sleep(0.02)  # another process's server: there is nothing to wait on but its socket


def _keeper_lives(folder: Path) -> bool:
    with (folder / "keeper.lock").open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


@contextmanager
def _locked(path: Path, deadline: float) -> Iterator[None]:
    with path.open("ab") as file:
        _lock(file, fcntl.LOCK_EX, path.parent, deadline)
        yield


def _lock(file: IO[bytes], kind: int, folder: Path, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise _slow(folder) from None
            time.sleep(0.02)


def _elsewhere(folder: Path) -> Fatal:
    return Fatal(
        "QUEUE_IN_ANOTHER_CONTAINER",
        "The Redis server of this data folder runs in another container, and cannot be reached from this one.",
        "Give each container a data folder of its own, or all of them one Redis (VIDPROCME_REDIS_URL).",
        {"path": str(folder)},
    )


def _slow(folder: Path) -> Retryable:
    return Retryable(
        "QUEUE_START_SLOW",
        "The Redis server of this data folder did not answer in time; it may still be reading a large file.",
        f"Try again in a moment. Its log: {folder / 'keeper.log'}.",
        {"tail": tail(folder / "keeper.log")},
    )


def _failed(folder: Path) -> Retryable:
    return Retryable(
        "QUEUE_START_FAILED",
        "The process that keeps the Redis server ended before the server answered.",
        f"Its log: {folder / 'keeper.log'}.",
        {"tail": tail(folder / "keeper.log")},
    )
