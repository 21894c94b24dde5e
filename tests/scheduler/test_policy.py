"""What every decision keeps to, whatever waits and whatever is free; and the order and choice it makes in small cases."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from tests.scheduler.strategies import snapshots
from vidprocme.core.ids import TaskId
from vidprocme.core.job import Bin
from vidprocme.core.resources import Need, Place, PlaceKind, PlaceLoad, Resources
from vidprocme.core.snapshot import Head, Line, Plan, Snapshot
from vidprocme.scheduler.apply import placed_all, with_places
from vidprocme.scheduler.policy import PolicyConfig, decide

CONFIG = PolicyConfig()
CORE = Need(PlaceKind.CPU, Resources(cpu_milli=1000))
GPU = Need(PlaceKind.GPU, Resources(gpu_milli=1000))
CPU_MODEL = Need(PlaceKind.CPU_MODEL, Resources(cpu_milli=2000))


def heads_of(snapshot: Snapshot) -> dict[TaskId, Head]:
    return {head.task: head for line in snapshot.lines.values() for head in line.heads}


def can_start(load: PlaceLoad, head: Head) -> bool:
    """The rule itself, written down a second time."""
    if load.place.draining or load.free_slots < 1:
        return False
    return any(need.kind is load.place.kind and need.resources.fits(load.free) for need in head.needs)


@given(snapshots())
def test_never_gives_away_more_than_there_is(snapshot: Snapshot) -> None:
    plan = decide(snapshot, 0, CONFIG)

    after = placed_all(snapshot, plan.placements)
    nothing = Resources()
    for id_, load in after.places.items():
        if load != snapshot.places[id_]:
            assert nothing.fits(load.free) and load.free_slots >= 0, id_
    heads = heads_of(snapshot)
    for placement in plan.placements:
        kind = snapshot.places[placement.place].place.kind
        assert Need(kind, placement.resources) in heads[placement.task].needs


@given(snapshots())
def test_every_head_is_placed_once_or_has_one_reason(snapshot: Snapshot) -> None:
    plan = decide(snapshot, 0, CONFIG)

    placed = [placement.task for placement in plan.placements]
    assert len(set(placed)) == len(placed)
    assert set(placed) | set(plan.reasons) == set(heads_of(snapshot))
    assert not set(placed) & set(plan.reasons)
    assert all(reason.code and reason.text.endswith(".") for reason in plan.reasons.values())


@given(snapshots())
def test_no_head_waits_beside_a_place_that_would_take_it(snapshot: Snapshot) -> None:
    plan = decide(snapshot, 0, CONFIG)

    after = placed_all(snapshot, plan.placements)
    for head in heads_of(after).values():
        assert not any(can_start(load, head) for load in after.places.values()), head


@given(snapshots())
def test_a_draining_place_gets_nothing(snapshot: Snapshot) -> None:
    plan = decide(snapshot, 0, CONFIG)

    assert not any(snapshot.places[placement.place].place.draining for placement in plan.placements)


@given(snapshots(), st.randoms(use_true_random=False))
def test_the_order_of_lines_places_and_heads_does_not_matter(snapshot: Snapshot, rng: random.Random) -> None:
    lines, places = list(snapshot.lines.items()), list(snapshot.places.items())
    rng.shuffle(lines)
    rng.shuffle(places)

    assert decide(Snapshot(dict(lines), dict(places)), 0, CONFIG) == decide(snapshot, 0, CONFIG)


def test_ties_go_by_name_whatever_comes_first() -> None:
    """Everything equal but the names: same age, same needs, same places, in every order they can come in."""
    other = Need(PlaceKind.CPU, Resources(cpu_milli=1000, gpu_milli=1))
    waiting = [
        line({"a1": 0}, CORE, tenant="ann"),
        line({"a2": 0}, other, tenant="ann"),
        line({"b1": 0}, CORE, tenant="bob"),
    ]
    free = [place(name) for name in ("p", "q", "r")]
    for lines in permutations(waiting):
        for places in permutations(free):
            assert where(plan_for(list(places), *lines)) == [("a1", "p"), ("b1", "q"), ("a2", "r")]


@given(snapshots())
def test_nothing_more_to_place_right_after_a_plan(snapshot: Snapshot) -> None:
    plan = decide(snapshot, 0, CONFIG)

    assert decide(placed_all(snapshot, plan.placements), 0, CONFIG).placements == ()


@given(snapshots())
def test_a_more_urgent_bin_never_loses_to_a_less_urgent_one(snapshot: Snapshot) -> None:
    """What the more urgent bins get is what they would get if the others were not there."""
    whole = decide(snapshot, 0, CONFIG)
    task_bins = {head.task: line.bin for line in snapshot.lines.values() for head in line.heads}
    for rank in range(1, len(Bin)):
        urgent = set(list(Bin)[:rank])
        alone = Snapshot({key: line for key, line in snapshot.lines.items() if line.bin in urgent}, snapshot.places)
        expected = tuple(placement for placement in whole.placements if task_bins[placement.task] in urgent)
        assert decide(alone, 0, CONFIG).placements == expected


def place(id_: str, kind: PlaceKind = PlaceKind.CPU, *, slots: int = 1, warm: tuple[str, ...] = ()) -> Place:
    return Place(id_, "node", kind, Resources(cpu_milli=8000, gpu_milli=1000), slots, warm)


def line(
    tasks: dict[str, int], *needs: Need, bin_: Bin = Bin.NORMAL, tenant: str = "ann", model: str | None = None
) -> Line:
    heads = tuple(Head(TaskId(task), ready_ms, needs, model) for task, ready_ms in tasks.items())
    return Line(bin_, tenant, f"{model}{needs}", len(heads), min(tasks.values()), heads)


def plan_for(places: list[Place], *lines: Line) -> Plan:
    return decide(with_places(Snapshot({one.key: one for one in lines}), places), 0, CONFIG)


def where(plan: Plan) -> list[tuple[str, str]]:
    return [(placement.task, placement.place) for placement in plan.placements]


def test_bins_go_in_order_then_tenants_in_rounds_then_age() -> None:
    plan = plan_for(
        [place("p", slots=9)],
        line({"bulk": 0}, CORE, bin_=Bin.BULK),
        line({"a1": 1, "a2": 2, "a3": 3}, CORE, tenant="ann"),
        line({"b1": 2, "b2": 9}, CORE, tenant="bob"),
        line({"a0": 0}, Need(PlaceKind.CPU, Resources(cpu_milli=500)), tenant="ann"),
        line({"now": 50}, CORE, bin_=Bin.URGENT, tenant="cy"),
    )

    assert [task for task, _ in where(plan)] == ["now", "a0", "b1", "a1", "b2", "a2", "a3", "bulk"]


def test_with_one_place_free_the_tenant_who_waits_longest_gets_it() -> None:
    plan = plan_for([place("p")], line({"a": 5}, CORE, tenant="ann"), line({"z": 4}, CORE, tenant="zoe"))

    assert where(plan) == [("z", "p")]


def test_a_model_goes_where_it_is_warm_then_where_nothing_is_loaded() -> None:
    gpus = [
        place("g1", PlaceKind.GPU, warm=("cat",)),
        place("g2", PlaceKind.GPU),
        place("g3", PlaceKind.GPU, warm=("cat", "ant")),
    ]

    plan = plan_for(gpus, line({"t1": 1, "t2": 2, "t3": 3}, GPU, model="ant"))

    assert where(plan) == [("t1", "g3"), ("t2", "g2"), ("t3", "g1")]
    assert [placement.reason.split()[0] for placement in plan.placements] == ["WARM", "COLD", "COLD"]


def test_the_first_alternative_that_fits_is_taken_even_when_a_later_one_is_warm() -> None:
    places = [place("c", PlaceKind.CPU_MODEL, warm=("ant",)), place("g", PlaceKind.GPU)]

    plan = plan_for(places, line({"t1": 1, "t2": 2}, GPU, CPU_MODEL, model="ant"))

    assert where(plan) == [("t1", "g"), ("t2", "c")]


def test_slots_bound_a_place_even_when_its_resources_would_hold_more() -> None:
    plan = plan_for([place("p", slots=2)], line({"t1": 1, "t2": 2, "t3": 3}, CORE))

    assert where(plan) == [("t1", "p"), ("t2", "p")]
    assert plan.reasons[TaskId("t3")].code == "NO_PLACE_FREE"


def test_resources_bound_a_place_even_when_slots_are_left() -> None:
    big = Need(PlaceKind.CPU, Resources(cpu_milli=5000))

    plan = plan_for([place("p", slots=9)], line({"t1": 1, "t2": 2}, big), line({"t3": 3}, CORE))

    assert where(plan) == [("t1", "p"), ("t3", "p")]


def test_a_job_that_was_begun_is_finished_first() -> None:
    """Older jobs before younger ones, and inside a job the later stage, whatever became ready first."""
    cpu = "cpu1000"
    transcodes = replace(line({"job_1:transcode:5": 1, "job_2:transcode:0": 2}, CORE), shape=f"transcode/-/{cpu}")
    joins = replace(line({"job_2:join:0": 9, "job_1:join:0": 10}, CORE), shape=f"join/-/{cpu}")

    plan = plan_for([place("p", slots=9)], transcodes, joins)

    assert [task for task, _ in where(plan)][:2] == ["job_1:join:0", "job_1:transcode:5"]
