"""Every error as RFC 9457 problem JSON, with a stable code, what to do, and the request's id. The HTTP door of core.errors."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from vidprocme.core.errors import BadWish, ErrorInfo, Fate, VidprocmeError, describe_exception

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5
CHECKSUM_MISMATCH = 460  # of tus 1.0, and of nobody else

# Codes whose status does not follow from the error's class.
STATUS: Mapping[str, int] = {
    "JOB_UNKNOWN": 404,
    "ALERT_UNKNOWN": 404,
    "RULE_UNKNOWN": 404,
    "WEBHOOK_UNKNOWN": 404,
    "DELIVERY_UNKNOWN": 404,
    "RECORD_CHANGED": 409,
    "WEBHOOK_OFF": 409,
    "OUTBOX_FULL": 409,
    "RECORD_TOO_LARGE": 422,
    "RECORD_TOO_MANY": 507,
    "RENDITION_UNKNOWN": 404,
    "CAPTIONS_NONE": 404,
    "TASK_UNKNOWN": 404,
    "ATTEMPT_UNKNOWN": 404,
    "LOG_ELSEWHERE": 404,
    "LOG_GONE": 404,
    "VIDEO_UNKNOWN": 404,
    "STREAM_NONE": 404,
    "FRAME_UNKNOWN": 404,
    "FRAMES_NONE": 404,
    "JOB_ENDED": 409,
    "NO_FRAMES_KEPT": 409,
    "JOB_UNFINISHED": 409,
    "NOTHING_TO_RETRY": 409,
    "JOB_SUCCEEDED": 409,
    "JOB_IN_USE": 409,
    "OPERATION_UNKNOWN": 404,
    "UPLOAD_CUT": 400,
    "UPLOAD_MALFORMED": 400,
    "UPLOAD_NOT_A_FORM": 415,
    "MODEL_UNKNOWN": 422,
    "BIN_NOT_FOUND": 404,
    "NODE_UNKNOWN": 404,
    "TENANT_UNKNOWN": 404,
    "PLACE_UNKNOWN": 404,
    "ETAG_MISMATCH": 412,
    "KEY_NEEDED": 401,
    "KEY_UNKNOWN": 401,
    "KEY_EXPIRED": 401,
    "SESSION_ENDED": 401,
    "KEY_NOT_FOUND": 404,
    "SCOPE_TOO_SMALL": 403,
    "TENANT_NOT_YOURS": 403,
    "RATE_LIMITED": 429,
    "BODY_TOO_LARGE": 413,
    "IDEMPOTENCY_IN_FLIGHT": 409,
    "IDEMPOTENCY_SECRET": 409,
    "HOST_UNKNOWN": 421,
    "ORIGIN_FOREIGN": 403,
    "DISK_FULL": 507,
    "UPLOAD_UNKNOWN": 404,
    "UPLOAD_EXPIRED": 410,
    "UPLOAD_TYPE": 415,
    "UPLOAD_HEADER": 400,
    "UPLOAD_METADATA": 400,
    "UPLOAD_OFFSET": 409,
    "UPLOAD_UNFINISHED": 409,
    "UPLOAD_FAILED": 409,
    "UPLOAD_TOO_LARGE": 413,
    "UPLOAD_TOO_LONG": 413,
    "QUOTA_EXCEEDED": 413,
    "UPLOAD_LOCKED": 423,
    "UPLOAD_IDLE": 408,
    "UPLOAD_CHECKSUM": 460,
    "UPLOAD_HASH": 460,
    "TUS_VERSION": 412,
    "QUEUE_DISK": 507,
}
_BY_STATUS: Mapping[int, tuple[str, str]] = {
    404: ("NOT_FOUND", "/v1/openapi.json lists the paths there are."),
    413: ("BODY_TOO_LARGE", "Send videos to /v1/uploads, in pieces."),
    405: ("METHOD_NOT_ALLOWED", "The header Allow names the methods of this path."),
}
log = logging.getLogger("vidprocme.api")


class FieldError(BaseModel):
    pointer: str = Field(description="JSON pointer, or the place in the request: `/query/limit`.")
    detail: str


class Problem(BaseModel):
    """RFC 9457. `code` is stable; `hint` says what to do; `evidence` what was seen."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    hint: str = ""
    request_id: str
    evidence: dict[str, Any] = Field(default_factory=dict)
    errors: list[FieldError] = Field(default_factory=list)


def phrase(status: int) -> str:
    return "Checksum Mismatch" if status == CHECKSUM_MISMATCH else HTTPStatus(status).phrase


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """`responses=` of a route: these statuses are answered with a Problem."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": phrase(status), "content": content} for status in statuses}


def status_of(error: BaseException) -> int:
    """The HTTP status of an error, from its code or its class."""
    info = describe_exception(error)
    if info.code in STATUS:
        return STATUS[info.code]
    if info.code.startswith("QUEUE_"):  # also what a retry will not mend: it is not the asker's fault
        return 503
    if isinstance(error, BadWish):
        return 422
    return 503 if isinstance(error, VidprocmeError) and info.fate is Fate.RETRY else 500


def respond(
    info: ErrorInfo,
    status: int,
    request_id: str,
    *,
    headers: Mapping[str, str] | None = None,
    errors: list[FieldError] | None = None,
) -> JSONResponse:
    problem = Problem(
        title=phrase(status),
        status=status,
        detail=info.message,
        code=info.code,
        hint=info.hint,
        request_id=request_id,
        evidence=info.evidence,
        errors=errors or [],
    )
    wait_s = info.evidence.get("wait_s", RETRY_AFTER_S)
    extra = {"Retry-After": str(wait_s)} if status in (429, 503) else {}
    return JSONResponse(problem.model_dump(), status, headers={**extra, **(headers or {})}, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make this app answer every error as a Problem."""
    app.add_exception_handler(VidprocmeError, _ours)
    app.add_exception_handler(OSError, _machine)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


def request_id_of(request: Request) -> str:
    return str(request.scope.get("state", {}).get("request_id", ""))


async def _ours(request: Request, error: Exception) -> JSONResponse:
    return strange(error, request_id_of(request))


async def _machine(request: Request, error: Exception) -> JSONResponse:
    return strange(error, request_id_of(request))


def strange(error: Exception, request_id: str) -> JSONResponse:
    """A fault of ours, or the machine's: told with its request id, under which the log has the whole of it."""
    status = status_of(error)
    if status == 500:
        log.error("request %s failed", request_id, exc_info=error)
    return respond(describe_exception(error), status, request_id)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    errors = [
        FieldError(pointer="/" + "/".join(str(part) for part in item["loc"]), detail=str(item["msg"]))
        for item in error.errors()
    ]
    told = "; ".join(f"{item.pointer.rpartition('/')[2]}: {item.detail}" for item in errors)
    info = ErrorInfo("REQUEST_INVALID", f"The request cannot be read: {told}.", "/v1/openapi.json says what is taken.")
    return respond(info, 422, request_id_of(request), errors=errors)


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    code, hint = _BY_STATUS.get(error.status_code, (phrase.upper().replace(" ", "_"), ""))
    info = ErrorInfo(code, f"{request.method} {request.url.path}: {error.detail}.", hint)
    return respond(info, error.status_code, request_id_of(request), headers=error.headers)
