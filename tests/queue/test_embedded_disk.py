"""The embedded server, or its keeper, is killed while the disk is full: with room again it comes back by itself."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.queue.things import submitted
from vidprocme.core.errors import VidprocmeError
from vidprocme.queue import embedded
from vidprocme.queue.check import check
from vidprocme.queue.keeper import read_facts
from vidprocme.queue.redis import RedisQueue


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MB."""
    where = tmp_path / "small"
    where.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(where)], check=True)
    yield where
    _until(lambda: not embedded._keeper_lives(where / "data" / "redis"))
    subprocess.run(["umount", "-l", str(where)], check=True)


def _until(true: Callable[[], bool], within_s: float = 30) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, f"waited {within_s:g} s for nothing"
        time.sleep(0.02)


def _fill(path: Path) -> None:
    """To the last byte."""
    with path.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while True:
            file.write(b"x" * 4096)


def _jobs(queue: RedisQueue) -> set[str]:
    try:
        return {view.job.id for view in queue.jobs(limit=1000)}
    except VidprocmeError:
        return set()


@pytest.mark.mounts
@pytest.mark.parametrize("killed", ["server_pid", "keeper_pid"])
def test_it_comes_back_when_there_is_room(small: Path, monkeypatch: pytest.MonkeyPatch, killed: str) -> None:
    monkeypatch.setenv(embedded.LINGER_VARIABLE, "0.3")
    with embedded.open(small / "data") as server:
        queue = RedisQueue.connect(server.url, ours=True)
        jobs = {submitted(queue)[0].id for _ in range(50)}
        _fill(small / "ballast")
        os.kill(read_facts(small / "data" / "redis")[killed], signal.SIGKILL)
        time.sleep(2)  # in which it is tried several times
        assert _jobs(queue) == set()

        (small / "ballast").unlink()
        _until(lambda: _jobs(queue) == jobs)
        submitted(queue)
        assert check(queue) == []
        queue.close()


@pytest.mark.mounts
def test_a_keeper_whose_server_cannot_be_started_ends_with_its_last_user(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(embedded.LINGER_VARIABLE, "0.3")
    folder = small / "data" / "redis"
    with embedded.open(small / "data"):
        _fill(small / "ballast")
        os.kill(read_facts(folder)["server_pid"], signal.SIGKILL)
        time.sleep(1)
        assert embedded._keeper_lives(folder)
    _until(lambda: not embedded._keeper_lives(folder), 10)
