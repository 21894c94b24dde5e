"""What every decision keeps to, whatever waits and whatever is free; and the order and choice it makes in small cases."""

from __future__ import annotations

import random
from dataclasses import fields, replace
from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scheduler.strategies import snapshots
from tests.scheduler.values import decide, placed_all, planned, with_places
from vidprocme.core.ids import TaskId
from vidprocme.core.job import Bin
from vidprocme.core.resources import Need, Place, PlaceKind, PlaceLoad, Resources
from vidprocme.core.shares import Shares, TenantShare
from vidprocme.core.snapshot import Head, Line, Plan, Snapshot
from vidprocme.scheduler import policy
from vidprocme.scheduler.config import PolicyConfig
from vidprocme.scheduler.explain import CODES
from vidprocme.scheduler.facts import board_of
from vidprocme.scheduler.turns import turn_of

# Tasks of the strategies are ready from 0 to 20: at these moments some bins have overdue tasks, and others none yet.
CONFIG = PolicyConfig(max_wait_ms={Bin.URGENT: 0, Bin.HIGH: 5, Bin.NORMAL: 10, Bin.BULK: 15})
PATIENT = PolicyConfig(max_wait_ms={})  # nothing is ever overdue
moments = st.integers(-5, 40)
FEWER = settings(max_examples=50)  # there are many of these, and `make test` is to stay short
CORE = Need(PlaceKind.CPU, Resources(cpu_milli=1000))
GPU = Need(PlaceKind.GPU, Resources(gpu_milli=1000))
BIG_GPU = Need(PlaceKind.GPU, Resources(gpu_milli=1000, memory_bytes=1))
CPU_MODEL = Need(PlaceKind.CPU_MODEL, Resources(cpu_milli=2000))


def heads_of(snapshot: Snapshot) -> dict[TaskId, Head]:
    return {head.task: head for line in snapshot.lines.values() for head in line.heads}


def can_start(load: PlaceLoad, head: Head) -> bool:
    """The rule itself, written down a second time."""
    if load.place.draining or load.free_slots < 1:
        return False
    return any(need.kind is load.place.kind and need.resources.fits(load.free) for need in head.needs)


def may_start(snapshot: Snapshot, line: Line) -> bool:
    """No pause and no limit keeps it back, in this snapshot."""
    mine, its_bin = snapshot.shares.tenants.get(line.tenant), snapshot.shares.bins.get(line.bin)
    full = [share for share in (mine, its_bin) if share and share.limit is not None and share.running >= share.limit]
    return not full and not (its_bin and its_bin.paused)


def waits_for_its_model(snapshot: Snapshot, plan: Plan, before: Snapshot, head: Head, there: list[str]) -> bool:
    """Of those where it could start each has another one, or is held; some place has its own, or loads it by this plan, or else
    something as urgent wants what is loaded."""
    loads, heads = snapshot.places, heads_of(before)
    elsewhere = all(loads[id_].held_for or head.model not in loads[id_].place.warm for id_ in there)
    loaded = any(heads[placement.task].model == head.model for placement in plan.placements)
    somewhere = loaded or any(head.model in load.place.warm for load in loads.values())
    return elsewhere and (somewhere or any(is_wanted(loads[id_].place, before, head) for id_ in there))


def is_wanted(place: Place, before: Snapshot, by: Head) -> bool:
    """Does something that is as urgent, and that the place could hold, wait for a model that it has?"""
    bins, (mine,) = list(Bin), (line.bin for line in before.lines.values() if by.task in {h.task for h in line.heads})
    return any(
        head.model in place.warm and need.kind is place.kind and need.resources.fits(place.resources)
        for line in before.lines.values()
        for head in line.heads
        for need in head.needs
        if bins.index(line.bin) <= bins.index(mine) and may_start(before, line)
    )


@FEWER
@given(snapshots(), moments)
def test_never_gives_away_more_than_there_is(snapshot: Snapshot, now_ms: int) -> None:
    plan = decide(snapshot, now_ms, CONFIG)

    after = placed_all(snapshot, plan.placements)
    nothing = Resources()
    for id_, load in after.places.items():
        if load != snapshot.places[id_]:
            assert nothing.fits(load.free) and load.free_slots >= 0, id_
    heads = heads_of(snapshot)
    for placement in plan.placements:
        kind = snapshot.places[placement.place].place.kind
        assert Need(kind, placement.resources) in heads[placement.task].needs


@FEWER
@given(snapshots(), moments)
def test_every_head_is_placed_once_or_has_one_reason(snapshot: Snapshot, now_ms: int) -> None:
    plan = decide(snapshot, now_ms, CONFIG)

    placed = [placement.task for placement in plan.placements]
    assert len(set(placed)) == len(placed)
    assert set(placed) | set(plan.reasons) == set(heads_of(snapshot))
    assert not set(placed) & set(plan.reasons)
    assert all(reason.code in CODES and reason.text.endswith(".") for reason in plan.reasons.values())


@FEWER
@given(snapshots(), moments)
def test_a_head_waits_beside_a_place_that_would_take_it_only_for_a_reservation_or_a_rule(
    snapshot: Snapshot, now_ms: int
) -> None:
    """Work conserving as far as reservations, pauses, limits and patience allow: what could start and does not has one of these reasons."""
    plan = decide(snapshot, now_ms, CONFIG)

    after = planned(snapshot, plan)
    for line in after.lines.values():
        for head in line.heads:
            there = [id_ for id_, load in after.places.items() if can_start(load, head)]
            if there:
                code = plan.reasons[head.task].code
                assert (code in ("BIN_PAUSED", "QUOTA")) == (not may_start(after, line))
                assert code != "RESERVED_FOR" or set(there) <= set(plan.reserved)
                assert code != "WAIT_WARM" or waits_for_its_model(after, plan, snapshot, head, there)
                assert code in ("BIN_PAUSED", "QUOTA", "RESERVED_FOR", "WAIT_WARM")


@FEWER
@given(snapshots(), moments)
def test_a_reservation_is_for_one_overdue_head_that_waits_and_could_fit(snapshot: Snapshot, now_ms: int) -> None:
    plan = decide(snapshot, now_ms, CONFIG)

    after = planned(snapshot, plan)
    lines = {head.task: (line, head) for line in after.lines.values() for head in line.heads}
    assert len(set(plan.reserved.values())) == len(plan.reserved)
    assert {id_: load.held_for for id_, load in after.places.items() if load.held_for} == plan.reserved
    for id_, task in plan.reserved.items():
        line, head = lines[task]
        load = after.places[id_]
        assert head.ready_ms + CONFIG.max_wait_ms[line.bin] <= now_ms and may_start(after, line)
        assert not can_start(load, head) and can_start(PlaceLoad(load.place, load.place.resources, 1), head)
        assert plan.reasons[task].code == "NO_PLACE_FREE" and id_ in plan.reasons[task].text


@FEWER
@given(snapshots(), moments)
def test_beside_a_reservation_nothing_takes_what_the_task_lacks_there(snapshot: Snapshot, now_ms: int) -> None:
    """What is started at a place that stays held leaves its task no further from fitting."""
    before = decide(snapshot, now_ms, CONFIG).reserved
    snapshot = planned(snapshot, Plan(reserved=before))
    plan = decide(snapshot, now_ms, CONFIG)

    heads, after = heads_of(snapshot), planned(snapshot, plan)
    for id_, task in plan.reserved.items():
        if before.get(id_) != task:
            continue
        old, new = snapshot.places[id_], after.places[id_]
        need = next(n for n in heads[task].needs if n.kind is old.place.kind and n.resources.fits(old.place.resources))
        for axis in fields(Resources):
            had, has, needs = (getattr(amount, axis.name) for amount in (old.free, new.free, need.resources))
            assert has >= min(had, needs)
        assert new.free_slots >= 1 and new.starts == old.starts


@FEWER
@given(snapshots(), moments)
def test_what_goes_before_the_order_is_overdue_and_it_is_its_bins_turn(snapshot: Snapshot, now_ms: int) -> None:
    plan = decide(snapshot, now_ms, CONFIG)

    heads = heads_of(snapshot)
    bins = {head.task: line.bin for line in snapshot.lines.values() for head in line.heads}
    starts = {id_: load.starts for id_, load in snapshot.places.items()}
    for placement in plan.placements:
        starts[placement.place] += placement.counted
        if placement.reason.startswith("OVERDUE"):
            bin_, load = bins[placement.task], snapshot.places[placement.place]
            assert heads[placement.task].ready_ms + CONFIG.max_wait_ms[bin_] <= now_ms
            assert turn_of(starts[placement.place], list(Bin)) is bin_ or load.held_for == placement.task
            assert placement.counted


@FEWER
@given(snapshots(), moments)
def test_no_more_start_than_the_limits_allow_and_nothing_of_a_paused_bin(snapshot: Snapshot, now_ms: int) -> None:
    plan = decide(snapshot, now_ms, CONFIG)

    lines = {head.task: line for line in snapshot.lines.values() for head in line.heads}
    started = [lines[placement.task] for placement in plan.placements]
    for bin_, share in snapshot.shares.bins.items():
        mine = sum(1 for line in started if line.bin is bin_)
        assert not mine or not share.paused
        assert not mine or share.limit is None or share.running + mine <= share.limit
    for tenant, its in snapshot.shares.tenants.items():
        mine = sum(1 for line in started if line.tenant == tenant)
        assert not mine or its.limit is None or its.running + mine <= its.limit


@FEWER
@given(snapshots(), moments)
def test_a_draining_place_gets_nothing(snapshot: Snapshot, now_ms: int) -> None:
    plan = decide(snapshot, now_ms, CONFIG)

    used = {placement.place for placement in plan.placements} | set(plan.reserved)
    assert not any(snapshot.places[id_].place.draining for id_ in used)


@FEWER
@given(snapshots(), moments, st.randoms(use_true_random=False))
def test_the_order_of_lines_places_and_heads_does_not_matter(
    snapshot: Snapshot, now_ms: int, rng: random.Random
) -> None:
    lines, places = list(snapshot.lines.items()), list(snapshot.places.items())
    tenants = list(snapshot.shares.tenants.items())
    rng.shuffle(lines)
    rng.shuffle(places)
    rng.shuffle(tenants)
    other = Snapshot(dict(lines), dict(places), replace(snapshot.shares, tenants=dict(tenants)))

    assert decide(other, now_ms, CONFIG) == decide(snapshot, now_ms, CONFIG)


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


@FEWER
@given(snapshots(), moments)
def test_nothing_more_to_do_right_after_a_plan(snapshot: Snapshot, now_ms: int) -> None:
    board = board_of(snapshot, CONFIG)  # which knows what a place loads for what starts there; a snapshot does not
    plan = policy.decide(board, now_ms)
    board.planned(plan)
    again = policy.decide(board, now_ms)

    assert again.placements == () and again.reserved == plan.reserved


@FEWER
@given(snapshots(), moments)
def test_while_nothing_is_overdue_a_more_urgent_bin_never_loses_to_a_less_urgent_one(
    snapshot: Snapshot, now_ms: int
) -> None:
    """What the more urgent bins get is what they would get if the others were not there."""
    whole = decide(snapshot, now_ms, PATIENT)
    task_bins = {head.task: line.bin for line in snapshot.lines.values() for head in line.heads}
    for rank in range(1, len(Bin)):
        urgent = set(list(Bin)[:rank])
        lines = {key: line for key, line in snapshot.lines.items() if line.bin in urgent}
        expected = tuple(placement for placement in whole.placements if task_bins[placement.task] in urgent)
        assert decide(replace(snapshot, lines=lines), now_ms, PATIENT).placements == expected


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


def test_the_tenant_that_has_used_less_for_its_weight_goes_first() -> None:
    """cy has used most, and least for its weight; what is started counts at once."""
    lines = [line({f"{name}{i}": i for i in range(4)}, CORE, tenant=name) for name in ("ann", "bob", "cy")]
    used = {"ann": TenantShare(used=2_500_000), "bob": TenantShare(used=1_500_000), "cy": TenantShare(3_000_000, 4)}
    snapshot = with_places(
        Snapshot({one.key: one for one in lines}, shares=Shares(tenants=used)), [place("p", slots=8)]
    )

    plan = decide(snapshot, 0, PATIENT)
    # By millions for a weight: cy 0.75, 1, 1.25, 1.5; bob 1.5, 2.5; ann 2.5.
    assert [task for task, _ in where(plan)] == ["cy0", "cy1", "cy2", "bob0", "cy3", "ann0", "bob1", "ann1"]


def test_what_a_tenant_starts_in_one_bin_counts_in_the_next() -> None:
    lines = [
        line({"a1": 1}, CORE, bin_=Bin.HIGH),
        line({"a2": 1}, CORE, tenant="ann"),
        line({"b1": 2}, CORE, tenant="bob"),
    ]

    assert where(plan_for([place("p", slots=2)], *lines)) == [("a1", "p"), ("b1", "p")]


def test_with_one_place_free_and_equal_use_the_older_job_gets_it() -> None:
    plan = plan_for([place("p")], line({"job_2": 5}, CORE, tenant="ann"), line({"job_1": 4}, CORE, tenant="zoe"))

    assert where(plan) == [("job_1", "p")]


def test_a_model_goes_where_it_is_warm_then_where_nothing_is_loaded() -> None:
    gpus = [
        place("g1", PlaceKind.GPU, warm=("cat",)),
        place("g2", PlaceKind.GPU),
        place("g3", PlaceKind.GPU, warm=("cat", "ant")),
    ]

    waits = line({"t1": 1, "t2": 2, "t3": 3}, GPU, model="ant")
    plan = decide(
        with_places(Snapshot({waits.key: waits}), gpus), 3, PolicyConfig(patience_ms={}, lag_ms={}, lag_times=0)
    )

    assert where(plan) == [("t1", "g3"), ("t2", "g2"), ("t3", "g1")]
    assert [placement.reason.split()[0] for placement in plan.placements] == ["WARM", "COLD", "COLD"]


def test_another_model_is_not_dropped_before_a_task_has_been_patient() -> None:
    """Nor for less work than keeps the places busy for long that have its model; at once, when none has."""
    waits = line({f"t{i}": 0 for i in range(40)}, GPU, model="ant")
    busy = Place("a", "node", PlaceKind.GPU, Resources(gpu_milli=1000), 1, ("ant",))
    places = {
        "a": PlaceLoad(busy, Resources(), 0),
        # In use is what BIG_GPU needs beside the GPU.
        "c": PlaceLoad(
            replace(place("c", PlaceKind.GPU, warm=("cat",)), resources=BIG_GPU.resources), GPU.resources, 1
        ),
    }
    snapshot = Snapshot({waits.key: waits}, places)

    early = decide(snapshot, 119_999, PolicyConfig())
    assert early.placements == ()
    assert early.reasons[TaskId("t0")].code == "WAIT_WARM"
    assert where(decide(snapshot, 120_000, PolicyConfig())) == [("t0", "c")]
    few = replace(waits, heads=waits.heads[:11], length=11)  # of 5 s each, where nothing is predicted
    both = {one.key: one for one in (few, line({"c1": 0}, BIG_GPU, model="cat"))}
    assert decide(Snapshot(both, places), 120_000, PolicyConfig()).placements == (), "what is there is wanted, too"
    assert where(decide(Snapshot({few.key: few}, places), 120_000, PolicyConfig())) == [("t0", "c")], "it is not"
    nowhere = {**places, "a": PlaceLoad(replace(busy, warm=()), Resources(), 0)}
    assert where(decide(Snapshot({few.key: few}, nowhere), 0, PolicyConfig())) == [("t0", "c")]
    drains = {**places, "a": PlaceLoad(replace(busy, draining=True), Resources(), 0)}
    assert where(decide(Snapshot({few.key: few}, drains), 0, PolicyConfig())) == [("t0", "c")], "it takes nothing"
    small = {**places, "a": PlaceLoad(replace(busy, resources=Resources(gpu_milli=500)), Resources(), 0)}
    assert where(decide(Snapshot({few.key: few}, small), 0, PolicyConfig())) == [("t0", "c")], "it could not take it"


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
