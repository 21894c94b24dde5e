"""Small values: sums of resources, ids that sort by time, times as text, errors as data."""

from __future__ import annotations

import errno
import re
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidprocme.core.clock import ManualClock, SystemClock
from vidprocme.core.errors import BadWish, Cancelled, Fatal, Fate, LeaseLost, Retryable, describe_exception
from vidprocme.core.ids import JobId, attempt_id, event_order, new_job_id, task_id, ulid, video_id
from vidprocme.core.media import seconds, timestamp
from vidprocme.core.resources import Place, PlaceKind, PlaceLoad, Resources

axis = st.integers(0, 2**50)
resources = st.builds(Resources, axis, axis, axis, axis, axis)
times = st.integers(0, 2**48 - 1)
entropies = st.binary(min_size=10, max_size=16)
moments = st.fractions(min_value=0, max_value=10**6)


@given(resources, resources)
def test_what_is_added_can_be_taken_away(a: Resources, b: Resources) -> None:
    assert (a + b) - b == a
    assert a + b == b + a
    assert a + Resources() == a


@given(resources, resources)
def test_a_part_fits_and_a_whole_does_not_fit_its_part(a: Resources, b: Resources) -> None:
    assert a.fits(a) and a.fits(a + b)
    assert (a + b).fits(a) == (b == Resources())


@pytest.mark.parametrize("name", ["cpu_milli", "memory_bytes", "gpu_milli", "vram_bytes", "gpus"])
def test_one_axis_too_much_does_not_fit(name: str) -> None:
    free = Resources(5, 5, 5, 5, 5)
    more = {name: 6}

    assert not Resources(**more).fits(free)


@given(resources, resources)
def test_a_place_gives_and_takes(total: Resources, need: Resources) -> None:
    load = PlaceLoad(Place("p", "n", PlaceKind.CPU, total, 3), total, 3)

    taken = load.take(need)
    assert (taken.free, taken.free_slots) == (total - need, 2)
    assert taken.give_back(need) == replace(load, starts=1), "that it was started stays counted"
    assert taken.take_back(need) == load


@given(times, times, entropies, entropies)
def test_ids_sort_by_time(a_ms: int, b_ms: int, a: bytes, b: bytes) -> None:
    first, second = new_job_id(a_ms, a), new_job_id(b_ms, b)
    if a_ms != b_ms:
        assert (first < second) == (a_ms < b_ms)
    else:
        assert (first == second) == (a[:10] == b[:10])


@given(times, entropies)
def test_a_ulid_is_26_characters_of_crockfords_alphabet(now_ms: int, entropy: bytes) -> None:
    text = ulid(now_ms, entropy)

    assert len(text) == 26 and not set(text) - set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")


def test_the_time_of_a_ulid_is_its_first_ten_characters() -> None:
    assert ulid(1469918176385, b"\xff" * 10) == "01ARYZ6S41" + "Z" * 16  # the specification's example moment


def test_a_ulid_needs_its_entropy() -> None:
    with pytest.raises(ValueError, match="10 bytes"):
        ulid(0, bytes(9))


def test_ids_are_made_of_what_they_name() -> None:
    task = task_id(JobId("job_1"), "probe", 0)

    assert task == "job_1:probe:0"
    assert attempt_id(task, 3) == "job_1:probe:0:t3"
    assert video_id("ab" * 32, "default") == "vid_" + "ab" * 12
    others = {video_id("ab" * 32, tenant) for tenant in ("default", "a", "b")} | {video_id("cd" * 32, "a")}
    assert len(others) == 4 and all(re.fullmatch("vid_[0-9a-f]{24}", other) for other in others)


def test_ids_of_events_are_ordered_by_time_and_then_by_number() -> None:
    assert sorted(["10-10", "100-0", "10-9", "9-99", "10-0"], key=event_order) == [
        "9-99",
        "10-0",
        "10-9",
        "10-10",
        "100-0",
    ]
    assert event_order("1700000000000-3") == (1_700_000_000_000, 3) and event_order("0") == (0, 0)


@given(moments)
def test_a_timestamp_is_the_nearest_millisecond(time: Fraction) -> None:
    hours, minutes, rest = timestamp(time, mark=",").split(":")
    whole, ms = rest.split(",")
    back = Fraction(int(hours) * 3600 + int(minutes) * 60 + int(whole)) + Fraction(int(ms), 1000)

    assert abs(back - time) <= Fraction(1, 2000)
    assert int(minutes) < 60 and int(whole) < 60
    assert (len(minutes), len(whole), len(ms)) == (2, 2, 3) and len(hours) >= 2


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (Fraction(0), "00:00:00.000"),
        (Fraction(1001, 30), "00:00:33.367"),
        (Fraction(359_999_9999, 1_000_000), "01:00:00.000"),
        (Fraction(100 * 3600), "100:00:00.000"),
    ],
)
def test_timestamps(time: Fraction, text: str) -> None:
    assert timestamp(time) == text


def test_seconds_are_whole_when_they_are() -> None:
    assert [repr(seconds(time)) for time in (Fraction(5), Fraction(1, 3), Fraction(1, 2))] == ["5", "0.333333", "0.5"]


@pytest.mark.parametrize(
    ("error", "fate"),
    [
        (Retryable("A", "b"), Fate.RETRY),
        (Fatal("A", "b"), Fate.NEVER),
        (BadWish("A", "b"), Fate.NEVER),
        (LeaseLost(), Fate.LOST),
        (Cancelled(), Fate.CANCELLED),
    ],
)
def test_the_class_of_an_error_is_its_fate(error: Exception, fate: Fate) -> None:
    assert describe_exception(error).fate is fate


def test_a_full_disk_has_its_own_code_and_names_the_path() -> None:
    info = describe_exception(OSError(errno.ENOSPC, "No space left on device", "/data/x"))

    assert info.code == "DISK_FULL" and info.evidence["path"] == "/data/x" and info.fate is Fate.RETRY


def test_a_stranger_is_internal_and_its_type_is_named() -> None:
    info = describe_exception(ZeroDivisionError("1/0"))

    assert info.code == "INTERNAL" and "ZeroDivisionError" in info.message
    assert set(info.public()) == {"code", "message", "hint", "evidence"}


def test_an_error_reads_as_what_happened_and_what_to_do() -> None:
    assert str(Fatal("A", "It broke.", "Mend it.")) == "It broke. Mend it."
    assert str(Fatal("A", "It broke.")) == "It broke."


def test_a_manual_clock_moves_only_forward() -> None:
    clock = ManualClock(1000)
    clock.advance(500)

    assert (clock.now_ms(), clock.monotonic_s()) == (1500, 1.5)
    with pytest.raises(ValueError, match="go back"):
        clock.advance(-1)


def test_the_system_clock_is_after_this_was_written() -> None:
    assert SystemClock().now_ms() > 1_700_000_000_000
