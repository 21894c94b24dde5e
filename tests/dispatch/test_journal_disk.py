"""A journal's disk that hangs, and a pool that is killed: a pipe stands where a part is to be, and nobody opens or reads it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.dispatch.things import FAST, started, state, submit_waiting
from tests.servers import RedisServer
from vidprocme.core.job import JobState, TaskState
from vidprocme.dispatch.dispatcher import Dispatcher
from vidprocme.dispatch.journal_files import AGAIN_S, CLOSE_S, JournalFiles
from vidprocme.library.blobs import BlobStore
from vidprocme.queue.redis import RedisQueue
from vidprocme.scheduler.journal import replay

ROOT = Path(__file__).parents[2]
PRESENCE_MS = 800


class Disk:
    """Hangs until it is read: with the first bytes (`opened`: as soon as a pipe's 64 KiB are full), or when a part is to be opened."""

    def __init__(self, folder: Path, opened: bool, number: int) -> None:
        """number: of the part where it does."""
        folder.mkdir(exist_ok=True)
        self._path = folder / f"pool_A.{number:04d}.jsonl"
        os.mkfifo(self._path)
        self._fd = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK) if opened else None
        self._reader: threading.Thread | None = None
        self.text = ""

    def recovers(self) -> None:
        """From now on all is taken."""
        if self._reader is None:
            fd = self._fd if self._fd is not None else os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)
            self._reader = threading.Thread(target=self._read, args=[fd], daemon=True)
            self._reader.start()

    def _read(self, fd: int) -> None:
        while True:
            try:
                got = os.read(fd, 1 << 20)
            except BlockingIOError:
                got = b""
            self.text += got.decode()
            if not got:
                time.sleep(0.005)  # nothing yet, or nobody writes any more


@contextmanager
def hanging(folder: Path, *, opened: bool, number: int = 1) -> Iterator[Disk]:
    disk = Disk(folder, opened, number)
    try:
        yield disk
    finally:
        disk.recovers()  # whoever waits for it may go


@contextmanager
def turning(pool: Dispatcher, disk: Disk) -> Iterator[None]:
    """Its loop has a thread, so that a test sees that it hangs, and goes on."""
    over = threading.Event()
    loop = threading.Thread(target=pool.run, args=[over.is_set], daemon=True)
    loop.start()
    try:
        yield
    finally:
        disk.recovers()
        over.set()
        loop.join(20)


def wait_for(true: Callable[[], object], within_s: float = 20) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "waited for nothing"
        time.sleep(0.01)


def work(queue: RedisQueue, tasks: int) -> None:
    """A job comes, and is worked on."""
    job = submit_waiting(queue, tasks, 0.03)
    wait_for(lambda: state(queue, job) is JobState.SUCCEEDED)


@pytest.mark.parametrize("opened", [False, True], ids=["to open it hangs", "to write it hangs"])
def test_a_pool_and_its_beat_go_on_while_the_disk_hangs_and_a_new_part_is_begun_when_it_is_back(
    queue: RedisQueue, blobs: BlobStore, tmp_path: Path, caplog: pytest.LogCaptureFixture, opened: bool
) -> None:
    now_s, told, config = 0.0, list[str](), replace(FAST, presence_ms=PRESENCE_MS)
    folder = tmp_path / "journal"
    with hanging(folder, opened=opened) as disk:
        files = JournalFiles(folder, "pool_A", 1 << 30, lambda: now_s, waiting_bytes=200_000)

        def record(line: str) -> None:
            told.append(line)
            files.write(line)

        with (
            caplog.at_level(logging.WARNING, "vidprocme.dispatch"),
            started(queue, blobs, config=config, record=record, renew=files.renew) as pool,
            turning(pool, disk),
        ):
            while files._records or not told:
                assert len(told) < 10_000
                work(queue, 60)
            time.sleep(2 * PRESENCE_MS / 1000)
            assert [one.id for one in queue.pools()] == [pool._pool.id]  # it beats
            now_s += AGAIN_S
            disk.recovers()
            wait_for((folder / "pool_A.0002.jsonl").exists)
            work(queue, 20)
        files.close()
        (said,) = [one for one in caplog.records if "journal" in one.getMessage()]
        assert "too slow, or hangs" in said.getMessage() and str(folder) in said.getMessage()

        wait_for(lambda: disk.text.endswith("\n"))
        broken, whole = disk.text.splitlines(), (folder / "pool_A.0002.jsonl").read_text().splitlines()
        assert len(broken) > 20 and broken == told[: len(broken)] and whole == told[-len(whole) :]
        assert len(broken) + len(whole) < len(told)
        for part in (broken, whole):
            found = list(replay(part))
            assert sum(len(one.again["placements"]) for one in found) > 3
            assert all(one.again == one.recorded for one in found)


def test_what_is_recorded_while_the_disk_hangs_is_bounded_and_no_part_has_a_hole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now_s, folder = 0.0, tmp_path / "journal"
    with hanging(folder, opened=True) as disk:
        files = JournalFiles(folder, "pool_A", 1 << 30, lambda: now_s, waiting_bytes=200_000)
        assert files.renew()
        taken = 0
        while files._records:
            files.write(f"{taken:0999}")
            taken += 1
        assert 199 <= taken - 1 <= 200 + 64 + 256  # what waits, what the pipe holds, and what was being written
        now_s += AGAIN_S
        for _ in range(50):
            files.write("lost")
            assert not files.renew()  # what waits is not written yet

        disk.recovers()
        wait_for(lambda: files._writer.is_done)
        assert files.renew()  # a minute later, and all is written
        files.write("of the next")
        files.close()

        wait_for(lambda: len(disk.text) == 1000 * (taken - 1))
        assert disk.text.splitlines() == [f"{number:0999}" for number in range(taken - 1)]
    assert (folder / "pool_A.0002.jsonl").read_text() == "of the next\n"
    assert len([one for one in caplog.records if "too slow" in one.getMessage()]) == 1


def test_the_part_after_one_that_was_broken_off_waits_a_minute_and_it_is_said_once_until_one_is_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The first, second and fourth hang, the third becomes whole."""
    now_s, folder = 0.0, tmp_path / "journal"
    with ExitStack() as stack:
        disks = [stack.enter_context(hanging(folder, opened=False, number=number)) for number in (1, 2, 4)]
        files = JournalFiles(folder, "pool_A", 40_000, lambda: now_s, waiting_bytes=2_000)
        assert files.renew()
        for disk, said in zip(disks, (1, 1, 2), strict=True):
            for _ in range(3):
                files.write("x" * 999)
            assert len([one for one in caplog.records if "too slow" in one.getMessage()]) == said
            disk.recovers()
            wait_for(lambda: files._writer.is_done)
            assert not files.renew()
            now_s += AGAIN_S
            assert files.renew()
            for _ in range(10 if disk is disks[1] else 0):
                assert not files.renew()
                files.write("x" * 999)
                wait_for(lambda: files._writer.is_done)
            assert files.renew() is (disk is disks[1])
        files.close()


def test_a_pool_that_stops_waits_for_its_journal_no_longer_than_so_long(tmp_path: Path) -> None:
    """Nor does its process."""
    code = (
        "import sys, time; from vidprocme.dispatch.journal_files import recording\n"
        "with recording(sys.argv[1], 1, 'pool_A') as (record, renew):\n"
        "    renew(); record('x'); began_s = time.monotonic()\n"
        "print(time.monotonic() - began_s, flush=True)\n"
    )
    with hanging(tmp_path / "journal", opened=False):
        words = [sys.executable, "-c", code, str(tmp_path / "journal")]
        done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=True, env=environ())
    assert CLOSE_S - 0.5 < float(done.stdout) < CLOSE_S + 1
    assert "lacks its end" in done.stderr


def test_what_a_killed_pool_wrote_is_replayed(server: RedisServer, queue: RedisQueue, tmp_path: Path) -> None:
    """All but what came in the last moment."""
    words = [sys.executable, "-m", "tests.dispatch.journalling", server.url, queue.keys.prefix, str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environ(), cwd=ROOT) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == "started\n"
            first, second = submit_waiting(queue, 30, 0.02), submit_waiting(queue, 200, 0.05)
            wait_for(lambda: state(queue, first) is JobState.SUCCEEDED)
            began = {view.task.id for view in queue.tasks(second.id) if view.state is not TaskState.READY}
            began |= {view.task.id for view in queue.tasks(first.id)}
            time.sleep(0.5)
            assert state(queue, second) is JobState.RUNNING
        finally:
            process.kill()
    lines = (tmp_path / "pool_A.0001.jsonl").read_text().splitlines(keepends=True)
    found = list(replay(line for line in lines if line.endswith("\n")))
    assert all(one.again == one.recorded for one in found)
    placed = {placement["task"] for one in found for placement in one.recorded["placements"]}
    assert len(began) > 30 and began <= placed


def environ() -> dict[str, str]:
    return dict(os.environ, PYTHONPATH=os.pathsep.join((str(ROOT / "src"), str(ROOT))))
