"""Sends a drawn video to a running server and wants the true captions back: does a deployment do what it is for?

    .venv/bin/python -m scripts.smoke http://127.0.0.1:8484

Each run draws a video that the server has never seen, from a seed that is printed: one that it knows would come back without a
single worker. The pools must have the demo model, which is part of the package. Exit status 1 names what did not come back.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import httpx
import imageio_ffmpeg

from scripts.drawn import random_scenes
from scripts.make_sample import MISREAD, Shown, make, plan

SCENES, SIZE, FPS = 8, (640, 360), Fraction(10)
RENDITION = "360p"
# Of 250 seeds (1000 to 1249) the demo model read all 8 scenes right for 238, and 7 for the other 12.
LEAST_RIGHT = 0.75


def faults(job: Mapping[str, Any], captions: str, shown: Sequence[Shown]) -> list[str]:
    """What is wrong with an ended job's document and its captions.vtt; empty when all came back."""
    if job["state"] != "succeeded":
        return [f"the job is {job['state']}: {json.dumps(job['error'] or job['troubles'])}"]
    found = [f"less than was wished for: {sentence}" for sentence in job["degraded"]]
    if [rendition["name"] for rendition in job["renditions"]] != [RENDITION]:
        found.append(f"renditions are {job['renditions']}, wanted was {RENDITION}")
    spoken = {caption["frame_pts_s"]: caption["text"] for caption in job["captions"]}
    right = sum(spoken.get(float(item.start)) == item.caption for item in shown)
    if right < LEAST_RIGHT * len(shown):
        found.append(f"{right} of {len(shown)} captions are what was drawn: {json.dumps(spoken)}")
    if captions.count(" --> ") != len(spoken) or any(text not in captions for text in spoken.values()):
        found.append(f"captions.vtt does not hold the job's {len(spoken)} captions")
    return found


def take_through(client: httpx.Client, clip: Path, limit_s: float) -> tuple[Mapping[str, Any], str]:
    """Submit the clip and wait; the ended job's document and its captions as WebVTT, empty when it has none.

    Raises:
        TimeoutError: it has not ended after `limit_s` seconds. The message says why it waits.
        httpx.HTTPError: the server refused, or is not there.
    """
    wish = {"model": "demo", "renditions": RENDITION, "bin": "urgent"}
    with clip.open("rb") as file:
        job = client.post("/v1/videos", data=wish, files={"file": (clip.name, file)}).raise_for_status().json()["id"]
    deadline = time.monotonic() + limit_s
    while (document := client.get(f"/v1/jobs/{job}").raise_for_status().json())["ended_at"] is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{job} has not ended after {limit_s:g} s; it waits: {json.dumps(document['waiting'])}")
        time.sleep(0.5)
    if document["captions_url"] is None:
        return document, ""
    film = client.get(document["renditions"][0]["url"]).raise_for_status().content if document["renditions"] else b""
    if document["renditions"] and len(film) != document["renditions"][0]["bytes"]:
        raise httpx.HTTPError(f"the film has {len(film)} bytes, said were {document['renditions'][0]['bytes']}")
    return document, client.get(document["captions_url"]).raise_for_status().text


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Take a drawn video through a running server.")
    parser.add_argument("url", help="of the server, such as http://127.0.0.1:8484")
    parser.add_argument(
        "--seed",
        type=int,
        default=time.time_ns() // 1_000_000,
        help="of the drawn video; default: from the clock, since one that the server knows is done already",
    )
    parser.add_argument("--limit-s", type=float, default=300.0)
    options = parser.parse_args(argv)
    started = time.monotonic()
    shown = plan(random_scenes(options.seed, SCENES, skip=MISREAD), options.seed, FPS, Fraction(1))
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "smoke.mp4"
        make(clip, shown, size=SIZE, fps=FPS, seed=options.seed, ffmpeg=imageio_ffmpeg.get_ffmpeg_exe())
        try:
            # A proxy of the environment is not for a server of ours.
            with httpx.Client(base_url=options.url, timeout=60.0, trust_env=False) as client:
                document, captions = take_through(client, clip, options.limit_s)
        except (httpx.HTTPError, TimeoutError) as error:
            print(f"smoke: {options.url} (seed {options.seed}): {error}", file=sys.stderr)
            return 1
    wrong = faults(document, captions, shown)
    for fault in wrong:
        print(f"smoke: {options.url} (seed {options.seed}): {fault}", file=sys.stderr)
    if wrong:
        return 1
    took_s = time.monotonic() - started
    print(
        f"smoke: {document['id']} came back with {len(document['captions'])} captions, "
        f"{took_s:.1f} s (seed {options.seed})"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
