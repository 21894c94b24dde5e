"""A queue that another vidprocme wrote is refused in words, and stays as it is."""

from __future__ import annotations

import pytest

from tests.queue.things import submitted
from tests.servers import RedisServer
from vidprocme.core.errors import Fatal
from vidprocme.queue.format import FORMAT
from vidprocme.queue.redis import RedisQueue

PREFIX = "{form}:"


@pytest.mark.parametrize("form", ["1", "3"])
def test_another_form_is_refused(own_server: RedisServer, form: str) -> None:
    queue = RedisQueue.connect(own_server.url, prefix=PREFIX)
    try:
        submitted(queue)
        queue.command("SET", f"{PREFIX}format", form)
        with pytest.raises(Fatal, match=f"records of form {form}; this vidprocme writes form {FORMAT}") as refused:
            RedisQueue.connect(own_server.url, prefix=PREFIX)
        assert refused.value.code == "QUEUE_FORMAT" and queue.depth().jobs_active == 1
    finally:
        queue.client.flushall()
        queue.close()


def test_a_queue_is_marked_once_and_taken_again(own_server: RedisServer) -> None:
    for _ in range(2):
        queue = RedisQueue.connect(own_server.url, prefix="{mark}:")
        assert queue.command("GET", "{mark}:format") == FORMAT
        queue.close()


def test_without_a_mark_the_records_tell(own_server: RedisServer) -> None:
    """The first form had no mark; a server that lost its data while a pool lived has lost it, too."""
    queue = RedisQueue.connect(own_server.url, prefix="{lost}:")
    try:
        _, probe = submitted(queue)
        queue.command("DEL", "{lost}:format")
        RedisQueue.connect(own_server.url, prefix="{lost}:").close()
        assert queue.command("GET", "{lost}:format") == FORMAT

        queue.command("DEL", "{lost}:format")
        queue.command("HDEL", queue.keys.task(probe.id), "sort")
        with pytest.raises(Fatal, match="records of form 1"):
            RedisQueue.connect(own_server.url, prefix="{lost}:")
    finally:
        queue.client.flushall()
        queue.close()
