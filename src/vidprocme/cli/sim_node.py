"""One machine of `vidprocme sim live`: a pool of its own process, whose attempts only wait.

python -m vidprocme.cli.sim_node NAME --gpus N ... (started by `sim live`; a kill -9 of it is a machine that dies)
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from vidprocme.cli.sim_clips import packer, read_clips
from vidprocme.config import load
from vidprocme.core.job import Attempt, Outcome
from vidprocme.core.resources import Place, PlaceKind, Resources
from vidprocme.executor.telling import tell_end, writer
from vidprocme.executor.timed import TimedExecutor
from vidprocme.monitor.logs import set_up
from vidprocme.simulator.acting import Act, Actor
from vidprocme.wiring import House

PR_SET_PDEATHSIG = 1


def places(node: str, *, cores: int, gpus: int) -> tuple[Place, ...]:
    whole = Resources(gpu_milli=1000, gpus=1)
    cpu = Place(f"{node}/cpu", node, PlaceKind.CPU, Resources(cpu_milli=cores * 1000), slots=cores)
    return (cpu, *(Place(f"{node}/gpu:{number}", node, PlaceKind.GPU, whole) for number in range(gpus)))


class _Told:
    """Plays attempts, and writes their logs as their processes would."""

    def __init__(self, actor: Actor, data: Path) -> None:
        self._actor, self._data = actor, data

    def begin(self, attempt: Attempt) -> Act:
        act = self._actor.act(attempt)
        task, log = attempt.task, writer(attempt, str(self._data), scratch=Path("/nowhere"))
        log.lines(
            f"attempt {attempt.id}: {task.stage} {task.index} of {attempt.job.source.name}, try {attempt.number} of "
            f"{task.limits.tries}, on {attempt.place}" + (f", with {task.model}" if task.model else "")
        )
        log.lines(f"simulated: nothing is worked on here, it is only waited for {act.wait_s:.1f} s")
        return act

    def end(self, attempt: Attempt, outcome: Outcome) -> None:
        tell_end(writer(attempt, str(self._data), scratch=Path("/nowhere")), outcome)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m vidprocme.cli.sim_node")
    parser.add_argument("name")
    parser.add_argument("--gpus", type=int, required=True)
    parser.add_argument("--cores", type=int, required=True)
    parser.add_argument("--fail", type=float, required=True, help="share of jobs that meet trouble, 0..1")
    parser.add_argument("--speed", type=float, required=True)
    parser.add_argument("--parent", type=int, required=True, help="end when this process ends")
    options = parser.parse_args(argv)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != options.parent:
        sys.exit(0)
    settings = load()
    set_up(settings.log_level)
    asked = 0

    def ask(_number: int, _frame: object) -> None:
        nonlocal asked
        asked += 1

    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    with House(settings) as house, tempfile.TemporaryDirectory(prefix="vidprocme-sim-") as scratch:
        folder = house.data / "sim"
        pack = packer(folder, Path(scratch), house.blobs)
        told = _Told(Actor(read_clips(folder), house.blobs.put_bytes, pack, options.fail, options.speed), house.data)
        here = places(options.name, cores=options.cores, gpus=options.gpus)
        with house.pool(executor=TimedExecutor(here, told.begin, told.end)) as pool:
            pool.run(lambda: asked > 0)


if __name__ == "__main__":
    main()
