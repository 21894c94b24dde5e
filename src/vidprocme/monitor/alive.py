"""Marks of life: a small file that a process touches while its loop moves, and the look at them.

For the health checks of containers and pods: a process that stands still is to be started again, one whose Redis is away
is not, so nothing but this machine's files is asked. A mark is locked (flock) while its process lives, so one that was killed
leaves nothing that could be taken for life.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import socket
import time
from dataclasses import dataclass
from pathlib import Path

FOLDER = "alive"  # in the data folder
# A turn of the loop waits at most twice (one repeat) for a connection and an answer, 10 s each, and a drain says one thing
# more: 80 s without a move is a Redis that hangs, not a loop that does.
STILL_S = 120.0


@dataclass(frozen=True, slots=True)
class Sign:
    """A process of ours, here: what it is (`pool`, `server`), and how long ago its loop moved."""

    kind: str
    pid: int
    age_s: float


class Mark:
    """One process's own mark. A disk that cannot take it ends nothing: then there is no mark."""

    def __init__(self, data: Path, kind: str) -> None:
        self._path = data / FOLDER / f"{_here()}.{kind}.{os.getpid()}"
        self._touched_s = float("-inf")
        self._lock: int | None = None
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def touch(self) -> None:
        """The loop moved. Costs a system call a second at most."""
        now_s = time.monotonic()
        if self._lock is not None and now_s - self._touched_s >= 1.0:
            self._touched_s = now_s
            with contextlib.suppress(OSError):
                os.utime(self._lock)

    def close(self) -> None:
        if self._lock is not None:
            with contextlib.suppress(OSError):
                self._path.unlink()
            os.close(self._lock)
            self._lock = None


def look(data: Path) -> list[Sign]:
    """The processes that live here (this host and, in a container, this container), by kind and pid. Dead ones' marks go."""
    signs = []
    for path in sorted((data / FOLDER).glob("*")):
        where, kind, pid = path.name.rsplit(".", 2)
        if where != _here():
            continue
        with contextlib.suppress(OSError), path.open("r") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                signs.append(Sign(kind, int(pid), max(0.0, time.time() - path.stat().st_mtime)))
            else:
                path.unlink()
    return signs


def _here() -> str:
    """This host and its set of pids: containers may share both a data folder and a host name."""
    try:
        namespace = re.sub(r"\D", "", str(Path("/proc/self/ns/pid").readlink()))
    except OSError:
        namespace = ""
    return f"{socket.gethostname()}-{namespace}"
