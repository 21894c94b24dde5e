"""A pool process for test_local: an executor with a warm engine and an ffmpeg at work, then nothing more; it waits to be killed."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
from imageio_ffmpeg import get_ffmpeg_exe

from tests.executor.things import attempt, describing, ended, local, outcome_of, poll_until
from vidprocme.core.ids import attempt_id
from vidprocme.core.job import Attempt, Recipe, Source, Stage
from vidprocme.core.media import MediaInfo
from vidprocme.core.resources import Resources
from vidprocme.core.wire import from_wire, index_from_bytes
from vidprocme.executor.local import LocalExecutor
from vidprocme.library.blobs import open_blobs
from vidprocme.planner.graph import plan_after_probe

root = Path(sys.argv[1])


def clip() -> Source:
    """Half a minute of moving picture."""
    path = root / "clip.mp4"
    words = ["-v", "error", "-f", "lavfi", "-i", "testsrc2=s=1280x720:r=25:d=20"]
    words += ["-c:v", "libx264", "-preset", "ultrafast", "-g", "25"]
    subprocess.run([get_ffmpeg_exe(), *words, str(path)], check=True, stdin=subprocess.DEVNULL)
    stat = path.stat()
    return Source(f"file://{path}", path.name, "cd" * 32, stat.st_size, stat.st_mtime_ns)


def transcoding(executor: LocalExecutor) -> Attempt:
    """A chunk that takes this machine long: the slowest preset."""
    probe = attempt(Stage.PROBE, source=clip())
    executor.submit(probe)
    found = outcome_of(executor, probe)
    assert found.error is None, found.error
    media = from_wire(MediaInfo, found.result["media"])
    index = index_from_bytes(open_blobs(str(root / "blobs")).read(found.manifest[0].sha256))
    job = replace(probe.job, recipe=Recipe(renditions=("720p",), video_preset="veryslow"))
    task = plan_after_probe(job, probe.task.id, media, index)[0]
    return Attempt(
        attempt_id(task.id, 999),
        task,
        job,
        1,
        999,
        probe.place,
        Resources(cpu_milli=1000),
        {probe.task.id: found},
    )


executor = local(root)
executor.start()
describe = describing(root)
executor.submit(describe)
ended(executor, describe)
executor.submit(transcoding(executor))
below = psutil.Process()


def ffmpeg_works() -> bool:
    return any("veryslow" in " ".join(_words(process)) for process in below.children(recursive=True))


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


poll_until(executor, ffmpeg_works)
print("ready", flush=True)
while True:
    executor.poll(10)
