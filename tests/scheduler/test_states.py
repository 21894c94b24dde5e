"""A place counts like a real machine: nothing given twice, everything given back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidprocme.scheduler.nodes import NodeSpec, Shape
from vidprocme.scheduler.states import Ask, PlaceState, States
from vidprocme.simulator.replay import MIB, need_of, place_of

SPEC = NodeSpec("n", 8_000, 1_000, 2, "T4")
shapes = st.builds(
    Shape,
    st.integers(0, 4_000),
    st.integers(0, 500),
    st.integers(0, 2),
    st.integers(1, 1000),
    st.sampled_from((frozenset[str](), frozenset({"T4"}), frozenset({"V100"}))),
)


STATES = States()
EMPTY = STATES.empty(place_of("n", SPEC))


def asked(shape: Shape) -> Ask:
    return STATES.ask(need_of(shape), None)


def after(state: PlaceState, *shapes: Shape) -> PlaceState:
    for shape in shapes:
        state = STATES.take(state, asked(shape))[0]
    return state


@given(st.lists(shapes, max_size=30))
def test_nothing_is_given_twice_and_everything_comes_back(all_shapes: list[Shape]) -> None:
    state, taken = EMPTY, []
    for ask in map(asked, all_shapes):
        if state.holds(ask):
            state, gpus = STATES.take(state, ask)
            taken.append((ask, gpus))
        assert state.cpu_milli == SPEC.cpu_milli - sum(ask.cpu_milli for ask, _ in taken) >= 0
        assert state.memory_bytes == SPEC.memory_mib * MIB - sum(ask.memory_bytes for ask, _ in taken) >= 0
        for gpu in range(SPEC.gpus):
            given_away = sum(ask.gpu_milli for ask, gpus in taken if gpu in gpus)
            assert state.gpu_milli[gpu] == 1000 - given_away >= 0
        assert state.free_gpu_milli == sum(state.gpu_milli) and state.most_milli == max(state.gpu_milli)
    for ask, gpus in taken:
        assert len(gpus) == len(set(gpus)) == ask.gpus
        state = STATES.give(state, ask.resources, gpus)
    assert state is EMPTY


@pytest.mark.parametrize(
    "shape",
    [
        Shape(8_001, 0),
        Shape(0, 1_001),
        Shape(0, 0, 3, 1000),
        Shape(0, 0, 1, 1000, frozenset({"V100"})),
    ],
)
def test_one_axis_too_much_is_too_much(shape: Shape) -> None:
    assert not EMPTY.holds(asked(shape)) and not EMPTY.fits(asked(shape))


def test_a_share_comes_from_one_gpu_even_when_two_together_would_do() -> None:
    state = after(EMPTY, Shape(0, 0, 2, 600))

    assert state.free_gpu_milli == 800
    assert not state.holds(asked(Shape(0, 0, 1, 500)))
    assert state.holds(asked(Shape(0, 0, 2, 400)))


def test_a_share_goes_to_the_fullest_gpu_that_holds_it() -> None:
    state, went = EMPTY, []
    for milli in (300, 800, 200, 700):
        state, gpus = STATES.take(state, asked(Shape(0, 0, 1, milli)))
        went.append(gpus)
    assert went == [(0,), (1,), (1,), (0,)]


def test_a_gpu_model_does_not_matter_to_a_pod_without_gpu() -> None:
    assert EMPTY.holds(asked(Shape(1, 1, 0, 0, frozenset({"V100"}))))
