"""Renditions fit their source: never larger, even, of its shape."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.planner.sources import stream
from vidprocme.planner.ladder import frame_size, ladder
from vidprocme.planner.recipe import STEPS

sides = st.integers(2, 8192)
steps = st.sets(st.sampled_from(STEPS), min_size=1).map(tuple)


@given(sides, sides, steps)
def test_never_larger_always_even_of_the_same_shape(width: int, height: int, wished: tuple[str, ...]) -> None:
    renditions = ladder(stream(width, height), wished)

    assert renditions
    for rendition in renditions:
        assert 2 <= rendition.width_px <= width and 2 <= rendition.height_px <= height
        assert rendition.width_px % 2 == rendition.height_px % 2 == 0
        # Of the same shape, to the two pixels that evenness costs a side.
        short, long = sorted((rendition.width_px, rendition.height_px))
        assert abs(long - short * max(width, height) / min(width, height)) <= 2 + 3 * max(width, height) / min(
            width, height
        )


@given(sides, sides, steps)
def test_largest_first_with_names_of_their_own(width: int, height: int, wished: tuple[str, ...]) -> None:
    renditions = ladder(stream(width, height), wished)

    shorts = [int(rendition.name.removesuffix("p")) for rendition in renditions]
    assert shorts == sorted(set(shorts), reverse=True)
    assert all(name in wished or name == f"{min(width, height)}p" for name in (r.name for r in renditions))


@given(sides, sides, steps)
def test_every_wished_step_that_fits_is_there(width: int, height: int, wished: tuple[str, ...]) -> None:
    names = {rendition.name for rendition in ladder(stream(width, height), wished)}

    assert {step for step in wished if int(step[:-1]) <= min(width, height)} <= names


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1920, 1080), [("720p", 1280, 720), ("480p", 854, 480), ("360p", 640, 360)]),
        (
            (1080, 1920),
            [("720p", 720, 1280), ("480p", 480, 854), ("360p", 360, 640)],
        ),  # portrait: width is the short side
        ((1280, 720), [("720p", 1280, 720), ("480p", 854, 480), ("360p", 640, 360)]),
        ((639, 359), [("359p", 638, 358)]),  # smaller than every step: its own size
        ((960, 540), [("480p", 854, 480), ("360p", 640, 360)]),  # 480 is near enough to 540
        ((1066, 600), [("600p", 1066, 600), ("480p", 852, 480), ("360p", 640, 360)]),  # and not to 600
        ((64, 48), [("48p", 64, 48)]),
        ((2, 2), [("2p", 2, 2)]),
    ],
)
def test_known_sizes(size: tuple[int, int], expected: list[tuple[str, int, int]]) -> None:
    found = [(r.name, r.width_px, r.height_px) for r in ladder(stream(*size), ("720p", "480p", "360p"))]

    assert found == expected


def test_none_wished_none_made() -> None:
    assert ladder(stream(1920, 1080), ()) == ()


@given(sides, sides, st.integers(64, 4096))
def test_frames_are_even_and_not_larger_than_the_source(width: int, height: int, wished: int) -> None:
    frame_width, frame_height = frame_size(stream(width, height), wished)

    assert frame_width % 2 == frame_height % 2 == 0
    assert 2 <= frame_width <= min(width, wished) and 2 <= frame_height <= height
