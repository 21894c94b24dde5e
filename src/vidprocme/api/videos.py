"""POST /v1/videos: a video comes in at the door."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from vidprocme.api.desk import DISK_RESERVE_BYTES, AtDesk, Desk
from vidprocme.api.problems import documented
from vidprocme.api.schemas.videos import Accepted
from vidprocme.api.uploads import Upload, received
from vidprocme.core.errors import BadWish, Retryable
from vidprocme.core.ids import video_id
from vidprocme.core.job import DEFAULT_TENANT, Bin, Recipe, Source
from vidprocme.core.shares import TENANT_CHARS_MOST, tenant_named
from vidprocme.core.when import deadline_ms
from vidprocme.dispatch.control import Whose

router = APIRouter()

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
                    },
                }
            }
        },
    }
}


@router.post(
    "/v1/videos",
    status_code=202,
    response_model=Accepted,
    responses=documented(400, 413, 415, 422, 503, 507),
    openapi_extra=_FORM,
)
async def post_video(request: Request, desk: AtDesk) -> JSONResponse:
    """Take a video in and make a job of it. The answer comes when the job cannot be lost any more."""
    query = dict(request.query_params)
    await run_in_threadpool(_may_come, desk, query, request.headers.get("content-length", ""))
    async with received(request, desk.house.data / "uploads") as upload:
        accepted = await run_in_threadpool(_submit, desk, {**query, **upload.fields}, upload)
    return JSONResponse(accepted.model_dump(), 202, headers={"Location": f"/v1/jobs/{accepted.id}"})


def _may_come(desk: Desk, query: dict[str, str], content_length: str) -> None:
    """What can be said before the bytes come: a wrong wish, no room, no queue."""
    wish_of(desk, query)
    free_bytes, _ = desk.disk()
    coming = int(content_length) if content_length.isdigit() else 0
    if coming + DISK_RESERVE_BYTES > free_bytes:
        raise Retryable(
            "DISK_FULL",
            f"{free_bytes >> 20} MiB are free in the data folder; this upload has {coming >> 20} MiB, and "
            f"{DISK_RESERVE_BYTES >> 20} MiB are kept for what runs already.",
            "Free some space there, or use a data folder on a larger disk.",
            {"free_bytes": free_bytes, "upload_bytes": coming, "reserve_bytes": DISK_RESERVE_BYTES},
        )
    error = desk.queue_error()
    if error is not None:
        raise error


def _submit(desk: Desk, fields: dict[str, str], upload: Upload) -> Accepted:
    wish = wish_of(desk, fields)
    kept = desk.blobs.adopt(upload.path, upload.name)
    return accept(desk, Source(f"blob:{kept.sha256}", upload.name, kept.sha256, kept.size_bytes), wish)


def accept(desk: Desk, source: Source, wish: tuple[Recipe, Whose]) -> Accepted:
    """Make a job of a video that is there."""
    recipe, whose = wish
    submission = desk.control.submit(source, recipe, **whose)
    view = desk.queue.job(submission.job)
    return Accepted(
        id=submission.job,
        video=video_id(source.sha256),
        state=view.state.value if view else "queued",
        created=submission.created,
        bin=submission.bin.value,
    )


def wish_of(desk: Desk, fields: dict[str, str]) -> tuple[Recipe, Whose]:
    """What the form's fields wish for.

    Raises:
        BadWish: BIN_UNKNOWN, TENANT_BAD, DEADLINE_BAD, TIME_UNREADABLE, and those of House.recipe.
    """
    wish = dict(fields)
    name = wish.pop("bin", Bin.NORMAL.value)
    if name not in list(Bin):
        raise BadWish("BIN_UNKNOWN", f"There is no bin {name[:100]!r}.", f"Bins: {', '.join(Bin)}.", {"field": "bin"})
    whose: Whose = {"bin_": Bin(name), "tenant": tenant_named(wish.pop("tenant", DEFAULT_TENANT))}
    if deadline := wish.pop("deadline", ""):
        whose["deadline_ms"] = deadline_ms(deadline, desk.queue.now_ms())
    return desk.house.recipe(wish), whose
