"""What pools tell each other of their places: whole, bounded, and read with care."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from vidprocme.core.ids import TaskId
from vidprocme.core.job import Bin
from vidprocme.core.resources import Place, PlaceKind, PlaceLoad, Resources
from vidprocme.core.snapshot import Plan, Snapshot
from vidprocme.core.why import Start
from vidprocme.core.wire import dumps, loads
from vidprocme.dispatch.answers import start_words
from vidprocme.dispatch.reporting import report_of
from vidprocme.dispatch.seats import BYTES_MOST, LAST_MS, OTHERS_MOST, SEATS_MOST, others_of
from vidprocme.queue.base import PoolInfo, PoolReport, PoolView, SeatReport, SeatsReport
from vidprocme.scheduler.beside import SeatNow
from vidprocme.scheduler.explain import CANNOT_START

CORE, GPU = Resources(cpu_milli=1000), Resources(1000, 2**33, 1000, 2**34, 1)
CPU_ONLY, GPU_ONLY = frozenset({PlaceKind.CPU}), frozenset({PlaceKind.GPU})
START = Start(0, True, 5_000, "nothing starts before it")


def cpu(number: int = 0, slots: int = 2) -> SeatNow:
    return SeatNow(Place(f"n{number:03d}/cpu", "n", PlaceKind.CPU, Resources(cpu_milli=1000 * slots), slots))


def gpu(number: int = 0, warm: tuple[str, ...] = ("demo",)) -> SeatNow:
    place = Place(f"n{number:03d}/gpu:0", "n", PlaceKind.GPU, GPU, 1, warm, gpu_type="NVIDIA H100 80GB HBM3")
    run = (Resources(0, 0, 1000, 2**33), (), 1_764_183_905_123 + number, (Bin.NORMAL, f"tenant-{number % 3}"))
    return SeatNow(place, 1_000_000 + number, (run,), TaskId("job_01KB0000000000000000000000:describe:12"))


def told(
    name: str, some: Sequence[SeatNow] | None, reasons: dict[str, int] | None = None, said: SeatsReport | None = None
) -> PoolView:
    """A pool with these places, as another process reads what it says. None: one CPU place, of which it tells no more."""
    there = {one.place.id: PlaceLoad(one.place, one.place.resources, one.place.slots) for one in some or [cpu()]}
    report = replace(report_of(Snapshot({}, there), Plan(), (), some), reasons=reasons or {})
    report = report if said is None else replace(report, seats=said)
    return PoolView(PoolInfo(name, "n", "b", 1, 1, 0), loads(PoolReport, dumps(report)))


def test_all_that_is_told_of_places_arrives() -> None:
    drains = replace(cpu(1), place=replace(cpu(1).place, draining=True))
    runs = ((CORE, (), 7_000, (Bin.URGENT, "ann")), (CORE, (), None, None), (CORE, (), 9_000, (Bin.BULK, "zoë")))
    seats = [replace(cpu(0, 4), runs=runs, starts=3), drains, gpu(2), gpu(3, ())]

    others = others_of([told("pool_1", [cpu()]), told("pool_2", seats)], "pool_1")
    assert others.seats == tuple(replace(one, pool="pool_2") for one in seats)
    assert others.all == (CPU_ONLY | GPU_ONLY,) and others.silent == others.partly == ()


@pytest.mark.parametrize(
    ("seats", "arrive"),
    [
        ([gpu(n) for n in range(30)], 30),
        ([cpu(n) for n in range(200)], SEATS_MOST),
        ([replace(gpu(n, (f"modèle-{n}" * 9,)), starts=n) for n in range(100)], None),
        ([replace(cpu(n, 99), runs=gpu(n).runs * 99) for n in range(9)], None),
        ([replace(cpu(0), runs=((CORE, (), 1, None),) * 5_000)], 0),
    ],
    ids=["few", "many", "long names", "much runs", "too much runs"],
)
def test_no_more_is_told_than_the_bound_and_the_others_see_that_it_is_cut(
    seats: list[SeatNow], arrive: int | None
) -> None:
    view = told("pool_2", seats)
    assert view.report is not None and view.report.seats is not None
    size = len(dumps(view.report.seats).encode())
    assert size <= BYTES_MOST and len(view.report.seats.seats) <= SEATS_MOST

    others = others_of([view], "pool_1")
    assert others.seats == tuple(replace(one, pool="pool_2") for one in seats[: len(others.seats)])
    if arrive is None:
        assert 0 < len(others.seats) < len(seats) and size > BYTES_MOST // 2, "it is made use of"
    else:
        assert len(others.seats) == arrive
    assert len(others.partly) == (len(others.seats) < len(seats)) == 1 - len(others.all)


def test_of_very_many_pools_so_many_places_are_played_over() -> None:
    others = others_of([told(f"pool_{n}", [cpu(m) for m in range(SEATS_MOST)]) for n in range(12)], "")
    assert len(others.seats) == OTHERS_MOST and len(others.all) == OTHERS_MOST // SEATS_MOST
    assert len(others.all) + len(others.partly) == 12


def test_who_takes_nothing_of_it_is_not_counted_and_who_says_too_little_is_silent() -> None:
    info = told("pool_2", [cpu()]).info
    own = replace(told("own", [cpu()]), info=replace(info, id="own"))
    only = replace(told("only", [cpu()]), info=replace(info, id="only", own_jobs_only=True))
    drains = replace(told("drains", [cpu()]), info=replace(info, id="drains", draining=True))
    assert others_of([own, only, drains], "own") == others_of([], "own")

    began, older = PoolView(replace(info, id="began")), told("older", None)
    rests = told("rests", [cpu()], reasons={CANNOT_START: 1})
    bad = told("bad", [cpu()], said=SeatsReport((), (), (), (SeatReport(0, 4, 0),)))
    worse = told("worse", [cpu()], said=SeatsReport(((CORE, ""),), (CORE,), (), (SeatReport(0, 0, 0, ((-1, 0, -1),)),)))
    others = others_of([began, older, rests, bad, worse], "own")
    assert (others.seats, others.all, others.silent) == ((), (), (None, *[CPU_ONLY] * 4))
    assert others_of([told("pool_2", [cpu()])], "own", heard=False).silent == (CPU_ONLY,)


def test_the_words_say_whose_places_were_counted() -> None:
    def words(*fleet: PoolView, kinds: frozenset[PlaceKind] = CPU_ONLY, at: str = "") -> str:
        start = others_of(fleet, "pool_1").counted(replace(START, at=at), kinds)
        return start_words(start, 1 + len(fleet)).removeprefix(START.how)

    whole, older = told("pool_2", [cpu()]), told("pool_3", None)
    many = told("pool_4", [cpu(n) for n in range(200)])
    assert words() == ""
    assert words(whole) == "" and words(whole, at="n/cpu of pool_2") == ", at n/cpu of pool_2"
    assert words(older) == ", by the places of this pool alone"
    assert words(whole, older) == ", by the places of 2 of 3 pools"
    assert words(whole, older, kinds=GPU_ONLY) == "", "neither has such a place"
    assert words(many) == ", by the places of this pool and a part of those of 1 more"
    assert words(whole, many) == ", by the places of 2 of 3 pools and a part of those of 1 more"
    assert start_words(START, 2) == f"{START.how}, by the places of this pool alone", "an older pool says it"
    assert start_words(START, 1) == START.how


def test_a_place_that_came_meanwhile_is_told_the_next_time() -> None:
    report = report_of(Snapshot({}, {}), Plan(), (), [cpu()])
    assert report.places == () and report.seats == SeatsReport()


def test_an_end_that_could_not_be_makes_a_pool_silent() -> None:
    """Told on, it would be a time that nobody can write."""
    for end_ms, silent in ((LAST_MS, 0), (LAST_MS + 1, 1), (10**30, 1)):
        seat = replace(cpu(), runs=((CORE, (), end_ms, None),))
        found = others_of([told("pool_2", [seat])], "pool_1")
        assert len(found.silent) == silent and len(found.seats) == 1 - silent
