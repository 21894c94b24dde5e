"""A video with everything a pool publishes of it: real frames in a zip, renditions, captions. No pipeline runs for it."""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import httpx

from vidprocme.core.ids import JobId, VideoId, task_id
from vidprocme.core.job import Artifact, Job, Next, Outcome, OutcomeKind, Recipe, Source, Stage, Task
from vidprocme.core.media import MediaInfo, RenditionFile, VideoStream
from vidprocme.core.resources import Resources
from vidprocme.core.wire import to_wire
from vidprocme.library.frames_zip import pack
from vidprocme.queue.base import Claim, Settlement
from vidprocme.wiring import House

RENDITION = bytes(range(256)) * 1000
WIDTH_PX, HEIGHT_PX = 640, 360


def jpeg(brightness: int, noise: int = 0, seed: int = 1) -> bytes:
    """A gray picture, with stripes of this much more or less."""
    frame = av.VideoFrame(WIDTH_PX, HEIGHT_PX, "yuvj420p")
    rng = random.Random(seed)
    for plane, value in zip(frame.planes, (brightness, 128, 128), strict=True):
        swing = noise if plane is frame.planes[0] or plane.width == WIDTH_PX else 0
        rows = [bytes([max(0, min(255, value + rng.randint(-swing, swing)))]) * plane.line_size for _ in range(9)]
        plane.update(b"".join(rows[y * 9 // plane.height] for y in range(plane.height)))
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = WIDTH_PX, HEIGHT_PX, "yuvj420p", Fraction(1, 25)
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


def shelve(
    house: House,
    folder: Path,
    pictures: Sequence[bytes],
    words: Sequence[str] = (),
    *,
    name: str = "clip.mp4",
    content: str = "1",
    tenant: str = "default",
    heights: Sequence[int] = (360,),
    job_id: str = "",
    every: Fraction = Fraction(1),
) -> VideoId:
    """A picture `every` so many seconds; `words`: their captions. Returns when everything is published."""
    job = Job(
        JobId(job_id or f"job_{content}"),
        Source("blob:x", name, hashlib.sha256(content.encode()).hexdigest(), 1000),
        replace(Recipe(), model="demo"),
        tenant=tenant,
        created_ms=house.queue.now_ms(),
    )
    tasks = [
        Task(task_id(job.id, stage, 0), job.id, stage, 0, {}, ())
        for stage in (Stage.PROBE, Stage.TRANSCODE, Stage.JOIN, *([Stage.DESCRIBE] if words else []))
    ]
    names = [f"{n:06d}.jpg" for n in range(len(pictures))]
    for name_, picture in zip(names, pictures, strict=True):
        (folder / name_).write_bytes(picture)
    pack([(name_, folder / name_) for name_ in names], folder / "frames.zip")
    picture_s = VideoStream(0, "h264", WIDTH_PX, HEIGHT_PX, WIDTH_PX, HEIGHT_PX, 0, "yuv420p", Fraction(1, 25), None)
    media = MediaInfo("mov", 1000, Fraction(len(pictures)), Fraction(0), 25 * len(pictures), True, picture_s)
    said = [{"time": str(n * every), "text": text, "model": "demo"} for n, text in enumerate(words)]
    files = [
        RenditionFile(f"{height}p", kept.sha256, height * 16 // 9, height, 25, Fraction(1), len(RENDITION))
        for height in heights
        for kept in [house.blobs.put_bytes(RENDITION + str(height).encode(), f"{height}p.mp4")]
    ]
    archive = house.blobs.put_file(folder / "frames.zip", "frames.zip")
    outcomes: dict[Stage, tuple[dict[str, object], tuple[Artifact, ...]]] = {
        Stage.PROBE: ({"media": to_wire(media)}, ()),
        Stage.TRANSCODE: ({"frames": [[str(n * every), name_] for n, name_ in enumerate(names)]}, (archive,)),
        Stage.JOIN: ({"renditions": [to_wire(file) for file in files]}, ()),
        Stage.DESCRIBE: ({}, (house.blobs.put_bytes(json.dumps(said).encode(), "captions.json"),)),
    }
    house.queue.submit(job, tasks)
    for task in tasks:
        result, manifest = outcomes[task.stage]
        settle(house, task, Outcome(OutcomeKind.OK, dict(result), manifest))
    return job.video


def settle(house: House, task: Task, outcome: Outcome) -> None:
    claims = [Claim(task.id, "node/cpu", Resources())]
    (claimed,) = house.queue.turn("pool_test", [], claims, lease_ms=60_000).claimed
    house.queue.turn("pool_test", [Settlement(claimed.lease, Next.SUCCEED, outcome)], [], lease_ms=60_000)


def listed(client: httpx.Client, count: int, **query: str) -> list[dict[str, object]]:
    """The list of videos, when the follower has seen that many."""
    deadline = time.monotonic() + 20
    while True:
        items: list[dict[str, object]] = client.get("/v1/videos", params=query).json()["items"]
        if len(items) == count and all(item["state"] != "queued" for item in items):
            return items
        assert time.monotonic() < deadline, items
        time.sleep(0.01)
