"""POST /v1/videos: a video comes in at the door."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from vidprocme.api.access import AsCaller, Caller, needs
from vidprocme.api.admission import Room
from vidprocme.api.arriving import Arriving, AtArriving
from vidprocme.api.audit import audit
from vidprocme.api.desk import AtDesk, Desk
from vidprocme.api.form import FIELD_BYTES, Upload, received
from vidprocme.api.imports import bring_in, told
from vidprocme.api.problems import documented
from vidprocme.api.schemas.access import Scope
from vidprocme.api.schemas.videos import Accepted, UploadDocument, VideoWish
from vidprocme.api.settling import settle
from vidprocme.api.wishes import note_of, now_ms, tenant_of, wish_of
from vidprocme.core.errors import BadWish, Fatal, Retryable
from vidprocme.core.job import DEFAULT_TENANT, Bin
from vidprocme.core.shares import TENANT_CHARS_MOST
from vidprocme.library.arrivals import Arrival, new_id

WISH_BYTES = 256 << 10
FORM_BYTES = FIELD_BYTES + (64 << 10)  # what a form has beside its file, at most: fields, their names, boundaries
HOLD_EVERY_S = 0.02

router = APIRouter(dependencies=[needs(Scope.SUBMIT)])

_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The video, and as further fields (before it, or in the query) what is wanted of it.",
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
    coming = int(length) if length.isascii() and length.isdigit() else 0
    tenant = await run_in_threadpool(_may_come, desk, caller, dict(query))
    with desk.admission.room(tenant) as room:
        # The form's words come beside the file: a file that just fits is not refused for them.
        await run_in_threadpool(room.need, max(coming - FORM_BYTES, 0), most=coming)

        def need(fields: Mapping[str, str], size: int, here: int) -> None:
            room.is_of(tenant_of(caller, fields.get("tenant", query.get("tenant", ""))))
            room.here = here
            room.need(size, most=coming)

        async with received(request, arriving.arrivals.folder, need) as upload:
            accepted = await run_in_threadpool(_submit, arriving, caller, {**query, **upload.fields}, upload, room)
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


def _may_come(desk: Desk, caller: Caller, query: dict[str, str]) -> str:
    """What can be said before the bytes come: a wrong wish, no queue. Returns whose it is; "": a field may still say so."""
    note_of(query)
    tenant = tenant_of(caller, query.get("tenant", ""))
    wish_of(desk, {**query, "tenant": tenant})
    error = desk.queue_error()
    if error is not None:
        raise error
    return tenant if caller.tenant or "tenant" in query else ""


def _submit(arriving: Arriving, caller: Caller, fields: dict[str, str], upload: Upload, room: Room) -> Accepted:
    """The job of a form that is whole: by way of a record like any upload's, which counts for the tenant's day."""
    desk, arrivals = arriving.desk, arriving.arrivals
    note = note_of(fields)
    fields["tenant"] = tenant_of(caller, fields.get("tenant", ""))
    _, whose = wish_of(desk, fields)
    began_ms = now_ms()
    arrival = Arrival(
        new_id(began_ms),
        upload.name,
        upload.size_bytes,
        began_ms,
        whose["tenant"],
        {name: value for name, value in fields.items() if name not in ("bin", "tenant", "deadline")},
        whose["bin_"].value,
        whose.get("deadline_ms", 0),
        title=note.title,
        tags=note.tags,
        metadata=note.metadata,
    )
    admit = partial(desk.admission.admit, arrival.tenant, arrival.size_bytes, room=room)
    arrivals.create(arrival, admit, upload.path)
    while (held := arrivals.hold(arrival.id)) is None:  # whoever looks after all uploads was faster
        time.sleep(HOLD_EVERY_S)
    with contextlib.closing(held):
        try:
            done = settle(desk, arrivals.find(arrival.id) or arrival)
            if done.error is not None:
                raise Fatal(done.error.code, done.error.message, done.error.hint)
            return told(arriving, done)
        except Retryable:
            arrivals.forget(arrival.id)  # its sender is told to send it again
            raise
