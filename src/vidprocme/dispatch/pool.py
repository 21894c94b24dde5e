"""Who this pool process is, and which pools of this host are dead."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

from vidprocme.core.ids import ulid
from vidprocme.queue.base import PoolInfo, Queue


def this_pool(now_ms: int, places: int = 0, *, own_jobs_only: bool = False) -> PoolInfo:
    """A new identity for this process. The pid with its start time cannot be mistaken for a later process's."""
    return PoolInfo(
        id=f"pool_{ulid(now_ms, os.urandom(10))}",
        host=socket.gethostname(),
        boot=_boot_id(),
        pid=os.getpid(),
        pid_started=_started(os.getpid()) or 0,
        started_ms=now_ms,
        places=places,
        own_jobs_only=own_jobs_only,
    )


def is_alive(pool: PoolInfo) -> bool | None:
    """Whether a pool's process still is. None: it is another host's, and cannot be seen from here."""
    if pool.host != socket.gethostname():
        return None
    return pool.boot == _boot_id() and _started(pool.pid) == pool.pid_started


def free_dead_of_this_host(queue: Queue, clean_up: Callable[[str], None] = lambda _pool: None) -> int:
    """Give back at once what dead pools of this host held. Returns how many leases.

    Args:
        clean_up: gets the id of each before it is forgotten: what it left behind on this host can go.
    """
    leases = 0
    for pool in queue.remembered_pools():
        if is_alive(pool) is False:
            clean_up(pool.id)
            leases += queue.free_dead(pool.id)
    return leases


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _started(pid: int) -> int | None:
    """The kernel's start time of a pid, in ticks since boot (proc(5), field 22); None: no such process, or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name in parentheses may hold spaces
    return None if fields[0] in "ZX" else int(fields[19])
