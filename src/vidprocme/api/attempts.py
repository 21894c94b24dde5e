"""How a job goes and went: its tasks, their attempts and logs, the strip of its stages, its events."""

from __future__ import annotations

import re
import socket
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import PlainTextResponse, Response, StreamingResponse

from vidprocme.api.access import AsCaller, Caller, needs
from vidprocme.api.desk import AtDesk, Desk
from vidprocme.api.paging import cursor_of, line_of, number_of
from vidprocme.api.problems import documented
from vidprocme.api.schemas.access import Scope
from vidprocme.api.schemas.attempts import (
    AttemptList,
    AttemptSummary,
    JobEventList,
    LogDocument,
    RoundDocument,
    StageSpan,
    TaskDocument,
    TaskList,
    TimelineDocument,
    event_document,
)
from vidprocme.api.schemas.base import ErrorDocument, time_text
from vidprocme.core.errors import BadWish, Fatal
from vidprocme.core.ids import JobId, TaskId
from vidprocme.core.job import Next, Stage, TaskState
from vidprocme.dispatch.results import last_error
from vidprocme.dispatch.rounds import Round, Run, all_runs, rounds, runs_of
from vidprocme.queue.base import JobView, TaskView

router = APIRouter(dependencies=[needs(Scope.READ)])

SCAN_BATCH, SCANS = 1000, 10  # events that one call looks at; the next one goes on
LOG_MOST = 1 << 18
BEFORE_MS = 1000  # a script's first event may carry the server's time of a moment before the job's own
_EVENT = re.compile(r"\d{1,15}(-\d{1,15})?")

Limit = Annotated[int, Query(ge=1, le=1000)]
Cursor = Annotated[str, Query(max_length=200)]


@router.get("/v1/jobs/{job_id}/tasks", responses=documented(404, 422, 503))
def list_tasks(
    job_id: str,
    desk: AtDesk,
    caller: AsCaller,
    stage: Annotated[list[Stage] | None, Query()] = None,
    state: Annotated[list[TaskState] | None, Query()] = None,
    limit: Limit = 100,
    cursor: Cursor = "",
) -> TaskList:
    """The tasks of a job in the order in which they were planned, each with what its worker gets."""
    _known(desk, caller, job_id)
    found = list(enumerate(desk.queue.tasks(JobId(job_id))))
    begin = number_of(cursor, "tasks") if cursor else 0
    wanted = [
        (at, view)
        for at, view in found
        if at >= begin and (not stage or view.task.stage in stage) and (not state or view.state in state)
    ]
    page = wanted[:limit]
    more = cursor_of("tasks", page[-1][0] + 1) if len(wanted) > limit else None
    return TaskList(items=[_task(view) for _, view in page], next_cursor=more)


@router.get("/v1/jobs/{job_id}/attempts", responses=documented(404, 422, 503))
def list_attempts(job_id: str, desk: AtDesk, caller: AsCaller, limit: Limit = 100, cursor: Cursor = "") -> AttemptList:
    """The attempts of a job: those that run first, then the newest first."""
    _known(desk, caller, job_id)
    runs = all_runs(desk.queue, desk.queue.tasks(JobId(job_id)))
    runs.sort(key=lambda run: (not run.running, -run.started_ms, run.view.task.id, -run.number))
    begin = number_of(cursor, "attempts") if cursor else 0
    page = runs[begin : begin + limit]
    more = cursor_of("attempts", begin + limit) if len(runs) > begin + limit else None
    return AttemptList(items=[_attempt(desk, run) for run in page], next_cursor=more)


@router.get("/v1/jobs/{job_id}/timeline", responses=documented(404, 422, 503))
def show_timeline(job_id: str, desk: AtDesk, caller: AsCaller) -> TimelineDocument:
    """What each stage did and when, from one submit or retry to the next."""
    view = _known(desk, caller, job_id)
    found = rounds(desk.queue, view, desk.queue.tasks(view.job.id))
    return TimelineDocument(items=[_round(one) for one in reversed(found)])


@router.get("/v1/jobs/{job_id}/events", responses=documented(404, 422, 503))
def list_job_events(
    job_id: str,
    desk: AtDesk,
    caller: AsCaller,
    after: Annotated[str, Query(max_length=40, description="the id of an event; only what came after it")] = "",
    limit: Limit = 500,
    cursor: Cursor = "",
) -> JobEventList:
    """What happened to a job, oldest first, as far back as the diary is kept. While `next_cursor` is there, there may be more."""
    view = _known(desk, caller, job_id)
    if after and not _EVENT.fullmatch(after):
        raise BadWish("EVENT_UNREADABLE", f"{after!r} is not the id of an event.", "It looks like 1790000000000-0.")
    at = line_of(cursor, "events") if cursor else after or f"{max(0, view.submitted_ms - BEFORE_MS)}-0"
    items = []
    for _ in range(SCANS):
        batch = desk.queue.events(at, SCAN_BATCH)
        for event in batch:
            at = event.id
            if event.job == job_id:
                items.append(event_document(event))
                if len(items) == limit:
                    return JobEventList(items=items, next_cursor=cursor_of("events", at))
        if len(batch) < SCAN_BATCH:
            return JobEventList(items=items)
    return JobEventList(items=items, next_cursor=cursor_of("events", at))


@router.get("/v1/jobs/{job_id}/attempts/{task}/{number}/log", responses=documented(404, 422, 503))
def read_log(
    job_id: str,
    task: str,
    number: int,
    desk: AtDesk,
    caller: AsCaller,
    offset: Annotated[
        int, Query(ge=0, le=1 << 50, description="from here on; `next_offset_bytes` of the last answer")
    ] = 0,
    tail: Annotated[int | None, Query(ge=1, le=LOG_MOST, description="about the last so many bytes")] = None,
) -> LogDocument:
    """A part of an attempt's log, at most 256 KiB. To follow one that runs, ask again from `next_offset_bytes` until `ended`."""
    view, run = _run(desk, caller, job_id, task, number)
    token = _token(desk, run)
    part = desk.house.logs.read(view.task.id, token, offset=offset, tail=tail, most=LOG_MOST) if token else None
    if part is None:
        raise _no_log(run)
    return LogDocument(
        text=(f"... {part.left_out} bytes are left out here ...\n" if part.left_out else "") + part.text,
        offset_bytes=part.offset,
        next_offset_bytes=part.next_offset,
        size_bytes=part.size,
        ended=not run.running,
    )


@router.get(
    "/v1/jobs/{job_id}/attempts/{task}/{number}/log.txt",
    response_class=PlainTextResponse,
    responses={**documented(404, 422, 503), 200: {"content": {"text/plain": {}}, "description": "The whole log"}},
)
def download_log(job_id: str, task: str, number: int, desk: AtDesk, caller: AsCaller) -> Response:
    """All that is kept of an attempt's log."""
    view, run = _run(desk, caller, job_id, task, number)
    token = _token(desk, run)
    whole = desk.house.logs.whole(view.task.id, token) if token else None
    if whole is None:
        raise _no_log(run)
    name = f"{job_id}-{view.task.stage}-{view.task.index}-{number}.log.txt"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-cache"}
    return StreamingResponse(whole, media_type="text/plain", headers=headers)


def _known(desk: Desk, caller: Caller, job: str) -> JobView:
    view = desk.queue.job(JobId(job))
    if view is None or not caller.sees(view.job.tenant):
        raise Fatal("JOB_UNKNOWN", f"There is no job {job[:100]}.", "GET /v1/jobs lists those there are.")
    return view


def _run(desk: Desk, caller: Caller, job: str, task: str, number: int) -> tuple[TaskView, Run]:
    _known(desk, caller, job)
    id_ = TaskId(task if task.startswith(f"{job}:") else f"{job}:{task}")
    view = desk.queue.task(id_) if id_.count(":") == 2 else None
    if view is None or view.task.job != job:
        raise Fatal(
            "TASK_UNKNOWN", f"Job {job} has no task {task[:100]!r}.", f"GET /v1/jobs/{job}/tasks lists those it has."
        )
    runs = runs_of(view, desk.queue.attempts(id_))
    run = next((one for one in runs if one.number == number), None)
    if run is None:
        raise Fatal(
            "ATTEMPT_UNKNOWN",
            f"Task {id_} has no attempt {number}; it has {len(runs)}.",
            f"GET /v1/jobs/{job}/attempts lists them.",
        )
    return view, run


def _token(desk: Desk, run: Run) -> int | None:
    """Its number among all leases, by which its log is named. Of one that runs only its log knows it."""
    if run.record is not None:
        return run.record.token
    tokens = desk.house.logs.tokens(run.view.task.id)
    ended = {one.token for one in desk.queue.attempts(run.view.task.id)}
    return tokens[-1] if tokens and tokens[-1] not in ended else None


def _no_log(run: Run) -> Fatal:
    node = run.place.partition("/")[0]
    if node and node != socket.gethostname():
        return Fatal(
            "LOG_ELSEWHERE",
            f"This attempt ran on {node}; its log is in that machine's data folder, not in this server's.",
            "Look there, in logs/. The last lines of what failed stand in its error's evidence.",
            {"node": node, "place": run.place},
        )
    return Fatal(
        "LOG_GONE",
        "There is no log of this attempt: it has not written a line yet, or its log was too old.",
        "Logs are kept for VIDPROCME_LOG_DAYS.",
        {"place": run.place},
    )


def _task(view: TaskView) -> TaskDocument:
    task = view.task
    error = last_error(view)
    return TaskDocument(
        id=task.id,
        stage=task.stage.value,
        index=task.index,
        state=view.state.value,
        tries=view.tries,
        tries_most=task.limits.tries,
        lost=view.lost,
        place=view.place,
        progress=1.0 if view.state is TaskState.SUCCEEDED else round(view.progress, 4),
        started_at=_time(view.started_ms),
        ended_at=_time(view.ended_ms),
        due_at=_time(view.due_ms) if view.state is TaskState.DELAYED else None,
        payload=task.payload,
        error=ErrorDocument(**error.public()) if error else None,
    )


def _attempt(desk: Desk, run: Run) -> AttemptSummary:
    task, outcome = run.view.task, run.record.outcome if run.record else None
    if outcome is None and not run.running:
        outcome = run.view.outcome
    usage, error = outcome.usage if outcome else None, outcome.error if outcome else None
    ended_ms = run.ended_ms if run.ended_ms is not None else desk.queue.now_ms()
    charged = run.running or run.next in (Next.RETRY, Next.FAIL, Next.SUCCEED)
    token = _token(desk, run)
    log = f"/v1/jobs/{task.job}/attempts/{task.id}/{run.number}/log"
    return AttemptSummary(
        task=task.id,
        stage=task.stage.value,
        number=run.number,
        try_number=run.try_number if charged else None,
        place=run.place,
        holder=run.holder,
        started_at=time_text(run.started_ms),
        ended_at=_time(run.ended_ms),
        took_s=round(max(0, ended_ms - run.started_ms) / 1000, 3),
        outcome=run.kind.value if run.kind else None,
        next=run.next,
        cpu_s=round(usage.cpu_s, 3) if usage else None,
        memory_bytes=usage.peak_rss_bytes if usage else None,
        token=token,
        log_url=log if token is not None and desk.house.logs.has(task.id, token) else None,
        error=ErrorDocument(**error.public()) if error else None,
    )


def _round(one: Round) -> RoundDocument:
    return RoundDocument(
        number=one.number,
        start=time_text(one.start_ms),
        end=_time(one.end_ms),
        wait_s=round(one.wait_ms / 1000, 3),
        stages=[
            StageSpan(
                stage=stage.stage.value,
                start=_time(stage.start_ms),
                end=_time(stage.end_ms),
                state=stage.state,
                tasks=stage.tasks,
                done=stage.done,
                failed=stage.failed,
                kept=stage.kept,
            )
            for stage in one.stages
        ],
    )


def _time(ms: int | None) -> str | None:
    return None if ms is None else time_text(ms)
