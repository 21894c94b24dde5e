"""Seams of what we keep. Stages and the loop know these, not the folders and databases behind them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

from vidprocme.core.ids import JobId, VideoId
from vidprocme.core.job import DEFAULT_TENANT, Artifact
from vidprocme.core.media import Caption
from vidprocme.library.rows import JobRow, JobSort, JobWant, Key, Note, VideoWant

# What lies in rows.py to keep this file short is part of the seam all the same.
__all__ = [
    "Blobs",
    "Hit",
    "JobRow",
    "JobSort",
    "JobWant",
    "Key",
    "Note",
    "OnBytes",
    "SearchIndex",
    "SearchWant",
    "VideoRecord",
    "VideoWant",
]

OnBytes = Callable[[int], None]


class Blobs(Protocol):
    """Content by its sha256. Putting the same thing twice keeps it once.

    `on_bytes(done)` is called about once for each MiB that was moved or read, so that a large file on a slow disk or network
    is not taken for a hang; what it raises stops the work, and nothing half done is left.
    """

    def put_file(self, path: Path, name: str, on_bytes: OnBytes | None = None) -> Artifact:
        """Keep a file's bytes (the file itself stays where it is)."""
        ...

    def put_bytes(self, data: bytes, name: str) -> Artifact: ...

    def has(self, sha256: str) -> bool: ...

    def read(self, sha256: str) -> bytes:
        """All bytes of a blob.

        Raises:
            Retryable: BLOB_MISSING, no such blob (here, now).
        """
        ...

    def size(self, sha256: str) -> int:
        """Bytes of a blob. Raises as `read`."""
        ...

    def pieces(self, sha256: str, start: int, end: int) -> Iterator[bytes]:
        """Its bytes from `start` up to `end` (that one not), piece by piece. Raises as `read`, at the first piece."""
        ...

    def fetch(self, sha256: str, path: Path, on_bytes: OnBytes | None = None) -> None:
        """Write a blob to `path`, by a temporary name and a rename."""
        ...

    def local_path(self, sha256: str) -> Path | None:
        """Where the blob lies as a file, when the store is a folder; it must not be changed."""
        ...


@dataclass(frozen=True, slots=True)
class VideoRecord:
    """What the catalog shows of a video: derived from a job's published results, can be rebuilt.

    title, tags: what a person said of it (`note`); `project` leaves them as they are.
    """

    id: VideoId
    job: JobId
    name: str
    state: str
    created_ms: int
    duration: Fraction | None = None
    width_px: int | None = None
    height_px: int | None = None
    document: dict[str, Any] = field(default_factory=dict)  # renditions, degraded, error: public JSON
    tenant: str = DEFAULT_TENANT
    size_bytes: int = 0
    captions: int = 0
    title: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hit:
    """A moment that a search found. `snippet` marks the found words with [ ]. title: "" when nobody gave one."""

    video: VideoId
    job: JobId
    name: str
    start: Fraction
    end: Fraction
    text: str
    snippet: str
    score: float  # higher is better
    title: str = ""


@dataclass(frozen=True, slots=True)
class SearchWant:
    """Where to look. from_s, to_s: moments that overlap [from_s, to_s) of their video."""

    video: VideoId | None = None
    from_s: float | None = None
    to_s: float | None = None
    tenant: str | None = None  # None: of all tenants


class SearchIndex(Protocol):
    """The searchable timeline, and lists of videos and jobs. One writer at a time; readers never wait for it."""

    @property
    def cleared(self) -> int:
        """How often everything was forgotten: a rebuild in which it was is not whole."""
        ...

    def project(
        self,
        video: VideoRecord,
        captions: Sequence[Caption] | None,
        event_id: str,
        older: tuple[JobId, int] | None = None,
    ) -> None:
        """Write one video (captions None: leave those there alone) and the id of the last event, in one transaction.

        Args:
            older: another job of this video and when it was made (ms): it can be shown when the one that is now is forgotten.
        """
        ...

    def project_all(self, videos: Sequence[VideoRecord], event_id: str) -> None:
        """As `project` of each, with the captions that are there, in one transaction."""
        ...

    def other_job(self, job: JobId) -> JobId | None:
        """The newest other job of the video that shows this one; None when no video does, or there is no other."""
        ...

    def jobs_of(self, video: VideoId) -> list[JobId]:
        """All jobs of a video that were seen, newest first."""
        ...

    def forget_job(self, job: JobId) -> bool:
        """Forget a job, and the video that shows it with all its moments. False: no video did."""
        ...

    def last_event(self) -> str:
        """Where a follower goes on; "0" for a new index."""
        ...

    def set_last_event(self, event_id: str) -> None: ...

    def clear(self) -> None:
        """Forget everything, for a rebuild."""
        ...

    def clear_videos(self) -> None:
        """Forget the videos and their moments, for a rebuild of these."""
        ...

    def search(self, words: str, limit: int = 20, want: SearchWant | None = None, skip: int = 0) -> list[Hit]:
        """The best first, `skip` of them left out."""
        ...

    def videos(self, limit: int = 100, want: VideoWant | None = None, after: Key | None = None) -> list[VideoRecord]:
        """Newest first: those after (created_ms, id)."""
        ...

    def count_videos(self, want: VideoWant) -> int: ...

    def video(self, video: VideoId) -> VideoRecord | None: ...

    # -- all jobs: a table of its own, with its own mark in the events -------------------------------------------------
    def write_jobs(self, rows: Sequence[JobRow], gone: Iterable[JobId], event_id: str | None) -> None:
        """Write and forget jobs, and the id of the last event, in one transaction. Titles are those that `note` said."""
        ...

    def rewrite_jobs(self, rows: Sequence[JobRow], generation: str) -> None:
        """A part of a rebuild that goes by this name: until `end_rewrite` what was there before stays."""
        ...

    def end_rewrite(self, generation: str, event_id: str) -> None:
        """Forget the jobs that the rebuild of this name did not write."""
        ...

    def last_job_event(self) -> str:
        """Where a follower of jobs goes on; "0" for a table that was never whole."""
        ...

    def job_rows(self, jobs: Collection[JobId]) -> Mapping[JobId, JobRow]: ...

    def jobs(
        self, want: JobWant, sort: JobSort, *, descending: bool = True, after: Key | None = None, limit: int = 100
    ) -> list[JobRow]:
        """A page: those behind the row that stands at `after`."""
        ...

    def count_jobs(self, want: JobWant) -> Mapping[str, int]:
        """How many fit, by state; `dead`: of these, those of which a task is out of tries."""
        ...

    def note(self, video: VideoId, note: Note) -> None:
        """Show these words for a video and its jobs, and find it by them; an empty note takes them away."""
        ...

    def notes(self) -> Mapping[VideoId, Note]: ...

    def close(self) -> None: ...
