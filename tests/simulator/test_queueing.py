"""A cluster in time: nothing is lost or doubled, the same seed is the same simulation, and nothing waits longer than the formula says."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from vidprocme.core.errors import BadWish
from vidprocme.core.job import Bin
from vidprocme.scheduler.config import PolicyConfig
from vidprocme.scheduler.turns import wait_bound_ms
from vidprocme.simulator.cluster import Cluster
from vidprocme.simulator.picture import picture
from vidprocme.simulator.queueing import POLICIES, document, figures, ideal_ms, simulate
from vidprocme.simulator.scenario import VP1, Scenario, Trouble, films, troubles
from vidprocme.simulator.video import Run

MINUTE_MS = 60_000
SMALL = replace(VP1, nodes=2, gpus_per_node=2, cores_per_node=4, for_ms=20 * MINUTE_MS, dump=0)
BREAKING = replace(SMALL, fails_every_ms=6 * MINUTE_MS, away_ms=MINUTE_MS, slow_every_ms=8 * MINUTE_MS)


def play(scenario: Scenario, config: PolicyConfig, load: int = 90, seed: int = 1, *, spare: int | None = None) -> Run:
    """`spare`: a machine that has no trouble."""
    breaks = [one for one in troubles(scenario, seed) if one.node != spare]
    return Cluster(scenario, config, films(scenario, load, seed), breaks).run()


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("scenario", [SMALL, BREAKING], ids=["calm", "breaking"])
def test_everything_that_comes_is_done_once(scenario: Scenario, policy: str) -> None:
    run = play(scenario, POLICIES[policy])

    assert len(run.videos) == len(films(scenario, 90, 1)) > 20
    work = sum(chunk.long_ms for video in run.videos for chunk in video.chunks)
    slow = sum(stop - start - load for _, start, stop, _, load in run.strips)
    assert run.work_ms == slow >= work
    assert (slow == work) == (scenario is SMALL)
    for video in run.videos:
        assert video.end_ms >= video.film.at_ms + ideal_ms(scenario, video)
        ends = [segment.end_ms for segment in video.segments]
        for chunk, waits_for in zip(video.chunks, video.waits_for, strict=True):
            assert chunk.start_ms >= max(ends[:waits_for])


@pytest.mark.parametrize("policy", ["default", "srpt+warm"])
def test_a_gpu_does_one_thing_at_a_time_and_loads_what_it_does_not_have(policy: str) -> None:
    run = play(SMALL, POLICIES[policy])

    for place in {strip[0] for strip in run.strips}:
        model, end_ms = "", 0
        for _, start_ms, stop_ms, other, load_ms in sorted(s for s in run.strips if s[0] == place):
            assert start_ms >= end_ms
            assert load_ms == (0 if other == model else SMALL.load_ms)
            model, end_ms = other, stop_ms
    assert run.loads == sum(bool(strip[4]) for strip in run.strips)


def test_the_same_seed_is_the_same_simulation_and_another_is_not() -> None:
    def told(seed: int) -> dict[str, float]:
        return figures(BREAKING, play(BREAKING, POLICIES["default"], seed=seed))

    assert told(3) == told(3)
    assert told(3) != told(4)


def test_a_failed_machine_loses_what_ran_there_and_it_is_done_elsewhere() -> None:
    comes = films(SMALL, 90, 1)
    run = Cluster(SMALL, POLICIES["default"], comes, [Trouble(0, 5 * MINUTE_MS, 10 * MINUTE_MS)]).run()

    assert run.lost_ms > 0
    away = [s for s in run.strips if s[0].startswith("node-00") and 5 * MINUTE_MS <= s[1] < 15 * MINUTE_MS]
    assert not away, "nothing starts on a machine that is away"
    assert all(video.end_ms > 0 for video in run.videos)


BOUNDS = {Bin.URGENT: 0, Bin.HIGH: 20_000, Bin.NORMAL: 60_000, Bin.BULK: 2 * MINUTE_MS}
LATE_MS = 30_000


@settings(max_examples=10, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(st.integers(0, 2**32), st.sampled_from([90, 150, 250]), st.sampled_from([SMALL, BREAKING]))
def test_no_video_waits_longer_for_its_first_turn_than_the_formula(seed: int, load: int, scenario: Scenario) -> None:
    """With far more work than the cluster can do, and with machines that fail and are slow, while one stays."""
    config = PolicyConfig(max_wait_ms=BOUNDS, late_patience_ms=dict.fromkeys(Bin, LATE_MS))
    run = play(scenario, config, load, seed, spare=0)

    attempt_ms = int(scenario.chunk_ms(scenario.chunk_frames) + scenario.load_ms)
    for video in run.videos:
        bin_, ready_ms = video.film.bin, video.chunks[0].ready_ms
        if bin_ is Bin.URGENT:
            continue  # its bound is that of whatever is urgent: half of all starts, and one in sixteen
        due_ms = ready_ms + BOUNDS[bin_] + LATE_MS
        older = sum(
            other.film.bin is bin_
            and other.film.number != video.film.number
            and other.end_ms > due_ms
            and other.film.at_ms < due_ms
            for other in run.videos
        )
        most_ms = wait_bound_ms(
            bin_,
            list(Bin),
            max_wait_ms=BOUNDS[bin_],
            late_ms=LATE_MS,
            older=older,
            attempt_ms=attempt_ms,
            look_ms=1_000,
        )
        assert video.first_start_ms - ready_ms <= most_ms


def test_a_document_has_the_means_and_each_seed() -> None:
    outcomes = [simulate(load_percent=5, seed=seed)[0] for seed in (1, 2)]
    told = document("default", "vp1", 0.05, outcomes)

    assert told["seeds"] == [1, 2] and len(told["each"]) == 2
    first, second = (one["mean_s"] for one in told["each"])
    assert told["mean"]["mean_s"] == pytest.approx((first + second) / 2, abs=0.002)
    assert 0 < told["mean"]["useful_percent"] <= 100 and 0 < told["mean"]["jain"] <= 1


def test_the_picture_is_a_picture_with_a_strip_for_each_gpu() -> None:
    run = play(SMALL, POLICIES["default"])
    tree = ET.fromstring(picture(run, "SMALL <&>"))

    texts = [one.text for one in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert {"node-00/gpu:0", "node-01/gpu:1", "SMALL <&>"} <= set(texts)
    assert all(float(one.get("width", 0)) > 0 for one in tree.iter("{http://www.w3.org/2000/svg}rect"))


def test_names_that_are_not_known_are_refused_with_those_that_are() -> None:
    with pytest.raises(BadWish, match="strict\\+warm") as caught:
        simulate(policy="magic")
    assert caught.value.code == "NO_SUCH_POLICY"
    with pytest.raises(BadWish, match="vp1") as caught:
        simulate(scenario="magic")
    assert caught.value.code == "NO_SUCH_SCENARIO"
