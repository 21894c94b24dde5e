"""The verbs: the same wish is the same job, what failed gets fresh tries, kept frames are described again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.dispatch.things import CLOCK, claim, ended, fail, live, plan_by_hand, state
from tests.queue.things import look, new_task
from vidprocme.core.errors import BadWish, Fatal
from vidprocme.core.ids import JobId
from vidprocme.core.job import Bin, JobState, Next, Outcome, OutcomeKind, Recipe, Source, Stage, TaskState
from vidprocme.dispatch.control import Control
from vidprocme.library.blobs import BlobStore
from vidprocme.queue.base import Settlement
from vidprocme.queue.check import check
from vidprocme.queue.redis import RedisQueue

SOURCE = Source("file:///videos/goat.mp4", "goat.mp4", "ab" * 32, 1000, 5)
RECIPE = Recipe(model="demo")


@pytest.fixture
def control(queue: RedisQueue) -> Control:
    return Control(queue, CLOCK)


def finished(queue: RedisQueue, blobs: BlobStore, folder: Path, control: Control) -> JobId:
    """A job that went all the way."""
    id_ = control.submit(SOURCE, RECIPE).job
    view = queue.job(id_)
    assert view is not None
    tasks = plan_by_hand(queue, blobs, view.job, queue.tasks(id_)[0].task)
    live(queue, blobs, folder, view.job, tasks)
    assert state(queue, id_) is JobState.SUCCEEDED
    return id_


def test_a_wish_becomes_a_job(queue: RedisQueue, control: Control) -> None:
    submission = control.submit(SOURCE, RECIPE, bin_=Bin.HIGH, tenant="zoo")

    view = queue.job(submission.job)
    assert submission.created and view is not None
    assert (view.job.source, view.job.recipe, view.job.bin, view.job.tenant) == (SOURCE, RECIPE, Bin.HIGH, "zoo")
    assert [task.task.stage for task in queue.tasks(submission.job)] == [Stage.PROBE]


def test_the_same_content_and_recipe_is_the_same_job(queue: RedisQueue, control: Control) -> None:
    first = control.submit(SOURCE, RECIPE)
    renamed = replace(SOURCE, name="copy.mp4")
    for again in (
        control.submit(SOURCE, RECIPE),
        control.submit(renamed, RECIPE),
        control.submit(SOURCE, replace(RECIPE, model_missing=True)),
    ):
        assert (again.job, again.created, again.retried) == (first.job, False, 0)
    others = {
        control.submit(replace(SOURCE, sha256="cd" * 32), RECIPE).job,
        control.submit(SOURCE, replace(RECIPE, video_crf=30)).job,
        control.submit(SOURCE, replace(RECIPE, model=None)).job,
    }
    assert len(others | {first.job}) == 4 == len(queue.jobs())


def test_what_failed_or_was_cancelled_gets_fresh_tries(queue: RedisQueue, control: Control) -> None:
    job = control.submit(SOURCE, RECIPE).job
    fail(queue, queue.tasks(job)[0].task)
    assert state(queue, job) is JobState.FAILED
    again = control.submit(SOURCE, RECIPE)
    assert (again.job, again.created, again.retried) == (job, False, 1)
    assert state(queue, job) is JobState.QUEUED or queue.tasks(job)[0].state is TaskState.READY

    assert control.cancel(job) and state(queue, job) is JobState.CANCELLED
    assert not control.cancel(job)
    assert control.submit(SOURCE, RECIPE).retried == 1
    assert queue.tasks(job)[0].state is TaskState.READY and check(queue) == []


@pytest.mark.parametrize("why", ["cancel", "doom"])
def test_a_wish_for_a_job_that_is_being_stopped_brings_it_back(queue: RedisQueue, control: Control, why: str) -> None:
    """In the moments between a cancel and the end of what runs."""
    job = control.submit(SOURCE, RECIPE).job
    probe = queue.tasks(job)[0].task
    claimed = claim(queue, probe)
    chunk = new_task(claimed.attempt.job, Stage.TRANSCODE)
    assert queue.enqueue(claimed.lease, [chunk]) == 1
    if why == "cancel":
        assert control.cancel(job)
    else:
        fail(queue, chunk)
    assert state(queue, job) is JobState.RUNNING

    again = control.submit(SOURCE, RECIPE)

    assert (again.job, again.created, again.retried) == (job, False, 2)
    told = Settlement(claimed.lease, Next.CANCEL, Outcome(OutcomeKind.CANCELLED))
    queue.turn(claimed.lease.holder, [told], [], lease_ms=60_000)
    assert {view.task.stage: view.state for view in queue.tasks(job)} == {
        Stage.PROBE: TaskState.READY,
        Stage.TRANSCODE: TaskState.READY,
    }
    assert check(queue) == [] and control.submit(SOURCE, RECIPE).retried == 0


def test_a_deadline_said_again_is_the_jobs(queue: RedisQueue, control: Control) -> None:
    """Later or sooner, of a job that waits or is brought back; a wish without one changes nothing."""

    def deadline() -> tuple[int, bool]:
        view = queue.job(job)
        assert view is not None and check(queue) == []
        return view.job.deadline_ms, view.late

    now_ms = CLOCK.now_ms()
    job = control.submit(SOURCE, RECIPE, deadline_ms=now_ms + 90_000).job
    control.submit(SOURCE, RECIPE, deadline_ms=now_ms + 60_000)
    control.submit(SOURCE, RECIPE)
    assert deadline() == (now_ms + 60_000, False)
    control.submit(SOURCE, RECIPE, deadline_ms=now_ms - 1)
    look(queue)
    assert state(queue, job) is JobState.CANCELLED and deadline() == (now_ms - 1, True)

    assert control.submit(SOURCE, RECIPE, deadline_ms=now_ms + 3_600_000).retried == 1
    look(queue)
    assert deadline() == (now_ms + 3_600_000, False)
    assert queue.command("ZSCORE", queue.keys.of("deadlines"), job) == now_ms + 3_600_000
    control.cancel(job)
    queue.command("ZREM", queue.keys.of("deadlines"), job)  # a turn saw that it was late, and the clock went back
    assert control.retry(job) == 1 and deadline() == (now_ms + 3_600_000, False), "it has not passed"
    assert queue.command("ZSCORE", queue.keys.of("deadlines"), job) == now_ms + 3_600_000


def test_two_who_find_the_known_job_forgotten_make_one_new_job(queue: RedisQueue) -> None:
    """The second frees the first one's key no more: it looks whose it is."""
    old = Control(queue, CLOCK).submit(SOURCE, RECIPE).job
    others: list[JobId] = []

    def meanwhile(moment: str) -> None:
        if moment == "submitted" and not others:
            queue.cancel(old)
            queue.drop(old)
            others.append(Control(queue, CLOCK).submit(SOURCE, RECIPE).job)

    mine = Control(queue, CLOCK, meanwhile).submit(SOURCE, RECIPE)

    assert (mine.job, mine.created) == (others[0], False) and old not in others
    assert len(queue.jobs()) == 1 and check(queue) == []


def test_two_who_make_the_same_job_anew_make_one(queue: RedisQueue, control: Control) -> None:
    old = control.submit(SOURCE, RECIPE).job

    first, second = (control.anew(SOURCE, RECIPE, old) for _ in range(2))

    assert first.created and first.job != old and (second.job, second.created) == (first.job, False)
    assert len(queue.jobs()) == 2 and check(queue) == []
    assert control.anew(SOURCE, RECIPE, first.job).created


def test_a_file_that_moved_is_read_from_where_it_is_now(queue: RedisQueue, control: Control) -> None:
    job = control.submit(SOURCE, RECIPE).job
    fail(queue, queue.tasks(job)[0].task)
    moved = replace(SOURCE, uri="file:///elsewhere/goat.mp4", mtime_ns=9)
    assert control.submit(moved, RECIPE).job == job

    view = queue.job(job)
    assert view is not None and (view.job.source.uri, view.job.source.mtime_ns) == (moved.uri, 9)


def test_an_upload_is_read_from_the_blobs_also_when_the_same_content_comes_as_a_file(
    queue: RedisQueue, control: Control
) -> None:
    upload = replace(SOURCE, uri=f"blob:{SOURCE.sha256}", mtime_ns=0)
    job = control.submit(upload, RECIPE).job
    control.submit(SOURCE, RECIPE)
    view = queue.job(job)
    assert view is not None and view.job.source == upload

    later = control.submit(SOURCE, replace(RECIPE, video_crf=30)).job
    control.submit(upload, replace(RECIPE, video_crf=30))
    view = queue.job(later)
    assert view is not None and view.job.source == upload


def test_a_more_urgent_wish_of_the_same_hears_which_bin_holds(control: Control) -> None:
    assert control.submit(SOURCE, RECIPE, bin_=Bin.BULK).bin is Bin.BULK
    again = control.submit(SOURCE, RECIPE, bin_=Bin.URGENT)
    assert (again.created, again.bin) == (False, Bin.BULK)


def test_what_succeeded_keeps_its_place(queue: RedisQueue, blobs: BlobStore, tmp_path: Path, control: Control) -> None:
    job = finished(queue, blobs, tmp_path, control)
    again = control.submit(replace(SOURCE, uri="file:///elsewhere/goat.mp4"), RECIPE)

    view = queue.job(job)
    assert (again.job, again.created, again.retried) == (job, False, 0)
    assert view is not None and view.job.source.uri == SOURCE.uri


def test_kept_frames_are_described_with_another_prompt(
    queue: RedisQueue, blobs: BlobStore, tmp_path: Path, control: Control
) -> None:
    job = finished(queue, blobs, tmp_path, control)
    other = replace(RECIPE, prompt="Is there a goat?")
    submission = control.describe(job, other)

    view = queue.job(submission.job)
    assert submission.created and view is not None and view.job.reuses == job
    tasks = [task.task for task in queue.tasks(submission.job)]
    assert [task.stage for task in tasks] == [Stage.DESCRIBE] * 3 + [Stage.INDEX]
    for number, task in enumerate(tasks[:3]):
        assert [time for time, _ in task.payload["frames"]["frames"]] == [f"{20 * number}/1", f"{20 * number + 10}/1"]
        assert blobs.has(task.payload["frames"]["zip"]) and task.payload["prompt"] == "Is there a goat?"
    # The same question of the same frames is the same job; also when it is asked of the describing job.
    assert control.describe(job, other).job == submission.job
    assert control.describe(submission.job, other).job == submission.job
    assert control.describe(job, replace(other, prompt="And a roof?")).job != submission.job


def test_what_cannot_be_described_is_said(queue: RedisQueue, blobs: BlobStore, control: Control) -> None:
    with pytest.raises(BadWish) as caught:
        control.describe(JobId("job_nobody"), RECIPE)
    assert caught.value.code == "JOB_UNKNOWN"
    job = control.submit(SOURCE, RECIPE).job
    with pytest.raises(BadWish) as caught:
        control.describe(job, replace(RECIPE, model=None))
    assert caught.value.code == "NO_MODEL"
    view = queue.job(job)
    assert view is not None
    with pytest.raises(BadWish) as caught:  # nobody knows yet which frames there will be
        control.describe(job, RECIPE)
    assert caught.value.code == "JOB_UNFINISHED"
    plan_by_hand(queue, blobs, view.job, queue.tasks(job)[0].task)
    with pytest.raises(BadWish) as caught:
        control.describe(job, RECIPE)
    assert caught.value.code == "JOB_UNFINISHED"
    control.cancel(job)
    failed = control.submit(replace(SOURCE, sha256="ee" * 32), RECIPE).job
    fail(queue, queue.tasks(failed)[0].task)
    with pytest.raises(Fatal) as fatal:
        control.describe(failed, RECIPE)
    assert fatal.value.code == "NO_FRAMES_KEPT"


def test_unknown_jobs_cannot_be_cancelled_or_retried(control: Control) -> None:
    for verb in (control.cancel, control.retry):
        with pytest.raises(Fatal) as caught:
            verb(JobId("job_nobody"))
        assert caught.value.code == "JOB_UNKNOWN"


def test_a_cancel_ends_what_a_dead_pool_ran_though_no_other_lives(queue: RedisQueue, control: Control) -> None:
    dead = ended()
    queue.join(dead, 60_000)
    job = control.submit(SOURCE, RECIPE).job
    claim(queue, queue.tasks(job)[0].task, dead.id)

    assert control.cancel(job)
    assert state(queue, job) is JobState.CANCELLED and check(queue) == []
