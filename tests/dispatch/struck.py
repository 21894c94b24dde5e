"""A process that kills itself (SIGKILL) at a named moment: a pool, somebody who submits, or the follower."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.dispatch.things import CLOCK, FAST, started, step_until, wish
from vidprocme.dispatch.control import Control
from vidprocme.dispatch.follower import follow, rebuild
from vidprocme.library.blobs import BlobStore, open_blobs
from vidprocme.library.index import SqliteIndex
from vidprocme.processes import failpoint
from vidprocme.queue.redis import RedisQueue

At = Callable[[str], None]


def pool(queue: RedisQueue, blobs: BlobStore, at: At) -> None:
    """Works to the end."""
    with started(queue, blobs, slots=2, config=replace(FAST, beat_ms=50), at=at) as made:
        step_until(made, lambda: not queue.jobs(active=True))


def forgotten(queue: RedisQueue, blobs: BlobStore, at: At) -> None:
    """Taken for dead amid its work, so that it has to join again."""
    with started(queue, blobs, slots=2, config=replace(FAST, beat_ms=50), at=at) as made:
        step_until(made, lambda: made.busy == 2)
        queue.free_dead(queue.pools()[0].id)
        step_until(made, lambda: not queue.jobs(active=True))


def drained(queue: RedisQueue, blobs: BlobStore, at: At) -> None:
    """Told to stop amid its work, and to hand it back."""
    with started(queue, blobs, slots=2, config=FAST, at=at) as made:
        step_until(made, lambda: made.busy == 2)
        made.drain()
        made.step(0)
        made.hand_back()
        made.run(lambda: False)


def submit(queue: RedisQueue, _blobs: BlobStore, at: At) -> None:
    Control(queue, CLOCK, at).submit(*wish())


def anew(queue: RedisQueue, _blobs: BlobStore, at: At) -> None:
    source, recipe = wish()
    (known,) = queue.jobs()
    Control(queue, CLOCK, at).anew(source, recipe, known.job.id)


def index(queue: RedisQueue, blobs: BlobStore, at: At) -> None:
    made = SqliteIndex(Path(sys.argv[3]) / "index.sqlite")
    rebuild(queue, blobs, made, at=at)
    made.set_last_event(queue.oldest_event() or "")  # everything since the first one is followed once more
    while follow(queue, blobs, made, block_ms=0, at=at):
        pass


if __name__ == "__main__":
    _, url, prefix, folder, who, point = sys.argv
    doing = {"pool": pool, "forgotten": forgotten, "drained": drained, "submit": submit, "anew": anew, "index": index}
    doing[who](RedisQueue.connect(url, prefix=prefix), open_blobs(f"{folder}/blobs"), failpoint(point))
