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
        pid_namespace=_pid_namespace(),
    )


def is_alive(pool: PoolInfo) -> bool | None:
    """Whether a pool's process still is. None: it cannot be seen from here.

    That is so for another host's, for one of before this machine's last start or of another machine with the same name
    (`localhost` is a common one), and for one in another container.
    """
    here = (socket.gethostname(), _boot_id(), _pid_namespace())
    if (pool.host, pool.boot, pool.pid_namespace) != here:
        return None
    return _started(pool.pid) == pool.pid_started


def free_dead_of_this_host(queue: Queue, clean_up: Callable[[str], None] = lambda _pool: None) -> int:
    """Give back at once what dead pools of this host held. Returns how many leases.

    A pool under this host's name whose process cannot be seen from here counts as dead when its presence has ended.

    Args:
        clean_up: gets the id of each before it is forgotten: what it left behind on this host can go.
    """
    leases = 0
    present = {pool.id for pool in queue.pools()}
    for pool in queue.remembered_pools():
        alive = is_alive(pool)
        gone = alive is None and pool.host == socket.gethostname() and pool.id not in present
        if alive is False or gone:
            clean_up(pool.id)
            leases += queue.free_dead(pool.id)
    return leases


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _pid_namespace() -> str:
    """Such as `pid:[4026531836]`; namespaces(7): equal for processes that see each other's pids."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
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
