"""`python -m benchmarks api`: how fast the server answers many clients, and how late events are, while videos are processed.

A data folder of its own with the embedded Redis, the server and a pool (two cores, ffmpeg without a pause on clips of 720p), and so many jobs
that wait in a paused bin. First `--clients` in a closed loop, each asking a route of MIX, then thinking a second; then `--streams` listeners
of /v1/events while jobs come in at `--events` events a second. At the end the server is told to stop with all streams open.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import psutil

from benchmarks import running
from benchmarks.ground import spread, until
from benchmarks.running import Services, follows, listening
from vidprocme.config import load
from vidprocme.core.ids import JobId
from vidprocme.core.job import Bin, Job, Recipe, Source, Stage, Task
from vidprocme.core.resources import Need, PlaceKind, Resources
from vidprocme.queue.base import NewJob
from vidprocme.transcoder.binary import find
from vidprocme.wiring import House

# Route and how often of ten: what an open dashboard and a script ask.
MIX = (
    ("/v1/overview", 2),
    ("/v1/nodes", 2),
    ("/v1/jobs?limit=50", 2),
    ("/v1/jobs/{job}", 1),
    ("/v1/bins", 1),
    ("/v1/series?minutes=60&by=stage", 1),
    ("/v1/version", 1),
)
THINK_S = 1.0
BATCH = 500


def main(argv: Sequence[str]) -> int:
    options = _parser().parse_args(argv)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    with (
        tempfile.TemporaryDirectory(prefix="vidprocme-api-", ignore_cleanup_errors=True) as folder,
        listening() as listener,
    ):
        data = Path(folder) / "data"
        services = Services(data, Path(folder) / "log.txt")
        fd = listener.fileno()
        server = services.add("server", "vidprocme.api.server", "--fd", str(fd), fds=(fd,))
        services.add("pool", "vidprocme", "worker", "--cores", "2")
        with House(load({"data": data}, {})) as house:
            try:
                ids = _seed(house, options.jobs)
                services.start()
                until(house.queue.pools, "the pool", 60)
                port = listener.getsockname()[1]
                until(lambda: _get(port, "/readyz"), "the server", 60)
                if not options.at_once:
                    until(lambda: follows(house), "the lists", 1200)
                _videos(house, Path(folder))
                told = asyncio.run(_measure(options, house, port, ids, server))
            finally:
                services.over = True
                running.end_all(data, 0)
    told |= {"jobs": options.jobs, "clients": options.clients, "streams": options.streams}
    print(json.dumps({"api": told}))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks api", description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--at-once", action="store_true", help="while the new server still makes its lists of them")
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--events", type=int, default=40, help="a second")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each part")
    return parser


def _seed(house: House, count: int) -> list[JobId]:
    """Jobs that wait, in a bin that is paused."""
    house.queue.pause(Bin.BULK)
    needs = (Need(PlaceKind.CPU, Resources(cpu_milli=1000)),)
    made = []
    for number in range(count):
        job = Job(
            JobId(f"job_{number:08d}"),
            Source(f"file:///{number}", f"{number}.mp4", f"{number:064x}", 10),
            Recipe(),
            bin=Bin.BULK,
        )
        made.append(NewJob(job, [Task(f"{job.id}:probe:0", job.id, Stage.PROBE, 0, {}, needs, bin=Bin.BULK)]))  # type: ignore[arg-type]
    for at in range(0, count, BATCH):
        house.queue.submit_many(made[at : at + BATCH])
    return [one.job.id for one in made]


def _videos(house: House, folder: Path) -> None:
    """Work for both cores that outlasts the measurement."""
    path = folder / "clip.mp4"
    words = [
        find().path,
        "-nostdin",
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        "testsrc2=s=1280x720:r=25:d=25",
        "-c:v",
        "libx264",
    ]
    subprocess.run([*words, "-preset", "ultrafast", str(path)], check=True)
    source = house.source_of(path)
    for crf in range(18, 48):
        house.control.submit(source, house.recipe({"model": "none", "crf": str(crf), "video_preset": "slow"}))


def _get(port: int, path: str) -> bool:
    import httpx

    with suppress(httpx.HTTPError):
        return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=5, trust_env=False).status_code == 200
    return False


async def _measure(
    options: argparse.Namespace, house: House, port: int, ids: list[JobId], server: running.Service
) -> dict[str, object]:
    until_s = time.monotonic() + options.seconds
    asking = asyncio.gather(*(_ask(port, ids, until_s) for _ in range(options.clients)))
    working = await asyncio.to_thread(_working, house, until_s)
    took = [one for some in await asking for one in some]
    by_route = {route: spread([ms for name, ms in took if name == route]) for route, _ in MIX}
    assert server.pid is not None
    process = psutil.Process(server.pid)
    before = process.memory_info().rss
    lags: list[float] = []
    heard = [0] * options.streams
    streams = [asyncio.create_task(_hear(port, n, lags, heard)) for n in range(options.streams)]
    await asyncio.sleep(3)
    lags.clear()
    cpu = process.cpu_times()
    submitting = threading.Thread(target=_submit, args=(house, options.events, options.seconds))
    submitting.start()
    while submitting.is_alive():
        await asyncio.sleep(0.2)
    await asyncio.sleep(2)
    spent = process.cpu_times()
    after, told = process.memory_info().rss, len(lags)
    server.held = True
    stopped_s = time.monotonic()
    process.send_signal(signal.SIGTERM)
    await asyncio.to_thread(server.process.wait, 30)  # type: ignore[union-attr]
    stop_s = time.monotonic() - stopped_s
    await asyncio.gather(*streams)
    return {
        "requests": len(took),
        "working": working,
        "all_ms": spread([ms for _, ms in took]),
        "routes_ms": by_route,
        "lag_ms": spread(lags),
        "delivered": told,
        "unequal": len(set(heard)) - 1,
        "rss_mb": [round(before / 1e6), round(after / 1e6)],
        "stream_cpu_s": round(spent.user + spent.system - cpu.user - cpu.system, 1),
        "stop_s": round(stop_s, 2),
    }


def _working(house: House, until_s: float) -> float:
    """How many tasks run meanwhile, on average."""
    counts = []
    while time.monotonic() < until_s:
        counts.append(len(house.queue.running()))
        time.sleep(1)
    return round(sum(counts) / len(counts), 2)


async def _ask(port: int, ids: list[JobId], until_s: float) -> list[tuple[str, float]]:
    """One client; milliseconds from its request to the last byte of the answer."""
    rng, found = random.Random(), []
    routes, weights = zip(*MIX, strict=True)
    await asyncio.sleep(rng.random() * THINK_S)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.monotonic() < until_s:
        (route,) = rng.choices(routes, weights)
        began = time.perf_counter()
        writer.write(f"GET {route.format(job=rng.choice(ids))} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head.split(b"\r\n", 1)[0]:
            raise RuntimeError(f"{route}: {head[:200]!r}")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.split(b":")[1]))
        found.append((route, (time.perf_counter() - began) * 1000))
        await asyncio.sleep(THINK_S)
    writer.close()
    return found


async def _hear(port: int, number: int, lags: list[float], heard: list[int]) -> None:
    """One stream: how much later than it happened each event came, in milliseconds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    writer.write(b"GET /v1/events?topics=jobs HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    while line := await reader.readline():
        if line.startswith(b"data: {") and b'"at":"' in line:
            at = line.split(b'"at":"', 1)[1].split(b'"', 1)[0].decode()
            lags.append((time.time() - datetime.fromisoformat(at).timestamp()) * 1000)
            heard[number] += 1
    writer.close()


def _submit(house: House, per_s: int, seconds: float) -> None:
    """Two events each: submitted, ready."""
    needs = (Need(PlaceKind.CPU, Resources(cpu_milli=1000)),)
    began = time.monotonic()
    for number in range(int(per_s * seconds / 2)):
        job = Job(
            JobId(f"job_late{number:06d}"),
            Source("file:///late", "late.mp4", f"{number:064x}", 10),
            Recipe(),
            bin=Bin.BULK,
        )
        house.queue.submit(job, [Task(f"{job.id}:probe:0", job.id, Stage.PROBE, 0, {}, needs, bin=Bin.BULK)])  # type: ignore[arg-type]
        time.sleep(max(0.0, began + 2 * (number + 1) / per_s - time.monotonic()))
