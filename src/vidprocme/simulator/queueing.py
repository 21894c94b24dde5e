"""Policies of queueing in one world, and what they make of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from typing import Any

from vidprocme.core.errors import BadWish
from vidprocme.core.job import Bin
from vidprocme.scheduler import orders
from vidprocme.scheduler.config import PolicyConfig
from vidprocme.simulator.cluster import Cluster
from vidprocme.simulator.scenario import SCENARIOS, Film, Scenario, films, troubles
from vidprocme.simulator.video import Run, Video

_ORDERS = {
    "fifo": orders.FIFO,
    "strict": orders.STRICT,
    "weighted-fair": orders.WEIGHTED_FAIR,
    "age-fair-share": orders.AGE_FAIR_SHARE,
    "srpt": orders.SRPT,
    "strict-srpt": orders.Order(fair=orders.Fair.NOBODY),
}
BULK_WAIT_MS = 5_400_000  # after so long in line a bulk task is overdue here: an hour and a half
PATIENCE_MS = {
    Bin.URGENT: 6_000,
    Bin.HIGH: 30_000,
    Bin.NORMAL: 120_000,
    Bin.BULK: 300_000,
}  # of what ours is measured against
SLO_MS = {Bin.URGENT: 60_000, Bin.HIGH: 600_000, Bin.NORMAL: 3_600_000}
SLO_TIMES = 3  # or so many times the ideal


def _policies() -> dict[str, PolicyConfig]:
    own = PolicyConfig()
    found = {"default": replace(own, max_wait_ms={**own.max_wait_ms, Bin.BULK: BULK_WAIT_MS})}
    for name, order in _ORDERS.items():
        plain = PolicyConfig(
            max_wait_ms={}, order=order, patience_ms=PATIENCE_MS, lag_ms={}, lag_times=0, keep_percent=0
        )
        found[name] = replace(plain, warmth=False)
        # With strict bins fewer models are loaded, and less is waited for, when what is warm goes first; without them it is the other way round.
        found[f"{name}+warm"] = replace(plain, cold_last=order.strict)
    return found


POLICIES: Mapping[str, PolicyConfig] = _policies()


@dataclass(frozen=True, slots=True)
class Outcome:
    """One simulation's figures, by name; times in seconds, shares in percent."""

    policy: str
    scenario: str
    load: float
    seed: int
    figures: Mapping[str, float]


def simulate(
    scenario: str = "vp1",
    policy: str = "default",
    load_percent: int = 85,
    seed: int = 42,
    config: PolicyConfig | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[Outcome, Run]:
    """Play it.

    Args:
        policy: one of POLICIES.
        load_percent: of the GPUs' time, that describing what comes takes on average.
        config: instead of the policy's own.
        on_progress: called now and then with (videos that have ended, videos in all).

    Raises:
        BadWish: NO_SUCH_POLICY, NO_SUCH_SCENARIO.
    """
    world = world_of(scenario)
    comes, breaks = films(world, load_percent, seed), troubles(world, seed)
    run = Cluster(world, config or _policy(policy), comes, breaks, on_progress).run()
    return Outcome(policy, scenario, load_percent / 100, seed, figures(world, run)), run


def replay(
    comes: Sequence[Film],
    world: Scenario,
    policy: str = "default",
    seed: int = 42,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[Outcome, Run]:
    """Play these films on a scenario's machines. The outcome's load is what describing them takes of all GPUs while they come.

    Args:
        seed: of the machines' troubles, if the scenario has any; they go on for as long as the films come.

    Raises:
        BadWish: NO_SUCH_POLICY.
    """
    over_ms = max((film.at_ms for film in comes), default=0)
    world = replace(world, weighted=False, for_ms=max(world.for_ms, over_ms))
    run = Cluster(world, _policy(policy), comes, troubles(world, seed), on_progress).run()
    asked_ms = sum(chunk.long_ms for video in run.videos for chunk in video.chunks)
    load = asked_ms / max(1, world.gpus * over_ms) if over_ms else 0.0
    return Outcome(policy, world.name, load, seed, figures(world, run)), run


def world_of(scenario: str) -> Scenario:
    """Raises: BadWish: NO_SUCH_SCENARIO."""
    if scenario not in SCENARIOS:
        known = ", ".join(SCENARIOS)
        raise BadWish("NO_SUCH_SCENARIO", f'There is no scenario "{scenario}".', f"Choose one of: {known}.")
    return SCENARIOS[scenario]


def _policy(name: str) -> PolicyConfig:
    if name not in POLICIES:
        raise BadWish("NO_SUCH_POLICY", f'There is no policy "{name}".', f"Choose one of: {', '.join(POLICIES)}.")
    return POLICIES[name]


def figures(scenario: Scenario, run: Run) -> dict[str, float]:
    """What the table tells of one simulation."""
    by_bin = {bin_: [video for video in run.videos if video.film.bin is bin_] for bin_ in Bin}
    ideal = {video.id: ideal_ms(scenario, video) for video in run.videos}
    slow = {video.id: max(1.0, _took(video) / ideal[video.id]) for video in run.videos}
    tenants: dict[str, list[float]] = {}
    for video in run.videos:
        tenants.setdefault(video.film.tenant, []).append(slow[video.id])
    means = [sum(each) / len(each) for each in tenants.values()]
    firsts = [_first(v) for v in by_bin[Bin.URGENT] if v.chunks]
    found: dict[str, float] = {
        "urgent_first_p50_s": _percentile(firsts, 50) / 1000,
        "urgent_first_p99_s": _percentile(firsts, 99) / 1000,
        "high_p99_s": _percentile([_took(v) for v in by_bin[Bin.HIGH]], 99) / 1000,
        "normal_p99_s": _percentile([_took(v) for v in by_bin[Bin.NORMAL]], 99) / 1000,
        "bulk_p99_s": _percentile([_took(v) for v in by_bin[Bin.BULK]], 99) / 1000,
        "bulk_first_wait_most_s": max((_first_wait(v) for v in by_bin[Bin.BULK]), default=0) / 1000,
        "first_wait_most_s": max((_first_wait(v) for v in run.videos), default=0) / 1000,
        "task_wait_most_s": max(run.waits.values(), default=0) / 1000,
        "mean_s": sum(_took(v) for v in run.videos) / max(1, len(run.videos)) / 1000,
        "slowdown_p99": _percentile(list(slow.values()), 99),
        "useful_percent": 100 * run.work_ms / max(1, run.work_ms + run.load_ms),
        "reloads": float(run.loads),
        "jain": sum(means) ** 2 / (len(means) * sum(mean**2 for mean in means)) if means else 1.0,
        "makespan_s": run.end_ms / 1000,
        "jobs": float(len(run.videos)),
        "lost_s": run.lost_ms / 1000,
    }
    for bin_, within_ms in SLO_MS.items():
        met = [_took(v) <= max(within_ms, SLO_TIMES * ideal[v.id]) for v in by_bin[bin_]]
        found[f"slo_{bin_}_percent"] = 100 * sum(met) / len(met) if met else 100.0
    return found


def ideal_ms(scenario: Scenario, video: Video) -> int:
    """How long the video would take if it were alone, with every model loaded: its tasks in order, each as soon as a core or a GPU is free."""
    cores, gpus = [0] * (scenario.nodes * scenario.cores_per_node), [0] * scenario.gpus
    ends: list[int] = []
    for segment in video.segments:
        end = heappop(cores) + segment.long_ms
        heappush(cores, end)
        ends.append(max(end, ends[-1]) if ends else end)
    last = ends[-1] if ends else 0
    for chunk, waits_for in zip(video.chunks, video.waits_for, strict=True):
        end = max(heappop(gpus), ends[waits_for - 1] if waits_for else 0) + chunk.long_ms
        heappush(gpus, end)
        last = max(last, end)
    return last


def mean_of(outcomes: list[Outcome]) -> dict[str, tuple[float, float]]:
    """Of each figure over several seeds: the mean, and the standard deviation."""
    found = {}
    for name in outcomes[0].figures:
        values = [one.figures[name] for one in outcomes]
        mean = sum(values) / len(values)
        found[name] = mean, (sum((v - mean) ** 2 for v in values) / max(1, len(values) - 1)) ** 0.5
    return found


def document(policy: str, scenario: str, load: float, outcomes: list[Outcome]) -> dict[str, Any]:
    """JSON values: the means over the seeds, their deviations, and each seed's own."""
    means = mean_of(outcomes)
    return {
        "policy": policy,
        "scenario": scenario,
        "load": load,
        "seeds": [one.seed for one in outcomes],
        "mean": {name: round(mean, 3) for name, (mean, _) in means.items()},
        "deviation": {name: round(deviation, 3) for name, (_, deviation) in means.items()},
        "each": [{name: round(value, 3) for name, value in one.figures.items()} for one in outcomes],
    }


def _took(video: Video) -> int:
    return video.end_ms - video.film.at_ms


def _first(video: Video) -> int:
    return video.first_end_ms - video.film.at_ms


def _first_wait(video: Video) -> int:
    """From when the first chunk could be described until one was; 0 of a video without."""
    if not video.chunks:
        return 0
    return max(0, video.first_start_ms - video.chunks[0].ready_ms)


def _percentile(values: list[int] | list[float], percent: int) -> float:
    """The nearest rank; 0 of nothing."""
    if not values:
        return 0.0
    ranked = sorted(values)
    return float(ranked[min(len(ranked) - 1, -(-len(ranked) * percent // 100) - 1)])
