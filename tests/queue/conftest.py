"""Servers and queues for this room's tests."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from tests.servers import RedisServer, any_binary, own_binary, system_binaries
from vidprocme.queue.binaries import Binary
from vidprocme.queue.redis import RedisQueue

OWN, SYSTEM = own_binary(), system_binaries()
BINARIES = [
    *([pytest.param(OWN, id=f"own-{OWN.version}")] if OWN else []),
    *(pytest.param(b, id=f"{b.name}-{b.version}", marks=pytest.mark.system_redis) for b in SYSTEM),
]
NUMBER = itertools.count()

Connect = Callable[[], RedisQueue]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs a server on the PATH when there is none, unless `-m` names it: then its absence is an error."""
    if SYSTEM or "system_redis" in str(config.getoption("markexpr")):
        return
    left_out = [item for item in items if item.get_closest_marker("system_redis")]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


@pytest.fixture(scope="session")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One server for tests to which any version is good."""
    yield from _served(tmp_path_factory, any_binary())


@pytest.fixture(scope="session", params=BINARIES)
def redis_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Each server in reach, one after another. Tests share it: use a prefix of your own."""
    yield from _served(tmp_path_factory, request.param)


def _served(factory: pytest.TempPathFactory, binary: Binary) -> Iterator[RedisServer]:
    server = RedisServer(factory.mktemp("redis"), binary)
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def connect(redis_server: RedisServer) -> Iterator[Connect]:
    """A way to get several queues that are one: same server, same prefix, own connections."""
    prefix = f"{{t{next(NUMBER)}}}:"
    opened: list[RedisQueue] = []

    def one_more() -> RedisQueue:
        opened.append(RedisQueue.connect(redis_server.url, prefix=prefix))
        return opened[-1]

    yield one_more
    for queue in opened:
        queue.close()


@pytest.fixture
def queue(connect: Connect) -> RedisQueue:
    return connect()
