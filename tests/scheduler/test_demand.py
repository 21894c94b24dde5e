"""What follows for nodes from what is usually asked for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vidprocme.scheduler.demand import HALVES, STEP, Scarcity, demand_of, pressure_of, starved_of, use_of_whole
from vidprocme.scheduler.nodes import NodeSpec, Shape

ONE, TWO, EIGHT = Shape(8_000, 0, 1, 1000), Shape(8_000, 0, 2, 1000), Shape(48_000, 0, 8, 1000)
PLAIN = Shape(4_000, 0)
BIG, SMALL = NodeSpec("big", 96_000, 500_000, 8, "G2"), NodeSpec("small", 64_000, 200_000, 2, "T4")


def test_it_is_counted_without_memory() -> None:
    demand = demand_of([Shape(1, 5, 1, 500), Shape(1, 9, 1, 500), Shape(2, 0), Shape(2, 0)])
    assert demand.shapes == {Shape(1, 0, 1, 500): 500_000, Shape(2, 0): 500_000}
    assert demand.typical(50) == [(Shape(1, 0, 1, 500), 1.0)]


def test_pressure_is_what_picky_tasks_ask_of_a_model() -> None:
    nodes = [NodeSpec("a", 1, 1, 2, "T4"), NodeSpec("b", 1, 1, 6, "G2")]
    picky, any_ = Shape(1, 0, 1, 1000, frozenset({"T4"})), Shape(1, 0, 1, 1000)
    # Half of all that is asked for wants a quarter of the GPUs.
    assert pressure_of(demand_of([picky, any_]), nodes) == {"T4": 2000, "G2": 0}
    either = Shape(1, 0, 1, 1000, frozenset({"T4", "G2"}))
    assert pressure_of(demand_of([either]), nodes) == {"T4": 1000, "G2": 1000}


def test_of_whole_gpus_only_what_fills_a_task_is_of_use() -> None:
    assert use_of_whole(demand_of([TWO]), 4) == [0, 0, 2000, 2000, 4000]
    assert use_of_whole(demand_of([TWO, ONE, ONE]), 3) == [0, 500, 2000, 2500]
    assert use_of_whole(demand_of([PLAIN]), 2) == [0, 0, 0]


def test_a_gpu_is_starved_for_those_who_want_more_cores_beside_it() -> None:
    few, more, share = Shape(2_000, 0, 1, 1000), Shape(6_100, 0, 1, 1000), Shape(1_000, 0, 1, 500)
    found = starved_of(demand_of([few, more]))
    assert (found[3], found[4], found[12], found[13], len(found)) == (1000, 500, 500, 0, HALVES)
    assert starved_of(demand_of([share])) == starved_of(demand_of([few]))  # two cores for each GPU
    assert starved_of(demand_of([PLAIN])) == [0] * HALVES


@given(
    st.lists(
        st.builds(Shape, st.integers(0, 200_000), st.just(0), st.integers(1, 8), st.just(1000)), min_size=1, max_size=8
    )
)
def test_how_much_is_starved_is_told_as_if_each_task_were_asked(tasks: list[Shape]) -> None:
    demand = demand_of(tasks)
    asked = sum(parts * shape.total_gpu_milli for shape, parts in demand.shapes.items())
    for half, part in enumerate(starved_of(demand)[:-1]):
        wants = [shape for shape in demand.shapes if shape.cpu_milli * 2 > half * shape.total_gpu_milli]
        assert part == round(1000 * sum(demand.shapes[shape] * shape.total_gpu_milli for shape in wants) / asked)


def test_what_few_nodes_can_hold_makes_them_worth_more() -> None:
    demand = demand_of([EIGHT] + [ONE] * 8)  # each a half of the GPUs; eight of the ten can hold EIGHT
    worth = Scarcity(demand, [BIG, SMALL]).of("G2", 8, 96_000)
    assert worth[8][96] == worth[8][192] == 5000 + 500
    assert worth[8][95] == worth[7][192] == worth[1][16] == 500  # too few cores, too few GPUs for EIGHT
    assert worth[1][15] == worth[0][192] == 0
    rare = Scarcity(demand, [BIG, *[SMALL] * 4]).of("G2", 8, 96_000)
    assert rare[8][192] == 8000 + 500
    assert Scarcity(demand, [SMALL]).of("T4", 2, 64_000)[2][128] == 500  # EIGHT fits nowhere, and counts for nothing


def test_cores_that_are_not_enough_are_worth_nothing() -> None:
    a_little_more = Shape(8_100, 0, 1, 1000)
    worth = Scarcity(demand_of([a_little_more]), [BIG]).of("G2", 8, 96_000)[1]
    assert (worth[8_000 // STEP], worth[8_500 // STEP]) == (0, 1000)


def test_a_model_is_worth_what_its_tasks_make_it() -> None:
    picky = Shape(8_000, 0, 1, 1000, frozenset({"T4"}))
    scarcity = Scarcity(demand_of([picky, ONE]), [BIG, SMALL])
    assert scarcity.of("T4", 2, 64_000)[1][16] == 2500 + 500  # T4 is a fifth of the GPUs
    assert scarcity.of("G2", 8, 96_000)[1][16] == 500


def test_what_next_to_no_node_can_hold_does_not_outweigh_all_else() -> None:
    picky = Shape(8_000, 0, 1, 1000, frozenset({"T4"}))
    nodes = [NodeSpec("t", 8_000, 0, 1, "T4"), *[BIG] * 1_000]
    assert Scarcity(demand_of([picky]), nodes).of("T4", 1, 8_000)[1][8_000 // STEP] == 1000 / 0.002
