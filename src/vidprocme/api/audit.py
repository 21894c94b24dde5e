"""Who did what. Routes say it by `audit`; the door (api/door.py) writes it before the answer leaves, with the answer's status."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from vidprocme.api.access import AsCaller, needs
from vidprocme.api.desk import AtDesk, Desk
from vidprocme.api.paging import cursor_of, line_of
from vidprocme.api.problems import documented
from vidprocme.api.schemas.access import AuditDocument, AuditList, Scope
from vidprocme.api.schemas.base import time_text
from vidprocme.queue.kept import Entry, Journal

router = APIRouter(dependencies=[needs(Scope.ADMIN)])

KIND = "audit"
PAGE = 1000  # lines looked at in one round trip


Said = tuple[str, str, dict[str, Any]]  # action, object, detail


@dataclass(frozen=True, slots=True)
class Line:
    """See AuditDocument. `tenant`: of the key; None: of all."""

    who: str
    key_id: str | None
    tenant: str | None
    action: str
    object: str
    status: int
    request_id: str
    detail: dict[str, Any]


def audit(request: Request, action: str, object: str, **detail: Any) -> None:  # noqa: A002 - the document's word
    """Say what this request does, in a route, before or after doing it. `detail`: JSON values, never a secret."""
    said_of(request.scope).append((action, object, detail))


def said_of(scope: Any) -> list[Said]:
    """What was said of this request so far."""
    said: list[Said] = scope.setdefault("state", {}).setdefault("audit", [])
    return said


def journal_of(desk: Desk) -> Journal[Line]:
    return desk.journal(KIND, Line)


@router.get("/v1/audit", responses=documented(401, 403, 422, 429, 503))
def list_audit(
    desk: AtDesk,
    caller: AsCaller,
    who: Annotated[str | None, Query(description="name or id of a key")] = None,
    action: Annotated[str | None, Query(description="`job.cancel`, or `job` for all that begin so")] = None,
    object: Annotated[str | None, Query(description="the id of what it was done to")] = None,  # noqa: A002
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> AuditList:
    """What was done and refused, newest first. About the last 10,000 lines are kept."""
    before, journal, found = None if cursor is None else line_of(cursor, "audit"), journal_of(desk), list[Entry[Line]]()
    while len(found) <= limit:
        page = journal.page(PAGE, before)
        for entry in page:
            line = entry.doc
            if (
                (who is None or who in (line.who, line.key_id))
                and (action is None or line.action == action or line.action.startswith(f"{action}."))
                and (object is None or line.object == object)
                and (caller.tenant is None or line.tenant == caller.tenant)
            ):
                found.append(entry)
        if len(page) < PAGE:
            break
        before = page[-1].id
    more = len(found) > limit
    found = found[:limit]
    next_ = cursor_of("audit", found[-1].id) if more else None
    return AuditList(items=[_document(e) for e in found], next_cursor=next_)


def _document(entry: Entry[Line]) -> AuditDocument:
    line = entry.doc
    return AuditDocument(
        id=entry.id,
        at=time_text(entry.at_ms),
        who=line.who,
        key_id=line.key_id,
        action=line.action,
        object=line.object,
        status=line.status,
        request_id=line.request_id,
        detail=line.detail,
    )
