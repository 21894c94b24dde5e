"""`python -m benchmarks placement --traces DIR`: how much of a cluster's GPUs each policy leaves unallocated, on the traces of the FGD study.

DIR holds the openb tables (nodes, tasks) and, if it is there, the study's own figures (published_unallocated_gpu_percent.csv); without it
VIDPROCME_TRACES names the folder. Every replay's placements are recomputed by benchmarks/check_placements.py.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from benchmarks.check_placements import checked
from vidprocme.dispatch.pool import collect_seldom
from vidprocme.simulator.replay import POLICIES, Placed, replay
from vidprocme.simulator.report import MARKS
from vidprocme.simulator.trace import parse_nodes, parse_tasks

NODES, TASKS, PUBLISHED = (
    "openb_node_list_gpu_node.csv",
    "openb_pod_list_{}.csv",
    "published_unallocated_gpu_percent.csv",
)
NAMES = {
    "random": "01-Random",
    "dot-product": "02-DotProd",
    "clustering": "03-GpuClustering",
    "packing": "04-GpuPacking",
    "best-fit": "05-BestFit",
    "fgd": "06-FGD",
}


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks placement", description=__doc__)
    parser.add_argument(
        "--traces", type=Path, default=os.environ.get("VIDPROCME_TRACES"), required="VIDPROCME_TRACES" not in os.environ
    )
    parser.add_argument("--trace", action="append", help="only this one, such as default; may be repeated")
    parser.add_argument("--policy", action="append", choices=POLICIES, help="only this one; may be repeated")
    parser.add_argument("--seeds", type=int, nargs=2, default=(42, 51), metavar=("FIRST", "LAST"))
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args(argv)
    folder = Path(options.traces)
    traces = options.trace or sorted(
        path.stem.removeprefix("openb_pod_list_") for path in folder.glob(TASKS.format("*"))
    )
    policies = options.policy or list(POLICIES)
    seeds = range(options.seeds[0], options.seeds[1] + 1)
    todo = [(folder, trace, policy, seed) for trace in traces for policy in policies for seed in seeds]
    runs: dict[tuple[str, str], list[dict[str, Any]]] = {}
    began_s = time.monotonic()
    for done, (_, trace, policy, _, run) in enumerate(_all(todo, options.processes), 1):
        runs.setdefault((trace, policy), []).append(run)
        left_s = (time.monotonic() - began_s) / done * (len(todo) - done)
        print(f"\r{done} of {len(todo)}, {left_s:.0f} s left ", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    published = _published(folder / PUBLISHED)
    print(table(runs, published))
    print(json.dumps({"placement": {f"{trace} {policy}": _mean(found) for (trace, policy), found in runs.items()}}))
    return 0


def _all(
    todo: Iterable[tuple[Path, str, str, int]], processes: int
) -> Iterator[tuple[Path, str, str, int, dict[str, Any]]]:
    if processes == 1:
        yield from map(one, todo)
        return
    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(one, todo)


def one(what: tuple[Path, str, str, int]) -> tuple[Path, str, str, int, dict[str, Any]]:
    """A replay, and its figures as its placements alone give them."""
    folder, trace, policy, seed = what
    tables = [(folder / name).read_text(encoding="utf-8").splitlines() for name in (NODES, TASKS.format(trace))]
    went: list[Placed] = []
    nodes, tasks = parse_nodes(tables[0]), parse_tasks(tables[1])
    collect_seldom()  # as a pool does
    began_s = time.process_time()
    report = replay(nodes, tasks, seed, policy, on_placed=went.append)
    spent_s = time.process_time() - began_s
    told = report.json(round(report.tasks / spent_s))
    rows = [{"task": str(p.task), "node": p.node, "gpus": "|".join(map(str, p.gpus))} for p in went]
    node_rows, task_rows = (list(csv.DictReader(lines)) for lines in tables)
    again = checked(node_rows, task_rows, rows)
    assert {name: told[name] for name in again} == again, (what, told, again)
    return (*what, told | {"placements_per_s": round(report.placed / spent_s)})


def table(runs: dict[tuple[str, str], list[dict[str, Any]]], published: dict[tuple[str, str], dict[str, float]]) -> str:
    """Markdown: the mean of all seeds, and in brackets what the study published. Only what found a place is counted as a placement."""
    lines = [
        "| trace | policy | " + " | ".join(f"{mark} %" for mark in MARKS) + " | sd at 130 % | placements per CPU s |"
    ]
    lines.append("|" + "---|" * (len(MARKS) + 4))
    for (trace, policy), found in runs.items():
        study = published.get((trace, NAMES.get(policy, "")), {})
        mean = _mean(found)
        cells = []
        for mark in MARKS:
            said = study.get(str(mark))
            cells.append(f"{mean[str(mark)]:.2f}" + (f" ({said:.2f})" if said is not None else ""))
        last = [run["unallocated_gpu_percent"][str(MARKS[-1])] for run in found]
        spread = f"{stdev(last):.2f}" if len(last) > 1 else ""
        lines.append(f"| {trace} | {policy} | {' | '.join(cells)} | {spread} | {mean['placements_per_s']:,.0f} |")
    return "\n".join(lines)


def _mean(found: Sequence[dict[str, Any]]) -> dict[str, float]:
    mean = {str(mark): round(fmean(run["unallocated_gpu_percent"][str(mark)] for run in found), 3) for mark in MARKS}
    return mean | {name: fmean(run[name] for run in found) for name in ("decisions_per_s", "placements_per_s")}


def _published(path: Path) -> dict[tuple[str, str], dict[str, float]]:
    """By trace and the study's name of a policy; empty when the file is not there."""
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["stat"] == "mean"]
    return {(row["trace"], row["policy"]): {str(mark): float(row[f"arrived_{mark}"]) for mark in MARKS} for row in rows}
