"""A pool's journal on disk: every part replays by itself, the folder stays within its bound, and a full disk stops nothing."""

from __future__ import annotations

import json
import logging
import os
import time
from pathlib import Path

import pytest

from tests.dispatch.things import started, state, step_until, submit_waiting
from vidprocme.core.job import Bin, Job, JobState
from vidprocme.dispatch.journal_files import AGAIN_S, JournalFiles, recording
from vidprocme.dispatch.journal_writer import LIVES_S, PARTS
from vidprocme.library.blobs import BlobStore
from vidprocme.queue.redis import RedisQueue
from vidprocme.scheduler.config import PolicyConfig
from vidprocme.scheduler.journal import replay

POLICY = PolicyConfig(max_wait_ms=dict.fromkeys(Bin, 20))
MOST = 40_000


def ended(queue: RedisQueue, *jobs: Job) -> bool:
    return all(state(queue, job) is JobState.SUCCEEDED for job in jobs)


def all_written(*files: JournalFiles) -> None:
    deadline = time.monotonic() + 20
    while not all(one._writer.is_done for one in files):
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_every_part_replays_by_itself_to_equal_plans(queue: RedisQueue, blobs: BlobStore, tmp_path: Path) -> None:
    files = JournalFiles(tmp_path, "pool_A", 1 << 30)
    begun = 0

    def renew() -> bool:
        nonlocal begun
        begun += 1
        if begun % 7 == 0:  # as if it were full, also while attempts run
            files._bytes = 1 << 30
        return files.renew()

    with started(queue, blobs, slots=3, policy=POLICY, record=files.write, renew=renew) as pool:
        jobs = [submit_waiting(queue, 25, 0.03, bin_) for bin_ in (Bin.URGENT, Bin.NORMAL, Bin.BULK)]
        step_until(pool, lambda: ended(queue, *jobs))
    files.close()

    parts = sorted(tmp_path.glob("pool_*"))
    assert len(parts) > 4 and [path.name for path in parts[:2]] == ["pool_A.0001.jsonl", "pool_A.0002.jsonl"]
    placed, running = 0, 0
    for path in parts:
        lines = path.read_text().splitlines()
        found = list(replay(lines))
        assert all(one.again == one.recorded for one in found)
        placed += sum(len(one.recorded["placements"]) for one in found)
        running += sum(len(json.loads(line)["running"]) for line in lines if '"told": "seat"' in line)
    assert placed >= 75 and running > 3
    # A part that did not say what runs where it begins would place attempts where there is no room: the comparison can fail.
    deaf = [[line for line in path.read_text().splitlines() if '"told": "seat"' not in line] for path in parts]
    assert any(one.again != one.recorded for lines in deaf for one in replay(lines))


def test_of_a_folder_that_is_full_the_oldest_part_goes(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("of somebody's")
    old = JournalFiles(tmp_path, "pool_OLD", MOST)
    assert old.renew() and not old.renew()
    files = JournalFiles(tmp_path, "pool_NEW", MOST)
    for _ in range(100):
        for one in (files, old):
            if one.renew():
                all_written(files, old)  # so that each finds the other's part as long as it is
            one.write("x" * 999)
    files.close()
    old.close()

    parts = sorted(tmp_path.glob("pool_*"))
    whole = sum(path.stat().st_size for path in parts)
    part = MOST // PARTS + 1_000
    assert MOST - 2 * part < whole <= MOST + part  # both pools have a part that grows
    assert all(path.stat().st_size <= part for path in parts)
    assert not (tmp_path / "pool_OLD.0001.jsonl").exists() and (tmp_path / "notes.txt").exists()


def test_what_another_pool_may_still_be_writing_stays(tmp_path: Path) -> None:
    """It is the oldest; after ten minutes without a line it goes."""
    other = tmp_path / "pool_OTHER.0001.jsonl"
    other.write_text("x" * MOST)
    files = JournalFiles(tmp_path, "pool_MINE", MOST)
    for changed_s, stays in ((time.time() - LIVES_S + 60, True), (time.time() - LIVES_S - 60, False)):
        os.utime(other, (changed_s, changed_s))
        while not files.renew():
            files.write("x" * 999)
        all_written(files)
        assert other.exists() is stays
    files.close()


def test_a_part_that_begins_with_very_much_is_not_all_beginning(tmp_path: Path) -> None:
    files = JournalFiles(tmp_path, "pool_A", MOST)
    assert files.renew()
    files.write("x" * (MOST - 1))  # four times a part
    turns = 1
    while not files.renew():
        files.write("x" * 4_999)
        turns += 1
    assert turns == 1 + MOST // 5_000
    files.close()


def test_a_full_disk_is_said_once_and_the_next_part_is_begun_when_there_is_room(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now_s = 0.0
    files = JournalFiles(tmp_path, "pool_A", MOST, lambda: now_s)
    for number in (1, 2):
        (tmp_path / f"pool_A.{number:04d}.jsonl").symlink_to("/dev/full")
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert files.renew()
            files.write("y" * 999)
            all_written(files)
            for _ in range(20):
                assert not files.renew()
                files.write("y" * 999)
            now_s += AGAIN_S
        assert files.renew()  # there is room
        files.write("z")
        assert not files.renew()
        all_written(files)
        (told,) = caplog.records
        assert "No space left on device" in told.getMessage() and str(tmp_path) in told.getMessage()

        (tmp_path / "pool_A.0004.jsonl").symlink_to("/dev/full")
        while not files.renew():  # the third becomes whole: that the next cannot be written is news
            files.write("y" * 999)
        files.write("y")
        files.close()

    assert (tmp_path / "pool_A.0003.jsonl").read_text().startswith("z\n") and len(caplog.records) == 2


def test_a_pool_works_whose_journal_cannot_be_written(
    queue: RedisQueue, blobs: BlobStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "journal").write_text("no folder")
    with (
        caplog.at_level(logging.WARNING, "vidprocme.dispatch"),
        recording(str(tmp_path / "journal"), 1, "pool_A") as (record, renew),
        started(queue, blobs, record=record, renew=renew) as pool,
    ):
        job = submit_waiting(queue, 20)
        step_until(pool, lambda: ended(queue, job))

    assert len([one for one in caplog.records if "journal" in one.getMessage()]) == 1


def test_a_part_that_somebody_removed_is_noticed_and_one_to_which_nothing_was_written_goes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now_s = 0.0
    files = JournalFiles(tmp_path, "pool_A", MOST, lambda: now_s)
    assert files.renew()
    files.write("one")
    all_written(files)
    (tmp_path / "pool_A.0001.jsonl").unlink()
    with caplog.at_level(logging.WARNING):
        files.write("two")
        all_written(files)
        assert not files.renew()
    assert "somebody removed" in caplog.text or "No such file" in caplog.text
    now_s += AGAIN_S
    assert files.renew()
    files.close()
    assert list(tmp_path.iterdir()) == [], "nothing was written to the second"
