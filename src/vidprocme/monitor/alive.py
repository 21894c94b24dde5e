"""Marks of life: a small file that a process touches while its loop moves, and the look at them.

For the health checks of containers and pods: a process that stands still is to be started again, one whose Redis is away
is not, so nothing but this machine's files is asked. A mark is locked while its process lives, so one that was killed leaves
nothing that could be taken for life.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from vidprocme.processes import hold, is_held, pid_namespace

FOLDER = "alive"  # in the data folder
# A turn of the loop waits at most twice (one repeat) for a connection and an answer, 10 s each, and a drain says one thing
# more: 80 s without a move is a Redis that hangs, not a loop that does.
STILL_S = 120.0
NAME = re.compile(r"(?P<where>.+)\.(?P<kind>[a-z]+)\.(?P<pid>\d+)")


@dataclass(frozen=True, slots=True)
class Sign:
    """A process of ours, here: what it is (`pool`, `server`, `run`), and how long ago its loop moved."""

    kind: str
    pid: int
    age_s: float


class Mark:
    """One process's own mark. A disk that cannot take it ends nothing: then there is no mark."""

    def __init__(self, data: Path, kind: str) -> None:
        self._path = data / FOLDER / f"{_here()}.{kind}.{os.getpid()}"
        self._touched_s = float("-inf")
        self._held: int | None = None
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._held = hold(self._path)

    def touch(self) -> None:
        """The loop moved. Costs a system call a second at most."""
        now_s = time.monotonic()
        if self._held is not None and now_s - self._touched_s >= 1.0:
            self._touched_s = now_s
            with contextlib.suppress(OSError):
                os.utime(self._held)

    def close(self) -> None:
        if self._held is not None:
            with contextlib.suppress(OSError):
                self._path.unlink()
            os.close(self._held)
            self._held = None


def look(data: Path) -> list[Sign]:
    """The processes that live here (this host and, in a container, this container), by kind and pid. Dead ones' marks go."""
    signs = []
    for path in sorted((data / FOLDER).glob("*")):
        name = NAME.fullmatch(path.name)
        if name is None:
            continue  # somebody else's file, such as a network file system's own
        with contextlib.suppress(OSError):
            if not is_held(path):
                path.unlink()
            elif name["where"] == _here():
                signs.append(Sign(name["kind"], int(name["pid"]), max(0.0, time.time() - path.stat().st_mtime)))
    return signs


def _here() -> str:
    """This host and its set of pids: containers may share both a data folder and a host name."""
    return f"{socket.gethostname()}-{re.sub(r'[^0-9]', '', pid_namespace())}"
