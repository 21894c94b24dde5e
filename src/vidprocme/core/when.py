"""Moments as people say them: `10m` from now or ago, or a date and time."""

from __future__ import annotations

import re
from datetime import datetime

from vidprocme.core.errors import BadWish

UNITS_S = {"s": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400, "w": 604_800}
TIMES = "10m, 2h, 3d ago, or a time: 2026-11-24, 2026-11-24T18:30"
AHEAD = "10m, 2h, 3d, or a time: 2026-11-24T18:30"
AHEAD_MOST_S = 366 * 86_400


def moment_ms(text: str, now_ms: int) -> int:
    """`10m` is ten minutes ago; a date or time without a zone is this machine's.

    Raises:
        BadWish: TIME_UNREADABLE.
    """
    span_s = _span_s(text)
    return _moment_ms(text, TIMES) if span_s is None else now_ms - span_s * 1000


def deadline_ms(text: str, now_ms: int) -> int:
    """`2h` is in two hours; a date or time without a zone is this machine's.

    Raises:
        BadWish: TIME_UNREADABLE; DEADLINE_BAD, it is over already, or more than a year away.
    """
    span_s = _span_s(text)
    moment = _moment_ms(text, AHEAD) if span_s is None else now_ms + span_s * 1000
    if not 0 < moment - now_ms <= AHEAD_MOST_S * 1000:
        raise BadWish(
            "DEADLINE_BAD",
            f"A deadline lies ahead, and less than a year; {text[:100]!r} does not.",
            f"Say {AHEAD}.",
            {"field": "deadline"},
        )
    return moment


def duration_s(text: str) -> int:
    """`12h` in seconds.

    Raises:
        BadWish: TIME_UNREADABLE.
    """
    span_s = _span_s(text)
    if not span_s:
        raise BadWish("TIME_UNREADABLE", f"{text[:100]!r} is no span of time.", "Say 30m, 12h or 90d.")
    return span_s


def _span_s(text: str) -> int | None:
    span = re.fullmatch(r"(\d{1,9})\s*([a-z]+)", text.strip())
    return int(span[1]) * UNITS_S[span[2]] if span and span[2] in UNITS_S else None


def _moment_ms(text: str, say: str) -> int:
    try:
        return int(datetime.fromisoformat(text.strip()).timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        raise BadWish("TIME_UNREADABLE", f"{text[:100]!r} is no time.", f"Say {say}.") from None
