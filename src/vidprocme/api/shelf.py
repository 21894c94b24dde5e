"""A video as a caller may see it: its jobs, what they made, and what people say of it."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property

from vidprocme.api.access import Caller
from vidprocme.api.desk import Desk
from vidprocme.api.schemas.base import ErrorDocument, time_text
from vidprocme.api.schemas.videos import JobRef, RenditionDocument, VideoDocument, VideoSummary
from vidprocme.core.errors import Fatal
from vidprocme.core.ids import JobId, VideoId
from vidprocme.core.job import TaskState
from vidprocme.core.media import RenditionFile, seconds
from vidprocme.dispatch.results import FrameRef, JobResult, collect, frames_of, media_document, renditions_of
from vidprocme.library.base import VideoRecord
from vidprocme.library.notes import REMOVALS, VIDEO_NOTES, Removal, VideoNote
from vidprocme.queue.base import JobView
from vidprocme.queue.kept import Record, RecordStore

JOBS_LOOKED_AT = 20  # of one video, for what its newest job does not have (yet)
NEWEST = 100  # jobs of whose videos the index may not know yet
PLAYED_HEIGHT_PX = 720  # what a browser plays without trouble, and more than a page shows


def notes_of(desk: Desk) -> RecordStore[VideoNote]:
    return desk.house.records(VIDEO_NOTES, VideoNote)


def removals_of(desk: Desk) -> RecordStore[Removal]:
    return desk.house.records(REMOVALS, Removal)


@dataclass(frozen=True)
class Shelf:
    """`jobs`: newest first; at least one."""

    desk: Desk
    id: VideoId
    jobs: tuple[JobView, ...]

    @cached_property
    def note(self) -> Record[VideoNote] | None:
        return notes_of(self.desk).get(self.id)

    @cached_property
    def newest(self) -> JobResult:
        return self._results[0]

    @property
    def name(self) -> str:
        return plain(self.jobs[0].job.source.name)

    @property
    def title(self) -> str:
        return (self.note and self.note.doc.title) or self.name

    @property
    def etag(self) -> str:
        """Changes with the note and with any job's state; not with progress, which would refuse every edit meanwhile."""
        parts = [self.note.etag if self.note else "", *(f"{view.job.id} {view.state}" for view in self.jobs)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]

    @cached_property
    def frames(self) -> tuple[FrameRef, ...]:
        """Of the newest job that has any."""
        return next(filter(None, (frames_of(self.desk.queue, view) for view in self._looked_at)), ())

    def still(self, at_s: float) -> FrameRef | None:
        """The frame of this time, of the newest job that kept it: words are shown that an older job found in its own frames. Else
        what `frames` have on the screen then. None: there are none.

        Args:
            at_s: a time as the API tells it.
        """
        shown = None
        for view in self._looked_at:
            found = frames_of(self.desk.queue, view)
            last = bisect_right(found, at_s, key=lambda frame: seconds(frame.time)) - 1
            if last >= 0 and seconds(found[last].time) == at_s:
                return found[last]
            if found and shown is None:
                shown = found[max(last, 0)]
        return shown

    @cached_property
    def renditions(self) -> tuple[JobId, tuple[RenditionFile, ...]]:
        """Of the newest job that has any, and which that is."""
        for view in self._looked_at:
            found = renditions_of(self.desk.queue, view)
            if found:
                return view.job.id, found
        return self.jobs[0].job.id, ()

    @cached_property
    def captioned(self) -> JobResult:
        """The newest job with captions; the newest when none has."""
        for view in self._looked_at:
            result = self._result(view)
            if result.captions:
                return result
        return self.newest

    @cached_property
    def stream(self) -> RenditionFile | None:
        """What a browser should play: the best of at most 720 lines, else the smallest."""
        found = sorted(self.renditions[1], key=lambda file: (min(file.width_px, file.height_px), file.size_bytes))
        fit = [file for file in found if min(file.width_px, file.height_px) <= PLAYED_HEIGHT_PX]
        return fit[-1] if fit else (found[0] if found else None)

    @property
    def _looked_at(self) -> tuple[JobView, ...]:
        return self.jobs[:JOBS_LOOKED_AT]

    @cached_property
    def _results(self) -> list[JobResult]:
        return [collect(self.desk.queue, self.desk.blobs, self.jobs[0].job.id)]

    def result_of(self, job: str) -> JobResult:
        """
        Raises:
            Fatal: JOB_UNKNOWN, it is not one of this video's.
        """
        view = next((view for view in self.jobs if view.job.id == job), None)
        if view is None:
            raise Fatal("JOB_UNKNOWN", f"Video {self.id} has no job {job}.", f"GET /v1/videos/{self.id} names them.")
        return self._result(view)

    def _result(self, view: JobView) -> JobResult:
        if view.job.id == self.jobs[0].job.id:
            return self.newest
        return collect(self.desk.queue, self.desk.blobs, view.job.id)


def find(desk: Desk, caller: Caller, video: str) -> Shelf:
    """
    Raises:
        Fatal: VIDEO_UNKNOWN; also when it is somebody else's, or on its way out.
    """
    id_ = VideoId(video)
    views = desk.queue.jobs_named(desk.index.jobs_of(id_))
    if not views:  # just submitted: the index hears of it in a moment
        views = tuple(view for view in desk.queue.jobs(limit=NEWEST) if view.job.video == id_)
    seen = tuple(view for view in views if caller.sees(view.job.tenant))
    gone = removals_of(desk).get(video) if seen else None
    if gone is not None:
        seen = tuple(view for view in seen if view.job.id not in gone.doc.jobs)
    if not seen:
        raise Fatal("VIDEO_UNKNOWN", f"There is no video {video[:100]}.", "GET /v1/videos lists those there are.")
    return Shelf(desk, id_, seen)


def document(shelf: Shelf) -> VideoDocument:
    """Everything about one video."""
    newest, captioned, note = shelf.newest, shelf.captioned, shelf.note
    media, (job, renditions) = newest.media or captioned.media, shelf.renditions
    url, frames, stream = f"/v1/videos/{shelf.id}", len(shelf.frames), shelf.stream
    return VideoDocument(
        id=shelf.id,
        job=newest.view.job.id,
        title=shelf.title,
        name=shelf.name,
        state=newest.view.state.value,
        tenant=newest.view.job.tenant,
        created_at=time_text(newest.view.submitted_ms),
        duration_s=seconds(media.duration) if media else None,
        width_px=media.video.width_px if media else None,
        height_px=media.video.height_px if media else None,
        size_bytes=newest.view.job.source.size_bytes,
        captions=len(captioned.captions),
        tags=list(note.doc.tags) if note else [],
        progress=done(newest.view),
        poster_url=f"{url}/poster" if frames else None,
        error=ErrorDocument(**newest.error.public()) if newest.error else None,
        metadata=dict(note.doc.metadata) if note else {},
        media=media_document(media) if media else None,
        stream_url=f"{url}/stream?v={stream.sha256[:16]}" if stream else None,
        renditions=[
            RenditionDocument(
                name=file.name,
                url=f"/v1/jobs/{job}/renditions/{file.name}.mp4",
                width_px=file.width_px,
                height_px=file.height_px,
                frames=file.frames,
                duration_s=seconds(file.duration),
                bytes=file.size_bytes,
            )
            for file in renditions
        ],
        captions_url=f"{url}/captions?format=vtt" if captioned.captions else None,
        frames=frames,
        degraded=list(newest.degraded),
        jobs=[
            JobRef(
                id=view.job.id,
                state=view.state.value,
                created_at=time_text(view.submitted_ms),
                model=view.job.recipe.model,
            )
            for view in shelf.jobs
        ],
        etag=shelf.etag,
    )


def summary(record: VideoRecord, view: JobView) -> VideoSummary:
    """A video in a list, without a look at its tasks."""
    error = record.document.get("error")
    name = plain(view.job.source.name)
    return VideoSummary(
        id=record.id,
        job=record.job,
        title=record.title or name,
        name=name,
        state=view.state.value,
        tenant=view.job.tenant,
        created_at=time_text(view.submitted_ms),
        duration_s=None if record.duration is None else seconds(record.duration),
        width_px=record.width_px,
        height_px=record.height_px,
        size_bytes=view.job.source.size_bytes,
        captions=record.captions,
        tags=list(record.tags),
        progress=done(view),
        poster_url=f"/v1/videos/{record.id}/poster" if record.document.get("frames") else None,
        error=ErrorDocument(**error) if error else None,
    )


def done(view: JobView) -> float:
    """0..1: the tasks that have succeeded, of those that are planned so far."""
    total = sum(view.counts.values())
    return round(view.counts.get(TaskState.SUCCEEDED, 0) / total, 4) if total else 0.0


def plain(text: str) -> str:
    return text.encode("utf-8", "replace").decode()  # a name that is not UTF-8 has lone surrogates
