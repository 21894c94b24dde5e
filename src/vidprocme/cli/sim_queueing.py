"""`vidprocme sim queueing`: a policy of queueing in a simulated cluster, over several seeds."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path

import click

from vidprocme.cli.words import printable
from vidprocme.core.job import Bin
from vidprocme.dispatch.pool import collect_seldom
from vidprocme.simulator.films import parse
from vidprocme.simulator.picture import picture
from vidprocme.simulator.queueing import Outcome, document, mean_of, replay, simulate
from vidprocme.simulator.scenario import Scenario

FIRST_SEED = 42
ROWS = (
    ("urgent_first_p50_s", "first caption of urgent videos, p50", "s"),
    ("urgent_first_p99_s", "first caption of urgent videos, p99", "s"),
    ("high_p99_s", "high videos whole, p99", "s"),
    ("normal_p99_s", "normal videos whole, p99", "s"),
    ("bulk_p99_s", "bulk videos whole, p99", "s"),
    ("mean_s", "all videos whole, mean", "s"),
    ("first_wait_most_s", "longest wait until a video is begun", "s"),
    ("task_wait_most_s", "longest wait of any task", "s"),
    ("slowdown_p99", "times as long as alone, p99", ""),
    ("useful_percent", "of GPU time not spent on loading", "%"),
    ("reloads", "models loaded", ""),
    ("jain", "Jain index over tenants' slowdown", ""),
    ("slo_urgent_percent", "urgent videos in time", "%"),
    ("slo_high_percent", "high videos in time", "%"),
    ("slo_normal_percent", "normal videos in time", "%"),
    ("makespan_s", "until all was done", "s"),
)


def run(
    scenario: str,
    policy: str,
    load: float,
    seeds: int,
    as_json: bool,
    file: Path | None,
    progress: Callable[[int, int], None] | None,
) -> None:
    percent = round(100 * load)
    collect_seldom()
    outcomes: list[Outcome] = []
    for number in range(seeds):

        def told(done: int, whole: int, number: int = number) -> None:
            if progress is not None:
                progress(number * whole + done, seeds * whole)

        outcome, what = simulate(scenario, policy, percent, FIRST_SEED + number, on_progress=told)
        outcomes.append(outcome)
        if file is not None and number == 0:
            title = f"{scenario}, {policy}, load {percent / 100:.2f}, seed {outcome.seed}"
            file.write_text(picture(what, title), encoding="utf-8")
    if as_json:
        click.echo(json.dumps(document(policy, scenario, percent / 100, outcomes)))
    else:
        click.echo(table(policy, scenario, percent / 100, outcomes))


def run_trace(
    trace: Path,
    world: Scenario,
    policy: str,
    as_json: bool,
    file: Path | None,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Play a table of films on a scenario's machines.

    Raises:
        BadWish: BAD_FILMS, with the line.
    """
    collect_seldom()
    with trace.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
        films = parse(lines)
    films = [replace(film, at_ms=film.at_ms - films[0].at_ms) for film in films]
    outcome, what = replay(films, world, policy, on_progress=progress)
    title = f"{trace.name} on {world.name}, {policy}"
    if file is not None:
        file.write_text(picture(what, title), encoding="utf-8")
    if as_json:
        told = document(policy, world.name, round(outcome.load, 3), [outcome])
        click.echo(json.dumps({**told, "trace": str(trace)}))
        return
    there = {film.bin for film in films}
    lines_ = table(policy, f"{printable(trace.name)} on {world.name}", None, [outcome], there)
    shown = "".join(f"{line[:80]}\n" for line in lines_.splitlines())
    click.echo(shown, nl=False)


def table(
    policy: str, scenario: str, load: float | None, outcomes: list[Outcome], there: Collection[Bin] = tuple(Bin)
) -> str:
    """Lines of at most 80 columns, without a newline at the end.

    Args:
        load: None: of a table of films that somebody wrote or recorded, which is played once.
        there: bins of which there are videos; of others nothing is told.
    """
    means: Mapping[str, tuple[float, float]] = mean_of(outcomes)
    seeds = f"seed {outcomes[0].seed}" if len(outcomes) == 1 else f"seeds {outcomes[0].seed} to {outcomes[-1].seed}"
    number = means["jobs"][0]
    lines = [
        f"{scenario}, {policy}{'' if load is None else f', load {load:.2f}, {seeds}'}, {number:,.0f} video{'s' * (number != 1)}",
        "",
        *([f"  {'':40} {'mean':>12} {'deviation':>12}"] if load is not None else []),
    ]
    for name, words, unit in ROWS:
        if any(bin_ in name.split("_") and bin_ not in there for bin_ in Bin):
            continue
        mean, deviation = means[name]
        digits = 3 if name == "jain" else 0 if name == "reloads" else 1
        spread = "" if load is None else f" {deviation:>12,.{digits}f}"
        lines.append(f"  {words:40} {mean:>12,.{digits}f}{spread} {unit}".rstrip())
    return "\n".join(lines)
