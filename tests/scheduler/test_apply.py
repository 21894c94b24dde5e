"""A snapshot moved forward says what one built anew would say."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from tests.scheduler.strategies import snapshots
from tests.scheduler.test_policy import FEWER
from tests.scheduler.values import (
    decide,
    finished,
    placed,
    placed_all,
    planned,
    taken_back,
    with_lines,
    with_places,
    with_shares,
)
from vidprocme.core.ids import TaskId
from vidprocme.core.job import Bin
from vidprocme.core.resources import Place, PlaceKind, Resources
from vidprocme.core.shares import BinShare, Shares, TenantShare, start_cost
from vidprocme.core.snapshot import Head, Line, Placement, Snapshot
from vidprocme.scheduler.config import PolicyConfig

PLACE = Place("p", "node", PlaceKind.GPU, Resources(cpu_milli=4000, gpu_milli=1000), slots=2)
SOME = Resources(cpu_milli=1000, gpu_milli=400)


def line(shape: str, *ready: int, length: int | None = None) -> Line:
    heads = tuple(Head(TaskId(f"{shape}{i}"), at, ()) for i, at in enumerate(ready))
    return Line(Bin.HIGH, "ann", shape, len(ready) if length is None else length, ready[0] if ready else 0, heads)


def test_a_partial_view_replaces_what_it_shows_and_keeps_the_rest() -> None:
    seen = with_lines(Snapshot(), [line("a", 1), line("b", 2)], complete=False)

    after = with_lines(seen, [line("b", 5, 6), line("c", 7)], complete=False)

    assert {one.shape: len(one.heads) for one in after.lines.values()} == {"a": 1, "b": 2, "c": 1}


def test_a_complete_view_forgets_the_lines_it_does_not_show() -> None:
    seen = with_lines(Snapshot(), [line("a", 1), line("b", 2)], complete=True)

    assert [one.shape for one in with_lines(seen, [line("b", 2)], complete=True).lines.values()] == ["b"]
    assert with_lines(seen, [], complete=True).lines == {}


def test_an_empty_line_is_forgotten() -> None:
    seen = with_lines(Snapshot(), [line("a", 1)], complete=True)

    assert with_lines(seen, [line("a", length=0)], complete=False).lines == {}


def test_a_placed_task_leaves_its_line_and_takes_from_its_place() -> None:
    before = with_places(with_lines(Snapshot(), [line("a", 1, 4, length=7)], complete=True), [PLACE])

    after = placed(before, Placement(TaskId("a0"), "p", SOME, ""))

    (left,) = after.lines.values()
    assert ([head.task for head in left.heads], left.length, left.oldest_ms) == (["a1"], 6, 1)
    assert after.places["p"].free == PLACE.resources - SOME and after.places["p"].free_slots == 1
    assert before.places["p"].free == PLACE.resources, "the snapshot before is not changed"


def test_the_last_task_of_a_line_takes_the_line_with_it() -> None:
    before = with_places(with_lines(Snapshot(), [line("a", 1)], complete=True), [PLACE])

    assert placed(before, Placement(TaskId("a0"), "p", SOME, "")).lines == {}


def test_a_placement_on_an_unknown_place_is_refused() -> None:
    with pytest.raises(KeyError):
        placed(Snapshot(), Placement(TaskId("a0"), "nowhere", SOME, ""))


@FEWER
@given(snapshots())
def test_what_was_placed_and_finished_is_free_again(snapshot: Snapshot) -> None:
    plan = decide(snapshot, 0, PolicyConfig())
    after = placed_all(snapshot, plan.placements)
    for placement in plan.placements:
        after = finished(after, placement.place, placement.resources)

    assert {
        id_: replace(load, starts=snapshot.places[id_].starts) for id_, load in after.places.items()
    } == snapshot.places
    waiting = sum(one.length for one in snapshot.lines.values())
    assert sum(one.length for one in after.lines.values()) == waiting - len(plan.placements)


@FEWER
@given(snapshots())
def test_what_was_not_granted_leaves_the_places_as_if_it_had_never_been_asked_for(snapshot: Snapshot) -> None:
    plan = decide(snapshot, 30, PolicyConfig(max_wait_ms=dict.fromkeys(Bin, 10)))
    after = placed_all(snapshot, plan.placements)
    for placement in plan.placements:
        after = taken_back(after, placement)

    assert after.places == snapshot.places


@FEWER
@given(snapshots())
def test_what_starts_is_added_to_its_tenants_use_and_to_what_runs(snapshot: Snapshot) -> None:
    """Never negative, and nothing is charged twice or to somebody else: the sums are those of the plan."""
    plan = decide(snapshot, 0, PolicyConfig())
    after = planned(snapshot, plan)

    def total(what: str, shares: Shares) -> int:
        return sum(getattr(share, what) for share in shares.tenants.values())

    costs = sum(start_cost(placement.resources) for placement in plan.placements)
    assert total("used", after.shares) - total("used", snapshot.shares) == costs
    assert total("running", after.shares) - total("running", snapshot.shares) == len(plan.placements)
    bins = sum(share.running for share in after.shares.bins.values())
    assert bins - sum(share.running for share in snapshot.shares.bins.values()) == len(plan.placements)
    assert all(
        share.used >= snapshot.shares.tenants.get(name, share).used for name, share in after.shares.tenants.items()
    )


def test_tenants_that_a_turn_did_not_show_are_remembered_while_they_have_a_line() -> None:
    seen = with_lines(Snapshot(), [line("a", 1), replace(line("b", 1), tenant="bob")], complete=True)
    told = Shares(
        {Bin.HIGH: BinShare(paused=True)}, {"ann": TenantShare(5), "bob": TenantShare(6), "cy": TenantShare(7)}
    )

    after = with_shares(with_shares(seen, told), Shares({}, {"ann": TenantShare(9)}))
    assert after.shares == Shares({}, {"ann": TenantShare(9), "bob": TenantShare(6)})


@FEWER
@given(snapshots())
def test_placing_one_by_one_is_placing_all(snapshot: Snapshot) -> None:
    plan = decide(snapshot, 0, PolicyConfig())
    after = snapshot
    for placement in plan.placements:
        after = placed(after, placement)

    assert after == placed_all(snapshot, plan.placements)


def test_finished_on_a_place_that_is_gone_changes_nothing() -> None:
    assert finished(Snapshot(), "gone", SOME) == Snapshot()


def busy() -> Snapshot:
    return placed(with_places(Snapshot(), [PLACE]), Placement(TaskId("t"), "p", SOME, ""))


def test_another_warm_model_leaves_what_is_in_use() -> None:
    after = with_places(busy(), [replace(PLACE, warm=("demo",))])

    assert after.places["p"].place.warm == ("demo",)
    assert after.places["p"].free == PLACE.resources - SOME and after.places["p"].free_slots == 1


def test_a_place_that_grows_or_shrinks_keeps_what_is_in_use() -> None:
    after = with_places(busy(), [replace(PLACE, resources=Resources(cpu_milli=500, gpu_milli=2000), slots=5)])

    load = after.places["p"]
    assert (load.free.cpu_milli, load.free.gpu_milli, load.free_slots) == (-500, 1600, 4)
    assert finished(after, "p", SOME).places["p"].free == Resources(cpu_milli=500, gpu_milli=2000)


def test_an_idle_place_that_is_gone_is_forgotten() -> None:
    assert with_places(with_places(Snapshot(), [PLACE]), []).places == {}


def test_a_busy_place_that_is_gone_takes_nothing_new_and_is_not_given_away_twice_when_it_returns() -> None:
    gone = with_places(busy(), [])
    assert gone.places["p"].place.draining

    back = with_places(gone, [PLACE])
    assert not back.places["p"].place.draining and back.places["p"].free == PLACE.resources - SOME

    assert with_places(finished(gone, "p", SOME), []).places == {}
