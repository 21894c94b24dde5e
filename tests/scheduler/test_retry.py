"""Every ending has its step, and no wait leaves its bounds."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidprocme.core.errors import ErrorInfo, Fate
from vidprocme.core.job import Limits, Next, OutcomeKind
from vidprocme.scheduler import retry
from vidprocme.scheduler.retry import Step, next_step

LIMITS = Limits(tries=4, lost=20)


class Fixed:
    """An rng that always says the same."""

    def __init__(self, value: float) -> None:
        self.value = value

    def random(self) -> float:
        return self.value


ALMOST_ONE = Fixed(1 - 2**-53)
HALF = Fixed(0.5)


def error(code: str = "FFMPEG_FAILED", fate: Fate = Fate.RETRY) -> ErrorInfo:
    return ErrorInfo(code, "it broke", fate=fate)


def step(kind: OutcomeKind, info: ErrorInfo | None = None, tries: int = 0, lost: int = 0, rng: Fixed = HALF) -> Step:
    return next_step(kind, info, tries, lost, LIMITS, rng)


@pytest.mark.parametrize(
    ("kind", "info", "expected"),
    [
        (OutcomeKind.OK, None, Next.SUCCEED),
        (OutcomeKind.CANCELLED, None, Next.CANCEL),
        (OutcomeKind.LOST, None, Next.LOST),
        (OutcomeKind.TIMEOUT, None, Next.RETRY),
        (OutcomeKind.FAILED, None, Next.RETRY),
        (OutcomeKind.FAILED, error(), Next.RETRY),
        (OutcomeKind.FAILED, error(fate=Fate.NEVER), Next.FAIL),
        (OutcomeKind.TIMEOUT, error(fate=Fate.NEVER), Next.FAIL),
        (OutcomeKind.FAILED, error(fate=Fate.LOST), Next.LOST),
        (OutcomeKind.FAILED, error(fate=Fate.CANCELLED), Next.CANCEL),
    ],
)
def test_each_ending_has_its_step(kind: OutcomeKind, info: ErrorInfo | None, expected: Next) -> None:
    assert step(kind, info).next is expected


@pytest.mark.parametrize(
    ("code", "delays_ms"),
    [
        ("FFMPEG_FAILED", [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]),
        ("DISK_FULL", [22_500, 45_000, 90_000, 180_000, 360_000, 450_000, 450_000]),
        ("MODEL_SERVER_DOWN", [22_500, 45_000, 90_000, 180_000, 360_000, 450_000, 450_000]),
    ],
)
def test_waits_double_to_the_cap(code: str, delays_ms: list[int]) -> None:
    assert [step(OutcomeKind.FAILED, error(code), n).delay_ms for n in range(len(delays_ms))] == delays_ms


def test_a_lost_attempt_waits_less_and_by_how_often_it_was_lost() -> None:
    assert [step(OutcomeKind.LOST, None, tries=3, lost=n).delay_ms for n in range(8)] == [
        125, 250, 500, 1_000, 2_000, 4_000, 5_000, 5_000,
    ]  # fmt: skip


@given(
    st.sampled_from(OutcomeKind),
    st.none() | st.builds(error, st.sampled_from(("INTERNAL", "DISK_FULL")), st.sampled_from(Fate)),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 2**32),
)
def test_no_wait_leaves_its_bounds(kind: OutcomeKind, info: ErrorInfo | None, tries: int, lost: int, seed: int) -> None:
    answer = next_step(kind, info, tries, lost, LIMITS, random.Random(seed))

    assert 0 <= answer.delay_ms <= 600_000
    assert answer.delay_ms == 0 or answer.next in (Next.RETRY, Next.LOST)
    assert answer.next is not Next.HAND_BACK


def test_the_jitter_is_full() -> None:
    assert step(OutcomeKind.FAILED, error(), 2, rng=Fixed(0.0)).delay_ms == 0
    assert step(OutcomeKind.FAILED, error(), 2, rng=ALMOST_ONE).delay_ms == 4_000


def test_exhausted_says_when_the_queue_makes_it_dead() -> None:
    assert [step(OutcomeKind.FAILED, error(), n).exhausted for n in range(5)] == [False, False, False, True, True]
    assert [step(OutcomeKind.LOST, None, lost=n).exhausted for n in (0, 19, 20)] == [False, False, True]
    assert not step(OutcomeKind.LOST, None, tries=50).exhausted, "lost attempts do not use up tries"


@given(st.integers(0, 2**32))
def test_four_tries_outlast_the_start_of_what_is_away(seed: int) -> None:
    """A server that loads a model of many gigabytes takes a minute and more."""
    rng = random.Random(seed)
    waits = [next_step(OutcomeKind.FAILED, error("MODEL_SERVER_DOWN"), n, 0, LIMITS, rng).delay_ms for n in range(3)]

    assert sum(waits) >= 105_000
    soon = next_step(OutcomeKind.FAILED, error("DISK_FULL"), 1, 0, LIMITS, ALMOST_ONE, later_ms=1_000)
    assert soon.delay_ms == 2_000


@pytest.mark.parametrize(
    ("code", "crashed", "smaller"),
    [
        ("FFMPEG_FAILED", False, False),
        ("PROCESS_CRASHED", True, False),
        ("FFMPEG_CRASHED", True, False),
        ("OUT_OF_MEMORY", True, True),
        ("FFMPEG_OUT_OF_MEMORY", True, True),
        ("MODEL_OUT_OF_MEMORY", True, False),
        ("DISK_FULL", False, False),
    ],
)
def test_what_is_held_against_the_task(code: str, crashed: bool, smaller: bool) -> None:
    answer = step(OutcomeKind.FAILED, error(code))

    assert (answer.crashed, answer.smaller) == (crashed, smaller)


def test_a_kill_from_outside_never_is() -> None:
    for kind in (OutcomeKind.LOST, OutcomeKind.FAILED):
        answer = step(kind, error("PROCESS_KILLED", Fate.LOST))
        assert (answer.next, answer.crashed) == (Next.LOST, False)


def test_every_code_of_the_tables_is_one_that_somebody_raises() -> None:
    """A class for a code that was renamed would do nothing, and nobody would notice."""
    src = Path(retry.__file__).parent.parent
    said = "".join(path.read_text() for path in src.rglob("*.py") if path.name != "retry.py")

    assert {
        code for code in retry.LATER | retry.ELSEWHERE | retry.SMALLER | retry.CRASHES if f'"{code}"' not in said
    } == set()
