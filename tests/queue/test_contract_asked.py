"""Of which jobs somebody asks why they wait: pools hear of it with each beat, for a while."""

from __future__ import annotations

import json
from dataclasses import replace

from tests.queue.conftest import Connect
from tests.queue.things import LEASE_MS, pool
from vidprocme.core.ids import JobId, TaskId
from vidprocme.core.job import Bin
from vidprocme.core.resources import Resources
from vidprocme.core.snapshot import Reason
from vidprocme.core.why import Candidate, Change, Start, Why
from vidprocme.core.wire import dumps
from vidprocme.queue.base import PoolReport, SeatReport, SeatsReport, TaskWhy
from vidprocme.queue.check import check
from vidprocme.queue.redis import RedisQueue


def asked(queue: RedisQueue) -> tuple[JobId, ...]:
    return queue.beat("pool", [], lease_ms=LEASE_MS, presence_ms=LEASE_MS).asked


def test_every_pool_hears_it_the_latest_first(connect: Connect) -> None:
    queue, other = connect(), connect()
    queue.join(pool("pool"), LEASE_MS)
    assert asked(queue) == ()

    for job in ("job_1", "job_2", "job_1"):
        other.ask_why(JobId(job))
        queue.command("ZINCRBY", queue.keys.of("asked"), {"job_1": 1, "job_2": 2}[job], job)  # not in one millisecond

    assert set(asked(queue)) == {"job_1", "job_2"}
    queue.command("ZINCRBY", queue.keys.of("asked"), 1_000, "job_2")
    assert asked(queue) == asked(other) == ("job_2", "job_1")
    assert check(queue) == []


def test_it_is_forgotten_when_nobody_asks_again(queue: RedisQueue) -> None:
    queue.ask_why(JobId("job_1"))
    assert asked(queue) == ("job_1",)
    queue.command("ZINCRBY", queue.keys.of("asked"), -15_500, "job_1")
    assert asked(queue) == ()
    assert 0 < int(queue.command("PTTL", queue.keys.of("asked"))) <= 60_000


def test_of_very_many_the_latest_are_heard(queue: RedisQueue) -> None:
    for n in range(70):
        queue.ask_why(JobId(f"job_{n:03d}"))
        queue.command("ZADD", queue.keys.of("asked"), "XX", queue.now_ms() + n, f"job_{n:03d}")

    assert asked(queue) == tuple(f"job_{n:03d}" for n in range(69, 61, -1))
    assert int(queue.command("ZCARD", queue.keys.of("asked"))) == 64


def test_an_answer_is_seen_by_all(connect: Connect) -> None:
    queue, other = connect(), connect()
    queue.join(pool("pool"), LEASE_MS)
    why = Why(
        Reason("NO_PLACE_FREE", "All 2 GPU places are busy."),
        Start(3, True, 1_700_000_000_000, "3 tasks start before it"),
        (Change("MORE_PLACES", "One more.", "vidprocme worker", 1),),
        (Candidate("a", "warm", 7, 1),),
        "a is the only place with room for it.",
    )
    report = PoolReport(whys=(TaskWhy(TaskId("job_1:probe:0"), why),))
    queue.beat("pool", [], lease_ms=LEASE_MS, presence_ms=LEASE_MS, report=report)

    assert [view.report for view in other.fleet()] == [report]


def test_of_very_many_pools_only_some_are_asked_what_they_said(queue: RedisQueue) -> None:
    """Of the others it is known that they are there, whether they have said something or not."""
    for n in range(5):
        queue.join(replace(pool(f"pool_{n}"), started_ms=n + 1), LEASE_MS)
    for n in (0, 1, 2, 4):
        queue.beat(f"pool_{n}", [], lease_ms=LEASE_MS, presence_ms=LEASE_MS, report=PoolReport(reasons={"A": n}))
    queue.command("DEL", queue.keys.presence("pool_2"))

    told = [(view.info.id, view.report and view.report.reasons["A"]) for view in queue.fleet(2)]
    assert told == [("pool_0", 0), ("pool_1", 1), ("pool_3", None), ("pool_4", None)]
    assert [view.info.id for view in queue.fleet(0)] == ["pool_0", "pool_1", "pool_3", "pool_4"]


def test_pools_that_are_gone_are_none_of_those_that_are_asked(queue: RedisQueue) -> None:
    for n in range(6):
        queue.join(replace(pool(f"pool_{n}"), started_ms=n + 1), LEASE_MS)
        queue.beat(f"pool_{n}", [], lease_ms=LEASE_MS, presence_ms=LEASE_MS, report=PoolReport(reasons={"A": n}))
    for n in range(4):
        queue.command("DEL", queue.keys.presence(f"pool_{n}"))

    told = [(view.info.id, view.report and view.report.reasons["A"]) for view in queue.fleet(2)]
    assert told == [("pool_4", 4), ("pool_5", 5)]


def test_what_a_pool_says_of_its_places_is_seen_by_all(queue: RedisQueue) -> None:
    queue.join(pool("pool"), LEASE_MS)
    has, run = Resources(cpu_milli=4000), Resources(cpu_milli=1000)
    seat = SeatReport(0, 0, 7, ((0, 1_700_000_000_000, 0), (0, -1, -1)), ("demo",), TaskId("job_1:probe:0"), True)
    report = PoolReport(seats=SeatsReport(((has, "A100"),), (run,), ((Bin.BULK, "zoë"),), (seat,)))
    queue.beat("pool", [], lease_ms=LEASE_MS, presence_ms=LEASE_MS, report=report)

    assert [view.report for view in queue.fleet()] == [report]


def test_of_a_pool_of_an_older_version_it_is_known_that_it_said_nothing_of_its_seats(queue: RedisQueue) -> None:
    queue.join(pool("pool"), LEASE_MS)
    text = dumps(PoolReport(whys=(TaskWhy(TaskId("job_1:probe:0"), Why(Reason("A", "."), Start(1, True, 5, "so"))),)))
    old = json.loads(text)
    del old["d"]["seats"], old["d"]["whys"][0]["why"]["cut"]
    for name in ("at", "counted", "silent", "partly"):
        del old["d"]["whys"][0]["why"]["start"][name]
    queue.command("SET", queue.keys.presence("pool"), json.dumps(old), "PX", LEASE_MS)

    (view,) = queue.fleet()
    assert view.report is not None and view.report.seats is None
    assert view.report.whys[0].why.start == Start(1, True, 5, "so")
