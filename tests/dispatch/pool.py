"""A pool in a process of its own that says when it is busy, and is then killed."""

from __future__ import annotations

import sys
import tempfile

from tests.dispatch.things import started, step_until
from vidprocme.dispatch.pace import LoopConfig
from vidprocme.library.blobs import open_blobs
from vidprocme.queue.redis import RedisQueue

HOUR_MS = 3_600_000
queue = RedisQueue.connect(sys.argv[1], prefix=sys.argv[2])
config = LoopConfig(lease_ms=HOUR_MS, beat_ms=HOUR_MS, presence_ms=HOUR_MS)
with tempfile.TemporaryDirectory() as folder, started(queue, open_blobs(folder), config=config) as pool:
    step_until(pool, lambda: pool.busy == 2)
    print("busy", flush=True)
    pool.run(lambda: False)
