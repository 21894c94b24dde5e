"""/v1/jobs: what became of a video, its files, and the verbs cancel and retry."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Annotated, cast

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, PlainTextResponse, Response
from pydantic import Field

from vidprocme.api.access import AsCaller, Caller, needs
from vidprocme.api.audit import audit
from vidprocme.api.bins import standing_of
from vidprocme.api.desk import AtDesk, Desk
from vidprocme.api.filters import DEAD, as_of, want_of
from vidprocme.api.paging import cursor_of, key_of
from vidprocme.api.params import IfMatch, agree
from vidprocme.api.problems import documented
from vidprocme.api.schemas.access import Scope
from vidprocme.api.schemas.bulk import JobFilter
from vidprocme.api.schemas.jobs import Changed, JobDocument, JobList, JobPatch, etag_of, job_document, job_summary
from vidprocme.api.sending import FOREVER, send_blob
from vidprocme.api.wordless import no_captions
from vidprocme.core.errors import BadWish, Fatal, VidprocmeError
from vidprocme.core.ids import JobId
from vidprocme.core.job import Bin, JobState, TaskState
from vidprocme.core.when import deadline_ms
from vidprocme.dispatch.results import collect, renditions_of
from vidprocme.library.base import JobRow, JobSort, JobWant, Key
from vidprocme.library.export import vtt
from vidprocme.queue.base import JobView

router = APIRouter(dependencies=[needs(Scope.READ)])

UNFINISHED = frozenset({JobState.QUEUED, JobState.RUNNING})


class JobQuery(JobFilter):
    """Which jobs, in which order."""

    sort: str = Field(
        default="-created_at",
        pattern=f"^-?({'|'.join(JobSort)})$",
        description="equal ones are in the order of their ids; `-`: the last first",
    )
    limit: int = Field(default=100, ge=1, le=1000)
    cursor: str | None = Field(default=None, max_length=4000)
    id: list[str] = Field(default=[], max_length=100, description="these jobs; those that are not there are left out")


@router.get("/v1/jobs", responses=documented(422, 503))
def list_jobs(desk: AtDesk, caller: AsCaller, query: Annotated[JobQuery, Query()]) -> JobList:
    """A page of the jobs that fit a filter.

    They are found by what was true at `as_of`, and shown as they are now: one whose state has changed since may be among those of
    another state. What is forgotten meanwhile is left out. Counts are those of `as_of`.
    """
    fresh = as_of(desk)
    want = replace(want_of(query, caller, desk.queue.now_ms()), ids=frozenset(query.id))
    sort, descending = JobSort(query.sort.lstrip("-")), query.sort.startswith("-")
    after = key_of(query.cursor, query.sort, str if sort is JobSort.NAME else int, str) if query.cursor else None
    rows = desk.index.jobs(want, sort, descending=descending, after=cast("Key | None", after), limit=query.limit + 1)
    page = rows[: query.limit]
    views = desk.queue.views([row.id for row in page])
    counts = desk.index.count_jobs(replace(want, states=frozenset(), dead=False))
    return JobList(
        items=[job_summary(views[row.id], row) for row in page if row.id in views],
        next_cursor=cursor_of(query.sort, *sort_key(sort, page[-1])) if len(rows) > query.limit else None,
        total_estimate=_total(counts, want) if not want.dead or want.states else counts["dead"],
        counts={state: counts.get(state, 0) for state in (*JobState, DEAD)},
        as_of=fresh,
    )


@router.get("/v1/jobs/{job_id}", responses=documented(404, 422, 503))
def show_job(job_id: str, desk: AtDesk, caller: AsCaller, response: Response) -> JobDocument:
    """One job with everything it has published so far. Of one that waits the pools are asked why; one to four seconds later they have said it."""
    view = known_job(desk, caller, job_id)
    id_ = view.job.id
    if view.counts.get(TaskState.READY):
        with suppress(VidprocmeError):  # a queue that takes no more can be read all the same
            desk.queue.ask_why(id_)
    row = desk.index.job_rows([id_]).get(id_)
    one_tenant = caller.tenant is not None
    document = job_document(desk.queue, desk.blobs, id_, row, standing_of(desk), one_tenant=one_tenant)
    response.headers["ETag"] = f'"{document.etag}"'
    return document


@router.patch("/v1/jobs/{job_id}", dependencies=[needs(Scope.SUBMIT)], responses=documented(404, 409, 412, 422, 503))
def change_job(
    job_id: str,
    wish: JobPatch,
    request: Request,
    desk: AtDesk,
    caller: AsCaller,
    response: Response,
    if_match: IfMatch = None,
) -> JobDocument:
    """Move a job to another bin, or give it another deadline. `If-Match` with its ETag: only if nobody has changed it since."""
    view = known_job(desk, caller, job_id)
    agree(if_match, etag_of(view))
    if wish.bin is not None and wish.bin not in list(Bin):
        raise BadWish(
            "BIN_UNKNOWN", f"There is no bin {wish.bin[:100]!r}.", f"Bins: {', '.join(Bin)}.", {"field": "bin"}
        )
    moment = None
    if wish.deadline is not None:
        moment = deadline_ms(wish.deadline, desk.queue.now_ms()) if wish.deadline else 0
    if view.state not in UNFINISHED and wish != JobPatch():
        raise _ended(view)
    audit(request, "job.change", view.job.id, **wish.model_dump(exclude_none=True))
    if wish.bin is not None and wish.bin != view.job.bin:
        desk.control.move(view.job.id, Bin(wish.bin))
    if moment is not None and not desk.queue.set_deadline(view.job.id, moment):
        raise _ended(known_job(desk, caller, job_id))
    return show_job(job_id, desk, caller, response)


@router.delete(
    "/v1/jobs/{job_id}",
    status_code=204,
    dependencies=[needs(Scope.SUBMIT)],
    responses=documented(404, 409, 412, 422, 503),
)
def drop_job(
    job_id: str,
    request: Request,
    desk: AtDesk,
    caller: AsCaller,
    succeeded: Annotated[bool, Query(description="also one that succeeded; its video is then found no more")] = False,
    if_match: IfMatch = None,
) -> None:
    """Forget a job that has ended, dead letters and all. The same video with the same wishes then makes a new one."""
    view = known_job(desk, caller, job_id)
    agree(if_match, etag_of(view))
    audit(request, "job.drop", view.job.id)
    desk.control.drop(view.job.id, succeeded=succeeded)


@router.post(
    "/v1/jobs/{job_id}/cancel",
    status_code=202,
    dependencies=[needs(Scope.SUBMIT)],
    responses=documented(404, 409, 422, 503),
)
def cancel_job(job_id: str, request: Request, desk: AtDesk, caller: AsCaller) -> Changed:
    """Cancel what waits at once and what runs within 1.5 s. What was published stays."""
    before = known_job(desk, caller, job_id)
    audit(request, "job.cancel", before.job.id)
    if not desk.control.cancel(before.job.id):
        raise _ended(known_job(desk, caller, job_id))
    view = known_job(desk, caller, job_id)
    cancelled = view.counts.get(TaskState.CANCELLED, 0) - before.counts.get(TaskState.CANCELLED, 0)
    return Changed(id=view.job.id, state=view.state.value, tasks=max(0, cancelled))


@router.post(
    "/v1/jobs/{job_id}/retry",
    status_code=202,
    dependencies=[needs(Scope.SUBMIT)],
    responses=documented(404, 409, 422, 503),
)
def retry_job(job_id: str, request: Request, desk: AtDesk, caller: AsCaller) -> Changed:
    """Fresh tries for what failed, died or was cancelled; what succeeded is never touched."""
    view = known_job(desk, caller, job_id)
    audit(request, "job.retry", view.job.id)
    tasks = desk.control.retry(view.job.id)
    if not tasks:
        raise Fatal(
            "NOTHING_TO_RETRY",
            f"Job {job_id} is {view.state}: none of its tasks failed, died or was cancelled.",
            "Only such tasks can be retried.",
            {"state": view.state.value},
        )
    return Changed(id=view.job.id, state=known_job(desk, caller, job_id).state.value, tasks=tasks)


@router.get(
    "/v1/jobs/{job_id}/captions.vtt",
    response_class=PlainTextResponse,
    responses={**documented(404, 422, 503), 200: {"content": {"text/vtt": {}}, "description": "WebVTT"}},
)
def job_captions(job_id: str, desk: AtDesk, caller: AsCaller) -> Response:
    """The captions so far, as WebVTT."""
    view = known_job(desk, caller, job_id)
    found = collect(desk.queue, desk.blobs, JobId(job_id)).captions
    if not found:
        raise no_captions(f"Job {job_id}", f"/v1/jobs/{job_id}", view)
    return Response(vtt(found), media_type="text/vtt", headers={"Cache-Control": "private, no-cache"})


@router.head("/v1/jobs/{job_id}/renditions/{name}.mp4", include_in_schema=False)
@router.get(
    "/v1/jobs/{job_id}/renditions/{name}.mp4",
    response_class=FileResponse,
    responses={
        **documented(404, 416, 422, 503),
        200: {"content": {"video/mp4": {}}, "description": "The whole file"},
        206: {"content": {"video/mp4": {}}, "description": "A range of it"},
        304: {"description": "Not changed"},
    },
)
def rendition(job_id: str, name: str, request: Request, desk: AtDesk, caller: AsCaller) -> Response:
    """A finished rendition. Ranges are served; the content never changes under its ETag."""
    found = next((r for r in renditions_of(desk.queue, known_job(desk, caller, job_id)) if r.name == name), None)
    if found is None:
        raise Fatal(
            "RENDITION_UNKNOWN",
            f"Job {job_id} has no finished rendition {name[:40]!r}.",
            f"GET /v1/jobs/{job_id} names those it has.",
        )
    return send_blob(desk, request, found.sha256, "video/mp4", cache=FOREVER)


def known_job(desk: Desk, caller: Caller, job: str) -> JobView:
    """
    Raises:
        Fatal: JOB_UNKNOWN, also when it is another tenant's.
    """
    view = desk.queue.job(JobId(job))
    if view is None or not caller.sees(view.job.tenant):
        raise Fatal("JOB_UNKNOWN", f"There is no job {job[:100]}.", "GET /v1/jobs lists those there are.")
    return view


def sort_key(sort: JobSort, row: JobRow) -> Key:
    match sort:
        case JobSort.CREATED:
            return row.created_ms, row.id
        case JobSort.ENDED:
            return row.ended_ms, row.id
        case JobSort.NAME:
            return row.name.casefold(), row.id
        case JobSort.SIZE:
            return row.size_bytes, row.id
        case JobSort.DURATION:
            return row.duration_ms, row.id


def _total(counts: Mapping[str, int], want: JobWant) -> int:
    return sum(counts.get(state, 0) for state in (want.states or frozenset(JobState)))


def _ended(view: JobView) -> Fatal:
    return Fatal(
        "JOB_ENDED",
        f"Job {view.job.id} has ended already ({view.state}).",
        "Only one that has not can be changed or cancelled.",
        {"state": view.state.value},
    )
