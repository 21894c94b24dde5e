"""Documents about jobs, and how each is made of what the queue and the blobs hold."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import Field

from vidprocme.api.schemas.base import Document, ErrorDocument, Wish, time_text
from vidprocme.api.schemas.videos import CaptionDocument, RenditionDocument
from vidprocme.api.schemas.waiting import WaitingDocument, waiting_documents
from vidprocme.api.schemas.why import WhyDocument, why_documents
from vidprocme.core.ids import JobId, TaskId
from vidprocme.core.job import JobState, Next, Stage, TaskState
from vidprocme.core.media import seconds
from vidprocme.core.wire import to_wire
from vidprocme.dispatch.eta import WINDOW_MIN, Eta, after_start, end_eta, start_eta
from vidprocme.dispatch.results import caption_document, collect, media_document
from vidprocme.dispatch.said import leading
from vidprocme.dispatch.waiting import HINDERED, Standing, in_short, room, standing
from vidprocme.dispatch.watch import BAD, progress_of, suspects
from vidprocme.library.base import Blobs, JobRow
from vidprocme.queue.base import AttemptRecord, JobView, Queue, TaskView

TROUBLES_SHOWN = 20
MODEL_STAGES = frozenset({Stage.DESCRIBE})  # at places for models; all others at places for files and ffmpeg


class Changed(Document):
    """What a cancel or retry did. `tasks`: how many got fresh tries (retry), or were cancelled at once (cancel: what runs follows)."""

    id: str
    state: str
    tasks: int = 0


class StageDocument(Document):
    """`done` succeeded; `failed` counts the dead too. `fraction` 0..1 is done, with the running tasks' own progress."""

    name: str
    done: int
    total: int
    running: int
    failed: int
    cancelled: int
    fraction: float


class LineDocument(Document):
    """Where the first ready task of a job stands, strictly by bin and age, and a guess when it starts. Others of a job that has
    begun run already, or have ended."""

    task: str
    bin: str
    ahead: int = Field(description="older tasks of its bin")
    more_urgent: int = Field(description="tasks of more urgent bins")
    start_eta_s: float | None = Field(description="null: unknown; `how` says why")
    how: str


class AttemptDocument(Document):
    """One attempt that did not end well."""

    task: str
    stage: str
    number: int = Field(
        description="which of its task's attempts, lost ones and those before a retry too; the last 50 are kept"
    )
    try_number: int | None = Field(
        description="which of its task's tries it used up, from 1 again after a retry; null: none, it was lost"
    )
    place: str
    started_at: str
    ended_at: str
    outcome: str
    next: str
    error: ErrorDocument | None


class JobSummary(Document):
    """A job in a list. Times are RFC 3339, UTC; `tasks` counts them by state; `late`: its deadline passed before it ended.

    What changes (`state`, `bin`, `tasks`, `progress`, `late`, `ended_at`) is as it is now; `stage`, `code` and `message` as of the
    list's `as_of`.
    """

    id: str
    video: str
    name: str
    state: str
    bin: str
    size_bytes: int
    created_at: str
    ended_at: str | None
    cancel_asked: bool
    tenant: str
    deadline_at: str | None
    late: bool
    tasks: dict[str, int]
    title: str = Field(description="of its video; the file's name when nobody gave one")
    stage: str | None = Field(
        description="where it is: of the task that started last; of a failed job, where it failed; null when it succeeded"
    )
    code: str | None = Field(description="of its error")
    message: str | None = Field(description="of its error")
    progress: float = Field(
        description="0..1 of its tasks have succeeded; 0 until the probe has said what there is to do"
    )
    duration_s: float | None = Field(description="of the video; null until it was probed")


class JobDocument(JobSummary):
    """A job with everything it has published so far. `degraded` names what is less than was wished for."""

    recipe: dict[str, Any]
    progress: float = Field(description="0..1 over all stages: what succeeded, and the running tasks' own progress")
    stages: list[StageDocument]
    waiting: list[WaitingDocument]
    why: list[WhyDocument] = Field(
        description="of stages with a task that is ready, what a pool says of it: there one to four seconds after the job was first asked for"
    )
    line: LineDocument | None = Field(description="null when none of its tasks is ready")
    eta_s: float | None = Field(
        description="seconds to its end if it goes on as so far; null: unknown, or it has ended"
    )
    eta_how: str
    troubles: list[AttemptDocument] = Field(
        description="attempts that did not end well, oldest first: of each of the 20 tasks most in trouble the last one, "
        "and others up to 20"
    )
    media: dict[str, Any] | None
    frames: int
    renditions: list[RenditionDocument]
    captions: list[CaptionDocument]
    captions_url: str | None
    degraded: list[str]
    error: ErrorDocument | None
    etag: str


class JobPatch(Wish):
    """Fields that are not given stay."""

    bin: str | None = Field(default=None, description="where it is moved")
    deadline: str | None = Field(default=None, description="`2h` from now, or an ISO 8601 time; empty: none any more")


class JobList(Document):
    """`counts`: jobs by state, and `dead`, for the filter without its states. `as_of`: what happened until then is in the list."""

    items: list[JobSummary]
    next_cursor: str | None = None
    total_estimate: int
    counts: dict[str, int]
    as_of: str | None = Field(description="null: the list is being made")


def job_summary(view: JobView, row: JobRow | None = None) -> JobSummary:
    """A row of the list, with what can change as the queue says it now."""
    return JobSummary(**_summary_fields(view, row))


def etag_of(view: JobView) -> str:
    """Changes with what can be patched, and with the state."""
    said = f"{view.state}|{view.job.bin}|{view.job.deadline_ms}"
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def job_document(
    queue: Queue,
    blobs: Blobs,
    job: JobId,
    row: JobRow | None = None,
    now: Standing | None = None,
    *,
    one_tenant: bool = False,
) -> JobDocument:
    """Everything about one job.

    Args:
        row: its row in the table of jobs, if there is one already.
        now: what the house is like, if somebody has looked within the last second.
        one_tenant: for a key that sees one tenant only.

    Raises:
        Fatal: JOB_UNKNOWN. Retryable: the queue or the blobs are out of reach.
    """
    result = collect(queue, blobs, job)
    tasks = result.tasks
    progress = progress_of(tasks)
    url = f"/v1/jobs/{job}"
    now = now or standing(queue)
    waiting, line, eta = _outlook(queue, result.view, tasks, progress.settled, now, one_tenant)
    summary = _summary_fields(result.view, row)
    summary |= {
        "progress": round(progress.fraction, 4),
        "code": result.error.code if result.error else None,
        "message": result.error.message if result.error else None,
        "duration_s": seconds(result.media.duration) if result.media else summary["duration_s"],
    }
    if result.error and "stage" in result.error.evidence:
        summary["stage"] = result.error.evidence["stage"]
    return JobDocument(
        **summary,
        recipe=to_wire(result.view.job.recipe),
        stages=[
            StageDocument(
                name=stage.stage,
                done=stage.done,
                total=stage.total,
                running=stage.running,
                failed=stage.failed,
                cancelled=stage.cancelled,
                fraction=round(stage.fraction, 4),
            )
            for stage in progress.stages
        ],
        waiting=waiting,
        why=why_documents(tasks, now.fleet, one_tenant=one_tenant) if result.view.ended_ms is None else [],
        line=line,
        eta_s=None if eta.seconds is None else round(eta.seconds, 1),
        eta_how=eta.how,
        troubles=_troubles(queue, tasks),
        media=media_document(result.media) if result.media else None,
        frames=len(result.frames),
        renditions=[
            RenditionDocument(
                name=r.name,
                url=f"{url}/renditions/{r.name}.mp4",
                width_px=r.width_px,
                height_px=r.height_px,
                frames=r.frames,
                duration_s=seconds(r.duration),
                bytes=r.size_bytes,
            )
            for r in result.renditions
        ],
        captions=[CaptionDocument(**caption_document(caption)) for caption in result.captions],
        captions_url=f"{url}/captions.vtt" if result.captions else None,
        degraded=list(result.degraded),
        error=ErrorDocument(**result.error.public()) if result.error else None,
        etag=etag_of(result.view),
    )


def _summary_fields(view: JobView, row: JobRow | None) -> dict[str, Any]:
    source = view.job.source
    known = row is not None and row.state == view.state.value  # what it died of is of no use when it goes on
    return {
        "id": view.job.id,
        "video": view.job.video,
        "name": source.name.encode("utf-8", "replace").decode(),  # a name that is not UTF-8 has lone surrogates
        "state": view.state.value,
        "bin": view.job.bin.value,
        "size_bytes": source.size_bytes,
        "created_at": time_text(view.submitted_ms),
        "ended_at": None if view.ended_ms is None else time_text(view.ended_ms),
        "cancel_asked": view.cancel_asked,
        "tenant": view.job.tenant,
        "deadline_at": time_text(view.job.deadline_ms) if view.job.deadline_ms else None,
        "late": view.late,
        "tasks": {state.value: count for state, count in view.counts.items() if count},
        "title": (row.title if row else "") or source.name.encode("utf-8", "replace").decode(),
        "stage": (row.stage if row and view.state is not JobState.SUCCEEDED else "") or None,
        "code": (row.code if row and known else "") or None,
        "message": (row.message if row and known else "") or None,
        "progress": _progress(view),
        "duration_s": row.duration_ms / 1000 if row and row.duration_ms else None,
    }


def _progress(view: JobView) -> float:
    total = sum(view.counts.values())
    if view.state is JobState.SUCCEEDED or total < 2:
        return 1.0 if view.state is JobState.SUCCEEDED else 0.0
    return round(view.counts.get(TaskState.SUCCEEDED, 0) / total, 4)


def _outlook(
    queue: Queue, view: JobView, tasks: Sequence[TaskView], settled: float, now: Standing, one_tenant: bool
) -> tuple[list[WaitingDocument], LineDocument | None, Eta]:
    """Why its tasks wait, when the next one starts, and when the last one ends."""
    if view.ended_ms is not None:
        return [], None, Eta(None, "it has ended")
    by_id = {one.task.id: one for one in tasks}
    told = ((id_, leading(one, by_id, now, one_tenant=one_tenant)) for id_, one in by_id.items())
    reasons = {id_: reason for id_, reason in told if reason}
    stuck = next((in_short(reason, view.job.bin) for reason in reasons.values() if reason.code in HINDERED), "")
    begun = [one.started_ms for one in tasks if one.started_ms is not None]
    eta = end_eta(settled, (now.now_ms - min(begun)) / 1000 if begun else None, stuck)
    waiting = waiting_documents(queue, by_id, reasons, now, one_tenant=one_tenant)
    line = _line(queue, view.job.id, by_id, now)
    return waiting, line, after_start(eta, line.start_eta_s if line else None)


def _line(queue: Queue, job: JobId, tasks: Mapping[TaskId, TaskView], now: Standing) -> LineDocument | None:
    position = queue.position(job)
    view = tasks.get(position.task) if position else None
    if position is None or view is None:
        return None
    reason = leading(replace(view, state=TaskState.READY), tasks, now)  # it may have moved on since it was read
    found = room(view, tasks, now)
    eta = start_eta(
        position,
        queue.counters(),
        queue.lately(WINDOW_MIN),
        slots=found.slots,
        busy=found.busy,
        mates=MODEL_STAGES if view.task.stage in MODEL_STAGES else frozenset(Stage) - MODEL_STAGES,
        hindered=in_short(reason, position.bin) if reason else "",
    )
    return LineDocument(
        task=position.task,
        bin=position.bin.value,
        ahead=sum(position.ahead.values()),
        more_urgent=sum(position.more_urgent.values()),
        start_eta_s=None if eta.seconds is None else round(eta.seconds, 1),
        how=eta.how,
    )


def _troubles(queue: Queue, tasks: Sequence[TaskView]) -> list[AttemptDocument]:
    """Of each task in trouble its latest bad attempt, and as many of the others as there is room for; oldest first."""

    def by_time(attempt: AttemptDocument) -> tuple[str, int]:
        return attempt.ended_at, attempt.number

    last, before = [], []
    for view in suspects(tasks, TROUBLES_SHOWN):
        records = enumerate(queue.attempts(view.task.id), start=1)
        bad = [_attempt(view, number, one) for number, one in records if _is_bad(one)]
        last += bad[-1:]
        before += bad[:-1]
    before.sort(key=by_time)
    room_left = TROUBLES_SHOWN - len(last)
    return sorted(last + before[len(before) - min(room_left, len(before)) :], key=by_time)


def _is_bad(record: AttemptRecord) -> bool:
    return record.outcome.kind in BAD and record.next != Next.HAND_BACK


def _attempt(view: TaskView, number: int, record: AttemptRecord) -> AttemptDocument:
    return AttemptDocument(
        task=record.task,
        stage=view.task.stage.value,
        number=number,
        try_number=record.number if record.next in (Next.RETRY, Next.FAIL) else None,
        place=record.place,
        started_at=time_text(record.started_ms),
        ended_at=time_text(record.ended_ms),
        outcome=record.outcome.kind.value,
        next=record.next,
        error=ErrorDocument(**record.outcome.error.public()) if record.outcome.error else None,
    )
