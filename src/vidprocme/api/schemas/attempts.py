"""Documents about how a job went: attempts, the strip of its stages, its events."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from vidprocme.api.schemas.base import Document, ErrorDocument, time_text
from vidprocme.core.event import Event


class TaskDocument(Document):
    """A task as it is now."""

    id: str
    stage: str
    index: int
    state: str
    tries: int
    tries_most: int
    lost: int
    place: str | None
    progress: float
    started_at: str | None
    ended_at: str | None
    due_at: str | None = Field(description="of one that is delayed: when it is tried again")
    payload: dict[str, Any]
    error: ErrorDocument | None


class TaskList(Document):
    items: list[TaskDocument]
    next_cursor: str | None = None


class AttemptSummary(Document):
    """An attempt, ended or running. `outcome` null: it runs."""

    task: str
    stage: str
    number: int
    try_number: int | None
    place: str
    holder: str
    started_at: str
    ended_at: str | None
    took_s: float | None
    outcome: str | None
    next: str | None
    cpu_s: float | None
    memory_bytes: int | None = Field(description="the most it had at once")
    token: int | None = Field(
        description="its number among all attempts of the house, as its events name it; null: it is not known yet"
    )
    log_url: str | None
    error: ErrorDocument | None


class AttemptList(Document):
    """Newest first."""

    items: list[AttemptSummary]
    next_cursor: str | None = None


class StageSpan(Document):
    """What a stage did in one round: from the first start to the last end of its attempts; `start` null: none started."""

    stage: str
    start: str | None
    end: str | None
    state: str = Field(description="succeeded, failed, running, cancelled, waiting")
    tasks: int
    done: int = Field(description="of its tasks, when the round was over")
    failed: int
    kept: bool = Field(description="it was done in an earlier round, and was not touched in this one")


class RoundDocument(Document):
    """From one submit or retry to the next: a strip with an axis of its own, so that a retry days later squashes nothing."""

    number: int
    start: str
    end: str | None
    wait_s: float = Field(description="from its begin to the first start")
    stages: list[StageSpan]


class TimelineDocument(Document):
    """Newest round first."""

    items: list[RoundDocument]


class JobEvent(Document):
    id: str
    at: str
    kind: str
    job: str
    task: str | None
    data: dict[str, Any]


def event_document(event: Event) -> JobEvent:
    return JobEvent(
        id=event.id, at=time_text(event.at_ms), kind=event.kind, job=event.job, task=event.task, data=event.data
    )


class JobEventList(Document):
    items: list[JobEvent]
    next_cursor: str | None = None


class LogDocument(Document):
    """A part of an attempt's log. `offset_bytes` of its beginning; ask again from `next_offset_bytes`."""

    text: str
    offset_bytes: int
    next_offset_bytes: int
    size_bytes: int
    ended: bool
