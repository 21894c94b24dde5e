"""`python -m benchmarks live`: the simulator held against the real queue and loop, on the same videos (`vidprocme sim live --scenario`).

For each seed the first minutes of a scenario are played live, several times as fast, and each figure is set beside the predicted one.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from vidprocme.cli.sim_queueing import ROWS
from vidprocme.cli.sim_scenario import Told, played
from vidprocme.simulator.scenario import SCENARIOS


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks live", description=__doc__)
    parser.add_argument("--scenario", choices=SCENARIOS, default="vp1")
    parser.add_argument("--load", type=float, default=0.85)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--speed", type=float, default=20.0)
    parser.add_argument("--seeds", type=int, nargs=2, default=(42, 44), metavar=("FIRST", "LAST"))
    parser.add_argument("--json", type=Path, help="write each play's figures there")
    options = parser.parse_args(argv)
    seeds = range(options.seeds[0], options.seeds[1] + 1)
    plays: list[Told] = []
    for seed in seeds:

        def told(done: int, whole: int, seed: int = seed) -> None:
            print(f"\r  seed {seed}: {done} of {whole} tasks ", end="", file=sys.stderr, flush=True)

        plays.append(played(options.scenario, options.load, seed, options.minutes, options.speed, told))
    print(file=sys.stderr)
    if options.json:
        options.json.write_text(json.dumps([one.json() for one in plays]))
    print(table(plays))
    return 0 if all(one.complete for one in plays) else 1


def table(plays: Sequence[Told]) -> str:
    """A row for each figure, as Markdown: live / predicted of each seed, and the geometric mean of their ratios."""
    lines = [
        "| | " + " | ".join(f"seed {one.seed}" for one in plays) + " | mean ratio |",
        "|---" * (len(plays) + 2) + "|",
    ]
    for name, words, unit in ROWS:
        found = [next(row for row in one.rows if row.name == name) for one in plays]
        digits = 3 if name == "jain" else 1 if unit == "%" else 0
        cells = [f"{row.live:,.{digits}f} / {row.predicted:,.{digits}f}{'' if row.near else ' !'}" for row in found]
        product, count = 1.0, 0
        for row in found:
            if row.ratio:
                product, count = product * row.ratio, count + 1
        mean = f"{product ** (1 / count):.2f}" if count else "-"
        lines.append(f"| {words}{f', {unit}' if unit else ''} | " + " | ".join(cells) + f" | {mean} |")
    tasks = [f"{one.play.tasks:,}{'' if one.complete else ' NOT COMPLETE'}" for one in plays]
    lines.append("| tasks, each done once | " + " | ".join(tasks) + " | |")
    lines.append(
        "| attempts longer than asked for, % | " + " | ".join(f"{one.late_percent:.1f}" for one in plays) + " | |"
    )
    return "\n".join(lines)
