"""Whose turn a start is, for whom a place is held, and what may run beside that."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from tests.scheduler.test_policy import CONFIG, CORE, GPU, line, place, where
from tests.scheduler.values import decide
from vidprocme.core.ids import TaskId
from vidprocme.core.job import Bin
from vidprocme.core.resources import Need, Place, PlaceKind, PlaceLoad, Resources
from vidprocme.core.shares import Shares, TenantShare
from vidprocme.core.snapshot import Line, Plan, Reason, Snapshot
from vidprocme.scheduler.turns import every, turn_of, wait_bound_ms

BINS = tuple(Bin)


@pytest.mark.parametrize("bins", [BINS, BINS[:2], BINS[2:], BINS[:1]])
def test_of_so_many_starts_in_a_row_one_is_the_bins_and_half_are_nobodys(bins: tuple[Bin, ...]) -> None:
    turns = [turn_of(n, bins) for n in range(1, 100)]

    for bin_ in bins:
        long = every(bin_, bins)
        assert all(bin_ in turns[at : at + long] for at in range(len(turns) - long))
        assert not all(bin_ in turns[at : at + long - 1] for at in range(long)), "and not of fewer"
    assert all(Counter(turns[at : at + 2])[None] == 1 for at in range(0, 98, 2))


def test_the_formula_in_numbers() -> None:
    """Three bulk tasks before it, chunks of a minute, a look each second: four hours, and 4 * 16 * 61 s."""
    bound = wait_bound_ms(Bin.BULK, BINS, max_wait_ms=14_400_000, older=3, attempt_ms=60_000, look_ms=1_000)

    assert bound == 14_400_000 + 4 * 16 * 61_000


def turn_at(starts: int, *lines: Line, free: Resources | None = None, slots: int = 8, held: str | None = None) -> Plan:
    """A decision an hour after everything became overdue, at a place that has made so many starts."""
    here = Place("p", "node", PlaceKind.CPU, Resources(cpu_milli=8000), slots)
    load = PlaceLoad(here, free or Resources(cpu_milli=1000), slots, starts, TaskId(held) if held else None)
    return decide(Snapshot({one.key: one for one in lines}, {"p": load}), 3_600_000, CONFIG)


EVERY_BIN = [line({bin_.value: 5, f"{bin_.value}2": 6}, CORE, bin_=bin_) for bin_ in Bin]
BIG = Need(PlaceKind.CPU, Resources(cpu_milli=4000))


def test_each_start_goes_to_the_bin_whose_turn_it_is() -> None:
    got = [turn_at(starts, *EVERY_BIN).placements[0].task for starts in range(16)]

    assert " ".join(got[:8]) == "urgent high urgent normal urgent high urgent bulk"
    assert " ".join(got[8:]) == "urgent high urgent normal urgent high urgent urgent"


def test_a_turn_of_a_bin_in_which_nothing_is_overdue_goes_by_the_usual_order() -> None:
    young = line({"young": 3_599_990}, CORE, bin_=Bin.BULK)

    assert where(turn_at(7, EVERY_BIN[0], young)) == [("urgent", "p")]


def test_a_turn_is_the_oldest_tasks_whoever_has_used_least_and_whichever_job_was_begun() -> None:
    bulk = [line({"z": 3}, CORE, bin_=Bin.BULK, tenant="zoe"), line({"a": 4}, CORE, bin_=Bin.BULK, tenant="ann")]

    plan = turn_at(7, EVERY_BIN[0], *bulk)
    assert where(plan) == [("z", "p")]
    assert plan.placements[0].reason == "OVERDUE in bulk, alternative 1 of 1: 1 core"


def test_a_place_that_just_failed_a_task_has_no_turn_for_it() -> None:
    late = line({"late": 3_600_000 - 59_999}, CORE, bin_=Bin.BULK)
    failed = replace(late, heads=tuple(replace(head, avoid=("p",)) for head in late.heads))

    assert where(turn_at(7, late, EVERY_BIN[0])) == [("late", "p")]
    assert where(turn_at(7, failed, EVERY_BIN[0])) == [("urgent", "p")]


def test_the_place_is_held_for_the_task_whose_turn_it_is_until_it_fits() -> None:
    big, small = line({"big": 1}, BIG, bin_=Bin.BULK), EVERY_BIN[0]

    plan = turn_at(7, big, small, free=Resources(cpu_milli=3000))
    assert plan.placements == () and plan.reserved == {"p": "big"}
    assert plan.reasons[TaskId("urgent")] == Reason(
        "RESERVED_FOR", "p has 1 core free, but is held for big, which is overdue and needs more."
    )

    plan = turn_at(7, big, small, free=Resources(cpu_milli=5000), held="big")
    assert where(plan) == [("big", "p"), ("urgent", "p")] and "big" not in plan.reserved.values()


def test_what_is_held_stays_held_though_an_older_task_comes_back() -> None:
    """A lost task keeps its place in line. Were the place given to it, the first could wait for ever for its turn to fit."""
    first, older = line({"first": 2}, BIG, bin_=Bin.BULK), line({"older": 1}, BIG, bin_=Bin.BULK, tenant="zoe")

    assert turn_at(7, first, older, EVERY_BIN[0], held="first").reserved == {"p": "first"}
    assert turn_at(7, first, older, EVERY_BIN[0]).reserved == {"p": "older"}


def test_a_place_is_not_held_for_what_is_gone_or_kept_back() -> None:
    assert where(turn_at(0, EVERY_BIN[0], held="gone")) == [("urgent", "p")]


def test_beside_a_reservation_runs_what_takes_nothing_that_the_task_lacks() -> None:
    light = line({"light": 1}, Need(PlaceKind.CPU, Resources(memory_bytes=5)))
    big = line({"big": 1}, BIG, bin_=Bin.BULK)
    here = Place("p", "node", PlaceKind.CPU, Resources(cpu_milli=8000, memory_bytes=9), slots=8)
    free = Resources(cpu_milli=3000, memory_bytes=9)
    load = PlaceLoad(here, free, 8, starts=7)

    plan = decide(Snapshot({one.key: one for one in (light, big)}, {"p": load}), 3_600_000, CONFIG)
    assert where(plan) == [("light", "p")] and plan.reserved == {"p": "big"}
    assert not plan.placements[0].counted, "the turn is still bulk's"


def test_less_urgent_work_does_not_slip_by_an_urgent_task_that_is_too_big_for_what_is_free() -> None:
    big, small = line({"big": 1}, BIG, bin_=Bin.URGENT), line({"small": 1}, CORE, bin_=Bin.HIGH)

    plan = turn_at(0, big, small, free=Resources(cpu_milli=3000))
    assert plan.placements == () and plan.reserved == {"p": "big"}
    other = turn_at(0, replace(big, bin=Bin.HIGH), replace(small, bin=Bin.NORMAL), free=Resources(cpu_milli=3000))
    assert where(other) == [("small", "p")], "only the most urgent bin's"


def held_at_p(big: Line, *others: Line, shares: Shares | None = None) -> Plan:
    """A decision while p, which lacks a core for `big`, is held for it, and a GPU is free at q."""
    q = place("q", PlaceKind.GPU)
    loads = {
        "p": PlaceLoad(place("p", slots=8), Resources(cpu_milli=3000), 8, starts=7, held_for=TaskId("big")),
        "q": PlaceLoad(q, q.resources, 1),
    }
    lines = {one.key: one for one in (big, *others)}
    return decide(Snapshot(lines, loads, shares or Shares()), 3_600_000, CONFIG)


SMALL = line({"small": 1}, CORE, bin_=Bin.HIGH, tenant="zoe")


def test_a_place_is_free_again_when_its_task_starts_elsewhere() -> None:
    """What was tried before that, and waited only for the reservation, gets its place in the same decision."""
    big = line({"big": 1}, BIG, GPU, bin_=Bin.BULK)

    plan = held_at_p(big, SMALL)
    assert where(plan) == [("big", "q"), ("small", "p")] and plan.reserved == {}


def test_a_place_is_free_again_when_its_task_may_not_start_any_more() -> None:
    """One more of ann's tasks may run, and the one that the place is held for is not that one."""
    big, other = line({"big": 1}, BIG, bin_=Bin.BULK), line({"other": 1}, GPU, bin_=Bin.NORMAL)
    shares = Shares(tenants={"ann": TenantShare(limit=1)})

    assert where(held_at_p(big, other, SMALL)) == [("other", "q")]
    plan = held_at_p(big, other, SMALL, shares=shares)
    assert where(plan) == [("other", "q"), ("small", "p")]
    assert plan.reserved == {} and plan.reasons[TaskId("big")].code == "QUOTA"
