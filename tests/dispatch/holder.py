"""A pool in a process of its own, of one place with four cores, that says what it holds places for, and is then killed."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace

from tests.dispatch.things import FAST, started
from vidprocme.library.blobs import open_blobs
from vidprocme.queue.redis import RedisQueue

queue = RedisQueue.connect(sys.argv[1], prefix=sys.argv[2])
config = replace(FAST, presence_ms=600, turn_every_s=0.05)
with tempfile.TemporaryDirectory() as folder, started(queue, open_blobs(folder), config=config) as pool:
    print(pool._pool.id, flush=True)
    pool.run(lambda: False)
