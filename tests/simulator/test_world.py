"""A node in memory counts like a real one: nothing given twice, everything given back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidprocme.scheduler.nodes import Node, NodeSpec, Shape
from vidprocme.simulator.world import World

SPEC = NodeSpec("n", 8_000, 1_000, 2, "T4")
shapes = st.builds(
    Shape,
    st.integers(0, 4_000),
    st.integers(0, 500),
    st.integers(0, 2),
    st.integers(1, 1000),
    st.sampled_from((frozenset[str](), frozenset({"T4"}), frozenset({"V100"}))),
)


def state(node: Node) -> tuple[int, int, int, tuple[int, ...]]:
    return node.cpu_milli, node.memory_mib, node.free_gpu_milli, tuple(node.gpu_milli)


@given(st.lists(shapes, max_size=30))
def test_nothing_is_given_twice_and_everything_comes_back(asks: list[Shape]) -> None:
    node = Node(SPEC)
    taken = []
    for ask in asks:
        if node.holds(ask):
            taken.append((ask, node.place(ask)))
        assert min(state(node)[:3]) >= 0 and all(0 <= free <= 1000 for free in node.gpu_milli)
        assert node.free_gpu_milli == sum(node.gpu_milli)
    for ask, used in taken:
        assert len(used) == len(set(used)) == ask.gpus
        node.release(ask, used)
    assert state(node) == state(Node(SPEC))


@pytest.mark.parametrize(
    "ask",
    [
        Shape(8_001, 0),
        Shape(0, 1_001),
        Shape(0, 0, 3, 1000),
        Shape(0, 0, 1, 1000, frozenset({"V100"})),
    ],
)
def test_one_axis_too_much_is_too_much(ask: Shape) -> None:
    node = Node(SPEC)
    assert not node.holds(ask)
    with pytest.raises(ValueError, match="does not hold"):
        node.place(ask)
    assert state(node) == state(Node(SPEC))


def test_a_share_comes_from_one_gpu_even_when_two_together_would_do() -> None:
    node = Node(SPEC)
    node.place(Shape(0, 0, 2, 600))

    assert node.free_gpu_milli == 800
    assert not node.holds(Shape(0, 0, 1, 500))
    assert node.holds(Shape(0, 0, 2, 400))


def test_a_share_goes_to_the_fullest_gpu_that_holds_it() -> None:
    node = Node(SPEC)
    assert node.place(Shape(0, 0, 1, 300)) == (0,)
    assert node.place(Shape(0, 0, 1, 800)) == (1,)
    assert node.place(Shape(0, 0, 1, 200)) == (1,)
    assert node.place(Shape(0, 0, 1, 700)) == (0,)


def test_a_gpu_model_does_not_matter_to_a_pod_without_gpu() -> None:
    assert Node(SPEC).holds(Shape(1, 1, 0, 0, frozenset({"V100"})))


def test_nodes_stand_in_order_of_their_names() -> None:
    world = World([NodeSpec(name, 1, 1, 3, "T4") for name in ("b", "c", "a")])

    assert [node.spec.name for node in world.nodes] == ["a", "b", "c"]
    assert (world.gpus, world.capacity_milli) == (9, 9_000)
