"""Resumable uploads: tus 1.0 (https://tus.io/protocols/resumable-upload) with creation, creation-with-upload, checksum,
termination and expiration; and, as JSON, what became of them."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import re
from collections.abc import Callable, Coroutine
from email.utils import formatdate
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute

from vidprocme.api.access import AsCaller, needs
from vidprocme.api.appending import Check, append
from vidprocme.api.arriving import Arriving, AtArriving
from vidprocme.api.audit import audit
from vidprocme.api.paging import cursor_of, text_of
from vidprocme.api.problems import documented, request_id_of, strange
from vidprocme.api.schemas.access import Scope
from vidprocme.api.schemas.base import ErrorDocument, time_text
from vidprocme.api.schemas.videos import UploadDocument, UploadList
from vidprocme.api.wishes import arrival_of
from vidprocme.core.errors import BadWish, Fatal, VidprocmeError
from vidprocme.library.arrivals import ENDED, UNKNOWN, Arrival, Arrivals, ArrivalState

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,termination,checksum,expiration"
ALGORITHMS = ("sha1", "sha256", "md5")
BODY = "application/offset+octet-stream"
_METADATA_NAME = re.compile(r"[!-+\--~]+")  # ASCII without spaces and commas


class TusRoute(APIRoute):
    """Says on every answer, refusals too, which version is spoken."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer_to = super().get_route_handler()

        async def speak(request: Request) -> Response:
            try:
                answer = await answer_to(request)
            except (VidprocmeError, OSError) as error:
                answer = strange(error, request_id_of(request))
            answer.headers["Tus-Resumable"] = VERSION
            if answer.status_code == 412:
                answer.headers["Tus-Version"] = VERSION
            return answer

        return speak


router = APIRouter(route_class=TusRoute, dependencies=[needs(Scope.SUBMIT)])


@router.options("/v1/uploads", status_code=204)
@router.options("/v1/uploads/{upload_id}", status_code=204, include_in_schema=False)
async def show_upload_protocol(arriving: AtArriving) -> Response:
    """What of tus is spoken here."""
    headers = {
        "Tus-Version": VERSION,
        "Tus-Extension": EXTENSIONS,
        "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
    }
    if arriving.desk.admission.most_bytes:
        headers["Tus-Max-Size"] = str(arriving.desk.admission.most_bytes)
    return Response(status_code=204, headers=headers)


@router.get("/v1/uploads", responses=documented(401, 403, 422, 429))
def list_uploads(
    arriving: AtArriving,
    caller: AsCaller,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str, Query(max_length=100)] = "",
) -> UploadList:
    """Uploads and imports, newest first, those that have ended for a day."""
    before = text_of(cursor, "uploads") if cursor else "~"
    mine = [one for one in reversed(arriving.arrivals.all()) if one.id < before and caller.sees(one.tenant)]
    more = cursor_of("uploads", mine[limit - 1].id) if len(mine) > limit else None
    return UploadList(items=[document(arriving.arrivals, one) for one in mine[:limit]], next_cursor=more)


@router.get("/v1/uploads/{upload_id}", responses=documented(401, 403, 404, 410, 422, 429))
def show_upload(upload_id: str, arriving: AtArriving, caller: AsCaller) -> UploadDocument:
    """How far an upload or import is, and the job that was made of it."""
    return document(arriving.arrivals, arriving.seen(caller, upload_id))


@router.post(
    "/v1/uploads",
    status_code=201,
    response_class=Response,
    responses=documented(400, 401, 403, 412, 413, 415, 422, 429, 503, 507),
    openapi_extra={"requestBody": {"content": {BODY: {"schema": {"type": "string", "format": "binary"}}}}},
)
async def create_upload(request: Request, arriving: AtArriving, caller: AsCaller) -> Response:
    """Begin an upload (tus `creation`): headers Upload-Length and Upload-Metadata. A wrong wish is refused here, before bytes come."""
    _speaks(request)
    if "upload-defer-length" in request.headers:
        raise BadWish("UPLOAD_HEADER", "How long the file is must be said.", "Send Upload-Length.")
    size = _number(request, "Upload-Length")
    told = request.headers.get("upload-metadata", "")
    fields = metadata(told)
    if size == 0:
        name = fields.get("filename", "The file")[:100]
        raise BadWish("EMPTY_FILE", f"{name} is empty (0 bytes).", "Check where it came from, and send it again.")
    has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    check = _check(request)
    if has_body:
        _is_body(request)

    def begin() -> Arrival:
        return arriving.begin(arrival_of(arriving.desk, caller, fields, size, told=told))

    arrival = await asyncio.to_thread(begin)
    audit(request, "upload.create", arrival.id, name=arrival.name, size_bytes=size, tenant=arrival.tenant)
    headers = {"Location": f"/v1/uploads/{arrival.id}"}
    if has_body:
        held = await arriving.take_over(arrival.id)
        with contextlib.ExitStack() as exits:
            exits.callback(held.close)
            arrival, offset = await append(request, arriving, arrival, 0, check)
            if offset == arrival.size_bytes:
                exits.pop_all()
                arrival = await arriving.settled(arrival, held)
        headers["Upload-Offset"] = str(offset)
    return Response(status_code=201, headers={**headers, **_told(arriving, arrival)})


@router.head(
    "/v1/uploads/{upload_id}",
    response_class=Response,
    responses=documented(401, 403, 404, 410, 412, 422, 423, 429),
    status_code=200,
)
async def show_upload_offset(request: Request, upload_id: str, arriving: AtArriving, caller: AsCaller) -> Response:
    """How many bytes are here for good. A request that still writes ends: its sender asks again, so it is gone."""
    _speaks(request)
    arrival = arriving.seen(caller, upload_id)
    sent = arrival.state is ArrivalState.RECEIVING and not arrival.path and not arrival.url
    if sent and arriving.arrivals.offset(arrival) < arrival.size_bytes:
        held = await arriving.take_over(upload_id)
        with contextlib.closing(held):
            arrival = arriving.seen(caller, upload_id)
            await asyncio.to_thread(arriving.arrivals.synced_offset, arrival)
    headers = {"Upload-Offset": str(arriving.arrivals.offset(arrival)), "Cache-Control": "no-store"}
    if arrival.size_bytes != UNKNOWN:
        headers["Upload-Length"] = str(arrival.size_bytes)
    if arrival.told:
        headers["Upload-Metadata"] = arrival.told
    return Response(status_code=200, headers={**headers, **_told(arriving, arrival)})


@router.patch(
    "/v1/uploads/{upload_id}",
    status_code=204,
    responses=documented(400, 401, 403, 404, 408, 409, 410, 412, 413, 415, 422, 423, 429, 460, 503, 507),
    openapi_extra={"requestBody": {"content": {BODY: {"schema": {"type": "string", "format": "binary"}}}}},
)
async def send_upload(request: Request, upload_id: str, arriving: AtArriving, caller: AsCaller) -> Response:
    """More bytes, from Upload-Offset on. With the last one the job is made: its id is in the header Vidprocme-Job."""
    _speaks(request)
    _is_body(request)
    start = _number(request, "Upload-Offset")
    check = _check(request)
    arrival = arriving.seen(caller, upload_id)
    if arrival.url or arrival.path:  # taking it over would end what fetches it
        raise Fatal("UPLOAD_LOCKED", "The server itself fetches this one.", "GET says how far it is.")
    held = await arriving.take_over(upload_id)
    with contextlib.ExitStack() as exits:
        exits.callback(held.close)
        arrival = arriving.seen(caller, upload_id)
        if arrival.state is ArrivalState.FAILED:
            assert arrival.error is not None
            raise Fatal("UPLOAD_FAILED", f"This upload has failed: {arrival.error.message}", "Begin it anew.")
        offset = arriving.arrivals.offset(arrival)
        if start != offset:
            raise Fatal(
                "UPLOAD_OFFSET",
                f"{offset} bytes are here; what was sent begins at {start}.",
                "Ask with HEAD for the offset, and go on from there.",
                {"offset_bytes": offset, "sent_from": start},
            )
        if arrival.state is ArrivalState.RECEIVING and offset < arrival.size_bytes:
            await asyncio.to_thread(arriving.desk.admission.go_on, arrival)
            arrival, offset = await append(request, arriving, arrival, start, check)
        if offset == arrival.size_bytes and arrival.state is not ArrivalState.HELD:
            exits.pop_all()
            arrival = await arriving.settled(arrival, held)
    return Response(status_code=204, headers={"Upload-Offset": str(offset), **_told(arriving, arrival)})


@router.delete("/v1/uploads/{upload_id}", status_code=204, responses=documented(401, 403, 404, 412, 422, 423, 429))
async def delete_upload(request: Request, upload_id: str, arriving: AtArriving, caller: AsCaller) -> Response:
    """Give it up: what came is thrown away. The job of one that is done stays."""
    _speaks(request)
    try:
        arriving.seen(caller, upload_id)
    except Fatal as error:
        if error.code not in ("UPLOAD_EXPIRED", "UPLOAD_DAMAGED"):  # these can be deleted, too
            raise
    held = await arriving.take_over(upload_id)
    with contextlib.closing(held):
        await asyncio.to_thread(arriving.arrivals.forget, upload_id)
    audit(request, "upload.delete", upload_id)
    return Response(status_code=204)


@router.post("/v1/uploads/{upload_id}", include_in_schema=False)
async def send_upload_instead(request: Request, upload_id: str, arriving: AtArriving, caller: AsCaller) -> Response:
    """For what may say only GET and POST: X-HTTP-Method-Override says what is meant."""
    meant = {"PATCH": send_upload, "DELETE": delete_upload, "HEAD": show_upload_offset}
    method = request.headers.get("x-http-method-override", "")
    if method not in meant:
        raise BadWish("UPLOAD_HEADER", "POST is not for an upload that is begun.", "Send its bytes with PATCH.")
    return await meant[method](request, upload_id, arriving, caller)


# -- headers and documents ---------------------------------------------------------------------------------------------


def _speaks(request: Request) -> None:
    if request.headers.get("tus-resumable") != VERSION:
        raise Fatal(
            "TUS_VERSION",
            f"Uploads speak tus {VERSION}; the request says {request.headers.get('tus-resumable', 'nothing')[:40]!r}.",
            f"Send the header Tus-Resumable: {VERSION}.",
        )


def _is_body(request: Request) -> None:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != BODY:
        raise BadWish("UPLOAD_TYPE", "The bytes of an upload have a type of their own.", f"Send Content-Type: {BODY}.")


def _number(request: Request, name: str) -> int:
    text = request.headers.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise BadWish("UPLOAD_HEADER", f"{name} is missing or no number: {text[:40]!r}.", f"Send {name} in bytes.")
    return int(text)


def _check(request: Request) -> Check | None:
    text = request.headers.get("upload-checksum")
    if text is None:
        return None
    algorithm, _, wanted = text.partition(" ")
    if algorithm not in ALGORITHMS:
        known = ", ".join(ALGORITHMS)
        raise BadWish("UPLOAD_HEADER", f"There is no checksum {algorithm[:40]!r} here.", f"There are: {known}.")
    try:
        return Check(algorithm, base64.b64decode(wanted, validate=True))
    except binascii.Error:
        raise BadWish("UPLOAD_HEADER", "The checksum is not base64.", "Such as: sha256 BASE64.") from None


def metadata(text: str) -> dict[str, str]:
    """What Upload-Metadata says: names with values in base64, with commas.

    Raises:
        BadWish: UPLOAD_METADATA.
    """
    found: dict[str, str] = {}
    for pair in text.split(",") if text.strip() else ():
        name, _, value = pair.strip().partition(" ")
        if not _METADATA_NAME.fullmatch(name) or name in found:
            raise BadWish(
                "UPLOAD_METADATA", f"Upload-Metadata has no name, or one twice: {name[:40]!r}.", "See tus 1.0."
            )
        try:
            found[name] = base64.b64decode(value.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise BadWish(
                "UPLOAD_METADATA", f"The value of {name[:40]!r} is not UTF-8 in base64.", "Encode it so."
            ) from None
    return found


def _told(arriving: Arriving, arrival: Arrival) -> dict[str, str]:
    headers = {}
    if arrival.state is ArrivalState.RECEIVING:
        headers["Upload-Expires"] = formatdate(arriving.arrivals.expires_ms(arrival) / 1000, usegmt=True)
    if arrival.job:
        headers["Vidprocme-Job"] = arrival.job
        headers["Vidprocme-Video"] = arrival.video or ""
    return headers


def document(arrivals: Arrivals, arrival: Arrival) -> UploadDocument:
    offset = arrivals.offset(arrival)
    state = arrival.state
    if state is ArrivalState.RECEIVING and (arrival.path or offset == arrival.size_bytes):
        state = ArrivalState.HASHING
    error = arrival.error
    return UploadDocument(
        id=arrival.id,
        name=arrival.name,
        state=state.value,
        size_bytes=max(arrival.size_bytes, 0),
        offset_bytes=max(arrival.size_bytes, 0) if arrival.state in ENDED and error is None else offset,
        created_at=time_text(arrival.created_ms),
        expires_at=time_text(arrivals.expires_ms(arrival)),
        bin=arrival.bin,
        video=arrival.video,
        job=arrival.job or None,
        created=arrival.created if arrival.job else None,
        error=ErrorDocument(**error.public()) if error is not None else None,
    )
