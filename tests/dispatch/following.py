"""A process that follows, until it is killed."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from vidprocme.dispatch.follower import Follower
from vidprocme.library.blobs import open_blobs
from vidprocme.library.index import SqliteIndex
from vidprocme.processes import failpoint
from vidprocme.queue.redis import RedisQueue

url, prefix, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
queue = RedisQueue.connect(url, prefix=prefix)
blobs = open_blobs(str(folder / "blobs"))
at = failpoint(os.environ.get("VIDPROCME_FAILPOINT", ""))
Follower(
    lambda: queue, lambda: blobs, lambda: SqliteIndex(folder / "index.sqlite"), folder / "follower.lock", at
).start()
threading.Event().wait()
