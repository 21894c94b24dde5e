"""`python -m benchmarks queue`: our queue beside its peers, on one private Redis, all of them interleaved.

The bench itself (what is measured, the peers, their pins) is a folder named by VIDPROCME_QUEUE_BENCH. It is copied to a cache
folder, gets a virtual environment for each peer there, and us as one contestant more: benchmarks/contestant.py.

A round measures every contestant once, one after another; machines drift within minutes, so what counts is the ratio inside a
round, and of the rounds' ratios the median. `--into FILE` keeps rounds, and adds to those that the file holds.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BENCH = "VIDPROCME_QUEUE_BENCH"
US = "vidprocme"
OURS = ("vidprocme:jobs", "vidprocme:tasks", "vidprocme:k1")
PEERS = ("huey:t1", "huey:t4", "dramatiq:t8", "taskiq:stream", "streaq:c128", "rq:simple", "celery:solo")
SHORT_PEERS = ("huey:t1",)
SHORT_SCALE = 0.1
# By what they do with a job: huey forgets it when a worker takes it, Dramatiq keeps its message until it is acknowledged, and
# the others keep something that can be asked about later. (taskiq's stream keeps entries, but nothing by a job's id.)
ACKNOWLEDGE = ("dramatiq", "taskiq", "streaq", "celery", "saq")
KEEP_A_RECORD = ("streaq", "rq", "saq", "arq")
SHIM = """import sys
sys.path[:0] = {path!r}
from benchmarks.contestant import Peer, work
adapter = Peer()
if __name__ == "__main__":
    work()
"""

Row = Mapping[str, Any]
Round = Mapping[str, Row]  # `contestant:variant` -> what the bench says of it


def main(argv: Sequence[str]) -> int:
    arguments = _parser().parse_args(argv)
    rounds: list[Round] = []
    if arguments.into and arguments.into.is_file():
        rounds = json.loads(arguments.into.read_text())
    if arguments.rounds:
        wanted = arguments.only or [*OURS, *(SHORT_PEERS if arguments.short else PEERS)]
        folder = _copy(arguments.bench, arguments.work)
        _make_environments(folder, {spec.partition(":")[0] for spec in wanted})
        for _ in range(1 if arguments.short else arguments.rounds):
            rounds.append(_round(folder, wanted, SHORT_SCALE if arguments.short else arguments.scale))
            if arguments.into:
                arguments.into.write_text(json.dumps(rounds))
    print(table(rounds))
    print(verdict(rounds))
    print(json.dumps({"queue": ratios(rounds)}))
    broken = [f"{name}: {row['error']}" for one in rounds for name, row in one.items() if "error" in row]
    lost = [
        name for one in rounds for name, row in one.items() if _of(row, "drain", "jobs") != _of(row, "drain", "started")
    ]
    for line in [*broken, *(f"{name}: not every job was started" for name in lost)]:
        print(line, file=sys.stderr)
    return 1 if any(line.startswith(US) for line in [*broken, *lost]) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks queue", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="0: only show what --into holds")
    parser.add_argument("--short", action="store_true", help="one small round with one peer: does it run?")
    parser.add_argument("--only", nargs="*", metavar="NAME:VARIANT", help="these contestants instead of the usual ones")
    parser.add_argument("--scale", type=float, default=1.0, help="so much of the bench's usual number of jobs")
    parser.add_argument("--into", type=Path, metavar="FILE", help="keep the rounds there, beside those it holds")
    parser.add_argument("--bench", default=os.environ.get(BENCH, ""), help=f"folder of the bench; default ${BENCH}")
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "vidprocme" / "queue-bench"
    parser.add_argument("--work", type=Path, default=cache, help="where the copy and its environments lie")
    return parser


def _copy(bench: str, work: Path) -> Path:
    """The bench's folder as a copy of ours, with us among its peers."""
    if not bench or not (Path(bench) / "run_all.py").is_file():
        sys.exit(
            f"{BENCH} must name the folder of the queue bench (with run_all.py, peers/ and setup.sh); it is {bench!r}."
        )
    for path in Path(bench).rglob("*"):
        if path.is_file() and "venvs" not in path.parts:
            target = work / path.relative_to(bench)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    (work / "setup.sh").chmod(0o755)
    (work / "results").mkdir(exist_ok=True)
    shim = SHIM.format(path=[str(ROOT), str(ROOT / "src")])
    (work / "peers" / f"p_{US}.py").write_text(shim)
    return work


def _make_environments(work: Path, names: Iterable[str]) -> None:
    ours = work / "venvs" / US
    ours.parent.mkdir(exist_ok=True)
    ours.unlink(missing_ok=True)
    ours.symlink_to(sys.prefix, target_is_directory=True)
    missing = [name for name in sorted(names) if not (work / "venvs" / name / "freeze.txt").is_file() and name != US]
    if missing:
        env = {**os.environ, "PYTHON": sys.executable}
        subprocess.run(["./setup.sh", *missing], cwd=work, env=env, check=True)


def _round(work: Path, wanted: Sequence[str], scale: float) -> Round:
    """Every contestant once. A fresh server for each: none finds what another left in its memory or its file."""
    sys.path.insert(0, str(work))
    bench: Any = importlib.import_module("run_all")
    found: dict[str, Row] = {}
    for spec in wanted:
        name, _, variant = spec.partition(":")
        began_s = time.monotonic()
        with bench.redis_server(True) as redis_pid:
            try:
                row: Row = bench.Contestant(name).measure(variant, redis_pid, scale, True)
            except Exception as error:  # one broken contestant must not hide the others
                row = {"error": repr(error)}
        found[spec] = row
        print(f"{spec}: {time.monotonic() - began_s:.0f} s", file=sys.stderr, flush=True)
    return found


# -- what the rounds say -----------------------------------------------------------------------------------------------
COLUMNS = {
    "enqueue/s": ("enqueue", "per_s"),
    "client us": ("enqueue", "cpu_us_per_job"),
    "bulk/s": ("bulk", "per_s"),
    "bulk us": ("bulk", "cpu_us_per_job"),
    "drain/s": ("drain", "per_s"),
    "worker us": ("drain", "worker_cpu_us_per_job"),
    "Redis us": ("drain", "redis_cpu_us_per_job"),
    "p50 ms": ("latency", "p50_ms"),
    "p99 ms": ("latency", "p99_ms"),
    "idle %": ("idle", "worker_cpu_pct"),
    "RSS MB": ("idle", "worker_rss_mb"),
}


def _of(row: Row, *path: str) -> float | None:
    at: Any = row
    for name in path:
        at = at.get(name) if isinstance(at, Mapping) else None
    return at if isinstance(at, int | float) else None


def _middle(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def table(rounds: Sequence[Round]) -> str:
    """The medians of the rounds, contestant by contestant."""
    lines = ["| contestant | " + " | ".join(COLUMNS) + " |", "|" + "---|" * (len(COLUMNS) + 1)]
    for spec in dict.fromkeys(name for one in rounds for name in one):
        rows = [one[spec] for one in rounds if spec in one]
        cells = (_middle(_of(row, *path) for row in rows) for path in COLUMNS.values())
        lines.append(f"| {spec} | " + " | ".join("-" if cell is None else f"{cell:g}" for cell in cells) + " |")
    return "\n".join(lines)


def ratios(rounds: Sequence[Round]) -> dict[str, float]:
    """The goals' figures: of each round the ratio of ours to the best peer of that round, of these the median."""
    goals: dict[str, list[float]] = {}
    for one in rounds:
        for name, value in _goals(one).items():
            goals.setdefault(name, []).append(value)
    return {name: round(median(values), 3) for name, values in goals.items()}


def _goals(one: Round) -> dict[str, float]:
    def best(path: tuple[str, ...], pick: Any, among: Sequence[str] = ()) -> float | None:
        found = [
            value
            for spec, row in one.items()
            if not spec.startswith(US) and (not among or spec.partition(":")[0] in among)
            if (value := _of(row, *path)) is not None
        ]
        return pick(found) if found else None

    drain, bulk, single = COLUMNS["drain/s"], COLUMNS["bulk/s"], COLUMNS["enqueue/s"]
    redis_us, p50, p99 = COLUMNS["Redis us"], COLUMNS["p50 ms"], COLUMNS["p99 ms"]
    asked = {
        "drain, one job of many tasks": ("tasks", drain, best(drain, max)),
        "drain, many jobs of one task": ("jobs", drain, best(drain, max)),
        "drain, one task a turn": ("k1", drain, best(drain, max)),
        "bulk, one job of many tasks": ("tasks", bulk, best(bulk, max)),
        "bulk, many jobs of one task": ("jobs", bulk, best(bulk, max)),
        "single enqueue, to huey": ("jobs", single, best(single, max, ("huey",))),
        "single enqueue, to the best that keeps a record": ("jobs", single, best(single, max, KEEP_A_RECORD)),
        "start p50": ("jobs", p50, best(p50, min)),
        "start p99": ("jobs", p99, best(p99, min)),
        "Redis CPU, one job of many tasks": ("tasks", redis_us, best(redis_us, min, ACKNOWLEDGE)),
        "Redis CPU, many jobs of one task": ("jobs", redis_us, best(redis_us, min, ACKNOWLEDGE)),
    }
    found = {}
    for name, (variant, path, peer) in asked.items():
        mine = _of(one.get(f"{US}:{variant}", {}), *path)
        if mine is not None and peer:
            found[name] = mine / peer
    idle = _middle(_of(row, "idle", "worker_cpu_pct") for spec, row in one.items() if spec.startswith(US))
    return {**found, "idle, % of a core": idle} if idle is not None else found


GOALS = {
    "drain, one job of many tasks": ">= 5",
    "drain, many jobs of one task": ">= 5",
    "drain, one task a turn": ">= 1.2",
    "bulk, one job of many tasks": ">= 5",
    "bulk, many jobs of one task": ">= 5",
    "single enqueue, to huey": ">= 1.0",
    "single enqueue, to the best that keeps a record": ">= 1.2",
    "start p50": "<= 1.2",
    "start p99": "<= 0.8",
    "Redis CPU, one job of many tasks": "<= 0.5",
    "Redis CPU, many jobs of one task": "<= 0.5",
    "idle, % of a core": "<= 0.5",
}


def verdict(rounds: Sequence[Round]) -> str:
    """Ours to the best peer, with the goal and how far the rounds lie apart."""
    middle = ratios(rounds)
    each = [_goals(one) for one in rounds]
    lines = ["", "| ours / best peer | median | rounds | goal |", "|---|---|---|---|"]
    for name, value in middle.items():
        seen = [one[name] for one in each if name in one]
        lines.append(f"| {name} | {value:g} | {min(seen):.2f} to {max(seen):.2f} | {GOALS[name]} |")
    return "\n".join(lines)
