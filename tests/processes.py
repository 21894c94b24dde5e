"""Processes that tests watch and kill. One that is dead but not yet noticed by its parent (a zombie) has ended: an init may take
seconds to notice those that nobody else waits for, and `psutil.wait_procs` would wait with it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable

import psutil


def lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def left(processes: Iterable[psutil.Process], within_s: float = 30.0) -> list[str]:
    """Those that are still there after a while, with what they run; empty once all have ended."""
    deadline, running = time.monotonic() + within_s, list(processes)
    while (running := [one for one in running if lives(one)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return [f"{one.pid} {_words(one)}" for one in running]


def kill(process: psutil.Process) -> None:
    """SIGKILL, if it has not just ended by itself."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process.kill()


def _words(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return "(just ended)"
