"""What each score prefers, by hand, and that the search which remembers finds what a plain one finds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidprocme.scheduler.demand import demand_of
from vidprocme.scheduler.nodes import WHOLE, NodeSpec, Shape
from vidprocme.scheduler.places import Score, Seat, Seats
from vidprocme.scheduler.scores import Balanced, Fgd, Weights, best_fit, clustering, dot_product, packing
from vidprocme.scheduler.states import Ask, PlaceState, States
from vidprocme.simulator.replay import need_of, place_of

BIG, SMALL = NodeSpec("big", 96_000, 500_000, 8, "G2"), NodeSpec("small", 64_000, 200_000, 2, "T4")
HALF, ONE, TWO, EIGHT = (
    Shape(4_000, 0, 1, 500),
    Shape(8_000, 0, 1, 1000),
    Shape(8_000, 0, 2, 1000),
    Shape(8_000, 0, 8, 1000),
)
PLAIN = Shape(4_000, 0)
DEMAND = demand_of([HALF] * 5 + [ONE] * 3 + [EIGHT, PLAIN])
SCORES: dict[str, Score] = {
    "best-fit": best_fit,
    "dot-product": dot_product,
    "packing": packing,
    "clustering": clustering,
    "fgd": Fgd(DEMAND),
    "default": Balanced(DEMAND, [BIG, SMALL]),
}


STATES = States()


def asked(shape: Shape) -> Ask:
    return STATES.ask(need_of(shape), None)


def used(spec: NodeSpec, *shapes: Shape) -> PlaceState:
    state = STATES.empty(place_of(spec.name, spec))
    for shape in shapes:
        state = STATES.take(state, asked(shape))[0]
    return state


def lower(score: Score, shape: Shape, better: PlaceState, worse: PlaceState) -> bool:
    return score(better, asked(shape))[0] < score(worse, asked(shape))[0]


def test_best_fit_leaves_least_and_dot_product_turns_away_from_what_is_asked() -> None:
    assert lower(best_fit, ONE, used(SMALL), used(BIG))
    assert lower(best_fit, ONE, used(BIG, ONE, ONE), used(BIG))
    assert lower(dot_product, ONE, used(BIG, ONE, ONE), used(BIG))


def test_packing_takes_gpus_in_use_then_nodes_in_use() -> None:
    shared, begun, free = used(BIG, HALF), used(BIG, ONE), used(BIG)
    assert lower(packing, HALF, shared, begun) and lower(packing, HALF, begun, free)
    assert packing(free, asked(PLAIN)) == (0, None)


def test_clustering_puts_like_beside_like() -> None:
    alike, mixed, empty, other = used(BIG, TWO), used(BIG, TWO, ONE), used(BIG), used(BIG, ONE)
    for better, worse in ((alike, mixed), (mixed, empty), (empty, other)):
        assert lower(clustering, TWO, better, worse)


def test_fgd_spares_what_would_become_useless() -> None:
    fgd = SCORES["fgd"]
    assert lower(fgd, HALF, used(BIG, HALF), used(BIG, ONE))  # the other half of a GPU that is shared already
    assert fgd(used(BIG, HALF), asked(HALF))[1] == 0


def test_ours_gives_a_share_where_least_is_left_and_spares_what_few_nodes_have() -> None:
    ours = SCORES["default"]
    node = used(BIG, HALF, Shape(1, 0, 1, 800))
    assert ours(node, asked(Shape(1_000, 0, 1, 200)))[1] == 1
    assert lower(ours, HALF, used(BIG, HALF), used(BIG, ONE))
    demanded = demand_of([Shape(1_000, 0, 1, 1000, frozenset({"T4"}))] * 5 + [ONE] * 5)
    picky = Balanced(demanded, [NodeSpec("a", 64_000, 1, 2, "T4"), NodeSpec("b", 64_000, 1, 2, "P100")])
    assert lower(picky, ONE, used(NodeSpec("b", 64_000, 1, 2, "P100")), used(NodeSpec("a", 64_000, 1, 2, "T4")))
    assert lower(ours, PLAIN, used(NodeSpec("cpu", 96_000, 500_000, 0, "")), used(BIG))


# What a weight of one costs by itself, worked out by hand, on a node with 8 GPUs and 96 cores. Of DEMAND's 13.5 GPUs shares want 2.5, whole ones 3.
@pytest.mark.parametrize(
    ("runs", "shape", "weights", "cost"),
    [
        ([HALF, ONE], HALF, {"cores_left": 1}, 80_000),
        ([HALF, ONE], HALF, {"gpus_left": 1}, 6_000),
        ([HALF, ONE], HALF, {"stranded_cores": 1}, 83_280),  # 80/96 of its cores, 6/8 of its GPUs
        ([HALF, ONE], Shape(84_000, 0, 1, 500), {"stranded_gpus": 1}, 750_000),
        ([HALF, ONE], HALF, {"uneven": 1}, 666),  # 80 cores are enough for 6,666
        ([HALF, ONE], Shape(84_000, 0, 1, 500), {"uneven": 1}, 6_000),
        ([HALF, ONE], HALF, {"large": 1}, 8),
        ([HALF, ONE], HALF, {"left_on_gpu": 1}, 0),  # it fills the one that was begun
        ([HALF, ONE], Shape(4_000, 0, 1, 600), {"left_on_gpu": 1}, 400),
        ([HALF, ONE], HALF, {"begun": 1}, 1),
        ([HALF, ONE], HALF, {"untouched": 1}, 0),
        ([], EIGHT, {"untouched": 1}, 1),
        ([HALF, ONE], ONE, {"broken": 1}, 222),  # 3/13.5 of one
        ([], EIGHT, {"broken": 1}, 6_519),  # 3/13.5 of eight for ONE, 8/13.5 for EIGHT
        ([], Shape(8_000, 0, 2, 500), {"broken": 1}, 0),  # halves of two
        ([], EIGHT, {"scarce": 1}, 6_148),  # for EIGHT 8 * 8/13.5 over the 8/10 that can hold it; 3/13.5 for ONE
        ([], ONE, {"scarce": 1}, 5_926),  # what it was for EIGHT
        ([HALF, ONE], ONE, {"scarce": 1}, 0),
        ([Shape(90_000, 0, 1, 1000)], Shape(1_000, 0, 1, 1000), {"starved": 1}, 7_000),  # 6 cores beside 7 GPUs
        ([Shape(86_500, 0, 1, 1000)], Shape(1_000, 0, 1, 1000), {"starved": 1}, 2_849),  # EIGHT's do with one core each
        ([HALF, ONE], ONE, {"starved": 1}, 0),
        ([], PLAIN, {"cores_left": 1, "large": 1}, 92_008),
    ],
)
def test_a_weight_is_of_what_it_says(runs: list[Shape], shape: Shape, weights: dict[str, int], cost: int) -> None:
    ours = Balanced(DEMAND, [BIG, SMALL], [Weights(**weights)] * 4)
    assert ours(used(BIG, *runs), asked(shape))[0] == cost


def test_each_kind_of_task_goes_by_its_own_weights() -> None:
    ours = Balanced(DEMAND, [BIG, SMALL], [Weights(large=kind) for kind in (1, 2, 3, 4)])
    assert [ours(used(BIG), asked(shape))[0] for shape in (HALF, ONE, EIGHT, PLAIN)] == [8, 16, 24, 32]


def test_ours_keeps_whole_nodes_for_those_who_need_them() -> None:
    ours = SCORES["default"]
    assert lower(ours, ONE, used(BIG, ONE), used(BIG)) and lower(ours, TWO, used(BIG, ONE), used(BIG))


ASKS = st.sampled_from(
    [HALF, ONE, TWO, EIGHT, PLAIN, Shape(30_000, 0, 1, 300), Shape(1_000, 0, 1, 1000, frozenset({"T4"}))]
)


@pytest.mark.parametrize("name", SCORES)
@given(st.lists(ASKS, max_size=60), st.integers(0, 3))
def test_the_search_finds_what_a_look_at_every_node_finds(name: str, shapes: list[Shape], back: int) -> None:
    """Also when something is given back on the way."""
    score, states = SCORES[name], States()
    seats = Seats(states, score, warmth=False)
    for number, spec in enumerate((BIG, SMALL, BIG, SMALL)):
        place = place_of(str(number), spec)
        seats.add(Seat(place, states.empty(place)))
    placed: list[tuple[Seat, Ask, tuple[int, ...]]] = []
    for number, shape in enumerate(shapes):
        ask = states.ask(need_of(shape), None)
        able = [(score(seat.state, ask)[0], id_) for id_, seat in seats.all.items() if seat.state.holds(ask)]
        found = seats.find(ask)
        assert (found is None) == (not able)
        if found is None:
            continue
        assert (score(found.seat.state, ask)[0], found.seat.id) == min(able)
        state, gpus = states.take(found.seat.state, ask, found.gpu)
        seats.move(found.seat, state)
        placed.append((found.seat, ask, gpus))
        if back and number % 4 == back:
            seat, old, had = placed.pop(0)
            seats.move(seat, states.give(seat.state, old.resources, had))


def test_what_a_node_runs_is_counted_by_its_gpus() -> None:
    state = used(BIG, HALF, TWO)
    assert dict(state.kinds) == {0: 1, 2: 1} and state.gpu_milli.count(WHOLE) == 5
    assert dict(STATES.give(state, asked(HALF).resources, (0,)).kinds) == {2: 1}
