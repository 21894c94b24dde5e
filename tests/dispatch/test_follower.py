"""The search index follows the queue, and can always be made again from it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.dispatch.things import CLOCK, fail, live, new_job, plan_by_hand
from vidprocme.core.ids import video_id
from vidprocme.core.job import Job, Recipe, Stage, Task
from vidprocme.dispatch.control import Control
from vidprocme.dispatch.follower import follow, rebuild
from vidprocme.library.base import VideoRecord
from vidprocme.library.blobs import BlobStore
from vidprocme.library.index import SqliteIndex
from vidprocme.planner.graph import first_tasks
from vidprocme.queue.redis import RedisQueue

ROOT = Path(__file__).parents[2]
RECIPE = Recipe(model="demo")


@pytest.fixture
def index(tmp_path: Path) -> Iterator[SqliteIndex]:
    with contextlib.closing(SqliteIndex(tmp_path / "index.sqlite")) as made:
        yield made


def submitted(queue: RedisQueue, blobs: BlobStore, sha256: str = "ab" * 32) -> tuple[Job, tuple[Task, ...]]:
    job = new_job(sha256, recipe=RECIPE)
    (probe,) = first_tasks(job)
    queue.submit(job, [probe])
    return job, plan_by_hand(queue, blobs, job, probe)


def everything(queue: RedisQueue, blobs: BlobStore, index: SqliteIndex) -> None:
    while follow(queue, blobs, index, block_ms=0):
        pass


def content(index: SqliteIndex) -> tuple[object, ...]:
    """All that a person can see of it."""
    return index.videos(1000), sorted(index.search("goat", 1000), key=lambda hit: (hit.job, hit.start))


def a_mixed_house(queue: RedisQueue, blobs: BlobStore, folder: Path) -> None:
    """Finished, failed, cancelled and half-done jobs of several videos; one video has several jobs."""
    done, tasks = submitted(queue, blobs, "aa" * 32)
    live(queue, blobs, folder, done, tasks)
    half, tasks = submitted(queue, blobs, "bb" * 32)
    live(queue, blobs, folder, half, tasks, upto=Stage.JOIN)
    broken = new_job("cc" * 32)
    queue.submit(broken, first_tasks(broken))
    fail(queue, first_tasks(broken)[0])
    gone, _ = submitted(queue, blobs, "dd" * 32)
    queue.cancel(gone.id)
    again = Control(queue, CLOCK).describe(done.id, Recipe(model="demo", prompt="More."))
    view = queue.job(again.job)
    assert view is not None
    live(queue, blobs, folder, view.job, [v.task for v in queue.tasks(again.job)], words="two goats")


def test_what_is_published_can_be_found(
    queue: RedisQueue, blobs: BlobStore, index: SqliteIndex, tmp_path: Path
) -> None:
    assert not follow(queue, blobs, index, block_ms=0)
    job, tasks = submitted(queue, blobs)
    everything(queue, blobs, index)
    (video,) = index.videos()
    assert (video.id, video.job, video.state) == (video_id("ab" * 32, "default"), job.id, "running")
    live(queue, blobs, tmp_path, job, tasks)
    everything(queue, blobs, index)

    assert [hit.start for hit in index.search("goat 20")] == [20]
    (video,) = index.videos()
    assert video.state == "succeeded" and video.document["renditions"] == ["720p"]
    assert index.last_event() == queue.newest_event() and not follow(queue, blobs, index, block_ms=0)


def test_many_new_jobs_are_written_together_as_each_would_be_alone(
    queue: RedisQueue, blobs: BlobStore, index: SqliteIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, tasks = submitted(queue, blobs, f"{7:02x}" * 32)
    live(queue, blobs, tmp_path, done, tasks)
    new = [new_job(f"{number % 9:02x}" * 32, recipe=RECIPE) for number in range(23)]
    for job in new:
        queue.submit(job, first_tasks(job))
    broken = new_job(f"{3:02x}" * 32)
    queue.submit(broken, first_tasks(broken))
    fail(queue, first_tasks(broken)[0])
    missing = new_job(f"{77:02x}" * 32, recipe=Recipe(model_missing=True))
    queue.submit(missing, first_tasks(missing))
    together = list[int]()
    write = index.project_all

    def counted(videos: Sequence[VideoRecord], event_id: str) -> None:
        together.append(len(videos))
        write(videos, event_id)

    monkeypatch.setattr(index, "project_all", counted)

    everything(queue, blobs, index)

    assert sum(together) == 1 and len(index.videos()) == 10 and index.search("goat")
    shown = {video.id: video.job for video in index.videos()}
    assert shown[new[14].video] == new[14].id and shown[broken.video] == broken.id
    assert index.videos(1)[0].document["degraded"]
    with contextlib.closing(SqliteIndex(tmp_path / "alone.sqlite")) as alone:
        monkeypatch.setattr("vidprocme.dispatch.follower.begun", lambda _view: None)
        everything(queue, blobs, alone)
        assert content(alone) == content(index)
        assert [alone.jobs_of(video.id) for video in alone.videos()] == [
            index.jobs_of(video.id) for video in index.videos()
        ]


def test_captions_stay_when_a_newer_job_goes_and_the_next_has_none(
    queue: RedisQueue, blobs: BlobStore, index: SqliteIndex, tmp_path: Path
) -> None:
    said, tasks = submitted(queue, blobs)
    live(queue, blobs, tmp_path, said, tasks)
    mute = [new_job("ab" * 32) for _ in range(2)]
    for job in mute:
        queue.submit(job, first_tasks(job))
        queue.cancel(job.id)
    everything(queue, blobs, index)
    found = len(index.search("goat", 99))
    assert found and index.videos()[0].job == mute[1].id

    assert queue.drop(mute[1].id)
    everything(queue, blobs, index)

    (shown,) = index.videos()
    assert shown.job == mute[0].id and shown.captions == found and len(index.search("goat", 99)) == found


def test_captions_are_found_before_the_job_has_ended(
    queue: RedisQueue, blobs: BlobStore, index: SqliteIndex, tmp_path: Path
) -> None:
    job, tasks = submitted(queue, blobs)
    live(queue, blobs, tmp_path, job, tasks, upto=Stage.DESCRIBE)
    everything(queue, blobs, index)

    assert len(index.search("goat")) == 6 and index.videos()[0].state == "running"


@pytest.mark.parametrize("step_by_step", [False, True])
def test_a_rebuild_equals_having_followed(
    queue: RedisQueue, blobs: BlobStore, index: SqliteIndex, tmp_path: Path, step_by_step: bool
) -> None:
    everything(queue, blobs, index)
    if step_by_step:  # jobs of one video that overlap: the older one ends last
        old, old_tasks = submitted(queue, blobs)
        everything(queue, blobs, index)
        new, new_tasks = submitted(queue, blobs)
        everything(queue, blobs, index)
        live(queue, blobs, tmp_path, old, old_tasks, words="an old goat", upto=Stage.DESCRIBE)
        everything(queue, blobs, index)
        assert index.search("old goat")  # better than none, until the newer job has its own
        live(queue, blobs, tmp_path, new, new_tasks, words="a new goat")
        everything(queue, blobs, index)
        (end,) = [task for task in old_tasks if task.stage is Stage.INDEX]
        live(queue, blobs, tmp_path, old, [end])
        everything(queue, blobs, index)
        assert not index.search("old goat") and index.videos()[0].job == new.id
    else:
        a_mixed_house(queue, blobs, tmp_path)
        everything(queue, blobs, index)
    followed = content(index)
    with contextlib.closing(SqliteIndex(tmp_path / "other.sqlite")) as other:
        seen: list[int] = []
        count = rebuild(queue, blobs, other, seen.append)
        assert content(other) == followed and other.last_event() == index.last_event()
        assert seen[-1] == count == len(queue.jobs())


def test_behind_a_trimmed_stream_and_for_a_new_index_everything_is_projected(
    queue: RedisQueue, blobs: BlobStore, index: SqliteIndex, tmp_path: Path
) -> None:
    job, tasks = submitted(queue, blobs, "ee" * 32)
    everything(queue, blobs, index)
    live(queue, blobs, tmp_path, job, tasks)
    a_mixed_house(queue, blobs, tmp_path)
    assert queue.command("XTRIM", queue.keys.of("ev"), "MAXLEN", 2) > 0
    everything(queue, blobs, index)
    with contextlib.closing(SqliteIndex(tmp_path / "new.sqlite")) as new:
        everything(queue, blobs, new)
        assert content(new) == content(index)
    assert len(index.videos()) == 5 and len(index.search("goat")) == 12


def test_a_rebuild_that_is_broken_off_is_done_again(
    queue: RedisQueue, blobs: BlobStore, index: SqliteIndex, tmp_path: Path
) -> None:
    a_mixed_house(queue, blobs, tmp_path)
    everything(queue, blobs, index)
    whole = content(index)

    def end(done: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rebuild(queue, blobs, index, end)
    assert content(index) != whole
    everything(queue, blobs, index)
    assert content(index) == whole and index.last_event() == queue.newest_event()


def test_a_damaged_index_is_made_again(queue: RedisQueue, blobs: BlobStore, tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    a_mixed_house(queue, blobs, tmp_path)
    with contextlib.closing(SqliteIndex(path)) as index:
        everything(queue, blobs, index)
        videos, moments = len(index.videos()), len(index.search("goat", 1000))
        damage(path)
        job, tasks = submitted(queue, blobs, "ff" * 32)
        live(queue, blobs, tmp_path, job, tasks)
        everything(queue, blobs, index)
        assert len(index.videos()) == videos + 1
        assert len(index.search("goat", 1000)) == moments + 6


def damage(path: Path) -> None:
    """Overwrite the middle of the database, as a bad disk does."""
    for name in (path, path.with_name(path.name + "-wal")):
        if name.exists() and name.stat().st_size > 8192:
            with name.open("r+b") as file:
                file.seek(4096)
                file.write(os.urandom(name.stat().st_size - 4096))


@pytest.mark.parametrize(
    "left", [None, b"", b"\x00\xff no JSON", b"[7]", b'{"time": 1}', b'[{"time": "1/0", "text": "x"}]']
)
def test_a_job_whose_captions_are_gone_or_damaged_does_not_stop_the_others(
    queue: RedisQueue, blobs: BlobStore, index: SqliteIndex, tmp_path: Path, left: bytes | None
) -> None:
    job, tasks = submitted(queue, blobs)
    live(queue, blobs, tmp_path, job, tasks)
    for view in queue.tasks(job.id):
        if view.task.stage is Stage.DESCRIBE and view.outcome is not None:
            sha256 = view.outcome.manifest[0].sha256
            path = blobs.local_path(sha256)
            assert path is not None
            blobs.delete(sha256)
            if left is not None:
                path.write_bytes(left)
    other, more = submitted(queue, blobs, "cd" * 32)
    live(queue, blobs, tmp_path, other, more, words="a second goat")
    everything(queue, blobs, index)

    assert len(index.search("second goat")) == 6 and len(index.videos()) == 2
    record = index.video(video_id("ab" * 32, "default"))
    assert record is not None and any("6 frames without words" in note for note in record.document["degraded"])


def test_a_describe_that_is_retried_is_found_though_index_does_not_run_again(
    queue: RedisQueue, blobs: BlobStore, index: SqliteIndex, tmp_path: Path
) -> None:
    job, tasks = submitted(queue, blobs)
    live(queue, blobs, tmp_path, job, tasks, upto=Stage.JOIN)
    first, *others = [task for task in tasks if task.stage is Stage.DESCRIBE]
    (end,) = [task for task in tasks if task.stage is Stage.INDEX]
    fail(queue, first, "The model is gone.")
    live(queue, blobs, tmp_path, job, [*others, end])
    everything(queue, blobs, index)
    assert len(index.search("goat")) == 4 and index.videos()[0].state == "failed"

    assert queue.retry(job.id) == 1
    live(queue, blobs, tmp_path, job, [first])
    everything(queue, blobs, index)
    assert len(index.search("goat")) == 6 and index.videos()[0].state == "succeeded"
    assert len(queue.attempts(end.id)) == 1
