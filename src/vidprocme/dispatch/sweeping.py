"""Which blobs nobody needs any more, and their going.

A blob is needed while a job, a task's plan or a task's published outcome names it. What an attempt has put and not yet
published is named by nobody: it is young. Blobs are put at the end of an attempt, seconds before its settle; putting what is
there already makes it young again. So only what nobody has put for `older_than_ms` (a day, unless said otherwise) can go, and
the names are read after the blobs were listed: what was published meanwhile is among them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from vidprocme.core.errors import Fatal
from vidprocme.queue.base import Queue

DAY_MS = 86_400_000


class StoredBlob(Protocol):
    """A blob as its store lists it; `library.blobs.Stored` is one."""

    @property
    def sha256(self) -> str: ...
    @property
    def size_bytes(self) -> int: ...
    @property
    def touched_ms(self) -> int: ...  # when it was last put


T = TypeVar("T", bound=StoredBlob)


@dataclass(frozen=True, slots=True)
class Sum:
    """How many, and their bytes."""

    count: int = 0
    bytes: int = 0

    @classmethod
    def of(cls, sizes: Iterable[int]) -> Sum:
        found = list(sizes)
        return cls(len(found), sum(found))


def unneeded(stored: Iterable[T], queue: Queue, now_ms: int, older_than_ms: int, *, no_jobs: bool = False) -> list[T]:
    """The blobs that can go.

    Args:
        stored: all there are; read to its end before the queue is asked for names.
        now_ms: by the clock of the machine that keeps the blobs.
        no_jobs: that there is not one job is as it should be.

    Raises:
        Fatal: GC_NO_JOBS, there are blobs and not one job: most likely this is not the queue that they belong to.
    """
    there = list(stored)
    old = {blob.sha256: blob for blob in there if now_ms - blob.touched_ms >= older_than_ms}
    if there and not no_jobs and not queue.jobs(limit=1):
        raise Fatal(
            "GC_NO_JOBS",
            f"There are {len(there)} blobs and not one job: all of them would go.",
            "Check VIDPROCME_REDIS_URL and VIDPROCME_DATA: is this the queue of these blobs? If so, say --no-jobs.",
            {"blobs": len(there)},
        )
    for name in queue.contents():
        old.pop(name, None)
    return list(old.values())
