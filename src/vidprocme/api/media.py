"""/v1/videos/{id}/...: what a player and a page of frames need. No path comes from a request; names only ever go out."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path as File
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import FileResponse, Response

from vidprocme.api.access import AsCaller, needs
from vidprocme.api.desk import AtDesk, Desk
from vidprocme.api.paging import cursor_of, number_of
from vidprocme.api.problems import documented
from vidprocme.api.schemas.access import Scope
from vidprocme.api.schemas.videos import CaptionDocument, CaptionList, FrameDocument, FrameList
from vidprocme.api.sending import ASK_AGAIN, FOREVER, disposition, has, send_blob
from vidprocme.api.shelf import Shelf, find
from vidprocme.api.wordless import no_captions
from vidprocme.core.errors import Fatal
from vidprocme.core.media import Caption, seconds
from vidprocme.dispatch.results import FrameRef, caption_document
from vidprocme.library.export import WRITERS
from vidprocme.library.frames_zip import read_one
from vidprocme.library.pictures import light, resized

router = APIRouter(dependencies=[needs(Scope.READ)])

POSTER_WIDTH_PX = 480
POSTERS_TRIED = 8
CLEAR_SPREAD = 12.0  # less is a blank, a fade or fog
JPEG: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/jpeg": {}}, "description": "JPEG"},
    304: {"description": "Not changed"},
}
Width = Annotated[Literal["160", "320", "640"] | None, Query(description="px; as it was kept without")]
Format = Literal["json", "jsonl", "srt", "vtt", "csv"]


@router.head("/v1/videos/{video_id}/stream", include_in_schema=False)
@router.get(
    "/v1/videos/{video_id}/stream",
    response_class=FileResponse,
    responses={
        **documented(404, 416, 422, 503),
        200: {"content": {"video/mp4": {}}, "description": "The whole file"},
        206: {"content": {"video/mp4": {}}, "description": "A range of it"},
        304: {"description": "Not changed"},
    },
)
def stream_video(
    video_id: str,
    desk: AtDesk,
    caller: AsCaller,
    request: Request,
    v: Annotated[str, Query(description="the version in `stream_url`: kept for ever by who asks with it")] = "",
    download: bool = False,
) -> Response:
    """The rendition that a browser should play: the best of at most 720 lines. Ranges are served."""
    shelf = find(desk, caller, video_id)
    file = shelf.stream
    if file is None:
        raise Fatal(
            "STREAM_NONE",
            f"Video {shelf.id} has no finished rendition: it is not that far, or none was wished for.",
            f"GET /v1/videos/{shelf.id} says how far it is; a preset with renditions makes some.",
        )
    return send_blob(
        desk,
        request,
        file.sha256,
        "video/mp4",
        cache=FOREVER if len(v) >= 16 and file.sha256.startswith(v) else ASK_AGAIN,
        headers={"Content-Disposition": disposition(File(shelf.title).stem, ".mp4", download=download)},
    )


@router.head("/v1/videos/{video_id}/poster", include_in_schema=False)
@router.get(
    "/v1/videos/{video_id}/poster", response_class=FileResponse, responses={**documented(404, 422, 503), **JPEG}
)
def poster(video_id: str, desk: AtDesk, caller: AsCaller, request: Request) -> Response:
    """A frame that shows something, at most 480 px wide."""
    shelf = find(desk, caller, video_id)
    frames = shelf.frames
    if not frames:
        raise _no_frames(shelf)
    tried = candidates(frames)
    key = hashlib.sha256("\n".join(f"{one.archive} {one.name}" for one in tried).encode()).hexdigest()
    return _picture(
        desk, request, f"poster-{key}", lambda: resized(_clearest(_jpeg(desk, one) for one in tried), POSTER_WIDTH_PX)
    )


@router.get("/v1/videos/{video_id}/frames", responses=documented(404, 422, 503))
def list_frames(
    video_id: str,
    desk: AtDesk,
    caller: AsCaller,
    from_s: Annotated[float, Query(alias="from", ge=0, allow_inf_nan=False, description="seconds")] = 0.0,
    to_s: Annotated[float | None, Query(alias="to", ge=0, allow_inf_nan=False, description="seconds")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> FrameList:
    """The kept frames with their times and captions, those in [from, to)."""
    shelf = find(desk, caller, video_id)
    times = [float(frame.time) for frame in shelf.frames]
    first, last = bisect_left(times, from_s), len(times) if to_s is None else bisect_left(times, to_s)
    begin = first if cursor is None else max(first, number_of(cursor, "frames"))
    end = min(begin + limit, last)
    said = {caption.frame_time: caption.text for caption in shelf.captioned.captions}
    return FrameList(
        items=[
            FrameDocument(
                n=n,
                time_s=seconds(frame.time),
                url=f"/v1/videos/{shelf.id}/frames/{n}.jpg",
                caption=said.get(Fraction(frame.time)),
            )
            for n, frame in enumerate(shelf.frames[begin:end], start=begin)
        ],
        next_cursor=cursor_of("frames", end) if begin < end < last else None,
        total=max(last - first, 0),
    )


@router.head("/v1/videos/{video_id}/frames/{n}.jpg", include_in_schema=False)
@router.get(
    "/v1/videos/{video_id}/frames/{n}.jpg", response_class=FileResponse, responses={**documented(404, 422, 503), **JPEG}
)
def show_frame(
    video_id: str,
    n: Annotated[int, Path(ge=0)],
    desk: AtDesk,
    caller: AsCaller,
    request: Request,
    width: Width = None,
) -> Response:
    """One frame as JPEG."""
    shelf = find(desk, caller, video_id)
    if n >= len(shelf.frames):
        raise Fatal(
            "FRAME_UNKNOWN",
            f"Video {shelf.id} has {len(shelf.frames)} frames, from 0; there is no frame {n}.",
            f"GET /v1/videos/{shelf.id}/frames lists them.",
        )
    return _frame(desk, request, shelf.frames[n], width)


@router.head("/v1/videos/{video_id}/still", include_in_schema=False)
@router.get("/v1/videos/{video_id}/still", response_class=FileResponse, responses={**documented(404, 422, 503), **JPEG})
def still(
    video_id: str,
    desk: AtDesk,
    caller: AsCaller,
    request: Request,
    at: Annotated[float, Query(allow_inf_nan=False, description="seconds")],
    width: Width = None,
) -> Response:
    """The frame of a moment: the kept one that is on the screen then."""
    shelf = find(desk, caller, video_id)
    frame = shelf.still(at)
    if frame is None:
        raise _no_frames(shelf)
    return _frame(desk, request, frame, width)


@router.get(
    "/v1/videos/{video_id}/captions",
    responses={
        **documented(404, 422, 503),
        200: {
            "content": {
                **{media_type: {} for _, media_type in WRITERS.values()},
                "application/json": {"schema": {"$ref": "#/components/schemas/CaptionList"}},
            },
            "description": "The captions so far, in order of time",
        },
    },
    response_class=Response,
)
def export_captions(
    video_id: str,
    desk: AtDesk,
    caller: AsCaller,
    format: Format = "json",  # noqa: A002
    job: Annotated[
        str | None, Query(max_length=100, description="of this job; else of the newest that has any")
    ] = None,
    download: bool = False,
) -> Response:
    """The captions as a file: for players (srt, vtt), scripts (json, jsonl) and tables (csv)."""
    shelf = find(desk, caller, video_id)
    result = shelf.captioned if job is None else shelf.result_of(job)
    captions = result.captions
    if not captions:
        raise no_captions(f"Video {shelf.id}", f"/v1/videos/{shelf.id}", result.view)
    write, media_type = WRITERS[format]
    if format == "json":
        write = _listed
    headers = {
        "Cache-Control": ASK_AGAIN,
        "Content-Disposition": disposition(File(shelf.title).stem, f".{format}", download=download),
    }
    return Response(write(captions).encode(), media_type=f"{media_type}; charset=utf-8", headers=headers)


def _listed(captions: Sequence[Caption]) -> str:
    """As the API lists things."""
    return CaptionList(items=[CaptionDocument(**caption_document(one)) for one in captions]).model_dump_json()


def candidates(frames: tuple[FrameRef, ...]) -> list[FrameRef]:
    """The frame at a tenth, and others up to the middle, in case that one is dark."""
    first, last = len(frames) // 10, max(len(frames) // 2, min(len(frames) - 1, POSTERS_TRIED))
    step = max(1, (last - first) // (POSTERS_TRIED - 1))
    return list(frames[first : last + 1 : step][:POSTERS_TRIED])


def _clearest(pictures: Iterable[bytes]) -> bytes:
    """The first that is clear; else the one with most in it."""
    best, most = b"", -1.0
    for picture in pictures:
        spread = light(picture).spread
        if spread >= CLEAR_SPREAD:
            return picture
        if spread > most:
            best, most = picture, spread
    return best


def _no_frames(shelf: Shelf) -> Fatal:
    return Fatal(
        "FRAMES_NONE", f"Video {shelf.id} has no frames (yet).", f"GET /v1/videos/{shelf.id} says how far it is."
    )


def _frame(desk: Desk, request: Request, frame: FrameRef, width: str | None) -> Response:
    key = hashlib.sha256(f"{frame.archive} {frame.name}".encode()).hexdigest()
    if width is None:
        etag = f"frame-{key}"
        told = {"ETag": f'"{etag}"', "Cache-Control": ASK_AGAIN}
        if has(request, etag):
            return Response(status_code=304, headers=told)
        return Response(_jpeg(desk, frame), media_type="image/jpeg", headers=told)
    return _picture(desk, request, f"frame-{key}-{width}", lambda: resized(_jpeg(desk, frame), int(width)))


def _picture(desk: Desk, request: Request, etag: str, make: Callable[[], bytes]) -> Response:
    told = {"ETag": f'"{etag}"', "Cache-Control": ASK_AGAIN}
    if has(request, etag):
        return Response(status_code=304, headers=told)
    return FileResponse(desk.pictures.get(f"{etag}.jpg", make), headers=told, media_type="image/jpeg")


def _jpeg(desk: Desk, frame: FrameRef) -> bytes:
    """A kept frame. A bucket's archive is fetched once, and its frames are then read from the copy."""
    archive = desk.blobs.local_path(frame.archive) or desk.pictures.get(
        f"{frame.archive}.zip", lambda: desk.blobs.read(frame.archive)
    )
    found = read_one(archive, frame.name)
    if found is None:
        raise Fatal("FRAMES_BROKEN", f"The frame {frame.name} is not in its archive.", "Submit the video again.")
    return found
