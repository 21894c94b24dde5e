"""Nothing is lost: kill -9 of attempts, pools, the server and Redis, alone and together, while work runs and a submit is on its way.

    python -m benchmarks kills [--trials 500] [--seed 1] [--victim NAME] [--work DIR]

One data folder, one API server as `vidprocme up` starts it, two pools (`vidprocme worker`), the embedded Redis; small real videos
through the whole pipeline, without captions. A trial: a video is submitted over HTTP; when at least one of its attempts runs,
another one is sent, and the victim is killed before the answer has come. Then whoever died is started again as a supervisor would
(two pools: the killed one only when its tasks run again beside the other), and the trial ends when every job has ended. Counted
from the queue's events and from the files: what was accepted and is lost, what happened twice, what finished and was done again.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import random
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import running
from benchmarks.ground import PATIENCE_S, POOLS, Ground, Sums, until
from benchmarks.ledger import fate_of
from benchmarks.running import attempts_of, kill, processes_of, redis_of
from vidprocme.core.errors import Retryable
from vidprocme.core.ids import JobId
from vidprocme.core.job import JobState
from vidprocme.queue.check import examine

# Of twenty trials: who is killed. `several`: two or more of them at once; `all`: every process of the data folder.
VICTIMS = ("attempt",) * 5 + ("pool",) * 5 + ("server",) * 3 + ("redis",) * 4 + ("several",) * 2 + ("all",)
ANSWER_AFTER_S = 0.015  # the kill comes at a random moment within this, while the submit is on its way
TRIES_MOST = 20  # to find the submit still on its way
GOAL_MS = 5_000
FORGET_EVERY = 20


@dataclass(slots=True)
class Trial:
    """What was killed, and what became of it. Times in ms from the kill; of `all` from the restart."""

    number: int
    victim: str
    killed: int = 0  # processes
    attempts_running: int = 0
    in_flight: bool = False
    accepted: int = 0
    unanswered: int = 0  # submits that were cut off: those that came in all the same must end too
    again_ms: list[int] = field(default_factory=list)
    wall_s: float = 0.0
    faults: list[str] = field(default_factory=list)


# -- one trial -------------------------------------------------------------------------------------------------------
def trial(ground: Ground, number: int, victim: str) -> Trial:
    made = Trial(number, victim)
    began_s, before = time.monotonic(), len(ground.accepted)
    ground.await_ready()
    clip = ground.long if number % 3 == 0 else ground.short
    for _ in range(TRIES_MOST):
        until(lambda: ground.submit(clip), "a submit", PATIENCE_S)
        until(lambda: ground.read() and ground.ledger.running(), "an attempt that runs", PATIENCE_S, 0.002)
        if _strike(ground, made, victim, ground.busy_pool()):
            break
    else:
        made.faults.append("no kill: every submit was answered first")
    killed_ms = made.again_ms.pop() if made.again_ms else round(time.time() * 1000)
    try:
        until(ground.all_ended, "every job to end", PATIENCE_S)
    except TimeoutError:
        made.faults.append("stuck: not every job ended")
        ground.sums.stuck += len(_or_nothing(lambda: ground.queue.jobs(active=True)))
    made.again_ms = ground.ledger.again_ms(killed_ms)
    made.accepted = len(ground.accepted) - before
    _judge(ground, made, ground.accepted[before:])
    made.wall_s = round(time.monotonic() - began_s, 2)
    return made


def _strike(ground: Ground, made: Trial, victim: str, pool: str) -> bool:
    """Send one more video, and kill while it is on its way. False: the answer came first, or nothing ran any more.

    Leaves the moment that is counted from (ms since the epoch, as the server has it) in made.again_ms.
    """
    answered = threading.Event()
    sent: list[JobId | None] = []

    def send() -> None:
        sent.append(ground.submit(ground.short))
        answered.set()

    held = [pool] if victim == "pool" else list(ground.services.services) if victim == "all" else []
    thread = threading.Thread(target=send)
    with ground.services.holding(*held):
        thread.start()
        answered.wait(ground.rng.uniform(0, ANSWER_AFTER_S))
        targets = _targets(ground, victim, pool)
        ground.read()
        made.attempts_running = len(ground.ledger.running())
        if answered.is_set() or not targets or not made.attempts_running:
            thread.join()
            return False
        at_ms = round(time.time() * 1000)
        made.killed, made.in_flight = kill(*targets), not answered.is_set()
        if not made.killed:  # it had ended by itself
            thread.join()
            return False
        if victim == "all":
            running.end_all(ground.data)
            at_ms = round(time.time() * 1000)  # counted from the restart, which comes now
        elif victim == "pool":
            _beside_the_other(ground, pool, at_ms)
    thread.join()
    made.unanswered = sent.count(None)
    made.again_ms = [at_ms]
    return True


def _beside_the_other(ground: Ground, pool: str, at_ms: int) -> None:
    """Wait until what the killed pool ran runs again, or ends, in the living one."""

    def taken_over() -> bool:
        alive = {info.id for info in ground.queue.pools() if info.pid in pids}
        return ground.read() and all(span.holder in alive for span in ground.ledger.running() if span.covers(at_ms))

    pids = {service.pid for name, service in ground.services.services.items() if name != pool}
    with contextlib.suppress(TimeoutError):  # it is seen in the figures
        until(taken_over, "the tasks of the killed pool", 20, 0.01)


def _targets(ground: Ground, victim: str, pool: str) -> list[Any]:
    services, pids = ground.services.services, {}
    for name in services:
        pids[name] = services[name].pid
    attempts = [process for name in POOLS for process in attempts_of(pids[name])]
    match victim:
        case "attempt":
            return ground.rng.sample(attempts, 1) if attempts else []
        case "pool":
            return [pids[pool]]
        case "server":
            return [pids["server"]]
        case "redis":
            return [redis_of(ground.data)]
        case "several":
            some = [*attempts[:1], pids[pool], pids["server"], redis_of(ground.data)]
            return ground.rng.sample(some, ground.rng.randint(2, len(some)))
    return list(processes_of(ground.data))


def _or_nothing(call: Callable[[], Sequence[Any]]) -> Sequence[Any]:
    try:
        return call()
    except Retryable:
        return ()


def _judge(ground: Ground, made: Trial, jobs: Sequence[JobId]) -> None:
    """Everything that was promised, looked up."""
    ledger, sums = ground.ledger, ground.sums
    for job in jobs:
        fate = fate_of(ground.queue, ground.house.blobs, job)
        sums.accepted += 1
        if fate.state is not JobState.SUCCEEDED or not fate.whole:
            sums.lost += 1
            made.faults.append(f"lost: {job} is {fate.state}; whole: {fate.whole}; unsettled {fate.unsettled}")
        if fate.missing:
            sums.missing += len(fate.missing)
            made.faults.append(f"missing: {job} names what is not there: {fate.missing}")
    for name, tasks, known in (
        ("doubled", ledger.doubled, sums.doubled),
        ("redone", ledger.redone, sums.redone),
        ("poison", ledger.poison, sums.poison),
    ):
        if len(tasks) > known:
            made.faults.append(f"{name}: {tasks[known:]}")
            setattr(sums, name, len(tasks))
    sums.redone_chunks = ledger.redone_chunks
    if made.number % FORGET_EVERY == 0:  # so that a walk over all keys stays short
        for view in ground.queue.jobs(limit=10_000):
            while not ground.queue.forget(view.job.id):
                pass
            ledger.forget(view.job.id)
    report = examine(ground.queue)
    sums.findings += len(report.findings)
    made.faults += [f"finding: {finding}" for finding in report.findings]


# -- all of them -----------------------------------------------------------------------------------------------------
def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks kills", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--victim", choices=sorted(set(VICTIMS)), help="this one only")
    parser.add_argument("--work", type=Path, help="keep everything here (default: a temporary folder)")
    options = parser.parse_args(argv)
    rng = random.Random(options.seed)
    folder = options.work or Path(tempfile.mkdtemp(prefix="kills-"))
    folder.mkdir(parents=True, exist_ok=True)
    ground = Ground(folder, rng)
    began_s, trials = time.monotonic(), list[Trial]()
    try:
        ground.start()
        for number in range(1, options.trials + 1):
            at = (number - 1) % len(VICTIMS)
            if at == 0:
                order = rng.sample(VICTIMS, len(VICTIMS))
            trials.append(trial(ground, number, options.victim or order[at]))
            _tell(trials, options.trials, began_s)
    finally:
        ground.house.close()
        ground.services.stop()
        ground.listener.close()
    wall_s = round(time.monotonic() - began_s, 1)
    sound = not any(made.faults for made in trials)
    document = {
        "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "seed": options.seed},
        "wall_s": wall_s,
        "sums": asdict(ground.sums),
        "victims": summary(trials),
        "trials": [asdict(made) for made in trials],
    }
    print(table(trials, ground.sums, wall_s))
    print(json.dumps({"kills": document}))
    if not options.work and sound:
        shutil.rmtree(folder, ignore_errors=True)
    elif not sound:
        print(f"kept for a look: {folder}", file=sys.stderr)
    return 0 if sound else 1


def _tell(trials: Sequence[Trial], wanted: int, began_s: float) -> None:
    made = trials[-1]
    left_s = (time.monotonic() - began_s) / len(trials) * (wanted - len(trials))
    again = f"again after {max(made.again_ms)} ms" if made.again_ms else ""
    text = f"{made.number:>4}/{wanted}  {made.victim:<8} {made.wall_s:5.1f} s  {again:<24} {left_s / 60:5.1f} min left"
    print(text, file=sys.stderr, flush=True)
    for fault in made.faults:
        print(f"      {fault}", file=sys.stderr, flush=True)


def summary(trials: Sequence[Trial]) -> dict[str, dict[str, Any]]:
    """By victim: trials, processes killed, submits cut off, and how soon what was cut off ran again."""
    found: dict[str, dict[str, Any]] = {}
    for victim in dict.fromkeys(VICTIMS):
        mine = [made for made in trials if made.victim == victim]
        if not mine:
            continue
        again = sorted(ms for made in mine for ms in made.again_ms)
        found[victim] = {
            "trials": len(mine),
            "share": round(len(mine) / len(trials), 3),
            "in_flight": sum(made.in_flight for made in mine),
            "killed": sum(made.killed for made in mine),
            "unanswered": sum(made.unanswered for made in mine),
            "attempts_cut_off": len(again),
            "again_ms_median": round(statistics.median(again)) if again else None,
            "again_ms_worst": again[-1] if again else None,
            "again_over_goal": sum(ms > GOAL_MS for ms in again),
            "faults": sum(len(made.faults) for made in mine),
        }
    return found


def table(trials: Sequence[Trial], sums: Sums, wall_s: float) -> str:
    """The results for people, at 80 columns."""
    lines = [
        f"{'victim':<9} {'trials':>6} {'killed':>7} {'on its way':>10} {'cut off':>8} {'again ms':>9} {'worst':>7} {'faults':>7}"
    ]
    for victim, row in summary(trials).items():
        median, worst = (row[name] if row[name] is not None else "-" for name in ("again_ms_median", "again_ms_worst"))
        cells = f"{row['trials']:>6} {row['killed']:>7} {row['in_flight']:>10} {row['attempts_cut_off']:>8}"
        lines.append(f"{victim:<9} {cells} {median:>9} {worst:>7} {row['faults']:>7}")
    counted = Counter(made.victim for made in trials)
    lines += [
        "",
        f"{len(trials)} kills ({', '.join(f'{name} {n}' for name, n in counted.most_common())}) in {wall_s:g} s",
        f"accepted {sums.accepted}, lost {sums.lost}, done twice {sums.doubled}, done again {sums.redone} "
        f"(chunks {sums.redone_chunks})",
        f"artefacts missing {sums.missing}, stuck {sums.stuck}, poison {sums.poison}, findings {sums.findings}",
    ]
    return "\n".join(lines)
