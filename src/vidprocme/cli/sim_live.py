"""`vidprocme sim live`: the real server, queue and pools at work, on machines that are simulated: their attempts only wait."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from vidprocme.cli.sim_clips import make_clips
from vidprocme.config import load
from vidprocme.core.errors import BadWish, Fatal
from vidprocme.core.job import Source, TaskState
from vidprocme.simulator.people import Sent, sent
from vidprocme.wiring import House

UP_WITHIN_S, DOWN_WITHIN_S = 60.0, 15.0
LOOK_EVERY_S = 0.25
CORES = 8  # of each machine
OF_A_HOUSE = ("VIDPROCME_REDIS_URL", "VIDPROCME_BLOBS", "VIDPROCME_JOURNAL")
_SHOWN = (TaskState.RUNNING, TaskState.READY, TaskState.DELAYED, TaskState.DEAD, TaskState.FAILED, TaskState.SUCCEEDED)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is simulated. `rate`: videos sent in a second; 0: all at once."""

    nodes: int
    gpus: int
    jobs: int
    fail: float
    rate: float
    seed: int
    speed: float
    port: int
    ends: bool

    def node_names(self) -> list[str]:
        return [f"node-{'abcdefghijklmnopqrstuvwxyz'[number]}" for number in range(self.nodes)]

    def gpus_of(self, node: int) -> int:
        """All GPUs, dealt out among the machines."""
        return self.gpus // self.nodes + (node < self.gpus % self.nodes)


def share(text: str) -> float:
    """
    Raises:
        BadWish: SHARE_UNREADABLE.
    """
    try:
        value = float(text.rstrip("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise BadWish("SHARE_UNREADABLE", f"{text!r} is no share of the jobs.", "Say 3% or 0.03.")
    return value


def _environment(data: Path) -> dict[str, str]:
    """Of a house of its own: what says where the real one keeps its things is not handed on."""
    (data / "sim").mkdir(parents=True, exist_ok=True)
    settings = data / "sim" / "settings.toml"
    settings.touch()
    kept = {name: word for name, word in os.environ.items() if name not in OF_A_HOUSE}
    return {**kept, "VIDPROCME_DATA": str(data), "VIDPROCME_CONFIG": str(settings)}


def run(plan: Plan, data: Path | None) -> int:
    """Until everything has ended and `ends` was asked for, or somebody stops it. `data` None: a folder that goes again."""
    with contextlib.ExitStack() as stack:
        if data is None:
            data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vidprocme-sim-")))
        elif data.exists() and any(data.iterdir()) and not (data / "sim").exists():
            raise BadWish(
                "FOLDER_NOT_EMPTY", f"{data} holds other things.", "Name a new folder, or one of a simulation."
            )
        stack.enter_context(_stopped_by_signals())
        environment = _environment(data)
        # Backoffs are of real seconds: a simulation that goes ten times as fast should not wait for them as long.
        environment.setdefault("VIDPROCME_LOG_LEVEL", "error")  # what fails here fails on purpose
        environment["VIDPROCME_RETRY_LATER_S"] = str(max(1, round(30 / plan.speed)))
        house = stack.enter_context(House(load({"data": data}, environment)))
        if not (house.data / "sim" / "clips.json").exists():
            click.echo("Drawing the films that play the videos ...", err=True)
            make_clips(house.data / "sim", house.blobs, house.settings.ffmpeg or None)
        _ = house.queue
        children = _Children(environment)
        stack.callback(children.end)
        server = children.start("vidprocme", "up", "--no-pool", "--port", str(plan.port))
        url = _address(house.data, server)
        nodes = {}
        for number, name in enumerate(plan.node_names()):
            words = [name, "--gpus", str(plan.gpus_of(number)), "--cores", str(CORES), "--parent", str(os.getpid())]
            words += ["--fail", str(plan.fail), "--speed", str(plan.speed)]
            nodes[name] = children.start("vidprocme.cli.sim_node", *words)
        click.echo(url)
        click.echo(
            f"{plan.nodes} machines with {plan.gpus} GPUs, data in {house.data}. Ctrl-C ends all.\n"
            "Try: kill -9 " + " or ".join(f"{process.pid} ({name})" for name, process in list(nodes.items())[:2]),
            err=True,
        )
        with contextlib.suppress(KeyboardInterrupt):
            _work(plan, house, server)
    return 0


def _work(plan: Plan, house: House, server: subprocess.Popen[bytes]) -> None:
    started_s, number, said_s = time.monotonic(), 0, 0.0
    while server.poll() is None:
        now_s = time.monotonic()
        due = plan.jobs if not plan.rate else min(plan.jobs, int((now_s - started_s) * plan.rate) + 1)
        for _ in range(min(due - number, 50)):
            send(house, plan.seed, number)
            number += 1
        if now_s - said_s >= 1:
            said_s = now_s
            active = _say(plan, house, number)
            if plan.ends and number == plan.jobs and not active:
                return
        if number >= due:
            time.sleep(LOOK_EVERY_S)
    raise Fatal("SERVER_ENDED", "The server ended by itself.", "What it said stands above.")


def send(house: House, seed: int, number: int) -> None:
    """Submit the `number`th video as the door would."""
    one = sent(seed, number)
    recipe = house.recipe({"model": "demo"})
    house.control.submit(_source(seed, number, one), recipe, bin_=one.bin, tenant=one.tenant)


def _source(seed: int, number: int, one: Sent) -> Source:
    """A content of its own. Nobody reads it: its bytes are nowhere."""
    sha256 = hashlib.sha256(f"vidprocme sim {seed} {number} {one.bits}".encode()).hexdigest()
    return Source(f"blob:{sha256}", one.name, sha256, one.size_bytes)


def _say(plan: Plan, house: House, number: int) -> int:
    """The line of progress, where a person sees it. Returns how many jobs have not ended."""
    depth = house.queue.depth()
    tasks = (f"{count} {state}" for state in _SHOWN if (count := depth.by_state.get(state, 0)))
    line = (
        f"{number} of {plan.jobs} videos sent, {number - depth.jobs_active} ended; tasks: {', '.join(tasks) or 'none'}"
    )
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{line}", nl=False, err=True)
    return depth.jobs_active


def _address(data: Path, server: subprocess.Popen[bytes]) -> str:
    """Where the server answers, once it does."""
    deadline = time.monotonic() + UP_WITHIN_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        with contextlib.suppress(OSError, ValueError, LookupError):
            return str(json.loads((data / "server.json").read_text())["url"])
        time.sleep(0.05)
    raise Fatal("SERVER_ENDED", "The server did not start.", "What it said stands above.")


class _Children:
    """Processes of ours, all ended together. In sessions of their own: Ctrl-C is for us to answer."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", *words],
            env=self._environment,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=2,  # stdout is the address's
        )
        self._processes.append(process)
        return process

    def end(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + DOWN_WITHIN_S
        for process in self._processes:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """TERM ends it as Ctrl-C does."""

    def stop(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
