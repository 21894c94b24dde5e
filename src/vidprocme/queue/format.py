"""Which form of records a queue holds, so that one that another vidprocme wrote is refused and not misread."""

from __future__ import annotations

import contextlib
from typing import Any

import redis

from vidprocme.core.errors import Fatal
from vidprocme.queue.keys import Keys

FORMAT = "2"  # of the hashes and the stream that lua/_lib.lua describes; a change that old scripts would misread is a new one


def examine(client: Any, keys: Keys, where: str) -> None:
    """Mark a new queue with our form; refuse one of another.

    Raises:
        Fatal: QUEUE_FORMAT. redis-py's exceptions when the server is out of reach.
    """
    key = keys.of("format")
    # A server that is full, takes no writes, or is not whole yet, says so by itself when work is brought.
    with contextlib.suppress(redis.ResponseError):
        form = client.get(key) or _form_of_records(client, keys)
        if form not in ("", FORMAT):
            raise Fatal(
                "QUEUE_FORMAT",
                f"The queue at {where} holds records of form {form}; this vidprocme writes form {FORMAT}.",
                "Let the version that wrote them finish what is queued, or use another data folder (or database of the server).",
                {"form": form, "ours": FORMAT},
            )
        client.set(key, FORMAT, nx=True)


def _form_of_records(client: Any, keys: Keys) -> str:
    """Of a queue without a mark: there was none in the first form, and a server that lost its data has lost it."""
    for job in client.zrange(keys.of("jobs"), 0, 0):
        for task in client.lrange(keys.job_tasks(job), 0, 0):
            return FORMAT if client.hexists(keys.task(task), "sort") else "1"
    return ""
