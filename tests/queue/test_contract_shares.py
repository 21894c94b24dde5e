"""What every queue counts of tenants and bins, and what it refuses for their sake."""

from __future__ import annotations

import time

import pytest

from tests.queue.conftest import Connect
from tests.queue.things import BROKEN, LEASE_MS, OK, end, look, new_job, new_task, pool, take
from vidprocme.core.errors import BadWish
from vidprocme.core.job import Bin, Lease, Limits, Next, Stage, Task
from vidprocme.core.resources import Resources
from vidprocme.core.shares import START_MS, TENANTS_MOST, BinShare, TenantShare, cost_milli, used_at
from vidprocme.queue.base import Claim, Settlement
from vidprocme.queue.check import check
from vidprocme.queue.redis import RedisQueue


def tasks_of(queue: RedisQueue, tenant: str, count: int, bin_: Bin = Bin.NORMAL) -> list[Task]:
    job = new_job(tenant=tenant, bin=bin_)
    tasks = [new_task(job, Stage.TRANSCODE, number, limits=Limits(lost=0)) for number in range(count)]
    assert queue.submit(job, tasks).created
    return tasks


def took(queue: RedisQueue, *tasks: Task, holder: str = "pool") -> list[Lease]:
    return [claimed.lease for claimed in take(queue, *tasks, holder=holder)]


def running(queue: RedisQueue) -> tuple[dict[str, int], dict[str, int]]:
    """Bins and tenants that run something; the walk over all keys must agree."""
    assert check(queue) == []
    bins = {bin_.value: share.running for bin_, share in queue.bins().items() if share.running}
    return bins, {name: share.running for name, share in queue.tenants().items() if share.running}


def test_a_core_costs_a_core_a_gpu_twelve_and_a_bare_slot_one() -> None:
    assert cost_milli(Resources(cpu_milli=2500)) == 2500
    assert cost_milli(Resources(cpu_milli=1000, gpu_milli=500, gpus=2)) == 1000 + 12 * 2500
    assert cost_milli(Resources()) == cost_milli(Resources(vram_bytes=5)) == 1000


def test_what_runs_is_counted_by_bin_and_tenant_over_all_pools_however_it_ends(connect: Connect) -> None:
    queue, other = connect(), connect()
    ann, bob = tasks_of(queue, "ann", 4), tasks_of(queue, "bob", 2, Bin.BULK)
    queue.join(pool("b"), 60_000)
    leases = [*took(queue, *ann[:3]), *took(other, ann[3], *bob, holder="b")]
    assert running(queue) == ({"normal": 4, "bulk": 2}, {"ann": 4, "bob": 2})

    for lease, next_, outcome in zip(
        leases, (Next.SUCCEED, Next.RETRY, Next.HAND_BACK), (OK, BROKEN, BROKEN), strict=False
    ):
        end(queue, lease, next_, outcome)
    assert running(queue) == ({"normal": 1, "bulk": 2}, {"ann": 1, "bob": 2})

    other.leave("b")  # lost, and by their limits dead
    assert running(queue) == ({}, {})


def test_use_grows_by_each_start_and_by_what_runs_while_it_runs(queue: RedisQueue) -> None:
    task, big, _ = tasks_of(queue, "ann", 3)
    before = time.monotonic()
    (lease,) = took(queue, task)
    queue.turn("pool", [], [Claim(big.id, "place", Resources(cpu_milli=3000))], lease_ms=LEASE_MS)
    time.sleep(0.2)
    end(queue, lease)
    used = look(queue).shares.tenants["ann"].used
    after = time.monotonic()

    starts = (1000 + 3000) * START_MS
    at_most = starts + 4000 * round(1000 * (after - before) + 2)
    assert starts * 0.99 + 4000 * 190 <= used <= at_most  # what decays in a second is less than 1 %
    time.sleep(0.1)
    assert queue.tenants()["ann"].used >= used + 3000 * 90, "the one that runs goes on being counted"


def test_use_halves_with_time_and_what_runs_bounds_it() -> None:
    assert used_at(1_000_000, 0, 0, 600_000) == 500_000
    assert used_at(0, 2000, 0, 1_000) == pytest.approx(2000 * 1_000, rel=0.001)
    assert used_at(0, 1000, 0, 10**9) == used_at(10**15, 1000, 0, 10**12) == 1000 * 865_617  # rate * half-life / ln 2
    assert used_at(7, 0, 500, 400) == 7, "a clock that was set back takes nothing away"


def test_every_pool_sees_the_same_use_and_only_of_the_tenants_whose_lines_it_sees(connect: Connect) -> None:
    queue, other = connect(), connect()
    took(queue, *tasks_of(queue, "ann", 1))
    took(queue, tasks_of(queue, "bob", 2)[0])
    tasks_of(queue, "cy", 1)
    queue.set_tenant("cy", weight=3)

    seen = look(other, "b").shares.tenants
    assert sorted(seen) == ["bob", "cy"]
    assert seen["cy"] == TenantShare(used=0, weight=3) and seen["bob"].used >= 1000 * START_MS * 0.99
    assert sorted(queue.tenants()) == ["ann", "bob", "cy"]


@pytest.mark.parametrize("what", ["bin", "tenant"])
def test_no_more_than_the_limit_run_at_once_over_all_pools(connect: Connect, what: str) -> None:
    queue, other = connect(), connect()
    tasks = tasks_of(queue, "ann", 6)
    if what == "bin":
        queue.limit_bin(Bin.NORMAL, 3)
    else:
        queue.set_tenant("ann", limit=3)

    leases = [*took(queue, *tasks[:2]), *took(other, *tasks[2:5], holder="b")]
    assert [lease.task for lease in leases] == [task.id for task in tasks[:3]]
    seen = look(queue).shares
    share = seen.bins[Bin.NORMAL] if what == "bin" else seen.tenants["ann"]
    assert (share.limit, share.running) == (3, 3)

    end(queue, leases[0])
    assert len(took(other, *tasks[3:], holder="b")) == 1
    if what == "bin":
        queue.limit_bin(Bin.NORMAL, None)
    else:
        queue.set_tenant("ann")
    assert len(took(queue, *tasks[4:])) == 2
    assert check(queue) == []


def test_one_that_ends_and_one_that_begins_in_the_same_turn_need_one_place(queue: RedisQueue) -> None:
    first, second = tasks_of(queue, "ann", 2)
    queue.set_tenant("ann", limit=1)
    (lease,) = took(queue, first)

    turn = queue.turn(
        "pool",
        [Settlement(lease, Next.SUCCEED, OK)],
        [Claim(second.id, "place", Resources(cpu_milli=1000))],
        lease_ms=LEASE_MS,
    )
    assert [claimed.lease.task for claimed in turn.claimed] == [second.id]


def test_limits_and_weights_are_listed_and_go_when_set_back(queue: RedisQueue) -> None:
    queue.set_tenant("ann", weight=5, limit=2)
    queue.set_tenant("bob", limit=7)
    queue.limit_bin(Bin.BULK, 4)
    queue.pause(Bin.HIGH)

    assert queue.tenants() == {"ann": TenantShare(weight=5, limit=2), "bob": TenantShare(limit=7)}
    assert queue.bins() == {
        Bin.URGENT: BinShare(),
        Bin.HIGH: BinShare(paused=True),
        Bin.NORMAL: BinShare(),
        Bin.BULK: BinShare(limit=4),
    }

    queue.set_tenant("ann")
    queue.set_tenant("bob", weight=1)
    queue.limit_bin(Bin.BULK, None)
    queue.resume(Bin.HIGH)
    assert queue.tenants() == {} and not queue.client.exists(queue.keys.of("ctl"))


def test_raising_a_limit_rings(queue: RedisQueue) -> None:
    queue.join(pool("a"), 60_000)
    queue.set_tenant("ann", limit=1)
    while queue.await_work(0.01):
        pass

    queue.set_tenant("ann", limit=2)
    assert queue.await_work(0.5)


@pytest.mark.parametrize(
    ("tenant", "weight", "limit"),
    [("", 1, None), ("a|b", 1, None), ("ann", 0, None), ("ann", 1001, None), ("ann", 1, 0)],
)
def test_what_cannot_be_set_is_refused(queue: RedisQueue, tenant: str, weight: int, limit: int | None) -> None:
    with pytest.raises(BadWish):
        queue.set_tenant(tenant, weight, limit)
    with pytest.raises(BadWish):
        queue.limit_bin(Bin.BULK, 0)
    assert queue.tenants() == {}


def test_the_tenants_about_whom_something_is_set_are_bounded(queue: RedisQueue) -> None:
    for number in range(TENANTS_MOST):
        queue.set_tenant(f"t{number}", weight=2, limit=2)

    with pytest.raises(BadWish, match="1000 tenants"):
        queue.set_tenant("one-more", weight=2)
    queue.set_tenant("t0")
    queue.set_tenant("one-more", weight=2)


def test_of_too_many_tenants_one_that_has_used_little_is_forgotten(queue: RedisQueue) -> None:
    """Made to begin with: a thousand tenants of which one has used much."""
    now_ms = int(queue.command("TIME")[0]) * 1000
    some = [item for number in range(TENANTS_MOST - 1) for item in (f"t{number}", f"{number + 1} 0 {now_ms}")]
    queue.command("HSET", queue.keys.of("usage"), "much", f"{10**12} 0 {now_ms}", *some)

    took(queue, *tasks_of(queue, "ann", 1))
    left = queue.tenants()
    assert len(left) == TENANTS_MOST and {"ann", "much"} <= set(left)
    assert check(queue) == []
