"""What is told of the server, from real troubles of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.queue.things import submitted
from tests.servers import RedisServer
from vidprocme.core.errors import Retryable
from vidprocme.queue.redis import RedisQueue


@pytest.fixture
def server(redis_server: RedisServer, tmp_path: Path) -> Iterator[RedisServer]:
    """One of each version, for this test alone."""
    made = RedisServer(tmp_path, redis_server.binary)
    try:
        made.start()
        yield made
    finally:
        made.close()


def test_a_server_that_cannot_write_keeps_nothing_until_it_can_again(server: RedisServer) -> None:
    queue = RedisQueue.connect(server.url)
    assert queue.server().keeps

    server.limit_disk(0)
    with pytest.raises(Retryable) as caught:
        for _ in range(1000):  # the write after the one that failed is refused
            submitted(queue)
    assert caught.value.code == "QUEUE_DISK"
    info = queue.server()
    assert (info.writes_ok, info.keeps, info.persistence) == (False, False, "aof no")

    server.limit_disk(None)
    for _ in range(100):
        if queue.server().keeps:
            break
        queue.await_work(0.1)
    assert queue.server().keeps
    queue.close()


def test_a_server_without_files_keeps_nothing(server: RedisServer) -> None:
    queue = RedisQueue.connect(server.url)
    queue.client.config_set("appendonly", "no")
    queue.client.config_set("save", "")

    info = queue.server()
    assert (info.persistence, info.writes_ok, info.keeps) == ("none", True, False)
    queue.close()


def test_its_limit_is_told(server: RedisServer) -> None:
    queue = RedisQueue.connect(server.url)
    assert queue.server().limit_bytes == 0
    queue.client.config_set("maxmemory", "64mb")

    assert queue.server().limit_bytes == 64 << 20
    queue.close()
