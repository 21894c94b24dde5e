"""Documents about many jobs at once: which, and what is done to them."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, StrictBool

from vidprocme.api.schemas.base import Document, ErrorDocument, Wish


class JobFilter(Wish):
    """What must be true of a job; lists mean any of these, and an empty one is no condition. The same fields, repeated, are the
    query of GET /v1/jobs."""

    state: list[str] = Field(
        default=[], max_length=10, description="of the job; `dead`: one of its tasks is out of tries"
    )
    bin: list[str] = Field(default=[], max_length=10)
    tenant: list[str] = Field(default=[], max_length=50)
    stage: list[str] = Field(default=[], max_length=10, description="where it is now, or where it failed")
    code: list[str] = Field(default=[], max_length=50, description="of its error")
    video: list[str] = Field(default=[], max_length=50)
    name: str | None = Field(default=None, max_length=300, description="of the file, with * and ?, in any case")
    q: str | None = Field(default=None, max_length=300, description="a part of the name, title or id")
    since: str | None = Field(default=None, description="submitted then or later: RFC 3339, or `2h` ago")
    until: str | None = None


class Action(StrEnum):
    CANCEL = "cancel"
    RETRY = "retry"
    MOVE = "move"
    DROP = "drop"


class BulkWish(Wish):
    """Do this to these jobs: those with these ids, or all that fit the filter now."""

    action: Action
    bin: str | None = Field(default=None, description="where `move` moves them")
    ids: list[str] | None = Field(default=None, max_length=1000)
    filter: JobFilter | None = None
    dry_run: StrictBool = False


class BulkAnswer(Document):
    """`matched`: jobs that fit, by what was true at `as_of`; `able`: of these, those the action can be done to. `operation`: null
    after a dry run."""

    matched: int
    able: int
    sample: list[str]
    operation: str | None
    as_of: str


class OperationState(StrEnum):
    RUNNING = "running"
    DONE = "done"
    INTERRUPTED = "interrupted"  # its server ended or says nothing any more; what was done stays


class OperationDocument(Document):
    id: str
    action: Action
    state: OperationState
    total: int
    done: int
    unchanged: int = Field(description="there was nothing to do to them")
    failed: int
    errors: list[ErrorDocument] = Field(description="the first 20")
    created_at: str
    ended_at: str | None


class OperationList(Document):
    items: list[OperationDocument]
    next_cursor: str | None = None
