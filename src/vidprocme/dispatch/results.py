"""What came out of a job, gathered from its tasks' published outcomes. Read-only; the same for files, HTTP and the index."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from fractions import Fraction
from typing import Any

from vidprocme.core.errors import ErrorInfo, Fatal, Retryable
from vidprocme.core.ids import JobId
from vidprocme.core.job import TERMINAL, JobState, Limits, Outcome, OutcomeKind, Stage, TaskState
from vidprocme.core.media import Caption, MediaInfo, RenditionFile, seconds
from vidprocme.core.wire import from_wire
from vidprocme.library.base import Blobs
from vidprocme.queue.base import JobView, Queue, TaskView

NO_MODEL = "captions: no model"
POISONED = 2  # deaths of its attempts' own making, at which the queue sets a task aside (queue/scripts.py)
NO_MEMORY = frozenset({"OUT_OF_MEMORY", "FFMPEG_OUT_OF_MEMORY", "MODEL_OUT_OF_MEMORY"})


class End(StrEnum):
    """Why the queue tries a task no more."""

    POISON = "poison"
    LOST = "lost"
    TRIES = "tries"


@dataclass(frozen=True, slots=True)
class FrameRef:
    """A kept frame: its true time, and where its JPEG lies (a member of a chunk's zip)."""

    time: Fraction
    archive: str  # sha256 of the zip
    name: str


@dataclass(frozen=True, slots=True)
class JobResult:
    """A job as it stands. `error` is what made it fail; `degraded` names what is less than was wished for."""

    view: JobView
    media: MediaInfo | None
    renditions: tuple[RenditionFile, ...]
    frames: tuple[FrameRef, ...]
    captions: tuple[Caption, ...]
    degraded: tuple[str, ...]
    error: ErrorInfo | None
    tasks: tuple[TaskView, ...] = ()


def collect(queue: Queue, blobs: Blobs, job: JobId) -> JobResult:
    """Everything a job has published so far.

    Raises:
        Fatal: JOB_UNKNOWN.
    """
    view = queue.job(job)
    if view is None:
        raise Fatal("JOB_UNKNOWN", f"There is no job {job}.", "`vidprocme jobs ls` shows those there are.")
    tasks = queue.tasks(job)
    base = queue.tasks(view.job.reuses) if view.job.reuses else tasks
    media = next((from_wire(MediaInfo, o.result["media"]) for o in _ok(base, Stage.PROBE)), None)
    renditions = tuple(from_wire(RenditionFile, item) for o in _ok(base, Stage.JOIN) for item in o.result["renditions"])
    frames = _frames(base)
    captions, wordless = _captions(tasks, frames, media, blobs)
    degraded = [note for view_ in base if view_.outcome for note in view_.outcome.result.get("degraded", [])]
    if view.job.recipe.model_missing and view.job.recipe.model is None:
        degraded.append(NO_MODEL)
    if wordless and view.state not in (JobState.QUEUED, JobState.RUNNING):  # until then their words may still come
        degraded.append(_wordless_note(wordless))
    said = tuple(dict.fromkeys(degraded))
    return JobResult(view, media, renditions, frames, captions, said, job_error(view, tasks), tasks)


def begun(view: JobView) -> JobResult | None:
    """What `collect` says of a job none of whose tasks has ended yet, without reading them; None of another."""
    if view.job.reuses or view.retries or view.counts.keys() & TERMINAL:
        return None
    missing = view.job.recipe.model_missing and view.job.recipe.model is None
    return JobResult(view, None, (), (), (), (NO_MODEL,) if missing else (), None)


def frames_of(queue: Queue, view: JobView) -> tuple[FrameRef, ...]:
    """The frames that a job (or the one whose frames it reuses) has kept so far, by time. Reads no blob."""
    return _frames(queue.tasks(view.job.reuses or view.job.id))


def renditions_of(queue: Queue, view: JobView) -> tuple[RenditionFile, ...]:
    """The finished renditions of a job, or of the one that it reuses. Reads no blob."""
    outcomes = _ok(queue.tasks(view.job.reuses or view.job.id), Stage.JOIN)
    return tuple(from_wire(RenditionFile, item) for outcome in outcomes for item in outcome.result["renditions"])


def media_document(media: MediaInfo) -> dict[str, Any]:
    """MediaInfo as people and scripts see it: times in seconds, sizes in pixels and bytes."""
    video, audio = media.video, media.audio
    return {
        "format": media.format,
        "size_bytes": media.size_bytes,
        "duration_s": seconds(media.duration),
        "start_s": seconds(media.origin),
        "frames": media.frames,
        "exact": media.exact,
        "video": {
            "codec": video.codec,
            "width_px": video.width_px,
            "height_px": video.height_px,
            "rotation_deg": video.rotation_deg,
            "pix_fmt": video.pix_fmt,
            "frame_rate": round(float(video.frame_rate), 6) if video.frame_rate else None,
            "interlaced": video.interlaced,
            "hdr": video.hdr,
        },
        "audio": audio
        and {
            "codec": audio.codec,
            "sample_rate_hz": audio.sample_rate_hz,
            "channels": audio.channels,
            "start_s": seconds(audio.start),
        },
    }


def caption_document(caption: Caption) -> dict[str, Any]:
    return {
        "start_s": seconds(caption.start),
        "end_s": seconds(caption.end),
        "text": caption.text,
        "frame_pts_s": seconds(caption.frame_time),
        "model": caption.model,
    }


def _ok(tasks: Sequence[TaskView], stage: Stage) -> list[Outcome]:
    return [
        view.outcome
        for view in tasks
        if view.task.stage is stage and view.state is TaskState.SUCCEEDED and view.outcome is not None
    ]


def _frames(tasks: Sequence[TaskView]) -> tuple[FrameRef, ...]:
    found = []
    for stage in (Stage.TRANSCODE, Stage.FRAMES):
        for outcome in _ok(tasks, stage):
            archive = next((a.sha256 for a in outcome.manifest if a.name == "frames.zip"), "")
            found += [FrameRef(Fraction(time), archive, name) for time, name in outcome.result["frames"]]
    return tuple(sorted(found, key=lambda frame: frame.time))


def _captions(
    tasks: Sequence[TaskView], frames: Sequence[FrameRef], media: MediaInfo | None, blobs: Blobs
) -> tuple[tuple[Caption, ...], list[Fraction]]:
    """Captions in order, each shown until the next frame; and the times of frames that should have words and have none."""
    described: dict[Fraction, tuple[str, str]] = {}
    asked = False
    for view in tasks:
        if view.task.stage is not Stage.DESCRIBE:
            continue
        asked = True
        if view.outcome is None or view.outcome.kind is not OutcomeKind.OK:
            continue
        described |= _described(view.outcome, blobs)
    times = [frame.time for frame in frames]
    ends = [*times[1:], media.duration if media else times[-1]] if times else []
    captions, wordless = [], []
    for time, end in zip(times, ends, strict=True):
        said = described.get(time)
        if said is not None:
            captions.append(Caption(time, max(end, time), said[0], time, said[1]))
        elif asked:
            wordless.append(time)
    return tuple(captions), wordless


def _described(outcome: Outcome, blobs: Blobs) -> dict[Fraction, tuple[str, str]]:
    """Text and model by time, of the frames that have words. None when the blob is gone or damaged: all are wordless."""
    try:
        items = json.loads(blobs.read(outcome.manifest[0].sha256))
        return {
            Fraction(item["time"]): (str(item["text"]), str(item["model"]))
            for item in items
            if item["text"] is not None
        }
    except Retryable as error:
        if error.code != "BLOB_MISSING":
            raise
    except (ValueError, TypeError, LookupError, ZeroDivisionError):
        pass  # no JSON, or another one than describe writes
    return {}


def _wordless_note(times: Sequence[Fraction]) -> str:
    shown = ", ".join(f"{seconds(time)} s" for time in times[:5]) + (" ..." if len(times) > 5 else "")
    return f"captions: {len(times)} frame{'s' if len(times) > 1 else ''} without words (at {shown})"


def job_error(view: JobView, tasks: Sequence[TaskView]) -> ErrorInfo | None:
    if view.state is JobState.CANCELLED and view.late:
        at = (
            datetime.fromtimestamp(view.job.deadline_ms / 1000, UTC)
            .isoformat(timespec="seconds")
            .replace("+00:00", "Z")
        )
        return ErrorInfo(
            "DEADLINE",
            f"The job did not end by its deadline, {at}: what was left of it was cancelled.",
            f"`vidprocme jobs retry {view.job.id}` goes on with it, without a deadline.",
            {"deadline_at": at},
        )
    if view.state is JobState.CANCELLED:
        return ErrorInfo(
            "CANCELLED", "The job was cancelled.", f"`vidprocme jobs retry {view.job.id}` goes on with it."
        )
    if view.state is not JobState.FAILED:
        return None
    for task in tasks:
        if task.state in (TaskState.FAILED, TaskState.DEAD):
            error = last_error(task) or ErrorInfo("INTERNAL", f"Stage {task.task.stage} failed.")
            evidence = {**error.evidence, "stage": task.task.stage.value, "task": task.task.id, "tries": task.tries}
            return replace(error, evidence=evidence | ({"lost": task.lost} if task.lost else {}))
    return ErrorInfo("INTERNAL", "The job failed, and no task says why.", "Please report this.")


# -- tasks that are tried no more --------------------------------------------------------------------------------------


def last_error(view: TaskView) -> ErrorInfo | None:
    """What a task that failed or died last said; of one that no try can save as things are, also that, and what to do."""
    error = view.outcome.error if view.outcome else None
    end = _end_of(view)
    if error is None or end is None:
        return error
    hint = dead_hint(end, error, view.task.job)
    if end is End.TRIES:
        return replace(error, hint=hint)  # what it said is why
    words = dead_words(end, view.task.limits)
    return replace(error, message=f"{words[0].upper()}{words[1:]}. {error.message}", hint=hint)


def dead_words(end: End, limits: Limits) -> str:
    match end:
        case End.POISON:
            return "set aside: it crashed its own process twice"
        case End.LOST:
            return f"given up: lost {limits.lost + 1} times"
        case End.TRIES:
            return "dead: its only try failed" if limits.tries == 1 else f"dead: all {limits.tries} tries are used up"


def dead_hint(end: End, error: ErrorInfo | None, job: JobId) -> str:
    again = f"`vidprocme jobs retry {job}` tries it again."
    match end:
        case End.POISON if error is not None and error.code in NO_MEMORY:
            return (
                "Give the machine more memory, or the attempts a higher limit (VIDPROCME_ATTEMPT_MEMORY_MB). "
                f"Then {again}"
            )
        case End.POISON:
            return f"Look at this video first: it may crash whatever reads it. {again}"
        case End.LOST:
            return f"Whatever ran it vanished or was killed each time: look at those machines' logs and memory. Then {again}"
        case End.TRIES:
            # Of an attempt it was said that another one comes.
            hint = error.hint.removeprefix("It is tried again.").strip() if error else ""
            return f"{hint} {again}".strip()


def _end_of(view: TaskView) -> End | None:
    """Why a task is tried no more, though a try might have helped; None of one that no try can."""
    if view.crashes >= POISONED:
        return End.POISON
    if view.lost > view.task.limits.lost:
        return End.LOST
    return End.TRIES if view.state is TaskState.DEAD else None
