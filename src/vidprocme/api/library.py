"""/v1/videos: the library. What a video is called, what it holds, and how it goes."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
from typing import Annotated, cast

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from vidprocme.api.access import AsCaller, needs
from vidprocme.api.audit import audit
from vidprocme.api.desk import AtDesk, Desk
from vidprocme.api.filters import as_of
from vidprocme.api.paging import cursor_of, key_of
from vidprocme.api.params import IfMatch, agree
from vidprocme.api.problems import documented
from vidprocme.api.schemas.access import Scope
from vidprocme.api.schemas.videos import Accepted, RedescribeWish, VideoDocument, VideoList, VideoPatch
from vidprocme.api.shelf import Shelf, document, find, notes_of, removals_of, summary
from vidprocme.core.errors import BadWish, Fatal, VidprocmeError
from vidprocme.core.ids import JobId, VideoId
from vidprocme.core.job import JobState
from vidprocme.dispatch.removing import remove
from vidprocme.dispatch.repeating import repeat_notes
from vidprocme.library.base import Key, Note, VideoWant
from vidprocme.library.notes import Removal, VideoNote
from vidprocme.queue.kept import NEW

router = APIRouter(dependencies=[needs(Scope.READ)])

END_WAIT_S = 2.5  # a cancel ends what runs within 1.5 s
STEP_S = 0.1
REMOVE_EVERY_S = 2.0
NOTES_EVERY = 15  # of these turns
TAG_CHARS_MOST, VALUE_CHARS_MOST = 100, 1000
LOG = logging.getLogger("vidprocme.api.library")


@router.get("/v1/videos", responses=documented(422, 503))
def list_videos(
    desk: AtDesk,
    caller: AsCaller,
    q: Annotated[str, Query(description="a part of the title, name or id, in any case")] = "",
    state: Annotated[list[JobState] | None, Query(description="of its newest job; several: any of them")] = None,
    tag: Annotated[list[str] | None, Query(description="in any case; several: all of them")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> VideoList:
    """Videos, newest first, as they are now; which fit is decided by what was true a moment ago."""
    after = key_of(cursor, "newest", int, str) if cursor is not None else None
    if state:
        as_of(desk)
    want = VideoWant(
        q,
        states=frozenset(one.value for one in state or ()),
        tags=frozenset(tag or ()),
        tenants=frozenset() if caller.tenant is None else frozenset({caller.tenant}),
        hidden=frozenset(job for record in removals_of(desk).list() for job in record.doc.jobs),
    )
    records = desk.index.videos(limit + 1, want, cast("Key | None", after))
    page = records[:limit]
    views = desk.queue.views([record.job for record in page])
    last = page[-1] if len(records) > limit else None
    return VideoList(
        items=[summary(record, views[record.job]) for record in page if record.job in views],
        next_cursor=cursor_of("newest", last.created_ms, last.id) if last else None,
        total_estimate=desk.index.count_videos(want),
    )


@router.get("/v1/videos/{video_id}", responses=documented(404, 422, 503))
def show_video(video_id: str, desk: AtDesk, caller: AsCaller, response: Response) -> VideoDocument:
    """One video with what was made of it."""
    return _told(find(desk, caller, video_id), response)


@router.patch(
    "/v1/videos/{video_id}", dependencies=[needs(Scope.SUBMIT)], responses=documented(404, 409, 412, 422, 503)
)
def change_video(
    video_id: str,
    wish: VideoPatch,
    request: Request,
    desk: AtDesk,
    caller: AsCaller,
    response: Response,
    if_match: IfMatch = None,
) -> VideoDocument:
    """Give it a title, tags or metadata. Fields that are not given stay."""
    shelf = find(desk, caller, video_id)
    audit(request, "video.change", shelf.id)
    agree(if_match, shelf.etag)
    old = shelf.note.doc if shelf.note else VideoNote()
    note = VideoNote(
        title=old.title if wish.title is None else " ".join(wish.title.split()),
        tags=old.tags if wish.tags is None else _tags(wish.tags),
        metadata=old.metadata if wish.metadata is None else _metadata(wish.metadata),
    )
    try:
        notes_of(desk).put(shelf.id, note, if_match=shelf.note.etag if shelf.note else NEW)
    except Fatal as error:
        if error.code != "RECORD_CHANGED":
            raise
        raise Fatal(
            "ETAG_MISMATCH",
            f"Video {shelf.id} was changed by somebody else meanwhile.",
            "Read it again, and repeat your change if it still holds.",
        ) from error
    desk.index.note(shelf.id, Note(note.title, note.tags))
    return _told(find(desk, caller, video_id), response)


@router.delete(
    "/v1/videos/{video_id}",
    dependencies=[needs(Scope.SUBMIT)],
    status_code=204,
    responses={**documented(404, 409, 412, 422, 503), 202: {"description": "Nobody sees it; what runs still ends"}},
)
def delete_video(video_id: str, request: Request, desk: AtDesk, caller: AsCaller, if_match: IfMatch = None) -> Response:
    """Cancel what runs of it and forget all its jobs. Its files go with the next `vidprocme gc`."""
    shelf = find(desk, caller, video_id)
    audit(request, "video.delete", shelf.id)
    agree(if_match, shelf.etag)
    _go(desk, shelf)
    ends = time.monotonic() + END_WAIT_S
    late = False
    while not (gone := _remove(desk, shelf.id)) and not late:
        time.sleep(STEP_S)
        late = time.monotonic() >= ends  # and one more look, however long this machine stood still
    return Response(status_code=204 if gone else 202)


@router.post(
    "/v1/videos/{video_id}/redescribe",
    status_code=202,
    dependencies=[needs(Scope.SUBMIT)],
    responses=documented(404, 409, 422, 503),
)
def redescribe_video(
    video_id: str, wish: RedescribeWish, request: Request, desk: AtDesk, caller: AsCaller, response: Response
) -> Accepted:
    """Captions for the kept frames, by another model or prompt. Nothing is decoded again."""
    shelf = find(desk, caller, video_id)
    audit(request, "video.redescribe", shelf.id, model=wish.model)
    base = shelf.jobs[0]
    fields = {"model": wish.model} | ({"prompt": wish.prompt} if wish.prompt else {})
    submission = desk.control.describe(base.job.id, desk.house.recipe(fields))
    view = desk.queue.job(submission.job)
    response.headers["Location"] = f"/v1/jobs/{submission.job}"
    return Accepted(
        id=submission.job,
        video=shelf.id,
        state=view.state.value if view else JobState.QUEUED.value,
        created=submission.created,
        bin=submission.bin.value,
    )


def _go(desk: Desk, shelf: Shelf) -> None:
    """From now on nobody sees these jobs. Those of an earlier removal that still end stay with it: else they would be seen again."""
    records = removals_of(desk)
    while True:
        record = records.get(shelf.id)
        jobs = dict.fromkeys((*(record.doc.jobs if record else ()), *(view.job.id for view in shelf.jobs)))
        try:
            records.put(shelf.id, Removal(tuple(jobs)), if_match=record.etag if record else NEW)
            return
        except Fatal as error:
            if error.code != "RECORD_CHANGED":
                raise


async def keep_removing(desk: Desk) -> None:
    """See to it that what was asked to go goes, also what a server before this one was asked; and that the index, which may have
    been made anew or be another server's, repeats what people say of videos.
    """
    for turn in itertools.count():
        try:
            if turn % NOTES_EVERY == 0:
                await run_in_threadpool(repeat_notes, notes_of(desk), desk.index)
            for record in await run_in_threadpool(lambda: removals_of(desk).list()):
                await run_in_threadpool(_remove, desk, record.id)
        except (VidprocmeError, OSError) as error:
            LOG.debug("videos that were deleted could not be seen to: %s", error)
        await asyncio.sleep(REMOVE_EVERY_S)


def _remove(desk: Desk, video: str) -> bool:
    """One step. True: it is gone."""
    records = removals_of(desk)
    record = records.get(video)
    if record is None:
        return True
    if not remove(desk.queue, desk.control, [JobId(job) for job in record.doc.jobs]):
        return False
    left = desk.queue.jobs_named(desk.index.jobs_of(VideoId(video)))
    if not left:
        notes_of(desk).delete(video)
        desk.index.note(VideoId(video), Note())
    with contextlib.suppress(Fatal):  # somebody asked again meanwhile
        records.delete(video, if_match=record.etag)
    return True


def _told(shelf: Shelf, response: Response) -> VideoDocument:
    made = document(shelf)
    response.headers["ETag"] = f'"{made.etag}"'
    return made


def _tags(tags: list[str]) -> tuple[str, ...]:
    """Without blanks around, each once in whatever case, in order."""
    found: dict[str, str] = {}
    for tag in (" ".join(tag.split()) for tag in tags):
        if not tag or len(tag) > TAG_CHARS_MOST:
            raise BadWish(
                "TAG_BAD",
                f"A tag has 1 to {TAG_CHARS_MOST} characters; this one has {len(tag)}.",
                "Make it shorter, or leave it out.",
                {"field": "tags"},
            )
        found.setdefault(tag.casefold(), tag)
    return tuple(found.values())


def _metadata(pairs: dict[str, str]) -> dict[str, str]:
    for name, value in pairs.items():
        if not 0 < len(name) <= TAG_CHARS_MOST or len(value) > VALUE_CHARS_MOST:
            raise BadWish(
                "METADATA_BAD",
                f"A name of metadata has 1 to {TAG_CHARS_MOST} characters, a value at most {VALUE_CHARS_MOST}.",
                "Make them shorter; files belong elsewhere.",
                {"field": "metadata"},
            )
    return pairs
