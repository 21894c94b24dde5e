"""Rows of the lists of jobs and videos, and what can be asked of them. Others get these nouns from library.base."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from vidprocme.core.ids import JobId, VideoId


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job as lists find it: what was true when its last event was read.

    stage: where it is: of the task that started last; of a failed job, where it failed; "" of one that succeeded. code, message:
    of its error. ended_ms, duration_ms: 0 while nobody knows. title: of its video; "" when nobody gave one (kept apart, see `note`).
    """

    id: JobId
    video: VideoId
    name: str
    size_bytes: int
    tenant: str
    created_ms: int
    bin: str
    state: str
    ended_ms: int = 0
    duration_ms: int = 0
    dead: int = 0  # tasks that are out of tries
    stage: str = ""
    code: str = ""
    message: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class JobWant:
    """What must be true of a job; an empty set is no condition.

    dead: one of its tasks is out of tries (together with `states`: either). since_ms, until_ms: submitted in [since_ms, until_ms).
    name: a pattern with * and ?, of the whole name, in any case. q: a part of the name, title or id, in any case.
    """

    states: frozenset[str] = frozenset()
    dead: bool = False
    bins: frozenset[str] = frozenset()
    tenants: frozenset[str] = frozenset()
    stages: frozenset[str] = frozenset()
    codes: frozenset[str] = frozenset()
    videos: frozenset[str] = frozenset()
    ids: frozenset[str] = frozenset()
    since_ms: int | None = None
    until_ms: int | None = None
    name: str = ""
    q: str = ""


class JobSort(StrEnum):
    """What a list of jobs is in order of; equal ones by id."""

    CREATED = "created_at"
    ENDED = "ended_at"
    NAME = "name"
    SIZE = "size"
    DURATION = "duration"


Key = tuple[int | str, str]  # where a row stands in its order: the value that is sorted by, and its id


@dataclass(frozen=True, slots=True)
class VideoWant:
    """As JobWant, of videos; their state is that of the job they show, as the table of jobs has it. tags: it has all of these, in
    any case. hidden: jobs whose videos are left out."""

    q: str = ""
    states: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    tenants: frozenset[str] = frozenset()
    hidden: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Note:
    """What a person says of a video, beside what was found in it. It is kept with the queue; the index only repeats it."""

    title: str = ""
    tags: tuple[str, ...] = field(default=())
