"""A shape says everything that tasks of it need, and can be read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidprocme.core.resources import Need, PlaceKind, Resources
from vidprocme.core.shape import Shape, read, shape_of

NUMBERS = st.integers(0, 2**40)
NEEDS = st.lists(
    st.builds(Need, st.sampled_from(PlaceKind), st.builds(Resources, NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS)),
    max_size=4,
)
MODELS = st.none() | st.text(min_size=1, max_size=12).filter(lambda model: model != "-")


@given(st.sampled_from(["probe", "describe"]), MODELS, NEEDS)
def test_what_is_written_is_read(stage: str, model: str | None, needs: list[Need]) -> None:
    assert read(shape_of(stage, model, needs)) == Shape(stage, model, tuple(needs))


@given(MODELS, NEEDS, NEEDS)
def test_two_needs_have_two_shapes(model: str | None, some: list[Need], others: list[Need]) -> None:
    assert (shape_of("probe", model, some) == shape_of("probe", model, others)) == (some == others)


def test_it_is_readable() -> None:
    gpu = Need(PlaceKind.GPU, Resources(cpu_milli=500, gpu_milli=1000))
    assert (
        shape_of("describe", "demo", [gpu, Need(PlaceKind.CPU_MODEL, Resources())])
        == "describe/demo/gpu1000c500+cpu_model0"
    )


def test_places_to_avoid_stand_at_its_end() -> None:
    shape = shape_of("transcode", "a/b!", [Need(PlaceKind.CPU, Resources(cpu_milli=1000))])
    assert read(shape + '!["here/cpu","th,ere/gpu0"]') == read(shape)._replace(avoid=("here/cpu", "th,ere/gpu0"))


@pytest.mark.parametrize("text", ["probe", "probe/-/disk7", "probe/-/cpu", "probe/-/cpu1x2", "a/b/cpu1!here"])
def test_what_is_no_shape_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        read(text)
