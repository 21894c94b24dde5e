"""A user of the embedded server in a process of its own: says the server's pid, then waits to be killed or told to go."""

from __future__ import annotations

import sys
from pathlib import Path

from vidprocme.queue import embedded
from vidprocme.queue.redis import RedisQueue

with embedded.open(Path(sys.argv[1])) as server:
    queue = RedisQueue.connect(server.url, ours=True)
    print(queue.command("INFO", "server")["process_id"], flush=True)
    sys.stdin.readline()
    queue.close()
