"""/v1/jobs: what became of a video, its files, and the verbs cancel and retry."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, PlainTextResponse, Response

from vidprocme.api.desk import AtDesk, Desk
from vidprocme.api.problems import documented
from vidprocme.api.schemas.jobs import Changed, JobDocument, JobList, job_document, job_summary
from vidprocme.api.sending import FOREVER, send_blob
from vidprocme.core.errors import Fatal
from vidprocme.core.ids import JobId
from vidprocme.dispatch.results import collect, renditions_of
from vidprocme.library.export import vtt
from vidprocme.queue.base import JobView

router = APIRouter()


@router.get("/v1/jobs", responses=documented(422, 503))
def list_jobs(
    desk: AtDesk,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    active: Annotated[bool, Query(description="only those that have not ended")] = False,
) -> JobList:
    """Jobs, newest first."""
    return JobList(items=[job_summary(view) for view in desk.queue.jobs(limit=limit, active=active)])


@router.get("/v1/jobs/{job_id}", responses=documented(404, 422, 503))
def show_job(job_id: str, desk: AtDesk) -> JobDocument:
    """One job with everything it has published so far."""
    return job_document(desk.queue, desk.blobs, JobId(job_id))


@router.post("/v1/jobs/{job_id}/cancel", status_code=202, responses=documented(404, 409, 422, 503))
def cancel_job(job_id: str, desk: AtDesk) -> Changed:
    """Cancel what waits at once and what runs within 1.5 s. What was published stays."""
    view = _known(desk, job_id)
    if not desk.control.cancel(view.job.id):
        view = _known(desk, job_id)
        raise Fatal(
            "JOB_ENDED",
            f"Job {job_id} has ended already ({view.state}).",
            "There is nothing left to cancel.",
            {"state": view.state.value},
        )
    return _changed(desk, view.job.id)


@router.post("/v1/jobs/{job_id}/retry", status_code=202, responses=documented(404, 409, 422, 503))
def retry_job(job_id: str, desk: AtDesk) -> Changed:
    """Fresh tries for what failed, died or was cancelled; what succeeded is never touched."""
    view = _known(desk, job_id)
    tasks = desk.control.retry(view.job.id)
    if not tasks:
        raise Fatal(
            "NOTHING_TO_RETRY",
            f"Job {job_id} is {view.state}: none of its tasks failed, died or was cancelled.",
            "Only such tasks can be retried.",
            {"state": view.state.value},
        )
    return _changed(desk, view.job.id, tasks)


@router.get(
    "/v1/jobs/{job_id}/captions.vtt",
    response_class=PlainTextResponse,
    responses={**documented(404, 422, 503), 200: {"content": {"text/vtt": {}}, "description": "WebVTT"}},
)
def captions(job_id: str, desk: AtDesk) -> Response:
    """The captions so far, as WebVTT."""
    found = collect(desk.queue, desk.blobs, JobId(job_id)).captions
    if not found:
        raise Fatal(
            "CAPTIONS_NONE", f"Job {job_id} has no captions (yet).", f"GET /v1/jobs/{job_id} says how far it is."
        )
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
def rendition(job_id: str, name: str, request: Request, desk: AtDesk) -> Response:
    """A finished rendition. Ranges are served; the content never changes under its ETag."""
    found = next((r for r in renditions_of(desk.queue, _known(desk, job_id)) if r.name == name), None)
    if found is None:
        raise Fatal(
            "RENDITION_UNKNOWN",
            f"Job {job_id} has no finished rendition {name[:40]!r}.",
            f"GET /v1/jobs/{job_id} names those it has.",
        )
    return send_blob(desk, request, found.sha256, "video/mp4", cache=FOREVER)


def _known(desk: Desk, job: str) -> JobView:
    view = desk.queue.job(JobId(job))
    if view is None:
        raise Fatal("JOB_UNKNOWN", f"There is no job {job[:100]}.", "GET /v1/jobs lists those there are.")
    return view


def _changed(desk: Desk, job: JobId, tasks: int = 0) -> Changed:
    return Changed(id=job, state=_known(desk, job).state.value, tasks=tasks)
