"""POST /v1/videos: a video comes in at the door."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from vidprocme.api.access import AsCaller, Caller, needs
from vidprocme.api.arriving import Arriving, AtArriving
from vidprocme.api.audit import audit
from vidprocme.api.desk import AtDesk, Desk
from vidprocme.api.imports import bring_in
from vidprocme.api.problems import documented
from vidprocme.api.schemas.access import Scope
from vidprocme.api.schemas.videos import Accepted, UploadDocument, VideoWish
from vidprocme.api.uploads import Upload, received
from vidprocme.api.wishes import accept, keep_note, note_of, tenant_of, wish_of
from vidprocme.core.errors import BadWish
from vidprocme.core.ids import video_id
from vidprocme.core.job import DEFAULT_TENANT, Bin, Source
from vidprocme.core.shares import TENANT_CHARS_MOST

WISH_BYTES = 256 << 10

router = APIRouter(dependencies=[needs(Scope.SUBMIT)])

_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The video, and as further fields (here or in the query) what is wanted of it.",
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "additionalProperties": {"type": "string"},
                    "properties": {
                        "file": {"type": "string", "contentMediaType": "application/octet-stream"},
                        "bin": {"type": "string", "enum": [bin_.value for bin_ in Bin], "default": "normal"},
                        "tenant": {"type": "string", "default": DEFAULT_TENANT, "maxLength": TENANT_CHARS_MOST},
                        "deadline": {"type": "string", "description": "`2h` from now, or an ISO 8601 time"},
                        "model": {"type": "string", "description": "id, `auto` or `none`"},
                        "preset": {"type": "string", "enum": ["web", "small", "full", "frames"]},
                        "renditions": {"type": "string"},
                        "every": {"type": "string"},
                        "frame_width": {"type": "string"},
                        "prompt": {"type": "string"},
                        "crf": {"type": "string"},
                        "video_preset": {"type": "string"},
                        "audio_kbit": {"type": "string"},
                        "chunk": {"type": "string"},
                        "title": {"type": "string"},
                        "tags": {"type": "string", "description": "with commas"},
                        "metadata": {"type": "string", "description": "a JSON object of texts"},
                    },
                }
            },
            "application/json": {"schema": {"$ref": "#/components/schemas/VideoWish"}},
        },
    }
}


@router.post(
    "/v1/videos",
    status_code=202,
    response_model=Accepted | UploadDocument,
    responses=documented(400, 401, 403, 404, 409, 410, 413, 415, 422, 423, 429, 503, 507),
    openapi_extra=_FORM,
)
async def post_video(request: Request, desk: AtDesk, arriving: AtArriving, caller: AsCaller) -> JSONResponse:
    """Take a video in and make a job of it: one that is sent along (a form), or one that is uploaded already, lies on the server
    or can be fetched (JSON). The answer comes when the job cannot be lost any more; what is still to be fetched is answered
    with an upload, whose state tells of it."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        made = await bring_in(arriving, caller, await _wish(request))
        audit(request, "video.submit", made.id)
        if isinstance(made, UploadDocument):
            return JSONResponse(made.model_dump(), 202, headers={"Location": f"/v1/uploads/{made.id}"})
        return _accepted(made)
    query = dict(request.query_params)
    length = request.headers.get("content-length", "")
    await run_in_threadpool(_may_come, arriving, caller, dict(query), int(length) if length.isdigit() else 0)
    async with received(request, desk.house.data / "uploads") as upload:
        accepted = await run_in_threadpool(_submit, desk, caller, {**query, **upload.fields}, upload)
    audit(request, "video.submit", accepted.id)
    return _accepted(accepted)


def _accepted(accepted: Accepted) -> JSONResponse:
    return JSONResponse(accepted.model_dump(), 202, headers={"Location": f"/v1/jobs/{accepted.id}"})


async def _wish(request: Request) -> VideoWish:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > WISH_BYTES:
            raise BadWish("FORM_TOO_LARGE", f"A wish has at most {WISH_BYTES >> 10} KiB.", "Send less.")
    try:
        return VideoWish.model_validate_json(bytes(body))
    except ValidationError as error:
        raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in error.errors()]) from error


def _may_come(arriving: Arriving, caller: Caller, query: dict[str, str], coming: int) -> None:
    """What can be said before the bytes come: a wrong wish, no room, no queue."""
    note_of(query)
    wish_of(arriving.desk, {**query, "tenant": tenant_of(caller, query.get("tenant", ""))})
    arriving.need_room(coming, sum(map(arriving.arrivals.coming_bytes, arriving.arrivals.all())))
    error = arriving.desk.queue_error()
    if error is not None:
        raise error


def _submit(desk: Desk, caller: Caller, fields: dict[str, str], upload: Upload) -> Accepted:
    note = note_of(fields)
    wish = wish_of(desk, {**fields, "tenant": tenant_of(caller, fields.get("tenant", ""))})
    kept = desk.blobs.adopt(upload.path, upload.name)
    keep_note(desk, video_id(kept.sha256, wish[1]["tenant"]), note)
    return accept(desk, Source(f"blob:{kept.sha256}", upload.name, kept.sha256, kept.size_bytes), wish)
