"""The house in one sentence, from plain values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from vidprocme.core.job import Bin, TaskState
from vidprocme.core.resources import PlaceKind
from vidprocme.core.shares import BinShare
from vidprocme.dispatch.verdict import Mood, judge
from vidprocme.dispatch.waiting import Standing
from vidprocme.queue.base import Depth, PlaceReport, PoolInfo, PoolReport, PoolView

NOW_MS = 1_000_000_000_000
CPU = PlaceReport("node/cpu", "node", PlaceKind.CPU, slots=4, busy=1)
PAUSED = {Bin.BULK: BinShare(paused=True)}


def pool(reasons: dict[str, int] | None = None, **more: Any) -> PoolView:
    return PoolView(PoolInfo("pool", "node", "boot", 1, 1, 0, **more), PoolReport((CPU,), reasons or {}))


def at(*fleet: PoolView, running: int = 0, ready: int = 0, bin_: Bin = Bin.NORMAL, **more: Any) -> Standing:
    depth = Depth(
        {TaskState.RUNNING: running, TaskState.READY: ready},
        {bin_: ready},
        {bin_: NOW_MS - 7_560_000},
        running + ready,
        {(bin_, PlaceKind.CPU): ready},
    )
    return Standing(fleet, depth, more.pop("bins", {}), {}, NOW_MS, **more)


def test_it_works_with_its_numbers() -> None:
    verdict = judge(at(pool(), running=12, ready=1885), 409.3)
    assert (verdict.mood, verdict.text) == (Mood.WORKING, "Working.")
    assert verdict.detail == "12 running, 1,885 waiting, 409 frames described per second."


def test_nothing_to_do() -> None:
    assert judge(at(pool()), 0.0).mood is Mood.IDLE
    assert judge(at(), 0.0).text == "Nothing to do.", "without a pool too"


def test_what_waits_for_its_next_try_is_no_idleness() -> None:
    now = replace(at(pool()), depth=Depth({TaskState.DELAYED: 3}, jobs_active=1))
    verdict = judge(now, 0.0)
    assert (verdict.mood, verdict.text) == (Mood.WORKING, "Waiting to go on.")
    assert "3 to be tried again" in verdict.detail


def test_a_paused_bin_and_an_open_alert_are_things_to_look_at() -> None:
    one = judge(at(pool(), running=2, ready=1840, bin_=Bin.BULK, bins=PAUSED), 0.0)
    assert (one.mood, one.text) == (Mood.ATTENTION, "Working, with one thing to look at.")
    assert one.detail == "The bulk bin is paused: 1,840 tasks wait, up to 2.1 h. 2 running, 1,840 waiting."
    two = judge(at(pool(), running=2, ready=1, bin_=Bin.BULK, bins=PAUSED), 0.0, open_alerts=1)
    assert two.text == "Working, with 2 things to look at." and "1 alert is open." in two.detail
    assert judge(at(pool()), 0.0, open_alerts=2).text == "Idle, with 2 things to look at."
    assert judge(at(pool(), running=1, bins=PAUSED), 0.0).mood is Mood.WORKING, "nothing waits in it"


@pytest.mark.parametrize(
    ("now", "text", "mend"),
    [
        (at(ready=1), "no pool is at work", "vidprocme worker"),
        (at(pool(), ready=1, bin_=Bin.BULK, bins=PAUSED), "the bulk bin is paused", "bins resume bulk"),
        (at(pool(draining=True), ready=2), "everything is draining", "vidprocme worker"),
        (at(pool(), ready=2, drained={"node": "ann"}), "everything is draining", "nodes undrain node"),
        (at(pool({"CANNOT_START": 1}), ready=2), "cannot start anything", "logs"),
    ],
)
def test_there_is_work_and_nothing_is_done_of_it(now: Standing, text: str, mend: str) -> None:
    verdict = judge(now, 0.0)
    assert verdict.mood is Mood.STUCK and text in verdict.text and mend in verdict.detail
    running = replace(now, depth=replace(now.depth, by_state={**now.depth.by_state, TaskState.RUNNING: 1}))
    assert judge(running, 0.0).mood is not Mood.STUCK, "something is done"


def test_no_place_for_what_waits() -> None:
    waits = {(Bin.NORMAL, PlaceKind.GPU): 1}
    now = at(pool(), ready=1)
    gpu = replace(now, depth=replace(now.depth, waiting_by_kind=waits))
    assert "no place" in judge(gpu, 0.0).text and judge(now, 0.0).mood is Mood.WORKING
