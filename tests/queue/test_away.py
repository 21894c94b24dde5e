"""What real servers say that cannot serve for now: each is tried again, and none ends a pool."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.queue.things import new_job, submitted
from tests.servers import RedisServer
from vidprocme.core.errors import Retryable
from vidprocme.queue.redis import RedisQueue


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[RedisQueue]:
    """On a server of this test's own, to be hurt."""
    server = RedisServer(tmp_path / "redis")
    server.start()
    queue = RedisQueue.connect(server.url)
    yield queue
    queue.close()
    server.close()


def _alone(queue: RedisQueue) -> None:
    """No replica, where one is asked for: NOREPLICAS."""
    queue.command("CONFIG", "SET", "min-replicas-to-write", 1)


def _cut_off(queue: RedisQueue) -> None:
    """A replica that lost its master and may not answer from what it has: MASTERDOWN."""
    queue.command("CONFIG", "SET", "replica-serve-stale-data", "no")
    queue.command("REPLICAOF", "127.0.0.1", 1)


def _read_only(queue: RedisQueue) -> None:
    queue.command("REPLICAOF", "127.0.0.1", 1)


@pytest.mark.parametrize("hurt", [_alone, _cut_off, _read_only])
def test_a_server_without_its_others_is_unreachable_for_now(
    queue: RedisQueue, hurt: Callable[[RedisQueue], None]
) -> None:
    """By a script and by a plain command: redis-py cuts the word off the one answer and leaves it in the other."""
    job, _ = submitted(queue)
    hurt(queue)
    for call in (lambda: submitted(queue), lambda: queue.rebind_source(job.id, "file:///elsewhere.mp4", 1)):
        with pytest.raises(Retryable) as caught:
            call()
        assert caught.value.code == "QUEUE_UNREACHABLE"


def _cluster_port() -> int:
    """A free one whose bus port, 10,000 above it, can be."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = int(listener.getsockname()[1])
        if port < 55_000:
            return port


def test_a_cluster_that_is_down_or_moves_its_keys_is_unreachable_for_now(tmp_path: Path) -> None:
    """CLUSTERDOWN, MOVED, ASK and TRYAGAIN, as real nodes say them."""
    ports = _cluster_port(), _cluster_port()
    servers = [RedisServer(tmp_path / name) for name in ("one", "two")]
    queues: list[RedisQueue] = []

    def away(call: Callable[[], object], word: str) -> None:
        with pytest.raises(Retryable) as caught:
            call()
        error = caught.value.__cause__
        assert caught.value.code == "QUEUE_UNREACHABLE"
        assert word in (getattr(error, "status_code", None), *str(error).replace("-", " ").split())

    try:
        for server, port in zip(servers, ports, strict=True):
            server.start("--cluster-enabled", "yes", "--port", str(port), "--bind", "127.0.0.1")
            queues.append(RedisQueue.connect(server.url))
        one, two = queues
        away(lambda: submitted(one), "CLUSTERDOWN")  # not one slot is served
        away(lambda: one.forget_key("none", new_job().id), "CLUSTERDOWN")

        slots = list(range(16384))
        one.command("CLUSTER", "ADDSLOTS", *slots)
        one.command("CLUSTER", "MEET", "127.0.0.1", ports[1])
        deadline = time.monotonic() + 30
        while not all("cluster_state:ok" in str(each.command("CLUSTER", "INFO")) for each in queues):
            assert time.monotonic() < deadline, "the nodes did not find each other"
            time.sleep(0.05)
        submitted(one)
        away(lambda: submitted(two), "MOVED")
        away(lambda: two.forget_key("none", new_job().id), "MOVED")

        slot, there = one.command("CLUSTER", "KEYSLOT", "{vp}:jobs"), two.command("CLUSTER", "MYID")
        one.command("CLUSTER", "SETSLOT", slot, "MIGRATING", there)
        away(lambda: one.command("HGETALL", "{vp}:none"), "ASK")
        two.command("CLUSTER", "SETSLOT", slot, "IMPORTING", one.command("CLUSTER", "MYID"))
        away(lambda: two.commands([("ASKING",), ("EXISTS", "{vp}:jobs", "{vp}:none")]), "TRYAGAIN")
    finally:
        for queue in queues:
            queue.close()
        for server in servers:
            server.close()
