"""The follower on its threads: beside a server that goes and comes, beside other processes, and at its end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.dispatch.conftest import Connect
from tests.dispatch.test_follower import ROOT, a_mixed_house, damage, submitted
from tests.dispatch.things import live
from tests.servers import RedisServer
from vidprocme.core.errors import Retryable
from vidprocme.dispatch.follower import Follower, catch_up
from vidprocme.library.blobs import BlobStore
from vidprocme.library.index import SqliteIndex
from vidprocme.queue.redis import RedisQueue


def test_the_follower_follows_and_starts_anew_on_a_damaged_index(
    queue: RedisQueue, blobs: BlobStore, tmp_path: Path
) -> None:
    path, lock = tmp_path / "index.sqlite", tmp_path / "follower.lock"
    for number, sha256 in enumerate(("ab" * 32, "cd" * 32), 1):
        follower = Follower(lambda: queue, lambda: blobs, lambda: SqliteIndex(path), lock)
        follower.start()
        job, tasks = submitted(queue, blobs, sha256)
        live(queue, blobs, tmp_path, job, tasks)
        try:
            until(partial(finds, path, 6 * number))
        finally:
            follower.stop()
        damage(path)
    catch_up(queue, blobs, lambda: SqliteIndex(path), lock)
    assert found(path) == 12


def test_the_follower_waits_for_a_server_that_comes_back(tmp_path: Path, blobs: BlobStore) -> None:
    server = RedisServer(tmp_path / "redis")
    server.start()
    queue = RedisQueue.connect(server.url)
    path = tmp_path / "index.sqlite"
    follower = Follower(lambda: queue, lambda: blobs, lambda: SqliteIndex(path), tmp_path / "lock")
    follower.start()
    try:
        server.kill()
        with pytest.raises(Retryable):
            queue.jobs()
        server.start()
        job, tasks = submitted(queue, blobs)
        live(queue, blobs, tmp_path, job, tasks)
        until(partial(finds, path, 6))
    finally:
        follower.stop()
        queue.close()
        server.close()


def test_one_process_of_a_machine_follows_and_another_takes_over_when_it_is_killed(
    connect: Connect, server: RedisServer, blobs: BlobStore, tmp_path: Path
) -> None:
    queue = connect()
    path, lock = tmp_path / "index.sqlite", tmp_path / "follower.lock"
    job, tasks = submitted(queue, blobs)
    live(queue, blobs, tmp_path, job, tasks)
    other = subprocess.Popen(
        [sys.executable, "-m", "tests.dispatch.following", server.url, queue.keys.prefix, str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
    )
    mine = connect()
    follower = Follower(lambda: mine, lambda: blobs, lambda: SqliteIndex(path), lock)
    try:
        until(partial(finds, path, 6))
        os.kill(other.pid, signal.SIGSTOP)  # it holds the lock, and does nothing
        until(lambda: psutil.Process(other.pid).status() == psutil.STATUS_STOPPED)
        job, tasks = submitted(queue, blobs, "cd" * 32)
        live(queue, blobs, tmp_path, job, tasks)
        catch_up(queue, blobs, lambda: SqliteIndex(path), lock)  # somebody else's affair
        assert found(path) == 6
        follower.start()
        other.kill()
        until(partial(finds, path, 12))
        follower.stop()
    finally:
        other.kill()
        other.wait()
    catch_up(queue, blobs, lambda: SqliteIndex(path), lock)
    assert found(path) == 12


def test_the_follower_outlives_what_nobody_thought_of(
    queue: RedisQueue, blobs: BlobStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The folder of its lock is no folder for a while: an error that is not one of ours."""
    path, folder = tmp_path / "index.sqlite", tmp_path / "library"
    folder.write_text("in the way")
    job, tasks = submitted(queue, blobs)
    live(queue, blobs, tmp_path, job, tasks)
    follower = Follower(lambda: queue, lambda: blobs, lambda: SqliteIndex(path), folder / "follower.lock")
    follower.start()
    try:
        until(lambda: "does not follow" in caplog.text)
        folder.unlink()
        until(partial(finds, path, 6))
    finally:
        follower.stop()
    assert len([r for r in caplog.records if r.name == "vidprocme.dispatch.follower"]) == 1


def finds(path: Path, count: int) -> bool:
    return path.exists() and found(path) == count


def found(path: Path) -> int:
    try:
        with contextlib.closing(SqliteIndex(path)) as reader:
            return len(reader.search("goat", 100))
    except Retryable:
        return -1  # damaged: the follower is about to make it again


def until(true: Callable[[], bool]) -> None:
    """Wait for what another thread or process writes."""
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline, "waited 20 s for nothing"
        time.sleep(0.05)


@pytest.mark.parametrize("moment", ["reprojected", "jobs-rewritten"])
def test_a_rebuild_ends_between_two_writes_when_the_process_ends(
    queue: RedisQueue, blobs: BlobStore, tmp_path: Path, moment: str
) -> None:
    """With many jobs a rebuild takes minutes, and a server has seconds to end; the next one does it again."""
    path, lock = tmp_path / "index.sqlite", tmp_path / "follower.lock"
    a_mixed_house(queue, blobs, tmp_path)
    reached, over, passed = threading.Event(), threading.Event(), list[str]()

    def at(name: str) -> None:
        passed.append(name)
        if name == moment:
            reached.set()
            over.wait(30)

    follower = Follower(lambda: queue, lambda: blobs, lambda: SqliteIndex(path), lock, at)
    follower.start()
    assert reached.wait(30)
    stopping = threading.Thread(target=follower.stop)
    stopping.start()
    time.sleep(1)  # it is told, and waits for the thread
    over.set()
    stopping.join(30)
    assert not stopping.is_alive() and passed.count(moment) == 1
    with contextlib.closing(SqliteIndex(path)) as index:
        assert (index.last_event() if moment == "reprojected" else index.last_job_event()) == "0"
    catch_up(queue, blobs, lambda: SqliteIndex(path), lock)
    assert found(path) == 6
