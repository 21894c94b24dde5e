"""Who this pool process is, and which pools are dead."""

from __future__ import annotations

import gc
import os
import socket

from vidprocme.core.ids import ulid
from vidprocme.processes import boot_id, pid_namespace, started
from vidprocme.queue.base import PoolInfo, Queue

COLLECT_AFTER = (100_000, 50, 100)  # objects made and not freed; collections of the young; of the middle-aged


def collect_seldom() -> None:
    """Look for cycles a hundred times more seldom than usual. What waits is freed by counting, and to walk over all of it again and again
    took a quarter of the time of deciding with 100,000 tasks (`python -m benchmarks decide`). For the whole process."""
    gc.set_threshold(*COLLECT_AFTER)


def this_pool(now_ms: int, places: int = 0, *, own_jobs_only: bool = False) -> PoolInfo:
    """A new identity for this process. The pid with its start time cannot be mistaken for a later process's."""
    return PoolInfo(
        id=f"pool_{ulid(now_ms, os.urandom(10))}",
        host=socket.gethostname(),
        boot=boot_id(),
        pid=os.getpid(),
        pid_started=started(os.getpid()) or 0,
        started_ms=now_ms,
        places=places,
        own_jobs_only=own_jobs_only,
        pid_namespace=pid_namespace(),
    )


def is_alive(pool: PoolInfo) -> bool | None:
    """Whether a pool's process still is. None: it cannot be seen from here.

    That is so for another host's, for one of before this machine's last start or of another machine with the same name
    (`localhost` is a common one), and for one in another container.
    """
    if (pool.host, pool.boot, pool.pid_namespace) != (socket.gethostname(), boot_id(), pid_namespace()):
        return None
    return started(pool.pid) == pool.pid_started


def free_dead(queue: Queue) -> int:
    """Give back at once what pools held whose process is seen to be over, and forget them: one call when there is none. Returns how
    many leases.

    One that cannot be seen from here is left to the turns, which know whether its silence says anything.
    """
    dead = [pool.id for pool in queue.remembered_pools() if is_alive(pool) is False]
    return sum(queue.free_dead(pool) for pool in dead)
