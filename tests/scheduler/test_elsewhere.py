"""What failed at a place goes to another one, if there is one that can take it soon."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.scheduler.strategies import snapshots
from tests.scheduler.test_policy import GPU, line, place
from tests.scheduler.values import decide, with_places
from vidprocme.core.ids import TaskId
from vidprocme.core.resources import Place, PlaceKind, PlaceLoad
from vidprocme.core.snapshot import Line, Plan, Snapshot
from vidprocme.scheduler.config import PolicyConfig
from vidprocme.scheduler.explain import ELSEWHERE, WAIT_WARM
from vidprocme.scheduler.late import ELSEWHERE_HERE_MS
from vidprocme.scheduler.policy import ELSEWHERE_MS

READY_MS = 1_000_000
CONFIG = PolicyConfig()


def gpu(id_: str) -> Place:
    return replace(place(id_, PlaceKind.GPU), resources=GPU.resources)


def failed(*avoid: str) -> Line:
    one = line({"t": READY_MS}, GPU)
    return replace(one, heads=tuple(replace(head, avoid=avoid) for head in one.heads))


def plan_at(now_ms: int, places: list[Place], *lines: Line) -> Plan:
    return decide(with_places(Snapshot({one.key: one for one in lines}), places), now_ms, CONFIG)


def went(plan: Plan) -> list[str]:
    return [placement.place for placement in plan.placements]


def test_the_first_place_that_did_not_fail_it() -> None:
    places = [gpu("a"), gpu("b"), gpu("c")]

    assert went(plan_at(READY_MS, places, failed())) == ["a"]
    assert went(plan_at(READY_MS, places, failed("a"))) == ["b"]
    assert went(plan_at(READY_MS, places, failed("b", "a"))) == ["c"]


def test_another_one_that_is_busy_is_waited_for_a_minute() -> None:
    """It takes the place that failed it when none comes, and says meanwhile why it waits."""
    busy = line({"first": READY_MS - 1}, replace(GPU))
    snapshot = with_places(Snapshot({}), [gpu("a"), gpu("b")])
    full = replace(snapshot.places["b"], free_slots=0)
    both = replace(snapshot, lines={busy.key: failed("a")}, places={**snapshot.places, "b": full})

    early = decide(both, READY_MS + ELSEWHERE_HERE_MS - 1, CONFIG)
    assert went(early) == [] and early.reasons[TaskId("t")].code == ELSEWHERE
    assert "a" in early.reasons[TaskId("t")].text
    assert went(decide(both, READY_MS + ELSEWHERE_HERE_MS, CONFIG)) == ["a"]


def test_where_there_is_no_other_one_other_pools_have_a_moment_to_take_it() -> None:
    assert went(plan_at(READY_MS + ELSEWHERE_MS - 1, [gpu("a")], failed("a"))) == []
    assert went(plan_at(READY_MS + ELSEWHERE_MS, [gpu("a")], failed("a"))) == ["a"]


def test_its_place_is_not_kept_from_the_others() -> None:
    other = replace(line({"u": READY_MS}, GPU), shape="other")

    assert went(plan_at(READY_MS, [gpu("a")], failed("a"), other)) == ["a"]


def test_the_first_alternative_elsewhere_comes_before_the_second_here() -> None:
    two = line({"t": READY_MS}, GPU, replace(GPU, kind=PlaceKind.CPU_MODEL))
    head = replace(two.heads[0], avoid=("a",))
    model = replace(place("m", PlaceKind.CPU_MODEL), resources=GPU.resources)

    assert went(plan_at(READY_MS, [gpu("a"), model], replace(two, heads=(head,)))) == ["m"]


def test_what_may_go_back_waits_for_its_model_and_says_so() -> None:
    """Its minute is over; where it failed another model is loaded that something as urgent wants, for which half of the memory is missing."""
    large = replace(GPU.resources, memory_bytes=2)
    cat = replace(place("a", PlaceKind.GPU, warm=("cat",)), resources=large)
    mine = line({"t": READY_MS}, GPU, model="ant")
    mine = replace(mine, heads=tuple(replace(head, avoid=("a",)) for head in mine.heads))
    other = replace(line({"u": READY_MS}, replace(GPU, resources=large), model="cat"), shape="other")
    load = PlaceLoad(cat, replace(large, memory_bytes=1), 1)
    snapshot = Snapshot({one.key: one for one in (mine, other)}, {"a": load})

    for late_ms in (0, ELSEWHERE_MS - 1):
        assert decide(snapshot, READY_MS + late_ms, CONFIG).reasons[TaskId("t")].code == ELSEWHERE
    waits = decide(snapshot, READY_MS + ELSEWHERE_MS, CONFIG)
    assert went(waits) == [] and waits.reasons[TaskId("t")].code == WAIT_WARM
    assert went(decide(snapshot, READY_MS + CONFIG.patience_ms[mine.bin], CONFIG)) == ["a"]


@given(snapshots(), st.sets(st.integers(0, 5)))
def test_in_the_end_nothing_waits_for_having_failed(snapshot: Snapshot, avoided: set[int]) -> None:
    avoid = tuple(f"place-{number}" for number in sorted(avoided))
    wary = {
        key: replace(one, heads=tuple(replace(head, avoid=avoid) for head in one.heads))
        for key, one in snapshot.lines.items()
    }
    late = 20 + ELSEWHERE_HERE_MS  # the youngest head of these snapshots is ready at 20

    plan = decide(replace(snapshot, lines=wary), late, CONFIG)

    assert {task for task, reason in plan.reasons.items() if reason.code == ELSEWHERE} == set()


@pytest.mark.parametrize("now_ms", [READY_MS, READY_MS + ELSEWHERE_HERE_MS])
def test_nothing_is_avoided_by_what_never_failed(now_ms: int) -> None:
    assert went(plan_at(now_ms, [gpu("a")], failed())) == ["a"]
