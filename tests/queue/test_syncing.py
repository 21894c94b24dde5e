"""The embedded server's file comes to the disk by its keeper, and a killed server had written what it answered."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import pytest
import redis

from tests.servers import RedisServer
from vidprocme.queue import syncing
from vidprocme.queue.syncing import Syncer

SAID: list[str] = []


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of what was brought to the disk, in order."""
    names: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        names.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return names


def test_what_a_server_wrote_is_synced_once_until_it_writes_again(redis_server: RedisServer, synced: list[str]) -> None:
    syncer = Syncer(redis_server.folder, SAID.append)
    with contextlib.closing(redis.Redis(unix_socket_path=str(redis_server.socket))) as client:
        client.flushall()  # what expires is written, too
        assert syncer.sync() > 0
        before = len(synced)
        assert syncer.sync() == 0 and len(synced) == before, "nothing was written since"

        client.set("written", "anew")
        assert syncer.sync() == 1
    assert any("aof" in name for name in synced[before:])


def test_a_file_that_is_replaced_is_another_one(tmp_path: Path, synced: list[str]) -> None:
    """As a rewrite of the file does it."""
    path = tmp_path / "appendonly.aof"
    path.write_text("old")
    syncer = Syncer(tmp_path, SAID.append)
    assert syncer.sync() == 1 and synced == ["appendonly.aof", tmp_path.name]
    other = tmp_path / "temp"
    other.write_text("new")
    other.replace(path)

    assert syncer.sync() == 1
    path.unlink()
    assert syncer.sync() == 0


def test_a_disk_that_fails_is_told_of_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "appendonly.aof").write_text("x")
    said: list[str] = []
    monkeypatch.setattr(syncing, "EVERY_S", 0.01)
    times: list[int] = []

    def broken(descriptor: int) -> None:
        times.append(descriptor)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    syncer = Syncer(tmp_path, said.append)
    syncer.start()
    while len(times) < 3:
        time.sleep(0.01)
    syncer.stop()

    assert len(said) == 1 and "Input/output error" in said[0]
