"""`python -m benchmarks check-placements NODES TASKS PLACEMENTS`: recompute a replay's figures from its placements alone.

Nothing of vidprocme is used: the tables, the protocol and the arithmetic are read and done here once more.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

MARKS = (92, 95, 100, 110, 120, 130)


def main(argv: Sequence[str]) -> int:
    nodes_file, tasks_file, placements_file = map(Path, argv)
    print(json.dumps(checked(_rows(nodes_file), _rows(tasks_file), _rows(placements_file))))
    return 0


def checked(
    nodes: list[dict[str, str]], tasks: list[dict[str, str]], placements: list[dict[str, str]]
) -> dict[str, Any]:
    """The figures; AssertionError: something was given twice, to the wrong model, left undone though there was room, or is no replay."""
    cpu = {node["sn"]: int(node["cpu_milli"]) for node in nodes}
    memory = {node["sn"]: int(node["memory_mib"]) for node in nodes}
    gpus = {node["sn"]: [1000] * int(node["gpu"]) for node in nodes}
    model = {node["sn"]: node["model"] for node in nodes}
    capacity = sum(map(len, gpus.values())) * 1000
    order = [int(row["task"]) for row in placements]
    assert sorted(order[: len(tasks)]) == list(range(len(tasks))), "every task arrives once before any arrives again"
    asked = given = placed = 0
    found: dict[str, float] = {}
    for number, row in zip(order, placements, strict=True):
        task = tasks[number]
        cores, mib, count = int(task["cpu_milli"]), int(task["memory_mib"]), int(task["num_gpu"])
        share = int(task["gpu_milli"]) if count else 0
        models = {one for one in (task.get("gpu_spec") or "").split("|") if one} if count else set()

        def holds(name: str, cores=cores, mib=mib, count=count, share=share, models=models) -> bool:  # type: ignore[no-untyped-def]
            fits = sum(free >= share for free in gpus[name]) >= count
            return bool(cores <= cpu[name] and mib <= memory[name] and fits and (not models or model[name] in models))

        if row["node"]:
            name, used = row["node"], [int(one) for one in row["gpus"].split("|") if one]
            assert holds(name) and len(set(used)) == len(used) == count, f"{row} does not fit"
            cpu[name] -= cores
            memory[name] -= mib
            for gpu in used:
                gpus[name][gpu] -= share
                assert gpus[name][gpu] >= 0, f"{row}: GPU {gpu} is given twice"
            given += count * share
            placed += 1
        else:
            assert not any(map(holds, gpus)), f"{row} would have fitted"
        asked += count * share
        for mark in MARKS[len(found) :]:
            if asked * 100 < mark * capacity:
                break
            found[str(mark)] = round(100 * (capacity - given) / capacity, 3)
    assert capacity - given == sum(map(sum, gpus.values()))
    return {"tasks": len(order), "placed": placed, "unallocated_gpu_percent": found}


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))
