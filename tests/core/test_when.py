"""Moments as people say them."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from vidprocme.core.errors import BadWish
from vidprocme.core.when import AHEAD_MOST_S, deadline_ms, moment_ms

NOW_MS = 1_790_000_000_000


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("2 h", 7_200), ("1d", 86_400), (" 1w ", 604_800)]
)
def test_a_span_is_ago_or_ahead(text: str, seconds: int) -> None:
    assert moment_ms(text, NOW_MS) == NOW_MS - 1000 * seconds
    assert deadline_ms(text, NOW_MS) == NOW_MS + 1000 * seconds


def test_a_time_with_a_zone_is_that_moment_and_without_this_machines() -> None:
    then = datetime.fromtimestamp(NOW_MS / 1000).astimezone() + timedelta(hours=1)

    assert deadline_ms(then.isoformat(), NOW_MS) == NOW_MS + 3_600_000
    assert deadline_ms(then.replace(tzinfo=None).isoformat(), NOW_MS) == NOW_MS + 3_600_000
    assert deadline_ms("2030-01-01T00:00:00Z", 1_893_456_000_000 - 1) == 1_893_456_000_000


@pytest.mark.parametrize("text", ["", "soon", "10", "10 parsecs", "-5m", "2026-13-01", "m10"])
def test_what_is_no_time(text: str) -> None:
    for read in (moment_ms, deadline_ms):
        with pytest.raises(BadWish) as refused:
            read(text, NOW_MS)
        assert refused.value.code == "TIME_UNREADABLE"


@pytest.mark.parametrize("text", ["0s", "1999-01-01", f"{AHEAD_MOST_S + 1}s"])
def test_a_deadline_lies_ahead_and_not_too_far(text: str) -> None:
    with pytest.raises(BadWish) as refused:
        deadline_ms(text, NOW_MS)
    assert refused.value.code == "DEADLINE_BAD"
    assert deadline_ms(f"{AHEAD_MOST_S}s", NOW_MS) == NOW_MS + AHEAD_MOST_S * 1000
