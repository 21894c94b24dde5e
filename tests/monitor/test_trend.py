"""When a disk will be full, from what was free each minute: plain values."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.monitor.test_alerts import FINE
from vidprocme.monitor.alerts import Sight, sights
from vidprocme.monitor.rules import BY_ID, Change, changed
from vidprocme.monitor.trend import EVERY_MS, MOST, SPAN_MS, WINDOW_MS, Sample, kept, pace

BEGAN_MS = 1_790_000_000_000  # 2026-09-21 14:13:20 UTC
GB = 1_000_000_000
frees = st.lists(st.integers(0, 10**13), min_size=0, max_size=MOST)


def each_minute(free: list[int]) -> list[Sample]:
    return [Sample(BEGAN_MS + n * EVERY_MS, bytes_) for n, bytes_ in enumerate(free)]


def seen(samples: list[Sample], hours: float = 6) -> list[Sight]:
    rules = {**BY_ID, "disk-trend": changed(BY_ID["disk-trend"], Change(threshold=hours))}
    return [one for one in sights(replace(FINE, disk_samples=samples), rules) if one.rule == "disk-trend"]


def test_the_words_say_pace_free_space_and_when() -> None:
    """61 minutes of 0.1 GB each: 12 GB last two hours."""
    samples = each_minute([12 * GB + n * GB // 10 for n in range(60, -1, -1)])
    (sight,) = seen(samples)
    assert sight.text == (
        "12.0 GB of /data are free, and 6.0 GB go in an hour: at the pace of the last hour it is full in 2.0 h, "
        "at about 2026-09-21 17:10 UTC."
    )
    assert seen(samples, 1.99) == []


def test_ten_minutes_tell_and_less_do_not() -> None:
    falling = [GB - n * GB // 20 for n in range(12)]
    minutes = SPAN_MS // EVERY_MS
    assert pace(each_minute(falling[:minutes])) is None
    assert pace(each_minute(falling[: minutes + 1])) is not None
    # A server that was away: two samples tell nothing, however far apart.
    assert pace([Sample(0, 2 * GB), Sample(WINDOW_MS, GB)]) is None


@pytest.mark.parametrize(
    "free",
    [
        pytest.param([10 * GB] * 61, id="flat"),
        pytest.param([10 * GB] * 30 + [5 * GB] * 31, id="one large video"),
        pytest.param([10 * GB] * 30 + [5 * GB] * 30 + [5 * GB - 1], id="one large video, and a word after it"),
        pytest.param([10 * GB - (n % 2) * 5 * GB for n in range(61)], id="scratch that comes and goes"),
        pytest.param([10 * GB - min(n, 40) * GB // 10 for n in range(61)], id="it has stopped"),
    ],
)
def test_what_does_not_fill_it_for_good_is_no_pace(free: list[int]) -> None:
    assert pace(each_minute(free)) is None


def test_what_comes_and_goes_beside_does_not_change_the_pace() -> None:
    """Every seventh minute 3 GB of scratch lie there."""
    free = [20 * GB - n * GB // 10 - (n % 7 == 3) * 3 * GB for n in range(61)]
    found = pace(each_minute(free))
    assert found is not None and found.lost_per_s * 60 == pytest.approx(GB / 10, rel=0.05)


@given(frees)
def test_while_it_shrinks_or_is_flat_nothing_is_said(free: list[int]) -> None:
    assert seen(each_minute(sorted(free)), 1e30) == []


@given(
    st.integers(SPAN_MS // EVERY_MS, 60),
    st.integers(1, 10 * GB),
    st.integers(0, 1000 * GB),
    st.floats(0.01, 10_000, allow_nan=False),
)
def test_a_steady_pace_rings_exactly_within_its_hours(minutes: int, a_minute: int, left: int, hours: float) -> None:
    samples = each_minute([left + n * a_minute for n in range(minutes, -1, -1)])
    left_s = 60 * left / a_minute
    found = pace(samples)
    if left_s > 30 * 86_400:
        assert found is None
        return
    assert found is not None and found.lost_per_s == pytest.approx(a_minute / 60)
    assert found.full_ms - samples[-1].at_ms == pytest.approx(1000 * left_s, rel=1e-6, abs=1)
    if abs(left_s / 3600 - hours) > 1e-6 * hours:
        assert bool(seen(samples, hours)) == (left_s / 3600 < hours)


@given(frees, st.lists(st.integers(0, 10**7), min_size=MOST, max_size=MOST), st.floats(0, 1e30))
def test_whatever_was_free_it_is_judged(free: list[int], gaps: list[int], hours: float) -> None:
    """Also of clocks that stand still, a disk that is full, and hours without end."""
    at_ms, samples = BEGAN_MS, []
    for bytes_, gap_ms in zip(free, gaps, strict=False):
        samples.append(Sample(at_ms, bytes_))
        at_ms += gap_ms
    assert kept(samples, at_ms) == tuple(one for one in samples if at_ms - one.at_ms <= WINDOW_MS)
    for sight in seen(samples, hours):
        assert samples[-1].free_bytes < max(free) and "UTC" in sight.text


def test_an_hour_is_kept_and_what_lies_ahead_is_not() -> None:
    samples = each_minute([GB] * 100)
    now_ms = samples[89].at_ms
    found = kept(samples, now_ms)
    assert found == tuple(samples[29:90]) and len(found) == MOST
    often = [Sample(BEGAN_MS + n * 1000, GB) for n in range(1000)]
    assert kept(often, often[-1].at_ms) == tuple(often[-MOST:])
