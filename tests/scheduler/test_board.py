"""A board says after a decision what it said before, takes a plan on as it was decided, and knows machines with several GPUs."""

from __future__ import annotations

import random
from dataclasses import replace
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.scheduler.strategies import snapshots
from tests.scheduler.test_policy import CONFIG, CORE, FEWER, GPU, line, moments, place, where
from tests.scheduler.values import decide as decided
from vidprocme.core.ids import JobId, TaskId
from vidprocme.core.job import Bin
from vidprocme.core.resources import Need, Place, PlaceKind, PlaceLoad, Resources
from vidprocme.core.shares import Shares, TenantShare
from vidprocme.core.snapshot import Head, Line, Plan, Snapshot
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.config import PolicyConfig
from vidprocme.scheduler.facts import board_of, snapshot_of
from vidprocme.scheduler.orders import SRPT
from vidprocme.scheduler.policy import decide

MINUTE_MS = 60_000


@FEWER
@given(snapshots(), moments)
def test_a_decision_changes_nothing_and_is_the_same_again(snapshot: Snapshot, now_ms: int) -> None:
    board = board_of(snapshot, CONFIG)
    before = snapshot_of(board)

    plan = decide(board, now_ms)
    told = Plan(plan.placements, dict(plan.reasons), plan.reserved)
    assert snapshot_of(board) == before
    again = decide(board, now_ms)
    assert Plan(again.placements, dict(again.reasons), again.reserved) == told


@FEWER
@given(snapshots(), moments)
def test_a_plan_that_is_taken_on_at_once_is_one_that_is_told(snapshot: Snapshot, now_ms: int) -> None:
    """What was tried and kept is what the same plan does to a board that never tried it."""
    tried, told = board_of(snapshot, CONFIG), board_of(snapshot, CONFIG)
    plan = decide(tried, now_ms)
    tried.planned(plan)
    told.planned(plan)

    one, other = snapshot_of(tried), snapshot_of(told)
    assert {key: left for key, left in one.lines.items() if left.length} == other.lines
    # A place where a model is being loaded has it, as far as whoever tried it knows.
    assert one.places == other.places and one.shares == other.shares


def test_other_settings_than_its_own_are_refused() -> None:
    with pytest.raises(ValueError, match="settings"):
        decide(Board(), 0, PolicyConfig())


@FEWER
@given(snapshots(), moments)
def test_forgetting_what_places_were_like_changes_no_decision(snapshot: Snapshot, now_ms: int) -> None:
    board, other = board_of(snapshot, CONFIG), board_of(snapshot, CONFIG)
    with mock.patch("vidprocme.scheduler.places.STATES_MOST", 0):
        for moment in (now_ms, now_ms + 7):
            plan = decide(board, moment)
            with mock.patch("vidprocme.scheduler.places.STATES_MOST", 10**9):
                whole = decide(other, moment)
            assert plan.placements == whole.placements and plan.reserved == whole.reserved
            board.planned(plan)
            other.planned(whole)
            for placed in plan.placements[::2]:
                board.finished(placed.place, placed.resources, placed.gpus, placed.task)
                other.finished(placed.place, placed.resources, placed.gpus, placed.task)
    assert len(board.states) <= len(board.seats.all) * 12


# -- several GPUs in a place -----------------------------------------------------------------------------------------------

counts = st.integers(1, 4)
shares = st.sampled_from([250, 500, 1000])
gpu_needs = st.builds(
    lambda gpus, milli, cores, types: Need(
        PlaceKind.GPU, Resources(cpu_milli=1000 * cores, gpu_milli=milli if gpus == 1 else 1000, gpus=gpus), types
    ),
    counts,
    shares,
    st.integers(0, 4),
    st.sampled_from([(), ("L4",), ("A100", "L4")]),
)


@st.composite
def clusters(draw: st.DrawFn) -> tuple[list[Place], list[Line]]:
    places = []
    for number in range(draw(st.integers(1, 4))):
        gpus, type_ = draw(counts), draw(st.sampled_from(["L4", "A100", "H100"]))
        has = Resources(cpu_milli=4000 * gpus, gpu_milli=1000, gpus=gpus)
        places.append(
            Place(
                f"place-{number}",
                "n",
                PlaceKind.GPU,
                has,
                8,
                (),
                draw(st.booleans() if number else st.just(False)),
                type_,
            )
        )
    lines = []
    for number in range(draw(st.integers(1, 5))):
        needs = (draw(gpu_needs),)
        heads = tuple(Head(TaskId(f"job-{number}:d:{i}"), i, needs) for i in range(draw(st.integers(1, 5))))
        lines.append(Line(draw(st.sampled_from(Bin)), "ann", f"shape-{number}", len(heads), 0, heads))
    return places, lines


def of(places: list[Place], lines: list[Line]) -> Board:
    board = Board(CONFIG)
    board.places(places)
    board.lines(lines, complete=True)
    return board


@FEWER
@given(clusters(), moments)
def test_no_gpu_gives_more_than_it_has_and_gangs_are_whole(
    cluster: tuple[list[Place], list[Line]], now_ms: int
) -> None:
    """Recounted by hand from the plan: cores of each place, milli of each GPU, as many GPUs of one place as were asked for."""
    places, lines = cluster
    plan = decide(of(places, lines), now_ms)

    by_id = {one.id: one for one in places}
    heads = {head.task: head for line in lines for head in line.heads}
    cores = dict.fromkeys(by_id, 0)
    gpus = {one.id: [0] * one.resources.gpus for one in places}
    for placed in plan.placements:
        (need,) = heads[placed.task].needs
        there = by_id[placed.place]
        assert not there.draining and (not need.gpu_types or there.gpu_type in need.gpu_types)
        assert placed.resources == need.resources and len(set(placed.gpus)) == need.resources.gpus
        cores[placed.place] += need.resources.cpu_milli
        for gpu in placed.gpus:
            gpus[placed.place][gpu] += need.resources.gpu_milli
    assert all(used <= by_id[id_].resources.cpu_milli for id_, used in cores.items())
    assert all(used <= 1000 for each in gpus.values() for used in each)


@FEWER
@given(clusters(), moments, st.randoms(use_true_random=False))
def test_the_order_in_which_a_cluster_is_told_does_not_matter(
    cluster: tuple[list[Place], list[Line]], now_ms: int, rng: random.Random
) -> None:
    places, lines = cluster
    plan = decide(of(places, lines), now_ms)
    rng.shuffle(places)
    rng.shuffle(lines)
    other = decide(of(places, lines), now_ms)

    assert other.placements == plan.placements and dict(other.reasons) == dict(plan.reasons)


@FEWER
@given(clusters())
def test_what_has_ended_is_free_again_on_every_gpu(cluster: tuple[list[Place], list[Line]]) -> None:
    board = of(*cluster)
    before = {id_: seat.state for id_, seat in board.seats.all.items()}
    plan = decide(board, 0)
    board.planned(plan)
    for placed in plan.placements:
        board.finished(placed.place, placed.resources, placed.gpus, placed.task)

    assert {id_: seat.state for id_, seat in board.seats.all.items()} == before


def test_a_gang_waits_whole_and_says_how_many_gpus_are_free() -> None:
    four = Place("p", "n", PlaceKind.GPU, Resources(gpu_milli=1000, gpus=4), 4)
    gang = line({"gang": 0}, Need(PlaceKind.GPU, Resources(gpu_milli=1000, gpus=3)))
    board = of([four], [line({"a": 0, "b": 0}, GPU, bin_=Bin.URGENT), gang])

    plan = decide(board, 0)
    assert sorted(task for task, _ in where(plan)) == ["a", "b"]
    board.planned(plan)
    reason = decide(board, 0).reasons[TaskId("gang")]
    assert reason.code == "GANG_INCOMPLETE"
    assert reason.text == "It needs 3 GPUs of one place at once; the most that are free are the 2 of p."


def test_a_type_or_memory_that_no_place_has_is_said() -> None:
    card = Place("p", "n", PlaceKind.GPU, Resources(gpu_milli=1000, vram_bytes=24 << 30, gpus=1), 1, gpu_type="L4")
    typed = line({"typed": 0}, Need(PlaceKind.GPU, Resources(gpu_milli=1000), ("H100",)))
    large = line({"large": 0}, Need(PlaceKind.GPU, Resources(gpu_milli=1000, vram_bytes=80 << 30)))

    reasons = decide(of([card], [typed, large]), 0).reasons
    assert reasons[TaskId("typed")].code == "NO_TYPE" and "H100" in reasons[TaskId("typed")].text
    assert reasons[TaskId("large")].code == "NO_MEMORY" and "24.0 GiB" in reasons[TaskId("large")].text


def test_what_one_decision_leaves_to_the_next_says_so() -> None:
    board = Board(PolicyConfig(most=1))
    board.places([place("p", slots=4)])
    board.lines([line({"a": 0, "b": 0}, CORE)], complete=True)

    plan = decide(board, 0)
    assert len(plan.placements) == 1
    assert plan.reasons[TaskId("b")].code == "NEXT_TURN"


# -- who comes first -------------------------------------------------------------------------------------------------------


def sized(name: str, left_ms: int, since_ms: int = 0, tenant: str = "ann") -> Line:
    head = Head(TaskId(f"{name}:d:0"), since_ms, (CORE,), left_ms=left_ms, since_ms=since_ms)
    return Line(Bin.NORMAL, tenant, f"shape-{name}", 1, since_ms, (head,))


def first(config: PolicyConfig, *lines: Line, shares: Shares | None = None) -> str:
    snapshot = Snapshot({one.key: one for one in lines}, shares=shares or Shares())
    here = PlaceLoad(place("p"), Resources(cpu_milli=1000), 1)
    plan = decided(replace(snapshot, places={"p": here}), MINUTE_MS, config)
    return plan.placements[0].task.partition(":")[0]


def test_the_job_with_least_left_goes_first_unless_another_has_waited_for_long() -> None:
    config = PolicyConfig()

    assert first(config, sized("long", 60_000), sized("short", 5_000)) == "short"
    # 300 thousandths of a millisecond for each that it waits: a minute makes up for 18 s of work.
    assert first(config, sized("old", 22_000), sized("new", 5_000, since_ms=MINUTE_MS)) == "old"
    assert first(config, sized("old", 24_000), sized("new", 5_000, since_ms=MINUTE_MS)) == "new"


def test_progress_of_a_job_moves_what_waits_of_it() -> None:
    board = of([], [sized("long", 60_000), sized("short", 50_000)])
    board.progress(JobId("long"), 10_000)
    board.place(place("p"))

    assert where(decide(board, 0)) == [("long:d:0", "p")]


def test_who_has_used_many_times_as_much_goes_behind_however_short_its_jobs_are() -> None:
    core_hour = 3_600_000_000
    used = Shares(tenants={"ann": TenantShare(9 * core_hour), "bob": TenantShare(core_hour)})
    fair = Shares(tenants={"ann": TenantShare(7 * core_hour), "bob": TenantShare(core_hour)})
    lines = sized("short", 1_000), sized("long", 600_000, tenant="bob")

    assert first(PolicyConfig(), *lines, shares=used) == "long"
    assert first(PolicyConfig(), *lines, shares=fair) == "short"
    assert first(PolicyConfig(order=SRPT), *lines, shares=used) == "short"


def test_of_a_job_that_is_served_nothing_is_overdue_before_its_pace() -> None:
    """Two bulk jobs that have waited for long, and urgent work: the one that has just had a turn lets the other go first."""
    config = PolicyConfig(max_wait_ms={Bin.BULK: 0}, pace_ms={Bin.BULK: 1_000})
    board = Board(config)
    board.places([place("p")])
    for job in ("a", "b"):
        heads = tuple(Head(TaskId(f"{job}:d:{i}"), 0, (CORE,)) for i in range(3))
        board.lines([Line(Bin.BULK, "ann", f"shape-{job}", 3, 0, heads)], complete=False)
    got = []
    for now_ms in range(0, 800, 10):
        board.lines([line({f"u{now_ms}": now_ms}, CORE, bin_=Bin.URGENT)], complete=False)
        plan = decide(board, 5_000 + now_ms)
        board.planned(plan)
        for one in plan.placements:
            got += [one.task.partition(":")[0]] * (not one.task.startswith("u"))
            board.finished(one.place, one.resources, one.gpus, one.task)

    assert got == ["a", "b"]


# -- beside a reservation --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("work_ms", "starts"), [(0, False), (10_000, True), (30_000, False)])
def test_a_task_that_will_have_ended_in_time_runs_beside_a_reservation(work_ms: int, starts: bool) -> None:
    """Four cores are wanted of p. Three of its cores run a task for 20 s more: what lasts 10 s, and half as long again, is over by then."""
    config = PolicyConfig(max_wait_ms={Bin.URGENT: 0})
    board = Board(config)
    board.places([Place("p", "n", PlaceKind.CPU, Resources(cpu_milli=4000), 8)])
    three = (Need(PlaceKind.CPU, Resources(cpu_milli=3000)),)
    board.lines(
        [Line(Bin.URGENT, "ann", "three", 1, 0, (Head(TaskId("r:d:0"), 0, three, work_ms=20_000),))], complete=True
    )
    board.planned(decide(board, 0))
    four = (Need(PlaceKind.CPU, Resources(cpu_milli=4000)),)
    big = Line(Bin.URGENT, "ann", "big", 1, 0, (Head(TaskId("big:d:0"), 0, four),))
    small = Line(Bin.NORMAL, "ann", "small", 1, 0, (Head(TaskId("s:d:0"), 0, (CORE,), work_ms=work_ms),))
    board.lines([big, small], complete=True)

    plan = decide(board, 0)
    assert plan.reserved == {"p": "big:d:0"}
    assert where(plan) == [("s:d:0", "p")] * starts
