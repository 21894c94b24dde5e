"""The protocol of the study, the same for the same seed, and as close to its cluster as its own shapes allow."""

from __future__ import annotations

import json

import pytest

from benchmarks.check_placements import checked
from vidprocme.core.errors import BadWish
from vidprocme.scheduler import scores
from vidprocme.scheduler.nodes import NodeSpec, Shape
from vidprocme.scheduler.states import States
from vidprocme.simulator.chance import Chance
from vidprocme.simulator.replay import POLICIES, Placed, need_of, place_of, replay
from vidprocme.simulator.report import MARKS, Mark, Report
from vidprocme.simulator.trace import synthetic
from vidprocme.simulator.workload import arrivals

GOLDEN_TOTALS = (48, 270, 600, 428, 172)
GOLDEN_MARKS = [7.819, 4.956, 3.481, 3.444, 3.296, 3.185]
HALF, WHOLE = Shape(1, 1, 1, 500), Shape(1, 1, 1, 1000)


def test_the_same_seed_gives_the_same_report() -> None:
    nodes, pods = synthetic(7)

    assert replay(nodes, pods, 1) == replay(nodes, pods, 1)
    assert replay(nodes, pods, 1) != replay(nodes, pods, 2)
    assert replay(nodes[::-1], pods, 1) == replay(nodes, pods, 1)


def test_it_is_the_same_when_little_is_kept_of_what_is_known_of_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes, tasks = synthetic(7)
    kept = replay(nodes, tasks, 3)
    monkeypatch.setattr(scores, "KEPT_MOST", 1)
    assert replay(nodes, tasks, 3) == kept


def test_this_seed_gives_this_report_on_every_machine() -> None:
    """Numbers written down once: another machine, Python or dictionary order must not move them."""
    nodes, pods = synthetic(7)
    report = replay(nodes, pods, 42, "first-fit")

    assert (report.nodes, report.gpus, report.tasks, report.placed, report.dropped) == GOLDEN_TOTALS
    assert [round(mark.unallocated_percent, 3) for mark in report.marks] == GOLDEN_MARKS


def test_it_is_first_fit_as_written_down_in_four_lines() -> None:
    """The search remembers where it got to; walking every node for every pod must give the same."""
    nodes, pods = synthetic(3, nodes=30, pods=150)  # few enough to be filled up to exactly 130 %
    report = replay(nodes, pods, 5, "first-fit")

    states = States()
    plain = [states.empty(place_of(spec.name, spec)) for spec in sorted(nodes, key=lambda spec: spec.name)]
    order = arrivals(pods, sum(spec.gpus for spec in nodes) * 1000, Chance(5))
    placed = 0
    for number in order:
        ask = states.ask(need_of(pods[number]), None)
        at = next((at for at, state in enumerate(plain) if state.fits(ask)), None)
        if at is not None:
            plain[at] = states.take(plain[at], ask)[0]
            placed += 1
    free = sum(state.free_gpu_milli for state in plain)
    capacity = sum(spec.gpus for spec in nodes) * 1000
    assert report.placed == placed and report.dropped == len(order) - placed > 0
    assert report.marks[-1].unallocated_percent == pytest.approx(100 * free / capacity)


@pytest.mark.parametrize("policy", POLICIES)
def test_whoever_reads_the_placements_alone_gets_the_same_figures(policy: str) -> None:
    """By other code, which also sees that nothing is given twice and nothing dropped that fits."""
    nodes, tasks = synthetic(11, nodes=20, pods=200)
    went: list[Placed] = []
    report = replay(nodes, tasks, 3, policy, on_placed=went.append)

    tables = (
        [
            {"sn": n.name, "cpu_milli": n.cpu_milli, "memory_mib": n.memory_mib, "gpu": n.gpus, "model": n.model}
            for n in nodes
        ],
        [
            {
                "cpu_milli": t.cpu_milli,
                "memory_mib": t.memory_mib,
                "num_gpu": t.gpus,
                "gpu_milli": t.gpu_milli,
                "gpu_spec": "|".join(sorted(t.models)),
            }
            for t in tasks
        ],
        [{"task": p.task, "node": p.node, "gpus": "|".join(map(str, p.gpus))} for p in went],
    )
    again = checked(*([{name: str(value) for name, value in row.items()} for row in rows] for rows in tables))
    told = report.json()
    assert again == {name: told[name] for name in again}


def test_placements_that_are_wrong_are_seen() -> None:
    node = [{"sn": "n", "cpu_milli": "8", "memory_mib": "8", "gpu": "2", "model": "T4"}]
    task = [{"cpu_milli": "1", "memory_mib": "1", "num_gpu": "1", "gpu_milli": "600", "gpu_spec": ""}]
    twice = [{"task": "0", "node": "n", "gpus": "0"}] * 2
    with pytest.raises(AssertionError, match="given twice"):
        checked(node, task, twice)
    with pytest.raises(AssertionError, match="would have fitted"):
        checked(node, task, [{"task": "0", "node": "", "gpus": ""}])
    with pytest.raises(AssertionError, match="does not fit"):
        checked(node, [task[0] | {"gpu_spec": "V100"}], twice[:1])
    with pytest.raises(AssertionError, match="arrives once"):
        checked(node, task * 2, twice)


def test_shares_that_tile_the_gpus_leave_nothing() -> None:
    report = replay([NodeSpec("n", 10**6, 10**6, 4, "T4")], [HALF] * 8, 0)

    assert [mark.arrived_percent for mark in report.marks] == list(MARKS)
    assert report.marks[-1] == Mark(130, 0.0, 8, 3)


def test_scarce_cores_leave_gpus_unallocated() -> None:
    report = replay([NodeSpec("n", 2, 10**6, 4, "T4")], [WHOLE] * 4, 0)

    assert report.marks[-1].unallocated_percent == 50.0
    assert (report.placed, report.dropped) == (2, report.tasks - 2)


def test_arrivals_are_all_pods_shuffled_then_drawn_until_the_requests_suffice() -> None:
    pods = [Shape(i, 0, 1, 1000) for i in range(20)]
    order = arrivals(pods, 40_000, Chance(1))

    assert sorted(order[:20]) == list(range(20)) != order[:20]
    assert len(order) == 52  # 130 % of 40 GPUs
    assert all(0 <= number < 20 for number in order)


def test_anywhere_is_drawn_evenly_from_what_holds_it() -> None:
    """Two nodes, of which each holds one task: the second one goes where the first did not; the first to either."""
    nodes = [NodeSpec(name, 1_000, 1_000, 1, "T4") for name in ("a", "b", "c")]
    firsts: list[str] = []
    for seed in range(60):
        went: list[Placed] = []
        replay(nodes, [Shape(1_000, 1, 1, 1000)] * 2, seed, "random", on_placed=went.append)
        assert (
            len({one.node for one in went if one.node}) == 3
        )  # 130 % of three GPUs: four tasks, one of them finds none
        firsts.append(went[0].node)
    assert {firsts.count(name) > 10 for name in ("a", "b", "c")} == {True}


def test_a_trace_that_asks_for_more_than_the_goal_is_shuffled_only() -> None:
    pods = [Shape(i, 0, 1, 1000) for i in range(20)]

    assert len(arrivals(pods, 1_000, Chance(1))) == 20


@pytest.mark.parametrize(
    ("nodes", "pods"),
    [
        ([NodeSpec("n", 1, 1, 0, "")], [WHOLE]),
        ([NodeSpec("n", 1, 1, 1, "T4")], [Shape(1, 1)]),
        ([NodeSpec("n", 1, 1, 1, "T4")], []),
        ([], [WHOLE]),
    ],
)
def test_what_could_never_end_is_refused(nodes: list[NodeSpec], pods: list[Shape]) -> None:
    with pytest.raises(BadWish) as caught:
        replay(nodes, pods, 0)
    assert caught.value.code == "BAD_TRACE"


def test_an_unknown_policy_is_refused_and_the_known_ones_are_named() -> None:
    with pytest.raises(BadWish) as caught:
        replay([NodeSpec("n", 1, 1, 1, "T4")], [WHOLE], 0, policy="best")
    assert caught.value.code == "NO_SUCH_POLICY" and "first-fit" in caught.value.hint


def test_progress_ends_at_the_end() -> None:
    nodes, pods = synthetic(7)
    said: list[tuple[int, int]] = []

    report = replay(nodes, pods, 1, on_progress=lambda done, total: said.append((done, total)))

    assert said[-1] == (report.tasks, report.tasks)
    assert [done for done, _ in said] == sorted({done for done, _ in said})


def test_the_table_fits_a_terminal_and_the_json_a_script() -> None:
    report = Report(
        "first-fit", 42, 1213, 6212, 10762, 8309, 2453, (Mark(92, 8.0, 7657, 0), Mark(130, 5.4859, 8309, 2453))
    )

    assert max(len(line) for line in report.table().splitlines()) <= 80
    assert "5.49 %" in report.table()
    told = json.loads(json.dumps(report.json(20_000)))
    assert told["unallocated_gpu_percent"] == {"92": 8.0, "130": 5.486} and told["decisions_per_s"] == 20_000


def test_chance_is_splitmix64() -> None:
    """The first numbers of the published generator for the seed 1234567."""
    chance = Chance(1234567)

    assert [chance.bits64() for _ in range(5)] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
