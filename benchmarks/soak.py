"""Hours of bad luck: small real videos through `vidprocme up` and a second pool, while somebody kills at random.

    python -m benchmarks soak [--minutes 10] [--kill-every 4] [--seed 1] [--model none|demo] [--work DIR]
    python -m benchmarks soak --short        # 40 s of it, for CI

Killed with SIGKILL, one after another at random moments: an attempt's process, ffmpeg, a fork server, a pool, the API server, the
supervisor of `up`, Redis, the keeper of Redis, and now and then everything at once. `up` and the second pool are started again as a
service manager would; the rest is theirs. At the end nobody kills any more, all jobs are waited for, and what was accepted is
compared with what became of it, and the blobs with what the manifests name.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks import running
from benchmarks.ground import PATIENCE_S, WISH, Ground, until
from benchmarks.ledger import fate_of
from vidprocme.core.errors import Retryable
from vidprocme.queue.check import examine

# By a word on the command line; what a pool or `up` is, is asked of its parent.
VICTIMS = ("attempt", "ffmpeg", "fork server", "pool", "server", "supervisor", "redis", "keeper", "everything")
WEIGHTS = (5, 3, 2, 4, 3, 1, 3, 2, 1)
UNFINISHED_MOST = 6
UPLOADED = "blob:"
END_S = 180.0  # for the last jobs, when nobody kills any more


@dataclass(slots=True)
class Result:
    minutes: float
    kills: dict[str, int] = field(default_factory=dict)
    accepted: int = 0
    unanswered: int = 0  # submits that were cut off: what came in all the same had to end too
    ended: int = 0  # jobs, those included
    finished_once: int = 0
    lost: int = 0
    doubled: int = 0
    redone: int = 0
    stuck: int = 0
    poison: int = 0
    attempts_lost: int = 0
    missing: list[str] = field(default_factory=list)  # named by a manifest or a job, and not stored
    orphans: list[str] = field(default_factory=list)  # stored, and named by none: a killed attempt's, or an upload's
    stored: int = 0
    left_by_gc: int = 0  # stored, and named by none, after `vidprocme gc` two hours later
    findings: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        bad = (
            self.lost,
            self.doubled,
            self.redone,
            self.stuck,
            self.poison,
            self.missing,
            self.findings,
            self.left_by_gc,
        )
        return not any(bad) and self.finished_once == self.ended >= self.accepted


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks soak", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--kill-every", type=float, default=4, metavar="S", help="seconds between kills, on average")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", choices=("none", "demo"), default="none")
    parser.add_argument("--short", action="store_true", help="40 s with a kill every 3 s")
    parser.add_argument("--work", type=Path, help="keep everything here (default: a temporary folder)")
    options = parser.parse_args(argv)
    minutes, every_s = (40 / 60, 3.0) if options.short else (options.minutes, options.kill_every)
    folder = options.work or Path(tempfile.mkdtemp(prefix="soak-"))
    folder.mkdir(parents=True, exist_ok=True)
    ground = _ground(folder, random.Random(options.seed), options.model)
    result = Result(minutes)
    try:
        ground.start()
        _kill_and_feed(ground, result, minutes * 60, every_s)
        _settle(ground, result)
    finally:
        ground.house.close()
        ground.services.stop()
        ground.listener.close()
    print(table(result))
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "seed": options.seed}
    print(json.dumps({"machine": machine, "soak": asdict(result) | {"sound": result.sound}}))
    if result.sound and not options.work:
        shutil.rmtree(folder, ignore_errors=True)
    elif not result.sound:
        print(f"kept for a look: {folder}", file=sys.stderr)
    return 0 if result.sound else 1


def _ground(folder: Path, rng: random.Random, model: str) -> Ground:
    """`up` with its pool, and a second one beside it, on one data folder."""
    ground = Ground(folder, rng, wish=WISH | {"model": model})
    ground.services.services.clear()
    port = ground.listener.getsockname()[1]
    ground.listener.close()
    ground.listener = socket.socket()  # the port is `up`'s from now on
    gpus = ["--sim-gpus", "1"] if model != "none" else []
    ground.services.add("up", "vidprocme", "up", "--port", str(port), "--cores", "2", *gpus)
    ground.services.add("pool-b", "vidprocme", "worker", "--cores", "2")
    return ground


def _kill_and_feed(ground: Ground, result: Result, length_s: float, every_s: float) -> None:
    over = threading.Event()
    feeders = [threading.Thread(target=_feed, args=(ground, result, over, number)) for number in range(2)]
    for feeder in feeders:
        feeder.start()
    began_s = time.monotonic()
    try:
        while (passed_s := time.monotonic() - began_s) < length_s:
            time.sleep(ground.rng.uniform(0.3, 1.7) * every_s)
            victim = ground.rng.choices(VICTIMS, WEIGHTS)[0]
            hit = strike(ground, victim)
            result.kills[victim] = result.kills.get(victim, 0) + bool(hit)
            with contextlib.suppress(Retryable):
                ground.ledger.read(ground.queue)
            left_s = max(0.0, length_s - passed_s)
            text = f"{passed_s:6.0f} s  killed {victim if hit else 'nobody':<12} accepted {len(ground.accepted):>4}"
            print(f"{text}  ended {len(ground.ledger.ended):>4}  {left_s:5.0f} s left", file=sys.stderr, flush=True)
    finally:
        over.set()
        for feeder in feeders:
            feeder.join(PATIENCE_S)


def _feed(ground: Ground, result: Result, over: threading.Event, number: int) -> None:
    """Submit small videos, one after another, as long as only a few are unfinished."""
    sent = number
    while not over.is_set():
        try:
            unfinished = len(ground.queue.jobs(active=True))
        except Retryable:
            unfinished = UNFINISHED_MOST
        if unfinished >= UNFINISHED_MOST:
            over.wait(0.1)
            continue
        sent += 1
        if ground.submit(ground.long if sent % 3 == 0 else ground.short) is None:
            result.unanswered += 1
            over.wait(0.2)


def strike(ground: Ground, victim: str) -> int:
    """SIGKILL to one process of that kind, or to all there are; how many were hit."""
    everyone = running.processes_of(ground.data)
    if victim == "everything":
        return running.kill(*everyone)
    of_kind = [process for process in everyone if kind_of(process) == victim]
    return running.kill(ground.rng.choice(of_kind)) if of_kind else 0


def kind_of(process: psutil.Process) -> str:
    """What a process of the data folder is, by its command line; an attempt has its fork server's, and it as its parent."""
    try:
        words = process.cmdline()
        line = " ".join(words)
        if "vidprocme.executor.forkserver" in line:
            parent = process.parent()
            forked = parent is not None and "vidprocme.executor.forkserver" in " ".join(parent.cmdline())
            return "attempt" if forked else "fork server"
        name = process.name()
    except (psutil.Error, OSError):
        return "gone"
    if name.startswith("ffmpeg"):
        return "ffmpeg"
    if "redis" in name or "valkey" in name:  # it names itself after its socket: the kernel has its program's name
        return "redis"
    marks = {
        "vidprocme.queue.keeper": "keeper",
        "vidprocme.api.server": "server",
        " worker": "pool",
        " up ": "supervisor",
        "vidprocme.vision.engine": "engine",
    }
    return next((kind for mark, kind in marks.items() if mark in line), "other")


# -- what became of it -----------------------------------------------------------------------------------------------
def _settle(ground: Ground, result: Result) -> None:
    """Wait for the last jobs, then count."""
    try:
        until(ground.all_ended, "every job to end", END_S, 0.2)
    except TimeoutError:
        result.stuck = len(ground.queue.jobs(active=True))
    until(ground.read, "the diary", PATIENCE_S)
    named: set[str] = set()
    views = ground.queue.jobs(limit=1_000_000)
    known = {view.job.id for view in views}
    result.lost = len(set(ground.accepted) - known)
    result.accepted, result.ended = len(ground.accepted), sum(view.ended_ms is not None for view in views)
    for view in views:
        fate = fate_of(ground.queue, ground.house.blobs, view.job.id)
        result.attempts_lost += fate.attempts_lost
        result.finished_once += fate.good
        named |= fate.named
        uri = view.job.source.uri
        if uri.startswith(UPLOADED):
            named.add(uri.removeprefix(UPLOADED))
    ledger = ground.ledger
    result.doubled, result.redone, result.poison = len(ledger.doubled), len(ledger.redone), len(ledger.dead)
    stored = {blob.sha256 for blob in ground.house.blobs.stored()}
    result.stored = len(stored)
    result.missing, result.orphans = sorted(named - stored), sorted(stored - named)
    result.left_by_gc = len(_collected(ground) ^ named)
    result.findings = [str(finding) for finding in examine(ground.queue).findings]


def _collected(ground: Ground) -> set[str]:
    """What is stored after `vidprocme gc`, as if all of it had been put two hours ago."""
    hours_ago_s = time.time() - 2 * 3600
    for path in (ground.data / "blobs").glob("??/*"):
        os.utime(path, (hours_ago_s, hours_ago_s))
    words = [sys.executable, "-m", "vidprocme", "gc", "--older", "1h", "--json"]
    subprocess.run(words, env=running.environment(ground.data), stdout=subprocess.DEVNULL, check=True)
    return {blob.sha256 for blob in ground.house.blobs.stored()}


def table(result: Result) -> str:
    """The results for people, at 80 columns."""
    kills: Mapping[str, Any] = {name: result.kills[name] for name in VICTIMS if result.kills.get(name)}
    lines = [
        f"{result.minutes:.1f} minutes, {sum(result.kills.values())} kills:",
        *(f"  {name:<12} {count:>4}" for name, count in kills.items()),
        f"submitted {result.accepted} (and {result.unanswered} cut off), ended {result.ended}",
        f"finished once {result.finished_once}, lost {result.lost}, doubled {result.doubled}, stuck {result.stuck}",
        f"done again {result.redone}, set aside {result.poison}, attempts lost on the way {result.attempts_lost}",
        f"blobs {result.stored}: missing {len(result.missing)}, named by none {len(result.orphans)}; after gc {result.left_by_gc}",
        f"findings of the walk over all keys: {len(result.findings)}",
        "sound" if result.sound else "NOT SOUND",
    ]
    return "\n".join([*lines, *(f"  {text}"[:80] for text in (*result.missing, *result.findings)[:20])])
