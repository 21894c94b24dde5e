"""A guess when a job begins is plain arithmetic, and says so when there is nothing to go by."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidprocme.core.ids import TaskId
from vidprocme.core.job import Bin, Stage
from vidprocme.dispatch.eta import Eta, after_start, end_eta, mean_s, start_eta
from vidprocme.queue.base import Lately, Position

TASK = TaskId("job_1:probe:0")
# Ten transcodes of 4 s, five describes of 20 s.
COUNTERS = {"took.transcode.6": 10, "took.transcode.sum": 40_000, "took.describe.8": 5, "took.describe.sum": 100_000}


def at(ahead: dict[Stage, int], more_urgent: dict[Stage, int] | None = None) -> Position:
    return Position(TASK, Bin.NORMAL, ahead, more_urgent or {})


def test_work_ahead_over_work_done_lately() -> None:
    lately = Lately(120, {Stage.TRANSCODE: 30, Stage.DESCRIBE: 6})  # 240 s of work in 120 s

    eta = start_eta(at({Stage.TRANSCODE: 10}, {Stage.DESCRIBE: 4}), COUNTERS, lately, slots=8, busy=0)

    assert eta.seconds == pytest.approx((10 * 4 + 4 * 20) / 2)
    assert "14 ahead are 120 s of work" in eta.how and "2.0 s of work" in eta.how


def test_no_more_is_done_at_once_than_there_are_places() -> None:
    lately = Lately(
        60, {Stage.DESCRIBE: 60}
    )  # long attempts that happened to end in one minute: 1200 s of work in 60 s
    assert start_eta(at({Stage.TRANSCODE: 10}), COUNTERS, lately, slots=2, busy=0).seconds == pytest.approx(20)
    assert start_eta(at({Stage.TRANSCODE: 10}), COUNTERS, lately, slots=2, busy=1).seconds == pytest.approx(40)


def test_what_runs_now_says_more_than_what_ended_lately() -> None:
    eta = start_eta(at({Stage.TRANSCODE: 12}), COUNTERS, Lately(600, {Stage.TRANSCODE: 1}), slots=8, busy=4)
    assert eta.seconds == pytest.approx(12) and "4 run at once now" in eta.how


@pytest.mark.parametrize(
    ("ahead", "lately", "slots", "hindered", "why"),
    [
        ({Stage.TRANSCODE: 1}, Lately(60, {Stage.TRANSCODE: 1}), 0, "", "not known yet"),
        ({}, Lately(60, {Stage.TRANSCODE: 1}), 4, "bin normal is paused", "bin normal is paused"),
        ({Stage.JOIN: 1, Stage.TRANSCODE: 1}, Lately(60, {Stage.TRANSCODE: 1}), 1, "", "no join has ended"),
        ({Stage.TRANSCODE: 1}, Lately(), 1, "", "last 10 minutes"),
    ],
)
def test_what_is_not_known_is_said(
    ahead: dict[Stage, int], lately: Lately, slots: int, hindered: str, why: str
) -> None:
    eta = start_eta(at(ahead), COUNTERS, lately, slots=slots, busy=0, hindered=hindered)
    assert eta.seconds is None and why in eta.how


def test_with_nothing_ahead_and_a_free_place_nothing_needs_to_be_known() -> None:
    assert start_eta(at({}), {}, Lately(), slots=2, busy=1).seconds == 0.0


def test_when_every_place_is_busy_one_attempt_has_to_end_first() -> None:
    cpu = frozenset({Stage.TRANSCODE, Stage.JOIN})

    next_one = start_eta(at({}), COUNTERS, Lately(), slots=2, busy=2, mates=cpu)
    second = start_eta(at({Stage.TRANSCODE: 1}), COUNTERS, Lately(), slots=2, busy=2, mates=cpu)
    unknown = start_eta(at({}), {}, Lately(), slots=2, busy=2, mates=cpu)

    assert next_one.seconds == pytest.approx(4 / 2) and "every place is busy" in next_one.how
    assert second.seconds == pytest.approx((4 + 4) / 2)
    short = {"took.join.0": 1000, "took.join.sum": 10_000}  # over before anybody looks: what runs is a transcode
    among = start_eta(at({}), COUNTERS | short, Lately(), slots=2, busy=2, mates=cpu)
    assert among.seconds == pytest.approx((40 * 4 + 10 * 0.01) / 50 / 2) and "about 3 s long" in among.how
    assert unknown.seconds is None and "all 2 places that could take it are busy" in unknown.how


def test_only_what_goes_to_the_same_places_is_in_its_way() -> None:
    many = at({Stage.TRANSCODE: 1000, Stage.DESCRIBE: 2})

    eta = start_eta(many, COUNTERS, Lately(), slots=2, busy=1, mates=frozenset({Stage.DESCRIBE}))

    assert eta.seconds == pytest.approx(2 * 20)


@given(
    st.dictionaries(st.sampled_from([Stage.TRANSCODE, Stage.DESCRIBE]), st.integers(1, 1000), min_size=1),
    st.integers(1, 10),
    st.integers(1, 100),
    st.integers(1, 64),
    st.integers(0, 64),
)
def test_more_ahead_is_never_sooner(ahead: dict[Stage, int], minutes: int, ended: int, slots: int, busy: int) -> None:
    lately = Lately(60 * minutes, {Stage.TRANSCODE: ended})
    one = start_eta(at(ahead), COUNTERS, lately, slots=slots, busy=min(busy, slots)).seconds
    more = start_eta(at(ahead, {Stage.DESCRIBE: 1}), COUNTERS, lately, slots=slots, busy=min(busy, slots)).seconds
    assert one is not None and more is not None and 0 < one < more


def test_the_end_is_as_far_as_it_went_so_far() -> None:
    assert end_eta(0.25, 30.0).seconds == pytest.approx(90.0)
    assert end_eta(0.01, 300.0).seconds is None and end_eta(0.5, None).seconds is None
    assert end_eta(0.25, 30.0, "no pool has a place for it") == Eta(None, "no pool has a place for it")
    assert mean_s(COUNTERS, Stage.TRANSCODE) == 4.0 and mean_s({}, Stage.JOIN) is None


def test_nothing_ends_before_what_waits_of_it_has_started() -> None:
    end = Eta(16.0, "as fast as so far: 72% in 41 s")
    assert after_start(end, None) == after_start(end, 10.0) == end
    assert after_start(end, 52.0) == Eta(68.0, "as fast as so far: 72% in 41 s, once its next task has started")
    assert after_start(Eta(None, "nothing of it has started"), 52.0).seconds is None
