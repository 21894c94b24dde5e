"""What the queue forgets, the search index forgets too."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dispatch.test_follower import everything, submitted
from tests.dispatch.test_follower import index as index
from tests.dispatch.things import live
from vidprocme.core.job import Stage
from vidprocme.dispatch.follower import forget_gone, record_of
from vidprocme.dispatch.results import collect
from vidprocme.library.blobs import BlobStore
from vidprocme.library.index import SqliteIndex
from vidprocme.queue.redis import RedisQueue


def test_a_job_that_is_forgotten_is_no_longer_found(
    queue: RedisQueue, blobs: BlobStore, index: SqliteIndex, tmp_path: Path
) -> None:
    job, tasks = submitted(queue, blobs)
    live(queue, blobs, tmp_path, job, tasks)
    other, tasks = submitted(queue, blobs, "cd" * 32)
    live(queue, blobs, tmp_path, other, tasks)
    everything(queue, blobs, index)
    assert len(index.videos()) == 2

    queue.forget(job.id)
    everything(queue, blobs, index)

    assert [video.job for video in index.videos()] == [other.id]
    assert {hit.job for hit in index.search("goat")} == {other.id}


@pytest.mark.parametrize("killed", [False, True])
def test_when_the_newest_job_of_a_video_is_forgotten_the_one_before_is_shown(
    queue: RedisQueue, blobs: BlobStore, index: SqliteIndex, tmp_path: Path, killed: bool
) -> None:
    first, tasks = submitted(queue, blobs)
    live(queue, blobs, tmp_path, first, tasks, words="an old goat")
    gone, tasks = submitted(queue, blobs)
    live(queue, blobs, tmp_path, gone, tasks, words="a lost goat")
    newest, tasks = submitted(queue, blobs)
    live(queue, blobs, tmp_path, newest, tasks, words="a new goat")
    everything(queue, blobs, index)
    assert index.videos()[0].job == newest.id and index.search("new goat") and not index.search("old goat")

    queue.forget(gone.id)  # in between: what is shown stays
    everything(queue, blobs, index)
    assert index.videos()[0].job == newest.id
    queue.forget(newest.id)
    if killed:  # after the other was written, before the forgotten one went
        result = collect(queue, blobs, first.id)
        index.project(record_of(result), result.captions, index.last_event())
    everything(queue, blobs, index)

    assert index.videos()[0].job == first.id and not index.search("new goat") and index.search("old goat")
    queue.forget(first.id)
    everything(queue, blobs, index)
    assert index.videos() == [] and not index.search("goat") and index.other_job(first.id) is None


def test_rows_whose_jobs_went_unseen_are_found(
    queue: RedisQueue, blobs: BlobStore, index: SqliteIndex, tmp_path: Path
) -> None:
    job, tasks = submitted(queue, blobs)
    live(queue, blobs, tmp_path, job, tasks)
    everything(queue, blobs, index)
    queue.forget(job.id)
    index.set_last_event(queue.newest_event() or "")  # the event was trimmed away

    assert forget_gone(queue, index, blobs) == 1 and index.videos() == []
    assert forget_gone(queue, index, blobs) == 0


def test_words_go_with_the_job_that_had_them(
    queue: RedisQueue, blobs: BlobStore, index: SqliteIndex, tmp_path: Path
) -> None:
    first, tasks = submitted(queue, blobs)
    live(queue, blobs, tmp_path, first, tasks, upto=Stage.JOIN)
    newest, tasks = submitted(queue, blobs)
    live(queue, blobs, tmp_path, newest, tasks)
    everything(queue, blobs, index)
    assert index.search("goat")

    queue.forget(newest.id)
    everything(queue, blobs, index)

    assert index.videos()[0].job == first.id and not index.search("goat")
