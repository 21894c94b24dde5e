"""`python -m benchmarks queueing`: policies of queueing in the simulated cluster VP-1, and ours held against the best of the others.

Every policy decides over the same films, seeds and machines, with the CPU's stage on (simulator/scenario.py). A line that begins with "must" is
what we ask of ours.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from vidprocme.simulator.queueing import POLICIES, Outcome, mean_of, simulate
from vidprocme.simulator.scenario import SCENARIOS

COLUMNS = (
    ("urgent_first_p99_s", "urgent 1st p99", 0),
    ("high_p99_s", "high p99", 0),
    ("normal_p99_s", "normal p99", 0),
    ("bulk_p99_s", "bulk p99", 0),
    ("first_wait_most_s", "1st start", 0),
    ("task_wait_most_s", "task wait", 0),
    ("mean_s", "mean", 0),
    ("useful_percent", "useful %", 1),
    ("reloads", "loads", 0),
    ("jain", "Jain", 3),
)
Job = tuple[str, str, int, int]  # scenario, policy, load in percent, seed
Means = dict[str, tuple[float, float]]


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks queueing", description=__doc__)
    parser.add_argument("--scenario", choices=SCENARIOS, default="vp1")
    parser.add_argument("--policy", action="append", choices=POLICIES, help="only this one; may be repeated")
    parser.add_argument("--loads", type=int, nargs="+", default=[70, 85, 95], metavar="PERCENT")
    parser.add_argument("--seeds", type=int, nargs=2, default=(42, 51), metavar=("FIRST", "LAST"))
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write each simulation's figures there")
    options = parser.parse_args(argv)
    policies = options.policy or list(POLICIES)
    seeds = range(options.seeds[0], options.seeds[1] + 1)
    todo = [(options.scenario, name, load, seed) for load in options.loads for name in policies for seed in seeds]
    found: dict[tuple[int, str], list[Outcome]] = {}
    began_s = time.monotonic()
    for done, ((_, name, load, _), outcome) in enumerate(_all(todo, options.processes), 1):
        found.setdefault((load, name), []).append(outcome)
        left_s = (time.monotonic() - began_s) / done * (len(todo) - done)
        print(f"\r  {done} of {len(todo)} simulations, {left_s:.0f} s left ", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    if options.json:
        rows = [
            {"policy": one.policy, "load": one.load, "seed": one.seed, **one.figures}
            for each in found.values()
            for one in each
        ]
        options.json.write_text(json.dumps(rows))
    kept = True
    for load in options.loads:
        means = {name: mean_of(found[load, name]) for name in policies}
        print(f"\nload 0.{load}, seeds {seeds[0]} to {seeds[-1]}, seconds\n")
        print(table(means))
        if "default" in means and {"srpt+warm", "strict+warm"} <= means.keys():
            for line, holds in musts(means, load, found[load, "default"]):
                kept = kept and holds
                print(f"  {'kept  ' if holds else 'MISSED'}  {line}")
    return 0 if kept else 1


def table(means: dict[str, Means]) -> str:
    """A row for each policy, as Markdown."""
    lines = ["| policy | " + " | ".join(title for _, title, _ in COLUMNS) + " | SLO urgent / high / normal % |"]
    lines.append("|---" * (len(COLUMNS) + 2) + "|")
    for name, mean in means.items():
        cells = [f"{mean[key][0]:,.{digits}f}" for key, _, digits in COLUMNS]
        slo = " / ".join(f"{mean[f'slo_{bin_}_percent'][0]:.2f}" for bin_ in ("urgent", "high", "normal"))
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {slo} |")
    return "\n".join(lines)


def musts(means: dict[str, Means], load: int, ours: list[Outcome]) -> Iterator[tuple[str, bool]]:
    """What is asked of ours at a load, each with whether it holds."""
    own, srpt, strict = means["default"], means["srpt+warm"], means["strict+warm"]
    for key, other, name, most in (
        ("mean_s", srpt, "srpt+warm", 1.15),
        ("high_p99_s", strict, "strict+warm", 1.15),
        ("normal_p99_s", strict, "strict+warm", 1.25),
    ):
        ratio = own[key][0] / other[key][0]
        yield f"{key}: {ratio:.2f} of {name}'s, at most {most}", ratio <= most
    useful = own["useful_percent"][0]
    yield f"useful_percent: {useful:.1f}, at least 97.5", useful >= 97.5
    loss = srpt["useful_percent"][0] - useful
    yield f"useful_percent: {loss:.1f} points below srpt+warm's, at most 1.0", loss <= 1.0
    yield f"jain: {own['jain'][0]:.3f}, at least 0.98", own["jain"][0] >= 0.98
    most_s = max(one.figures["first_wait_most_s"] for one in ours)
    if load <= 90:
        yield f"first_wait_most_s: {most_s:,.0f} in the worst seed, at most 7,200", most_s <= 7_200
    if load == 85:
        for bin_, least in (("urgent", 99.9), ("high", 99.5), ("normal", 99.0)):
            met = own[f"slo_{bin_}_percent"][0]
            yield f"slo_{bin_}_percent: {met:.2f}, at least {least}", met >= least


def _all(todo: Sequence[Job], processes: int) -> Iterator[tuple[Job, Outcome]]:
    if processes == 1:
        yield from ((job, _one(job)) for job in todo)
        return
    with ProcessPoolExecutor(processes) as pool:
        yield from zip(todo, pool.map(_one, todo), strict=True)


def _one(job: Job) -> Outcome:
    return simulate(*job)[0]
