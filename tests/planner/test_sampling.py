"""Which pictures are kept, against the definition taken word by word."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.planner.sources import CLOCKS, indexes, steady
from vidprocme.core.media import FrameIndex
from vidprocme.planner.sampling import sample


def by_definition(index: FrameIndex, origin: Fraction, every: Fraction) -> tuple[int, ...]:
    """The last picture with pts <= t for t = 0, every, 2*every ... before the end; the first one where there is none."""
    kept: list[int] = []
    number = 0
    while (moment := number * every) < index.end_pts * index.time_base - origin:
        shown = [pts for pts in index.pts if pts * index.time_base - origin <= moment] or [index.pts[0]]
        if shown[-1] not in kept:
            kept.append(shown[-1])
        number += 1
    return tuple(kept)


everies = st.sampled_from([Fraction(1, 60), Fraction(1, 2), Fraction(1), Fraction(10)]) | st.fractions("1/60", 10)


@given(indexes(most=40), everies, st.fractions(0, 3))
def test_it_is_the_definition(index: FrameIndex, every: Fraction, sound_first: Fraction) -> None:
    # The axis begins with the earlier of picture and sound.
    origin = index.pts[0] * index.time_base - sound_first
    # A naive walk over a long source at 1/60 s takes its time; every k-th moment shows as much.
    length = index.end_pts * index.time_base - origin
    every = max(every, length / 200)

    assert sample(index, origin, every) == by_definition(index, origin, every)


@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize("every", [Fraction(1, 60), Fraction(1, 30), Fraction(1, 2), Fraction(1), Fraction(10)])
@pytest.mark.parametrize("begin", [0, 900_000])
def test_real_rates(clock: tuple[Fraction, int], every: Fraction, begin: int) -> None:
    index = steady(clock, 90, 30, begin)
    origin = begin * clock[0]

    assert sample(index, origin, every) == by_definition(index, origin, every)


def test_at_29_97_each_second_shows_the_picture_before_it() -> None:
    index = steady((Fraction(1, 30000), 1001), 61, 30)

    # Picture 30 is shown from 1.001 s: at 1 s picture 29 is still on screen.
    assert sample(index, Fraction(0), Fraction(1)) == (0, 29 * 1001, 59 * 1001)


def test_a_picture_that_stays_long_is_kept_once() -> None:
    assert sample(FrameIndex(Fraction(1), [0, 8], [0], 10), Fraction(0), Fraction(1)) == (0, 8)


@given(st.integers(2, 200))
def test_finer_than_the_pictures_keeps_every_one(count: int) -> None:
    index = steady((Fraction(1, 25), 1), count, 10)

    assert sample(index, Fraction(0), Fraction(1, 60)) == tuple(index.pts)


def test_nothing_to_sample() -> None:
    assert sample(FrameIndex(Fraction(1), [], [], 0), Fraction(0), Fraction(1)) == ()
