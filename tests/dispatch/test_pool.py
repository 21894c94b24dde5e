"""Which pools are dead, and which only cannot be seen from here."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

from vidprocme.core.clock import SystemClock
from vidprocme.dispatch.pool import free_dead_of_this_host, is_alive, this_pool
from vidprocme.queue.base import PoolInfo
from vidprocme.queue.redis import RedisQueue

HOUR_MS, SHORT_MS = 3_600_000, 1


def ended() -> PoolInfo:
    """A pool of this host whose process is over."""
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    return replace(this_pool(SystemClock().now_ms()), id="pool_ENDED", pid=process.pid, pid_started=1)


def test_this_process_lives_and_an_ended_one_does_not() -> None:
    assert is_alive(this_pool(0)) is True
    assert is_alive(ended()) is False
    assert is_alive(replace(this_pool(0), pid_started=1)) is False  # a later process with the same pid


def test_what_cannot_be_seen_from_here_is_not_called_dead() -> None:
    """A pid that nobody has: judged by it alone, each of these would be dead."""
    gone = ended()
    assert is_alive(replace(gone, host="elsewhere")) is None
    assert is_alive(replace(gone, pid_namespace="pid:[1]")) is None  # a container with the same host name
    assert is_alive(replace(gone, boot="another")) is None  # another machine with the same host name


def test_pools_in_another_container_under_the_same_host_name_are_left_alone_while_present(queue: RedisQueue) -> None:
    foreign = replace(ended(), id="pool_FOREIGN", pid_namespace="pid:[1]")
    queue.join(foreign, HOUR_MS)
    cleaned: list[str] = []

    free_dead_of_this_host(queue, cleaned.append)

    assert (cleaned, queue.remembered_pools()) == ([], (foreign,))


def test_what_a_pool_of_before_left_is_cleaned_once_its_presence_is_over(queue: RedisQueue) -> None:
    before = replace(ended(), id="pool_BEFORE", boot="the last start")
    elsewhere = replace(before, id="pool_ELSEWHERE", host="elsewhere")
    for pool in (before, elsewhere):
        queue.join(pool, SHORT_MS)
    while queue.pools():  # it ends by itself
        os.sched_yield()
    cleaned: list[str] = []

    free_dead_of_this_host(queue, cleaned.append)

    assert (cleaned, queue.remembered_pools()) == (["pool_BEFORE"], (elsewhere,))
