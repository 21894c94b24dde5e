"""What every queue counts, and what it shows of the pools that report."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tests.queue.things import BROKEN, LEASE_MS, OK, STOPPED, end, lease_of, new_job, new_task, pool, submitted
from vidprocme.core.counts import ERRORS_MOST, OTHER, TOOK, WAIT
from vidprocme.core.errors import ErrorInfo
from vidprocme.core.job import Bin, Limits, Next, Outcome, OutcomeKind, Stage
from vidprocme.core.resources import PlaceKind
from vidprocme.queue.base import Claim, PlaceReport, PoolReport, Settlement
from vidprocme.queue.redis import RedisQueue

BEAT: dict[str, Any] = {"lease_ms": LEASE_MS, "presence_ms": 60_000}
REPORT = PoolReport((PlaceReport("a/cpu", "a", PlaceKind.CPU, 2, 1, warm=("demo",)),), {"NO_PLACE_FREE": 3})


def count(queue: RedisQueue, prefix: str) -> dict[str, int]:
    return {name: n for name, n in queue.counters().items() if name.startswith(prefix)}


def failed(code: str) -> Outcome:
    return Outcome(OutcomeKind.FAILED, error=ErrorInfo(code, "broken"))


# -- what the scripts count ------------------------------------------------------------------------------------------


def test_how_long_an_attempt_took_is_counted_when_it_ended_by_itself(queue: RedisQueue) -> None:
    _, probe = submitted(queue)
    lease = lease_of(queue, probe)
    time.sleep(0.12)
    end(queue, lease, Next.SUCCEED, OK)

    took = TOOK.read(queue.counters(), "took.probe")
    assert took.count == 1 and 0.1 < took.sum_s < 5
    assert [n for bound_s, n in took.upto if bound_s <= 0.1] == [0, 0] and took.upto[-1][1] == 1

    _, other = submitted(queue)
    end(queue, lease_of(queue, other), Next.HAND_BACK, STOPPED)
    assert TOOK.read(queue.counters(), "took.probe").count == 1


def test_how_long_a_task_stood_in_line_is_counted_by_bin_each_time_it_starts(queue: RedisQueue) -> None:
    job = new_job(bin=Bin.HIGH)
    probe = new_task(job, Stage.PROBE)
    queue.submit(job, [probe])
    time.sleep(0.3)
    lease = lease_of(queue, probe)

    first = WAIT.read(queue.counters(), "wait.high")
    assert first.count == 1 and 0.25 < first.sum_s < 5 and dict(first.upto)[0.25] == 0

    # It keeps its place in the line, but what it ran is no waiting.
    time.sleep(1)
    end(queue, lease, Next.HAND_BACK, STOPPED)
    lease_of(queue, probe)
    second = WAIT.read(queue.counters(), "wait.high")
    assert second.count == 2 and second.sum_s - first.sum_s < 0.9


def test_what_was_lost_has_not_waited_while_it_ran(queue: RedisQueue) -> None:
    """Not by its place in the line, which it keeps."""
    job = new_job(bin=Bin.HIGH)
    probe = new_task(job, Stage.PROBE)
    queue.submit(job, [probe])
    lease = lease_of(queue, probe)
    time.sleep(1)
    end(queue, lease, Next.HAND_BACK, STOPPED)
    assert count(queue, "task.") == count(queue, "error.") == {}  # a pool that stops is no trouble to be alerted of
    now_ms = time.time() * 1000
    assert now_ms - queue.depth().oldest_by_bin_ms[Bin.HIGH] < 900

    time.sleep(0.5)
    assert 400 < time.time() * 1000 - queue.depth().oldest_by_bin_ms[Bin.HIGH] < 5000


def test_only_bins_count_what_waits_in_them(queue: RedisQueue) -> None:
    job = new_job(bin=Bin.HIGH)
    probe = new_task(job, Stage.PROBE)
    queue.submit(job, [probe])
    lease_of(queue, probe)
    assert count(queue, "wait.") == count(queue, "wait.high")


def test_errors_are_counted_by_stage_and_code_and_retries_by_stage(queue: RedisQueue) -> None:
    _, probe = submitted(queue, limits=Limits(tries=2))
    end(queue, lease_of(queue, probe), Next.RETRY, BROKEN)
    look_again = queue.turn("pool", [], [], lease_ms=LEASE_MS)  # the delay was 0 ms
    assert look_again.lines
    end(queue, lease_of(queue, probe), Next.RETRY, BROKEN)  # its last try: dead, and not tried again

    assert count(queue, "error.") == {"error.probe.FFMPEG_FAILED": 2} and queue.counters()["errors"] == 1
    assert count(queue, "retry.") == {"retry.probe": 1}
    assert count(queue, "task.") == {"task.probe.failed": 2}


def test_what_was_lost_is_an_error_too_and_what_was_cancelled_is_none(queue: RedisQueue) -> None:
    _, probe = submitted(queue)
    queue.join(pool("gone"), 60_000)
    lease_of(queue, probe, holder="gone")
    queue.free_dead("gone")
    end(queue, lease_of(queue, probe), Next.CANCEL, STOPPED)

    assert count(queue, "error.") == {"error.probe.POOL_LOST": 1}
    assert count(queue, "took.") == {} and count(queue, "retry.") == {}


def test_codes_are_words_and_there_are_only_so_many(queue: RedisQueue) -> None:
    job = new_job()
    codes = ["no code", "X" * 41, *(f"CODE_{n}" for n in range(ERRORS_MOST + 5))]
    tasks = [new_task(job, Stage.TRANSCODE, n) for n in range(150)]
    queue.submit(job, tasks)
    for at in range(0, len(codes), len(tasks)):
        batch = list(zip(tasks, codes[at : at + len(tasks)], strict=False))
        claimed = queue.turn(
            "pool", [], [Claim(task.id, "place", task.needs[0].resources) for task, _ in batch], lease_ms=LEASE_MS
        ).claimed
        told = [Settlement(one.lease, Next.RETRY, failed(code)) for one, (_, code) in zip(claimed, batch, strict=True)]
        queue.turn("pool", told, [], lease_ms=LEASE_MS)
        queue.turn("pool", [], [], lease_ms=LEASE_MS)
        queue.turn("pool", [], [], lease_ms=LEASE_MS)

    found = count(queue, "error.")
    assert found.pop(f"error.transcode.{OTHER}") == 2 + 5
    assert len(found) == ERRORS_MOST and set(found.values()) == {1}
    assert all(name.startswith("error.transcode.CODE_") for name in found)
    assert queue.counters()["errors"] == ERRORS_MOST


def test_every_total_has_a_name_that_is_known(queue: RedisQueue) -> None:
    """What the scripts write and what /metrics reads are two lists; this is where they meet."""
    _, probe = submitted(queue)
    end(queue, lease_of(queue, probe), Next.RETRY, BROKEN)
    _, other = submitted(queue)
    end(queue, lease_of(queue, other), Next.SUCCEED, OK)
    queue.join(pool("p"), 60_000)
    queue.beat("p", [], **BEAT, report=REPORT, totals={"decide.0": 1, "decide.sum": 50})

    kinds = {name.split(".")[0] for name in queue.counters()}
    assert kinds == {"task", "took", "error", "errors", "retry", "wait", "job", "decide"}


# -- what pools report -----------------------------------------------------------------------------------------------


def test_a_report_is_shown_as_long_as_its_pool_is_there(queue: RedisQueue) -> None:
    info = pool("p")
    queue.join(info, 60_000)
    (view,) = queue.fleet()
    assert (view.info, view.report) == (info, None)

    queue.beat("p", [], **BEAT, report=REPORT)
    assert [view.report for view in queue.fleet()] == [REPORT]
    queue.join(replace(info, draining=True), 60_000)
    assert [(view.info.draining, view.report) for view in queue.fleet()] == [(True, REPORT)]
    queue.join(info, 60_000)
    queue.beat("p", [], **BEAT, report=PoolReport())
    assert [view.report for view in queue.fleet()] == [PoolReport()]
    queue.beat("p", [], **BEAT)
    assert [view.report for view in queue.fleet()] == [None]

    queue.beat("p", [], lease_ms=LEASE_MS, presence_ms=50, report=REPORT)
    time.sleep(0.1)
    assert queue.fleet() == () and queue.remembered_pools() == (info,)


def test_the_same_report_again_extends_the_presence(queue: RedisQueue) -> None:
    queue.join(pool("p"), 60_000)
    queue.beat("p", [], lease_ms=LEASE_MS, presence_ms=60_000, report=REPORT)
    queue.beat("p", [], lease_ms=LEASE_MS, presence_ms=120_000, report=REPORT)

    assert int(queue.command("PTTL", queue.keys.presence("p"))) > 60_000
    assert [view.report for view in queue.fleet()] == [REPORT]


def told(queue: RedisQueue, name: str, totals: Mapping[str, int]) -> dict[str, int]:
    queue.beat(name, [], **BEAT, totals=totals)
    return count(queue, "decide.")


def test_totals_of_pools_are_added_by_what_they_grew(queue: RedisQueue) -> None:
    for name in ("p", "q"):
        queue.join(pool(name), 60_000)

    assert told(queue, "p", {"decide.0": 3, "decide.sum": 90}) == {"decide.0": 3, "decide.sum": 90}
    # Said again, because the answer was lost; then one that a dead connection had kept; then what the lost ones made up.
    assert told(queue, "p", {"decide.0": 3, "decide.sum": 90}) == {"decide.0": 3, "decide.sum": 90}
    assert told(queue, "p", {"decide.0": 1, "decide.sum": 20}) == {"decide.0": 3, "decide.sum": 90}
    assert told(queue, "p", {"decide.0": 5, "decide.1": 1, "decide.sum": 400}) == {
        "decide.0": 5,
        "decide.1": 1,
        "decide.sum": 400,
    }
    assert told(queue, "q", {"decide.0": 2, "decide.sum": 10}) == {"decide.0": 7, "decide.1": 1, "decide.sum": 410}


def test_a_pool_that_is_told_of_again_goes_on_where_it_was(queue: RedisQueue) -> None:
    """Joining again (a drain does) forgets nothing; a presence that ended and came back neither."""
    queue.join(pool("p"), 60_000)
    told(queue, "p", {"decide.0": 3})
    queue.join(pool("p", draining=True), 50)
    time.sleep(0.1)

    assert told(queue, "p", {"decide.0": 4}) == {"decide.0": 4}


def test_totals_of_a_pool_that_nobody_knows_are_not_added(queue: RedisQueue) -> None:
    queue.join(pool("p"), 60_000)
    told(queue, "p", {"decide.0": 3})
    queue.leave("p")

    assert told(queue, "p", {"decide.0": 4}) == {"decide.0": 3}
    assert told(queue, "stranger", {"decide.0": 4}) == {"decide.0": 3}
