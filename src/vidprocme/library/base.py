"""Seams of what we keep. Stages and the loop know these, not the folders and databases behind them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

from vidprocme.core.ids import JobId, VideoId
from vidprocme.core.job import Artifact
from vidprocme.core.media import Caption

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

    def fetch(self, sha256: str, path: Path, on_bytes: OnBytes | None = None) -> None:
        """Write a blob to `path`, by a temporary name and a rename."""
        ...

    def local_path(self, sha256: str) -> Path | None:
        """Where the blob lies as a file, when the store is a folder; it must not be changed."""
        ...


@dataclass(frozen=True, slots=True)
class VideoRecord:
    """What the catalog shows of a video: derived from a job's published results, can be rebuilt."""

    id: VideoId
    job: JobId
    name: str
    state: str
    created_ms: int
    duration: Fraction | None = None
    width_px: int | None = None
    height_px: int | None = None
    document: dict[str, Any] = field(default_factory=dict)  # renditions, degraded, error: public JSON


@dataclass(frozen=True, slots=True)
class Hit:
    """A moment that a search found. `snippet` marks the found words with [ ]."""

    video: VideoId
    job: JobId
    name: str
    start: Fraction
    end: Fraction
    text: str
    snippet: str
    score: float  # higher is better


class SearchIndex(Protocol):
    """The searchable timeline. One writer at a time; readers never wait for it."""

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

    def search(self, words: str, limit: int = 20) -> list[Hit]: ...

    def videos(self, limit: int = 100) -> list[VideoRecord]: ...

    def video(self, video: VideoId) -> VideoRecord | None: ...

    def close(self) -> None: ...
