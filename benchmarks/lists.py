"""`python -m benchmarks lists`: do lists, counts and searches stay quick beside a hundred thousand jobs and as many videos?

A data folder of its own with the embedded Redis and the server. First the server of an empty house is asked; then so many jobs are put in
(in three bins and twenty tenants, some of them cancelled), with a row in the index, captions and a title for each, and the same is asked again
while a writer makes job events (submitted, ready, moved, cancelled). `--clients` in a closed loop without a pause, a route of ROUTES after
another. At the end a filter that all jobs fit is given to a bulk verb's dry run, and others ask meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from benchmarks import running
from benchmarks.ground import spread, until
from benchmarks.running import Services, follows, listening
from vidprocme.config import load
from vidprocme.core.ids import JobId, task_id
from vidprocme.core.job import Bin, Job, Recipe, Source, Stage, Task
from vidprocme.core.media import Caption
from vidprocme.core.resources import Need, PlaceKind, Resources
from vidprocme.library.base import Note, VideoRecord
from vidprocme.library.notes import VIDEO_NOTES, VideoNote
from vidprocme.queue.base import NewJob
from vidprocme.wiring import House

ROUTES = {
    "jobs, newest": "/v1/jobs?limit=50",
    "jobs, page after page": "/v1/jobs?limit=50&cursor={jobs}",
    "jobs by name": "/v1/jobs?sort=name&limit=50",
    "jobs, running": "/v1/jobs?state=running&state=queued&limit=50",
    "jobs, cancelled, of a tenant": "/v1/jobs?state=cancelled&tenant=tenant-3&sort=-ended_at&limit=50",
    "jobs, q": "/v1/jobs?q=clip-{number}&limit=50",
    "videos, newest": "/v1/videos?limit=50",
    "videos, page after page": "/v1/videos?limit=50&cursor={videos}",
    "videos, cancelled": "/v1/videos?state=cancelled&limit=50",
    "videos, tag": "/v1/videos?tag=dock&limit=50",
    "videos, q": "/v1/videos?q=clip-{number}&limit=50",
    "search": "/v1/search?q={word}&limit=20",
    "overview": "/v1/overview",
    "bins": "/v1/bins",
    "job": "/v1/jobs/{job}",
}
WORDS = [
    "man",
    "dog",
    "door",
    "truck",
    "night",
    "crate",
    "rain",
    "forklift",
    "yellow",
    "corridor",
    "ladder",
    "bench",
    "window",
    "cable",
    "helmet",
    "pallet",
]
NEEDS = (Need(PlaceKind.CPU, Resources(cpu_milli=1000)),)
TENANTS, CANCELLED, TITLED = 20, 10, 20  # every so manieth
BATCH = 500


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks lists", description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--events", type=int, default=200, help="a second")
    parser.add_argument("--seconds", type=float, default=40.0, help="of each part")
    options = parser.parse_args(argv)
    with (
        tempfile.TemporaryDirectory(prefix="vidprocme-lists-", ignore_cleanup_errors=True) as folder,
        listening() as listener,
    ):
        data, fd = Path(folder) / "data", listener.fileno()
        services = Services(data, Path(folder) / "log.txt")
        services.add("server", "vidprocme.api.server", "--fd", str(fd), fds=(fd,))
        with House(load({"data": data}, {})) as house:
            try:
                told = _measured(options, house, services, listener.getsockname()[1])
            finally:
                services.over = True
                running.end_all(data, 0)
    print(_table(told))
    print(json.dumps({"lists": {**vars(options), **told}}))
    return 0


def _measured(options: argparse.Namespace, house: House, services: Services, port: int) -> dict[str, object]:
    house.queue.pause(Bin.BULK)
    seed(house, 200)
    services.start()
    until(lambda: asyncio.run(_status(port, "/readyz")) == 200, "the server", 60)
    until(lambda: follows(house), "the follower", 60)
    describe(house, 200)
    idle = asyncio.run(_ask_all(port, options, options.seconds / 4))
    began_s = time.monotonic()
    seed(house, options.jobs, first=200)
    put_s = time.monotonic() - began_s
    until(lambda: follows(house), "the follower", 1200)
    followed_s = time.monotonic() - began_s
    describe(house, options.jobs, first=200)
    _say(f"{options.jobs} jobs put in within {put_s:.0f} s, all in the lists after {followed_s:.0f} s")
    over, lags = threading.Event(), list[float]()
    writers = [
        threading.Thread(target=_write, args=(house, options.events, over)),
        threading.Thread(target=_watch, args=(house, over, lags)),
    ]
    for one in writers:
        one.start()
    try:
        full = asyncio.run(_ask_all(port, options, options.seconds))
        bulk_s, beside = asyncio.run(_bulk(port))
    finally:
        over.set()
        for one in writers:
            one.join()
    return {
        "idle": idle,
        "full": full,
        "lag_ms": spread(lags),
        "followed_per_s": round(options.jobs * 2 / followed_s),
        "bulk_dry_run_s": round(bulk_s, 2),
        "beside_bulk_ms": spread(beside),
    }


# -- what there is ------------------------------------------------------------------------------------------------------
def seed(house: House, count: int, first: int = 0) -> None:
    """Jobs as clients submit them."""
    for at in range(first, count, BATCH):
        jobs = [job_of(number) for number in range(at, min(count, at + BATCH))]
        house.queue.submit_many([NewJob(job, [task_of(job)]) for job in jobs])
        for job in jobs[::CANCELLED]:
            house.queue.cancel(job.id)


def describe(house: House, count: int, first: int = 0) -> None:
    """What the index would say of their videos after a pipeline has run, written by its own functions."""
    notes = house.records(VIDEO_NOTES, VideoNote)
    with contextlib.closing(house.open_index()) as index:
        for number, job in enumerate(job_of(number) for number in range(first, count)):
            rng = random.Random(number)
            said = [
                Caption(Fraction(n), Fraction(n + 1), " ".join(rng.sample(WORDS, 3)), Fraction(n), "demo")
                for n in range(3)
            ]
            id_, source = job.video, job.source
            record = VideoRecord(
                id_,
                job.id,
                source.name,
                "queued",
                job.created_ms,
                Fraction(3),
                1280,
                720,
                {},
                job.tenant,
                source.size_bytes,
            )
            index.project(record, said, index.last_event())
            if number % TITLED == 0:
                note = VideoNote(f"Loading bay {number}", ("dock", f"cam {number % 7}"))
                notes.put(id_, note)
                index.note(id_, Note(note.title, note.tags))


def job_of(number: int, name: str = "clip") -> Job:
    source = Source(
        f"file:///{name}-{number}.mp4",
        f"{name}-{number}.mp4",
        hashlib.sha256(f"{name} {number}".encode()).hexdigest(),
        10_000 + number,
    )
    tenant = f"tenant-{number % TENANTS}"
    return Job(JobId(f"job_{name}{number:08d}"), source, Recipe(), Bin.BULK, tenant, 1_700_000_000_000 + number * 1000)


def task_of(job: Job) -> Task:
    return Task(task_id(job.id, Stage.PROBE, 0), job.id, Stage.PROBE, 0, {}, NEEDS, bin=job.bin, tenant=job.tenant)


def _write(house: House, per_s: int, over: threading.Event) -> None:
    """Three events a job: submitted, ready, cancelled."""
    began_s = time.monotonic()
    for number in range(1_000_000):
        job = job_of(number, "late")
        house.queue.submit(job, [task_of(job)])
        house.queue.cancel(job.id)
        if over.wait(max(0.0, began_s + 3 * (number + 1) / per_s - time.monotonic())):
            return


def _watch(house: House, over: threading.Event, lags: list[float]) -> None:
    """How far behind the newest event the table of jobs is, in ms, ten times a second."""
    with contextlib.closing(house.open_index()) as index:
        while not over.wait(0.1):
            newest, last = house.queue.newest_event() or "0-0", index.last_job_event()
            lags.append(max(0.0, int(newest.partition("-")[0]) - int(last.partition("-")[0])))


# -- who asks -----------------------------------------------------------------------------------------------------------
async def _ask_all(port: int, options: argparse.Namespace, seconds: float) -> dict[str, dict[str, float]]:
    until_s = time.monotonic() + seconds
    took: dict[str, list[float]] = {name: [] for name in ROUTES}
    await asyncio.gather(*(_client(port, n, until_s, took, options.jobs) for n in range(options.clients)))
    return {name: spread(values) for name, values in took.items()} | {
        "all": spread([one for values in took.values() for one in values])
    }


async def _client(port: int, seed: int, until_s: float, took: dict[str, list[float]], count: int) -> None:
    rng, cursors = random.Random(seed), {"jobs": "", "videos": ""}
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    for name in _shuffled(rng):
        if time.monotonic() > until_s:
            break
        number = rng.randrange(200)
        path = ROUTES[name].format(
            **cursors, number=rng.randrange(count), word=rng.choice(WORDS), job=job_of(number).id
        )
        path = path.removesuffix("&cursor=")
        began_s = time.perf_counter()
        status, body = await _get(reader, writer, path)
        took[name].append((time.perf_counter() - began_s) * 1000)
        if status != 200:
            raise RuntimeError(f"{path}: {status} {body[:300]!r}")
        kind = next((kind for kind in cursors if name == f"{kind}, page after page"), None)
        if kind is not None:
            cursors[kind] = json.loads(body)["next_cursor"] or ""
    writer.close()


def _shuffled(rng: random.Random) -> Iterator[str]:
    names = list(ROUTES)
    while True:
        rng.shuffle(names)
        yield from names


async def _bulk(port: int) -> tuple[float, list[float]]:
    """A dry run over all jobs, and what others wait for a job meanwhile (ms)."""
    body = json.dumps({"action": "cancel", "filter": {}, "dry_run": True}).encode()
    head = f"POST /v1/jobs:bulk HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began_s, beside = time.perf_counter(), list[float]()
    writer.write(head.encode() + body)
    answer = asyncio.create_task(_answer(reader))
    others = await asyncio.open_connection("127.0.0.1", port)
    while not answer.done():
        asked_s = time.perf_counter()
        await _get(*others, f"/v1/jobs/{job_of(1).id}")
        beside.append((time.perf_counter() - asked_s) * 1000)
    status, said = await answer
    if status != 200:
        raise RuntimeError(f"bulk: {status} {said[:300]!r}")
    for one in (writer, others[1]):
        one.close()
    return time.perf_counter() - began_s, beside


async def _get(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> tuple[int, bytes]:
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    return await _answer(reader)


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
    return int(head.split(b" ", 2)[1]), await reader.readexactly(length)


async def _status(port: int, path: str) -> int:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return 0
    status, _ = await _get(reader, writer, path)
    writer.close()
    return status


# -- telling --------------------------------------------------------------------------------------------------------------
def _table(told: dict[str, object]) -> str:
    idle, full = told["idle"], told["full"]
    assert isinstance(idle, dict) and isinstance(full, dict)
    lines = ["| asked | p50 ms | p95 | p99 | p50 of the small house | ratio |", "|---|---|---|---|---|---|"]
    for name, one in full.items():
        small = idle[name]["p50"]
        lines.append(
            f"| {name} | {one['p50']} | {one['p95']} | {one['p99']} | {small} | {one['p50'] / max(small, 0.1):.1f} |"
        )
    return "\n".join(lines)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
