"""What a job has published so far, at every point of its life."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from tests.dispatch.things import CLOCK, claim, described, fail, joined, live, new_job, plan_by_hand, settle, transcoded
from vidprocme.core.errors import ErrorInfo, Fatal, Fate
from vidprocme.core.ids import JobId
from vidprocme.core.job import Job, JobState, Next, Outcome, OutcomeKind, Recipe, Stage, Task
from vidprocme.dispatch.control import Control
from vidprocme.dispatch.results import NO_MODEL, POISONED, caption_document, collect, media_document
from vidprocme.dispatch.watch import progress_of
from vidprocme.library.blobs import BlobStore
from vidprocme.planner.graph import first_tasks
from vidprocme.queue.base import Settlement
from vidprocme.queue.redis import RedisQueue
from vidprocme.queue.scripts import POISON

RECIPE = Recipe(model="demo")


@pytest.fixture
def job(queue: RedisQueue) -> Job:
    made = new_job(recipe=RECIPE)
    queue.submit(made, first_tasks(made))
    return made


def planned(queue: RedisQueue, blobs: BlobStore, job: Job) -> tuple[Task, ...]:
    return plan_by_hand(queue, blobs, job, queue.tasks(job.id)[0].task)


def of(tasks: tuple[Task, ...], stage: Stage) -> list[Task]:
    return [task for task in tasks if task.stage is stage]


def test_a_new_job_has_nothing(queue: RedisQueue, blobs: BlobStore, job: Job) -> None:
    result = collect(queue, blobs, job.id)

    assert (result.media, result.renditions, result.frames, result.captions) == (None, (), (), ())
    assert (result.degraded, result.error) == ((), None) and progress_of(queue.tasks(job.id)).fraction == 0


def test_it_grows_with_its_tasks(queue: RedisQueue, blobs: BlobStore, tmp_path: Path, job: Job) -> None:
    tasks = planned(queue, blobs, job)
    result = collect(queue, blobs, job.id)
    assert result.media is not None and result.media.duration == 60 and result.degraded == ("sound: none",)
    second = of(tasks, Stage.TRANSCODE)[1]
    settle(queue, second, transcoded(blobs, second, tmp_path))
    words = of(tasks, Stage.DESCRIBE)[1]
    settle(queue, words, described(blobs, words, "a goat"))

    result = collect(queue, blobs, job.id)
    assert [frame.time for frame in result.frames] == [20, 30] and all(blobs.has(f.archive) for f in result.frames)
    # The last caption lasts to the end of the video, as long as no later frame is there.
    assert [(int(c.start), int(c.end), c.text) for c in result.captions] == [
        (20, 30, "a goat 20"),
        (30, 60, "a goat 30"),
    ]
    assert result.renditions == () and 0 < progress_of(queue.tasks(job.id)).fraction < 1


def test_a_finished_job(queue: RedisQueue, blobs: BlobStore, tmp_path: Path, job: Job) -> None:
    live(queue, blobs, tmp_path, job, planned(queue, blobs, job))
    result = collect(queue, blobs, job.id)

    assert result.view.state is JobState.SUCCEEDED and result.error is None
    assert [file.name for file in result.renditions] == ["720p"]
    assert [frame.time for frame in result.frames] == list(range(0, 60, 10))
    assert [caption.start for caption in result.captions] == list(range(0, 60, 10))
    assert all(left.end == right.start for left, right in zip(result.captions, result.captions[1:], strict=False))
    assert result.captions[-1].end == 60 and progress_of(queue.tasks(job.id)).fraction == 1
    assert caption_document(result.captions[0]) == {
        "start_s": 0,
        "end_s": 10,
        "text": "a goat 0",
        "frame_pts_s": 0,
        "model": "demo",
    }
    assert result.media is not None
    document = media_document(result.media)
    assert document["duration_s"] == 60 and document["video"]["width_px"] == 1280 and document["audio"] is None


def test_a_describe_that_failed_leaves_the_rest_and_names_its_times(
    queue: RedisQueue, blobs: BlobStore, tmp_path: Path, job: Job
) -> None:
    tasks = planned(queue, blobs, job)
    live(queue, blobs, tmp_path, job, tasks, upto=Stage.JOIN)
    first, second, third = of(tasks, Stage.DESCRIBE)
    settle(queue, first, described(blobs, first, "a goat"))
    fail(queue, second, "The model described none of 2 frames.")
    settle(queue, third, described(blobs, third, "a roof"))
    (end,) = of(tasks, Stage.INDEX)
    settle(queue, end, Outcome(OutcomeKind.OK, {}))

    result = collect(queue, blobs, job.id)
    assert result.view.state is JobState.FAILED and len(result.renditions) == 1
    assert [caption.start for caption in result.captions] == [0, 10, 40, 50]
    assert "captions: 2 frames without words (at 20 s, 30 s)" in result.degraded
    assert result.error is not None and result.error.message == "The model described none of 2 frames."
    assert result.error.evidence == {"size": 3, "stage": "describe", "task": second.id, "tries": 1}


def test_words_that_may_still_come_are_not_missed(
    queue: RedisQueue, blobs: BlobStore, tmp_path: Path, job: Job
) -> None:
    tasks = planned(queue, blobs, job)
    live(queue, blobs, tmp_path, job, tasks, upto=Stage.JOIN)
    settle(queue, of(tasks, Stage.DESCRIBE)[0], described(blobs, of(tasks, Stage.DESCRIBE)[0], "a goat"))

    result = collect(queue, blobs, job.id)
    assert result.view.state is JobState.RUNNING and len(result.captions) == 2
    assert not any("without words" in note for note in result.degraded)


def test_captions_whose_blob_is_gone_are_named_not_stumbled_over(
    queue: RedisQueue, blobs: BlobStore, tmp_path: Path, job: Job
) -> None:
    tasks = planned(queue, blobs, job)
    live(queue, blobs, tmp_path, job, tasks)
    view = queue.task(of(tasks, Stage.DESCRIBE)[0].id)
    assert view is not None and view.outcome is not None
    blobs.delete(view.outcome.manifest[0].sha256)

    result = collect(queue, blobs, job.id)
    assert [caption.start for caption in result.captions] == [20, 30, 40, 50]
    assert "captions: 2 frames without words (at 0 s, 10 s)" in result.degraded


def test_a_failed_probe_says_why(queue: RedisQueue, blobs: BlobStore, job: Job) -> None:
    fail(queue, queue.tasks(job.id)[0].task)
    result = collect(queue, blobs, job.id)

    assert result.error is not None and (result.error.code, result.error.fate) == ("NOT_A_VIDEO", Fate.NEVER)
    assert result.error.evidence["stage"] == "probe"


def test_a_dead_task_says_why(queue: RedisQueue, blobs: BlobStore) -> None:
    made = new_job(recipe=RECIPE)
    (probe,) = first_tasks(made)
    queue.submit(made, [probe])
    error = ErrorInfo("FFMPEG_FAILED", "ffmpeg exit 1")
    for _ in range(probe.limits.tries):
        settle(queue, probe, Outcome(OutcomeKind.FAILED, error=error), Next.RETRY)
    result = collect(queue, blobs, made.id)

    assert result.view.state is JobState.FAILED and result.error is not None
    assert result.error.code == "FFMPEG_FAILED" and result.error.evidence["tries"] == probe.limits.tries


def crashed(queue: RedisQueue, task: Task, code: str = "PROCESS_CRASHED") -> None:
    """An attempt that died of its own making."""
    hint = "It is tried again; a file that crashes twice is set aside."
    outcome = Outcome(OutcomeKind.FAILED, error=ErrorInfo(code, "The process of this attempt crashed.", hint))
    lease = claim(queue, task).lease
    queue.turn(lease.holder, [Settlement(lease, Next.RETRY, outcome, crashed=True)], [], lease_ms=60_000)


@pytest.mark.parametrize(
    ("code", "hint"),
    [("PROCESS_CRASHED", "Look at this video first"), ("FFMPEG_OUT_OF_MEMORY", "VIDPROCME_ATTEMPT_MEMORY_MB")],
)
def test_what_was_set_aside_says_so_and_not_that_it_is_tried_again(
    queue: RedisQueue, blobs: BlobStore, job: Job, code: str, hint: str
) -> None:
    probe = queue.tasks(job.id)[0].task
    crashed(queue, probe, code)
    crashed(queue, probe, code)

    error = collect(queue, blobs, job.id).error

    assert error is not None and error.code == code
    assert error.message == "Set aside: it crashed its own process twice. The process of this attempt crashed."
    assert (
        hint in error.hint and f"`vidprocme jobs retry {job.id}`" in error.hint and "is tried again;" not in error.hint
    )
    assert error.evidence["tries"] == POISONED == POISON


def test_what_was_lost_too_often_says_how_often(queue: RedisQueue, blobs: BlobStore, job: Job) -> None:
    probe = queue.tasks(job.id)[0].task
    lost = Outcome(OutcomeKind.LOST, error=ErrorInfo("PROCESS_KILLED", "Killed from outside.", fate=Fate.LOST))
    for _ in range(probe.limits.lost + 1):
        settle(queue, probe, lost, Next.LOST)

    error = collect(queue, blobs, job.id).error

    assert error is not None and error.code == "PROCESS_KILLED"
    assert error.message == "Given up: lost 21 times. Killed from outside."
    assert "logs and memory" in error.hint and (error.evidence["lost"], error.evidence["tries"]) == (21, 0)


def test_of_a_dead_task_it_is_not_said_that_it_is_tried_again(queue: RedisQueue, blobs: BlobStore, job: Job) -> None:
    probe = queue.tasks(job.id)[0].task
    stalled = Outcome(OutcomeKind.TIMEOUT, error=ErrorInfo("STALLED", "No progress for 30 s.", "It is tried again."))
    for _ in range(probe.limits.tries):
        settle(queue, probe, stalled, Next.RETRY)

    error = collect(queue, blobs, job.id).error

    assert error is not None and error.message == "No progress for 30 s."
    assert error.hint == f"`vidprocme jobs retry {job.id}` tries it again."


def test_a_cancelled_job_says_so(queue: RedisQueue, blobs: BlobStore, job: Job) -> None:
    queue.cancel(job.id)
    result = collect(queue, blobs, job.id)

    assert result.error is not None and result.error.code == "CANCELLED" and job.id in result.error.hint


def test_a_missed_deadline_is_nobodys_cancel(queue: RedisQueue, blobs: BlobStore) -> None:
    made = new_job(recipe=RECIPE, deadline_ms=queue.now_ms() - 1)
    queue.submit(made, first_tasks(made))
    queue.turn("hand", [], [], lease_ms=60_000)

    result = collect(queue, blobs, made.id)

    assert result.view.state is JobState.CANCELLED and result.error is not None
    assert result.error.code == "DEADLINE" and "did not end by its deadline, 20" in result.error.message
    assert f"jobs retry {made.id}` goes on" in result.error.hint


def test_without_a_model_the_missing_captions_are_named_only_when_they_were_wished_for(
    queue: RedisQueue, blobs: BlobStore, tmp_path: Path
) -> None:
    for missing in (True, False):
        made = new_job(recipe=Recipe(model_missing=missing))
        (probe,) = first_tasks(made)
        queue.submit(made, [probe])
        live(queue, blobs, tmp_path, made, plan_by_hand(queue, blobs, made, probe))
        result = collect(queue, blobs, made.id)
        assert result.view.state is JobState.SUCCEEDED and (NO_MODEL in result.degraded) is missing


def test_a_describe_job_shows_the_video_it_took_its_frames_from(
    queue: RedisQueue, blobs: BlobStore, tmp_path: Path, job: Job
) -> None:
    live(queue, blobs, tmp_path, job, planned(queue, blobs, job))
    again = Control(queue, CLOCK).describe(job.id, Recipe(model="demo", prompt="More."))
    view = queue.job(again.job)
    assert view is not None
    live(queue, blobs, tmp_path, view.job, [v.task for v in queue.tasks(again.job)], words="two goats")
    result = collect(queue, blobs, again.job)

    assert [caption.text for caption in result.captions][:2] == ["two goats 0", "two goats 10"]
    assert result.media is not None and len(result.frames) == 6 and result.renditions[0].name == "720p"


def test_an_unknown_job(queue: RedisQueue, blobs: BlobStore) -> None:
    with pytest.raises(Fatal) as caught:
        collect(queue, blobs, JobId("job_nobody"))
    assert caught.value.code == "JOB_UNKNOWN"


def test_progress_counts_the_running_share(queue: RedisQueue, blobs: BlobStore, job: Job) -> None:
    first = of(planned(queue, blobs, job), Stage.TRANSCODE)[0]
    lease = claim(queue, first).lease
    queue.beat("hand", [lease], lease_ms=60_000, presence_ms=3_000, progress={first.id: 0.5})
    progress = progress_of(queue.tasks(job.id))
    transcode = next(stage for stage in progress.stages if stage.stage is Stage.TRANSCODE)

    assert (transcode.done, transcode.total, transcode.running) == (0, 3, 1)
    assert transcode.fraction == pytest.approx(float(Fraction(1, 6)), abs=0.01)
    eta_s = progress.eta_s(10)
    assert progress.eta_s(0.1) is None and eta_s is not None
    assert eta_s == pytest.approx(10 * (1 - progress.fraction) / progress.fraction)


def test_joined_files_are_taken_from_join_alone(queue: RedisQueue, blobs: BlobStore, tmp_path: Path, job: Job) -> None:
    tasks = planned(queue, blobs, job)
    live(queue, blobs, tmp_path, job, tasks, upto=Stage.TRANSCODE)
    assert collect(queue, blobs, job.id).renditions == ()
    settle(queue, of(tasks, Stage.JOIN)[0], joined(blobs))
    assert [file.name for file in collect(queue, blobs, job.id).renditions] == ["720p"]
