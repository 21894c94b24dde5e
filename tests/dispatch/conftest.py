"""One server for the room; a queue of its own for each test."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers import RedisServer
from vidprocme.library.blobs import BlobStore, open_blobs
from vidprocme.queue.redis import RedisQueue

NUMBER = itertools.count()

Connect = Callable[[], RedisQueue]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    made = RedisServer(tmp_path_factory.mktemp("dispatch-redis"))
    try:
        made.start()
        yield made
    finally:
        made.close()


@pytest.fixture
def connect(server: RedisServer) -> Iterator[Connect]:
    """Several queues that are one: same prefix, own connections."""
    prefix = f"{{d{next(NUMBER)}}}:"
    opened: list[RedisQueue] = []

    def one_more() -> RedisQueue:
        opened.append(RedisQueue.connect(server.url, prefix=prefix))
        return opened[-1]

    yield one_more
    for queue in opened:
        queue.close()


@pytest.fixture
def queue(connect: Connect) -> RedisQueue:
    return connect()


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return open_blobs(str(tmp_path / "blobs"))
