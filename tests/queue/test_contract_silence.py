"""When silence means that a pool is dead, and when it means nothing: nobody could have been heard."""

from __future__ import annotations

import time

import pytest

from tests.queue.things import look, pool, submitted, take
from vidprocme.core.job import Lease, TaskState
from vidprocme.queue.check import check
from vidprocme.queue.redis import RedisQueue

PRESENCE_S = 1.0


def beat(queue: RedisQueue, holder: str, lease: Lease, lease_ms: int = 60_000) -> tuple[Lease, ...]:
    return queue.beat(holder, [lease], lease_ms=lease_ms, presence_ms=int(1000 * PRESENCE_S)).lost


def two_pools(queue: RedisQueue, lease_ms: int = 60_000) -> tuple[Lease, Lease]:
    """`a` and `b`, each with an attempt that runs."""
    leases = []
    for name in ("a", "b"):
        queue.join(pool(name), int(1000 * PRESENCE_S))
        _, probe = submitted(queue)
        (claimed,) = take(queue, probe, holder=name, lease_ms=lease_ms)
        leases.append(claimed.lease)
    return leases[0], leases[1]


def runs(queue: RedisQueue, lease: Lease) -> bool:
    view = queue.task(lease.task)
    assert view is not None and check(queue) == []
    return view.state is TaskState.RUNNING


@pytest.mark.parametrize("lease_s", [60, 0.3])
def test_after_each_standstill_whoever_comes_first_takes_nobodys_work(queue: RedisQueue, lease_s: float) -> None:
    """Presences are over, and leases too, if it was long; all have one more presence to say that they live."""
    lease_ms = int(1000 * lease_s)
    mine, other = two_pools(queue, lease_ms)
    for _ in range(2):
        time.sleep(1.5 * PRESENCE_S)

        look(queue, "a")

        assert runs(queue, mine) and runs(queue, other)
        for _ in range(6):
            time.sleep(PRESENCE_S / 4)
            assert beat(queue, "a", mine, lease_ms) == () and beat(queue, "b", other, lease_ms) == ()
            look(queue, "a")
    assert runs(queue, mine) and runs(queue, other)


def test_who_is_still_silent_then_is_dead(queue: RedisQueue) -> None:
    mine, other = two_pools(queue)
    time.sleep(1.5 * PRESENCE_S)
    began_s = time.monotonic()
    while runs(queue, other):
        assert time.monotonic() < began_s + 2 * PRESENCE_S
        look(queue, "a")
        beat(queue, "a", mine)
        time.sleep(PRESENCE_S / 10)
    assert time.monotonic() > began_s + 0.9 * PRESENCE_S and runs(queue, mine)


def test_who_falls_silent_beside_one_that_is_heard_is_dead_when_his_presence_ends(queue: RedisQueue) -> None:
    mine, other = two_pools(queue)
    began_s = time.monotonic()
    time.sleep(0.45 * PRESENCE_S)  # a beat and a half: no standstill yet
    while runs(queue, other):
        assert time.monotonic() < began_s + 1.7 * PRESENCE_S  # not one more presence
        beat(queue, "a", mine)
        time.sleep(PRESENCE_S / 10)
        look(queue, "a")
    assert runs(queue, mine)


def test_where_everything_is_slow_the_dead_are_found_all_the_same(queue: RedisQueue) -> None:
    """Somebody is heard once in a while only: each time a standstill is over, it seems."""
    _, other = two_pools(queue)
    for _ in range(8):
        time.sleep(0.7 * PRESENCE_S)
        look(queue, "a")
    assert not runs(queue, other)


def test_a_clock_that_goes_back_makes_nobody_immortal(queue: RedisQueue) -> None:
    mine, other = two_pools(queue)
    now_ms = int(queue.command("TIME")[0]) * 1000
    queue.command("SET", queue.keys.of("heard"), f"{now_ms + 3_600_000} {now_ms + 3_603_000} {int(1000 * PRESENCE_S)}")
    began_s = time.monotonic()
    while runs(queue, other):
        assert time.monotonic() < began_s + 2.5 * PRESENCE_S
        beat(queue, "a", mine)
        time.sleep(PRESENCE_S / 10)
        look(queue, "a")
