"""Nothing waits longer than the formula of scheduler/turns.py says, however much more urgent work there is."""

from __future__ import annotations

from math import ceil

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.scheduler.rounds import Waiting, Wish, World, saturating
from vidprocme.core.ids import TaskId
from vidprocme.core.job import Bin
from vidprocme.scheduler.config import PolicyConfig
from vidprocme.scheduler.turns import wait_bound_ms

BINS = tuple(Bin)
CONFIG = PolicyConfig(max_wait_ms={Bin.URGENT: 0, Bin.HIGH: 3, Bin.NORMAL: 6, Bin.BULK: 10})


def older(world: World, task: Waiting) -> int:
    return sum(1 for other in world.waiting.values() if other.wish.bin is task.wish.bin and other.age < task.age)


def live(world: World, rounds: int, most_rounds: int) -> dict[TaskId, int]:
    """Let the world live, and hold every task to its bound. Returns the bounds of those that became overdue."""
    found: dict[TaskId, int] = {}
    ahead: dict[TaskId, int] = {}
    for _ in range(rounds):
        ahead.update({task.id: older(world, task) for task in world.round() if task.wish.bin is not Bin.URGENT})
    rotating = world.shown if len(world.lines) <= world.shown else world.shown - world.shown // 2
    look = max(1, ceil(len(world.lines) / rotating))
    for id_, before in ahead.items():
        task = world.tasks[id_]
        bound = found[id_] = wait_bound_ms(
            task.wish.bin,
            BINS,
            max_wait_ms=CONFIG.max_wait_ms[task.wish.bin],
            older=before,
            attempt_ms=most_rounds,
            look_ms=look,
        )
        waited = (world.now if task.started is None else task.started) - task.since
        assert waited <= bound, f"{task} waited {waited} of {bound}, {before} before it"
    return found


# Shrinking a world of a seed makes it no clearer, only the failure slow.
@settings(max_examples=12, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(
    st.integers(0, 2**32),
    st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=2), min_size=1, max_size=2),
    st.integers(1, 3),
    st.sampled_from([3, 64]),
)
def test_no_task_waits_longer_than_the_formula(seed: int, cores: list[list[int]], most: int, shown: int) -> None:
    """Whatever sizes, tenants, pools and rotation: bulk, normal and high work beside urgent work that never runs dry.

    A task that fits the largest place only can wait for that one alone, so the bound is that of one place.
    """
    world = World(cores, CONFIG, saturating(seed, max(n for pool in cores for n in pool), most), shown)

    bounds = live(world, 250, most)
    bulk = [world.tasks[id_] for id_ in bounds if world.tasks[id_].wish.bin is Bin.BULK]
    assert any(task.since + bounds[task.id] < world.now for task in bulk), "long enough to tell"


@settings(max_examples=12, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(st.integers(0, 2**32), st.lists(st.lists(st.integers(2, 4), min_size=1, max_size=2), min_size=1, max_size=2))
def test_what_runs_beside_a_reservation_for_longer_than_predicted_costs_one_attempt_more(
    seed: int, cores: list[list[int]]
) -> None:
    """The formula with twice the longest attempt, where predictions are anything between a round and twice the truth."""
    most = 6
    world = World(cores, CONFIG, saturating(seed, max(n for pool in cores for n in pool), most, guessed=True))

    bounds = live(world, 400, 2 * most)
    assert bounds and (world.beside or len({n for pool in cores for n in pool}) > 1)


def test_the_formula_is_not_far_from_what_happens() -> None:
    """One core, urgent work without end, bulk tasks that all came at once: each has its turn within sixteen starts."""
    bulk = [Wish(Bin.BULK, "ann", 1, 1)] * 5
    world = World([[1]], CONFIG, lambda now, _: [Wish(Bin.URGENT, "bob", 1, 1), *(bulk if now == 0 else [])])
    for _ in range(150):
        list(world.round())

    waits = sorted(
        t.started - t.since for t in world.tasks.values() if t.wish.bin is Bin.BULK and t.started is not None
    )
    assert waits == [23, 39, 55, 71, 87]


def test_a_task_that_needs_a_whole_place_is_not_passed_by_for_ever() -> None:
    """Single cores come free one at a time, and small urgent tasks would always take them."""
    big = Wish(Bin.BULK, "ann", 4, 2)
    world = World([[4]], CONFIG, lambda now, _: [Wish(Bin.URGENT, "bob", 1, 4), *([big] if now == 0 else [])])
    for _ in range(60):
        list(world.round())

    (task,) = (t for t in world.tasks.values() if t.wish.bin is Bin.BULK)
    assert task.started is not None and task.started - task.since <= 10 + 16 + 4


def test_two_pools_hold_one_place_for_a_task_and_it_waits_no_longer_for_that() -> None:
    """Both have turns for the same big ones. What one has just begun to hold the other may not know yet, but does with its next look."""
    bigs = [Wish(Bin.HIGH, "ann", 4, 2)] * 4
    world = World([[4], [4]], CONFIG, lambda now, _: [Wish(Bin.URGENT, "bob", 1, 4)] * 3 + bigs * (now == 0))
    before: set[TaskId] = set()
    together = 0
    for _ in range(100):
        list(world.round())
        one, two = (set(pool.board.held.seats) for pool in world.pools)
        assert not before & one & two
        before, together = one & two, max(together, len(one | two))

    waits = [t.started - t.since for t in world.tasks.values() if t.wish.bin is Bin.HIGH and t.started is not None]
    assert len(waits) == 4 and all(wait <= 3 + (older + 1) * 4 * 5 for older, wait in enumerate(sorted(waits)))
    assert world.shared and together == 2, "two places were held at once, for two"


def test_who_says_to_be_short_and_is_not_passes_by_once_at_most() -> None:
    """The same, where every second small one says it takes one round, and takes eight: beside the reservation it overruns."""
    big = Wish(Bin.BULK, "ann", 4, 2, 2)
    slow, sly = Wish(Bin.URGENT, "bob", 1, 8, 8), Wish(Bin.URGENT, "bob", 1, 8, 1)
    world = World([[4]], CONFIG, lambda now, _: [sly if now % 2 else slow, *([big] if now == 0 else [])])
    for _ in range(80):
        list(world.round())

    (task,) = (t for t in world.tasks.values() if t.wish.bin is Bin.BULK)
    assert task.started is not None and task.started - task.since <= 10 + 16 + 2 * 8 and world.beside


def test_urgent_work_keeps_its_part_though_everything_else_is_overdue() -> None:
    """Eight of sixteen starts are the usual order's, and one is urgent's own."""
    backlog = [Wish(bin_, "ann", 1, 1) for bin_ in (Bin.HIGH, Bin.NORMAL, Bin.BULK) for _ in range(200)]
    world = World([[1]], CONFIG, lambda now, _: backlog if now == 0 else [Wish(Bin.URGENT, "bob", 1, 1)] * (now > 20))
    for _ in range(20 + 160):
        list(world.round())

    started = [t.wish.bin for t in world.tasks.values() if t.started is not None and t.started > 20]
    shares = {bin_: started.count(bin_) for bin_ in Bin}
    assert sum(shares.values()) == 159
    assert abs(shares[Bin.URGENT] - 90) <= 2 and abs(shares[Bin.HIGH] - 40) <= 2
    assert abs(shares[Bin.NORMAL] - 20) <= 2 and abs(shares[Bin.BULK] - 10) <= 2


def test_nothing_overdue_rises_into_another_bins_place() -> None:
    """Bulk work that waits for hours does not come before high work on the starts that are nobody's."""
    backlog = [Wish(Bin.BULK, "ann", 1, 1)] * 50
    world = World([[1]], CONFIG, lambda now, _: backlog if now == 0 else [Wish(Bin.HIGH, "bob", 1, 1)] * (now > 30))
    for _ in range(30 + 64):
        list(world.round())

    bulk = sum(1 for t in world.tasks.values() if t.wish.bin is Bin.BULK and (t.started or 0) > 31)
    assert bulk <= 64 // 16 + 1
