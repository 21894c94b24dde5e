"""A pool in a process of its own that writes its journal, and is then killed."""

from __future__ import annotations

import sys
import tempfile

from tests.dispatch.things import started
from vidprocme.dispatch.journal_files import recording
from vidprocme.library.blobs import open_blobs
from vidprocme.queue.redis import RedisQueue

queue = RedisQueue.connect(sys.argv[1], prefix=sys.argv[2])
with (
    tempfile.TemporaryDirectory() as folder,
    recording(sys.argv[3], 64, "pool_A") as (record, renew),
    started(queue, open_blobs(folder), record=record, renew=renew) as pool,
):
    print("started", flush=True)
    pool.run(lambda: False)
