"""Chunks tile the source, whatever it is like."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.planner.sources import CLOCKS, indexes, steady
from vidprocme.core.media import FrameIndex
from vidprocme.planner.chunks import RUN_OUT, WHOLE_UP_TO_S, cut
from vidprocme.planner.sampling import sample

targets = st.integers(2, 300)


@given(indexes(), targets, st.booleans())
def test_every_picture_is_in_exactly_one_chunk(index: FrameIndex, target_s: int, exact: bool) -> None:
    chunks = cut(index, (), target_s, exact=exact)

    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
    assert chunks[0].start_pts == index.pts[0] and chunks[-1].end_pts == index.end_pts
    assert all(left.end_pts == right.start_pts for left, right in pairwise(chunks))
    inside = [[pts for pts in index.pts if chunk.start_pts <= pts < chunk.end_pts] for chunk in chunks]
    assert [pts for part in inside for pts in part] == list(index.pts)
    assert [chunk.frames for chunk in chunks] == [len(part) for part in inside] and min(map(len, inside)) > 0


@given(indexes(), targets)
def test_a_chunk_starts_at_a_key_frame_and_only_the_first_needs_no_seek(index: FrameIndex, target_s: int) -> None:
    chunks = cut(index, (), target_s)
    keys = {index.pts[key] for key in index.keys}

    assert not chunks[0].seek and all(chunk.seek and chunk.start_pts in keys for chunk in chunks[1:])
    assert [chunk.run_out for chunk in chunks] == [RUN_OUT] * (len(chunks) - 1) + [0]


@given(indexes(), targets, st.fractions("1/60", 10))
def test_every_sample_is_in_its_chunk(index: FrameIndex, target_s: int, every: Fraction) -> None:
    # 1/60 s over hours of video is a matter of minutes here, and shows nothing more.
    every = max(every, (index.end_pts - index.pts[0]) * index.time_base / 1000)
    samples = sample(index, index.pts[0] * index.time_base, every)
    chunks = cut(index, samples, target_s)

    assert tuple(pts for chunk in chunks for pts in chunk.samples) == samples
    assert all(chunk.start_pts <= pts < chunk.end_pts for chunk in chunks for pts in chunk.samples)


@given(indexes(), targets)
def test_what_is_not_exact_or_short_is_one_chunk(index: FrameIndex, target_s: int) -> None:
    length_s = (index.end_pts - index.pts[0]) * index.time_base

    assert len(cut(index, (), target_s, exact=False)) == 1
    if length_s <= max(WHOLE_UP_TO_S, target_s):
        assert len(cut(index, (), target_s)) == 1


@given(indexes(), targets)
def test_no_chunk_is_a_crumb(index: FrameIndex, target_s: int) -> None:
    length_s = (index.end_pts - index.pts[0]) * index.time_base
    share_s = length_s / max(1, round(length_s / target_s))

    for chunk in cut(index, (), target_s):
        assert (chunk.end_pts - chunk.start_pts) * index.time_base >= min(share_s / 2, length_s)


@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize("seconds", [31, 45, 49, 120, 601])
def test_with_a_key_frame_each_second_chunks_are_10_to_30_seconds(clock: tuple[Fraction, int], seconds: int) -> None:
    a_second = max(1, int(1 / (clock[0] * clock[1])))
    index = steady(clock, int(seconds / (clock[0] * clock[1])) + 1, a_second, begin=12345)
    chunks = cut(index, (), 20)

    lengths = [(chunk.end_pts - chunk.start_pts) * index.time_base for chunk in chunks]
    assert len(chunks) >= 2 and min(lengths) >= 10 and max(lengths) <= 30


def test_a_chunk_grows_to_the_next_key_frame() -> None:
    index = FrameIndex(Fraction(1), list(range(100)), [0, 70], 100)

    assert [(chunk.start_pts, chunk.end_pts) for chunk in cut(index, (), 20)] == [(0, 70), (70, 100)]


def test_without_pictures_there_is_nothing_to_cut() -> None:
    assert cut(FrameIndex(Fraction(1), [], [], 0), (), 20) == ()
