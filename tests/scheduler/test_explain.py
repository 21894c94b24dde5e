"""Each code in the case it names, in a sentence that carries the numbers."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given

from tests.scheduler.strategies import snapshots
from tests.scheduler.test_policy import FEWER, moments
from tests.scheduler.values import decide
from vidprocme.core.ids import TaskId
from vidprocme.core.job import Bin
from vidprocme.core.resources import Need, Place, PlaceKind, PlaceLoad, Resources
from vidprocme.core.shares import BinShare, Shares, TenantShare
from vidprocme.core.snapshot import Head, Line, Plan, Reason, Snapshot
from vidprocme.scheduler.config import PolicyConfig

CONFIG = PolicyConfig()
GIB = 2**30
NEED = Need(PlaceKind.CPU, Resources(cpu_milli=2000, memory_bytes=GIB))
PLACE = Place("p", "node", PlaceKind.CPU, Resources(cpu_milli=4000, memory_bytes=8 * GIB), slots=4)
FULL = PlaceLoad(PLACE, Resources(cpu_milli=1000, memory_bytes=8 * GIB), 3)


def line(task: str, *needs: Need, bin_: Bin = Bin.NORMAL, length: int = 1) -> Line:
    return Line(bin_, "ann", task, length, 0, (Head(TaskId(task), 0, needs),))


def why(loads: list[PlaceLoad], *lines: Line) -> Reason:
    """The reason of the last line's head."""
    snapshot = Snapshot({one.key: one for one in lines}, {load.place.id: load for load in loads})
    return decide(snapshot, 0, CONFIG).reasons[lines[-1].heads[0].task]


def test_no_place_of_the_kind() -> None:
    gpu = Need(PlaceKind.GPU, Resources(gpu_milli=500, vram_bytes=8 * GIB))

    assert why([FULL], line("t", gpu)) == Reason(
        "NO_SUCH_PLACE",
        "No place could ever hold it: it needs 50 % of a GPU, 8.0 GiB GPU memory on a GPU place; there is no GPU place.",
    )


def test_every_place_too_small_names_the_need_and_the_most_there_is() -> None:
    reason = why([FULL], line("t", Need(PlaceKind.CPU, Resources(cpu_milli=16_000))))

    assert reason.code == "NO_SUCH_PLACE"
    assert "16 cores on a CPU place" in reason.text and "4 cores, 8.0 GiB memory" in reason.text


def test_a_place_without_slots_could_never_hold_it() -> None:
    assert why([PlaceLoad(replace(PLACE, slots=0), PLACE.resources, 0)], line("t", NEED)).code == "NO_SUCH_PLACE"


def test_all_places_busy() -> None:
    other = replace(FULL, place=replace(PLACE, id="q"))

    assert why([FULL, other], line("t", NEED)) == Reason(
        "NO_PLACE_FREE", "All 2 CPU places are busy: none has 2 cores, 1.0 GiB memory on a CPU place free."
    )


def test_only_places_that_could_hold_it_are_counted() -> None:
    small = PlaceLoad(replace(PLACE, id="small", resources=Resources(cpu_milli=500)), Resources(cpu_milli=500), 4)

    assert why([FULL, small], line("t", NEED)).text.startswith("The only CPU place that could hold it is busy")


def test_draining() -> None:
    reason = why([PlaceLoad(replace(PLACE, draining=True), PLACE.resources, 4)], line("t", NEED))

    assert reason == Reason("DRAINING", "1 CPU place could hold it, but is draining and takes nothing new.")


def test_a_draining_place_does_not_hide_that_another_is_busy() -> None:
    drains = PlaceLoad(replace(PLACE, id="q", draining=True), PLACE.resources, 4)

    assert why([FULL, drains], line("t", NEED)).code == "NO_PLACE_FREE"


def test_more_urgent_bins_are_counted_with_the_tasks_that_are_not_heads() -> None:
    reason = why([FULL], line("urgent", NEED, bin_=Bin.URGENT, length=12), line("t", NEED))

    assert reason == Reason("BIN_BEHIND", "12 tasks of more urgent bins are placed first on CPU places.")


def test_urgent_tasks_that_want_other_places_are_not_in_the_way() -> None:
    gpu = Need(PlaceKind.GPU, Resources(gpu_milli=1))

    assert why([FULL], line("urgent", gpu, bin_=Bin.URGENT), line("t", NEED)).code == "NO_PLACE_FREE"


def test_less_urgent_tasks_are_not_in_the_way() -> None:
    assert why([FULL], line("bulk", NEED, bin_=Bin.BULK), line("t", NEED)).code == "NO_PLACE_FREE"


def test_a_paused_bin_waits_beside_a_free_place_and_is_in_nobodys_way() -> None:
    free = PlaceLoad(PLACE, PLACE.resources, 4)
    waits, other = line("t", NEED, bin_=Bin.HIGH, length=5), line("u", Need(PlaceKind.CPU, Resources(cpu_milli=4000)))
    both = Snapshot({one.key: one for one in (waits, other)}, {"p": free}, Shares({Bin.HIGH: BinShare(paused=True)}))

    plan = decide(both, 0, CONFIG)
    assert [placement.task for placement in plan.placements] == ["u"]
    assert plan.reasons == {
        TaskId("t"): Reason(
            "BIN_PAUSED", "The high bin is paused: none of its 5 waiting tasks starts before it is resumed."
        )
    }

    full = replace(both, places={"p": FULL})
    assert decide(full, 0, CONFIG).reasons[TaskId("u")].code == "NO_PLACE_FREE", "not behind a bin that is paused"


def test_a_limit_is_told_with_what_runs() -> None:
    free = PlaceLoad(PLACE, PLACE.resources, 4)
    waits = [line("t1", NEED), line("t2", NEED)]
    of_tenant = Shares(tenants={"ann": TenantShare(limit=3, running=2)})
    of_bin = Shares({Bin.NORMAL: BinShare(limit=1, running=0)})
    snapshot = Snapshot({one.key: one for one in waits}, {"p": free})

    plan = decide(replace(snapshot, shares=of_tenant), 0, CONFIG)
    assert plan.reasons == {TaskId("t2"): Reason("QUOTA", "Tenant ann runs 3 tasks; its limit is 3.")}
    plan = decide(replace(snapshot, shares=of_bin), 0, CONFIG)
    assert plan.reasons == {TaskId("t2"): Reason("QUOTA", "The normal bin runs 1 task; its limit is 1.")}


def test_a_tenant_over_its_share_is_told_what_it_and_the_next_have_used() -> None:
    mine, theirs = line("t", NEED), replace(line("u", NEED), tenant="bob")
    used = Shares(tenants={"ann": TenantShare(used=90_000_000, weight=2), "bob": TenantShare(used=30_000_000)})
    snapshot = Snapshot({one.key: one for one in (mine, theirs)}, {"p": FULL}, used)

    reasons = decide(snapshot, 0, CONFIG).reasons
    assert reasons[TaskId("t")] == Reason(
        "TENANT_OVER_SHARE",
        "Tenant ann has used 1.5 core-minutes at weight 2; 1 tenant with less for its weight first, such as bob with 0.5 "
        "core-minutes at weight 1.",
    )
    assert reasons[TaskId("u")].code == "NO_PLACE_FREE"


def without_cause(snapshot: Snapshot, plan: Plan, one: Line, code: str) -> Snapshot:
    """The snapshot without what this reason of this line's heads names."""
    match code:
        case "BIN_PAUSED" | "QUOTA":
            bins, tenants = dict(snapshot.shares.bins), dict(snapshot.shares.tenants)
            bins[one.bin], tenants[one.tenant] = BinShare(), replace(tenants.get(one.tenant, TenantShare()), limit=None)
            return replace(snapshot, shares=Shares(bins, tenants))
        case "RESERVED_FOR":
            held = set(plan.reserved.values())
            lines = {
                key: replace(other, heads=tuple(head for head in other.heads if head.task not in held))
                for key, other in snapshot.lines.items()
            }
            return replace(snapshot, lines=lines)
        case "TENANT_OVER_SHARE":
            lines = {
                key: other
                for key, other in snapshot.lines.items()
                if other.tenant == one.tenant or other.bin is not one.bin
            }
            return replace(snapshot, lines=lines)
        case _:
            raise ValueError(code)


@FEWER
@given(snapshots(), moments)
def test_without_the_cause_the_decision_is_another(snapshot: Snapshot, now_ms: int) -> None:
    """For the codes that name something to take away: then this reason is not given again, and some head's fate changes."""
    config = PolicyConfig(max_wait_ms=dict.fromkeys(Bin, 10))
    plan = decide(snapshot, now_ms, config)
    for one in snapshot.lines.values():
        for head in one.heads:
            reason = plan.reasons.get(head.task)
            if reason is None or reason.code in (
                "NO_SUCH_PLACE",
                "NO_MEMORY",
                "DRAINING",
                "BIN_BEHIND",
                "NO_PLACE_FREE",
            ):
                continue
            if reason.code == "WAIT_WARM":
                other = decide(snapshot, now_ms, replace(config, warmth=False))
            else:
                other = decide(without_cause(snapshot, plan, one, reason.code), now_ms, config)
            new = other.reasons.get(head.task)
            assert new != reason
            assert (other.placements, other.reserved) != (plan.placements, plan.reserved) or new is not None


def test_the_next_place_that_comes_free_is_not_for_the_tenant_over_its_share() -> None:
    """What TENANT_OVER_SHARE says is what happens: with one place more the other starts; without it, this one does."""
    mine, theirs = line("t", NEED), replace(line("u", NEED), tenant="bob")
    used = Shares(tenants={"ann": TenantShare(used=9_000_000)})
    one_more = {"p": FULL, "q": PlaceLoad(replace(PLACE, id="q", slots=1), PLACE.resources, 1)}

    both = Snapshot({one.key: one for one in (mine, theirs)}, one_more, used)
    assert [placement.task for placement in decide(both, 0, CONFIG).placements] == ["u"]
    alone = replace(both, lines={mine.key: mine})
    assert [placement.task for placement in decide(alone, 0, CONFIG).placements] == ["t"]


@given(snapshots())
def test_the_code_is_true_of_the_snapshot(snapshot: Snapshot) -> None:
    """NO_SUCH_PLACE exactly when no place could hold it empty; DRAINING exactly when all that could are draining."""
    reasons = decide(snapshot, 0, CONFIG).reasons
    for one in snapshot.lines.values():
        for head in one.heads:
            if head.task not in reasons:
                continue
            able = [
                load.place
                for load in snapshot.places.values()
                if load.place.slots > 0
                and any(
                    need.kind is load.place.kind and need.resources.fits(load.place.resources) for need in head.needs
                )
            ]
            code = reasons[head.task].code
            assert (code in ("NO_SUCH_PLACE", "NO_MEMORY")) == (not able)
            assert (code == "DRAINING") == (bool(able) and all(place.draining for place in able))
