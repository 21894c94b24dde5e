"""Attempts that are really run: an index of nothing, one that hangs on a file that never answers, frames for the demo model."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
from imageio_ffmpeg import get_ffmpeg_exe

from scripts.drawn import Scene, Thing, caption, jpeg, picture
from vidprocme.core.ids import AttemptId, JobId, TaskId, attempt_id, task_id
from vidprocme.core.job import Artifact, Attempt, Job, Limits, Outcome, OutcomeKind, Recipe, Source, Stage, Task
from vidprocme.core.resources import Need, Place, PlaceKind, Resources
from vidprocme.core.wire import to_wire
from vidprocme.executor.base import Executor, Finished, Report
from vidprocme.executor.local import LocalExecutor
from vidprocme.library.blobs import open_blobs
from vidprocme.library.frames_zip import pack
from vidprocme.stages.context import StageSettings

CPU, MODEL = "here/cpu", "here/cpu-model"
CORE = Resources(cpu_milli=1000)
PLACES = (
    Place(CPU, "here", PlaceKind.CPU, Resources(cpu_milli=4000), slots=4),
    Place(MODEL, "here", PlaceKind.CPU_MODEL, Resources()),
)
NUMBER = itertools.count(1)
SCENE = Scene("dark", (Thing(4, "red", "circle", "large"),))


def settings(root: Path) -> StageSettings:
    return StageSettings(str(root / "blobs"), str(root / "cache"), str(root), get_ffmpeg_exe())


def local(root: Path, **more: Any) -> LocalExecutor:
    return LocalExecutor(PLACES, to_wire(settings(root)), root / "scratch", model_threads=1, **more)


# Root may always fork; somebody else, of whom nobody else is, may not.
SOMEBODY = ["setpriv", f"--reuid={1_000_000 + os.getpid()}"] if os.getuid() == 0 else []


def limited_python(root: Path) -> str:
    """An interpreter whose limits count. As root it runs as somebody else, who may read and write every file."""
    if not SOMEBODY:
        return sys.executable
    script = root / "limited-python"
    caps = "--inh-caps=+dac_override --ambient-caps=+dac_override"
    script.write_text(f'#!/bin/sh\nexec {" ".join(SOMEBODY)} {caps} "{sys.executable}" "$@"\n')
    script.chmod(0o755)
    return str(script)


def allow(process: psutil.Process, limit: str, most: int) -> None:
    """Set one soft limit of a process that `limited_python` runs: nproc, nofile."""
    subprocess.run([*SOMEBODY, "prlimit", "--pid", str(process.pid), f"--{limit}={most}:"], check=True)


def attempt(
    stage: Stage,
    payload: dict[str, Any] | None = None,
    *,
    place: str = CPU,
    inputs: dict[TaskId, Outcome] | None = None,
    source: Source | None = None,
    limits: Limits | None = None,
    model: str | None = None,
) -> Attempt:
    number = next(NUMBER)
    source = source or Source("file:///nowhere/goat.mp4", "goat.mp4", "ab" * 32, 1000, 5)
    job = Job(JobId(f"job_{number}"), source, Recipe(model=model))
    task = Task(
        task_id(job.id, stage, 0),
        job.id,
        stage,
        0,
        payload or {},
        (Need(PlaceKind.CPU, CORE),),
        limits=limits or Limits(),
        model=model,
    )
    return Attempt(attempt_id(task.id, number), task, job, 1, number, place, CORE, inputs or {})


def captions_of(*artifacts: Artifact) -> dict[TaskId, Outcome]:
    """Inputs of an index attempt: one describe outcome for each captions.json."""
    return {
        TaskId(f"job_0:describe:{number}"): Outcome(OutcomeKind.OK, {}, (artifact,))
        for number, artifact in enumerate(artifacts)
    }


def hanging(root: Path, limits: Limits | None = None) -> Attempt:
    """An index attempt whose input is a pipe that nobody writes: it waits for ever, as for a disk that does not answer."""
    blobs = open_blobs(str(root / "blobs"))
    artifact = blobs.put_bytes(f"never read {next(NUMBER)}".encode(), "captions.json")
    path = blobs.local_path(artifact.sha256)
    assert path is not None
    path.unlink()
    os.mkfifo(path)
    return attempt(Stage.INDEX, inputs=captions_of(artifact), limits=limits)


def describing(root: Path, prompt: str = "Describe this frame.") -> Attempt:
    """One drawn frame for the demo model."""
    root.mkdir(exist_ok=True)
    still, archive = root / "still.jpg", root / "frames.zip"
    still.write_bytes(jpeg(picture(SCENE, 320, 180), 320, 180, get_ffmpeg_exe()))
    pack([("a.jpg", still)], archive)
    zipped = open_blobs(str(root / "blobs")).put_file(archive, "frames.zip")
    payload = {"frames": {"zip": zipped.sha256, "frames": [["0/1", "a.jpg"]]}, "prompt": prompt}
    return attempt(Stage.DESCRIBE, payload, place=MODEL, model="demo")


def words_of(root: Path, outcome: Outcome) -> list[str]:
    data = open_blobs(str(root / "blobs")).read(outcome.manifest[0].sha256)
    return [item["text"] for item in json.loads(data)]


EXPECTED = caption(SCENE)


def ended(executor: Executor, *attempts: Attempt, within_s: float = 60) -> dict[AttemptId, Outcome]:
    """Poll until all of these have ended; none may end twice, and no other may."""
    found: dict[AttemptId, Outcome] = {}
    wanted = {one.id for one in attempts}
    deadline = time.monotonic() + within_s
    while found.keys() != wanted:
        assert time.monotonic() < deadline, f"still running: {wanted - found.keys()}"
        for report in executor.poll(1.0):
            if isinstance(report, Finished):
                assert report.attempt in wanted and report.attempt not in found
                found[report.attempt] = report.outcome
    return found


def outcome_of(executor: Executor, one: Attempt, within_s: float = 60) -> Outcome:
    return ended(executor, one, within_s=within_s)[one.id]


def poll_until(executor: Executor, true: Callable[[], object], within_s: float = 30) -> list[Report]:
    """Poll in small steps until something is so. Returns what was reported meanwhile."""
    reports: list[Report] = []
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "waited for nothing"
        reports += executor.poll(0.02)
    return reports


def workers(executor: LocalExecutor) -> list[psutil.Process]:
    """The processes that the fork server started."""
    assert executor._server is not None
    return psutil.Process(executor._server.pid).children()


def family(executor: LocalExecutor) -> list[psutil.Process]:
    """The fork server and everything under it."""
    assert executor._server is not None
    server = psutil.Process(executor._server.pid)
    return [server, *server.children(recursive=True)]


def waits_in_pipe(executor: LocalExecutor, count: int = 1) -> Callable[[], Sequence[psutil.Process]]:
    """A condition: so many workers run, and each of them stands in its pipe (wait_for_partner of the kernel's FIFO)."""

    def standing() -> list[psutil.Process]:
        found = workers(executor)
        return found if len(found) == count and all(_in_pipe(one.pid) for one in found) else []

    return standing


def _in_pipe(pid: int) -> bool:
    # Past its imports and its signal handlers, the worker sleeps; before that it runs.
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
        catches = int(Path(f"/proc/{pid}/status").read_text().split("SigCgt:")[1].split()[0], 16)
    except (OSError, IndexError):
        return False
    return text.rpartition(")")[2].split()[0] == "S" and bool(catches & (1 << 14))
