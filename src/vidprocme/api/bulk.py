"""POST /v1/jobs:bulk: one verb for many jobs, and /v1/operations: how far such a thing is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from vidprocme.api.access import AsCaller, Caller, needs
from vidprocme.api.audit import audit
from vidprocme.api.desk import AtDesk, Desk
from vidprocme.api.filters import as_of, want_of
from vidprocme.api.operations import Operation, Operations
from vidprocme.api.paging import cursor_of, key_of
from vidprocme.api.problems import documented
from vidprocme.api.schemas.access import Scope
from vidprocme.api.schemas.base import ErrorDocument, time_text
from vidprocme.api.schemas.bulk import (
    Action,
    BulkAnswer,
    BulkWish,
    JobFilter,
    OperationDocument,
    OperationList,
    OperationState,
)
from vidprocme.core.errors import BadWish, Fatal, Retryable
from vidprocme.core.ids import JobId
from vidprocme.core.job import Bin
from vidprocme.library.base import JobRow, JobSort, JobWant, Key
from vidprocme.queue.kept import Record

router = APIRouter(dependencies=[needs(Scope.READ)])

SAMPLE = 20
PAGE = 1000
NOT_READY_S = 5
UNFINISHED = frozenset({"queued", "running"})
BROKEN = frozenset({"failed", "cancelled"})


@router.post(
    "/v1/jobs:bulk",
    status_code=202,
    dependencies=[needs(Scope.OPERATE)],
    responses={**documented(422, 503), 200: {"model": BulkAnswer, "description": "A dry run"}},
)
def change_jobs(wish: BulkWish, request: Request, response: Response, desk: AtDesk, caller: AsCaller) -> BulkAnswer:
    """Cancel, retry, move or drop the jobs with these ids, or all that fit a filter now. It goes on in the background; of those
    that are named, others may be changed by then: what cannot be done any more is counted as unchanged, and what does not fit the
    filter any more when its turn comes is left out. What is submitted meanwhile is not among them."""
    bin_ = _target(wish)
    fresh = _fresh(desk, wish)
    want = want_of(wish.filter or JobFilter(), caller, desk.queue.now_ms())
    matched, able, sample, last = 0, 0, list[str](), None
    named: list[JobId] = []  # of a filter only how many there are is kept: the work reads them again, page by page
    for row in _rows(desk, caller, wish, want):
        matched, last = matched + 1, _place(row)
        named += [row.id] if wish.ids is not None else []
        if _able(wish.action, bin_, row):
            able += 1
            sample += [row.id] if able <= SAMPLE else []
    answer = BulkAnswer(matched=matched, able=able, sample=sample, operation=None, as_of=fresh)
    if wish.dry_run:
        response.status_code = 200
        return answer
    operations: Operations = request.app.state.operations
    # All that matched: the table may be a moment behind, and the verb itself knows best.
    again = (row.id for row in _pages(desk, want, last)) if last is not None and wish.ids is None else named
    id_ = operations.start(wish.action, bin_, again, matched, caller.tenant)
    audit(request, f"jobs.{wish.action}", id_, matched=matched, able=able)
    response.headers["Location"] = f"/v1/operations/{id_}"
    return answer.model_copy(update={"operation": id_})


@router.get("/v1/operations", responses=documented(422, 503))
def list_operations(
    caller: AsCaller,
    desk: AtDesk,
    request: Request,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=400)] = None,
) -> OperationList:
    """Newest first; about the last 1,000 are kept."""
    operations: Operations = request.app.state.operations
    found = [one for one in operations.records.list() if _sees(caller, one.doc)]
    found.sort(key=lambda one: (one.doc.created_ms, one.id), reverse=True)
    if cursor:
        after = key_of(cursor, "newest", int, str)
        found = [one for one in found if (one.doc.created_ms, one.id) < after]
    more, now_ms = len(found) > limit, desk.queue.now_ms()
    page = found[:limit]
    return OperationList(
        items=[_document(one, now_ms) for one in page],
        next_cursor=cursor_of("newest", page[-1].doc.created_ms, page[-1].id) if more else None,
    )


@router.get("/v1/operations/{operation_id}", responses=documented(404, 422, 503))
def show_operation(operation_id: str, request: Request, desk: AtDesk, caller: AsCaller) -> OperationDocument:
    operations: Operations = request.app.state.operations
    found = operations.records.get(operation_id)
    if found is None or not _sees(caller, found.doc):
        raise Fatal(
            "OPERATION_UNKNOWN", f"There is no operation {operation_id[:100]}.", "GET /v1/operations lists them."
        )
    return _document(found, desk.queue.now_ms())


def _fresh(desk: Desk, wish: BulkWish) -> str:
    """What has happened until then is known to the list of jobs.

    Raises:
        BadWish: JOBS_UNCLEAR; Retryable: LIST_NOT_READY, what fits would be a part of what does, or nothing.
    """
    if (wish.ids is None) == (wish.filter is None):
        raise BadWish("JOBS_UNCLEAR", "Give either `ids` or `filter`.", "An empty filter, {}, means all jobs.")
    fresh = as_of(desk)
    if fresh is None:
        raise Retryable(
            "LIST_NOT_READY",
            "The list of jobs is being made: which jobs fit cannot be said yet.",
            "Ask again in some seconds; GET /v1/jobs has an `as_of` as soon as it is there.",
            {"wait_s": NOT_READY_S},
        )
    return fresh


def _rows(desk: Desk, caller: Caller, wish: BulkWish, want: JobWant) -> Iterator[JobRow]:
    """Those that fit, the oldest first; of a filter page by page: a house may have very many."""
    if wish.ids is None:
        yield from _pages(desk, want)
        return
    found = desk.index.job_rows([JobId(id_) for id_ in wish.ids])
    yield from (row for row in found.values() if caller.sees(row.tenant))


def _pages(desk: Desk, want: JobWant, last: tuple[int, str] | None = None) -> Iterator[JobRow]:
    """
    Args:
        last: the place of the last one; None: there are no more.
    """
    after: Key | None = None
    while rows := desk.index.jobs(want, JobSort.CREATED, descending=False, after=after, limit=PAGE):
        for row in rows:
            if last is not None and _place(row) > last:
                return
            yield row
        after = _place(rows[-1])


def _place(row: JobRow) -> tuple[int, str]:
    return row.created_ms, row.id


def _target(wish: BulkWish) -> Bin | None:
    if wish.action is not Action.MOVE:
        return None
    if wish.bin not in list(Bin):
        raise BadWish(
            "BIN_UNKNOWN", f"There is no bin {str(wish.bin)[:100]!r}.", f"Bins: {', '.join(Bin)}.", {"field": "bin"}
        )
    return Bin(wish.bin)


def _able(action: Action, bin_: Bin | None, row: JobRow) -> bool:
    match action:
        case Action.CANCEL:
            return row.state in UNFINISHED
        case Action.MOVE:
            return row.state in UNFINISHED and row.bin != bin_
        case Action.RETRY | Action.DROP:
            return row.state in BROKEN


def _sees(caller: Caller, operation: Operation) -> bool:
    return caller.tenant is None or caller.tenant == operation.tenant


def _document(record: Record[Operation], now_ms: int) -> OperationDocument:
    doc = record.doc.at(now_ms)
    return OperationDocument(
        id=record.id,
        action=Action(doc.action),
        state=OperationState(doc.state),
        total=doc.total,
        done=doc.done,
        unchanged=doc.unchanged,
        failed=doc.failed,
        errors=[ErrorDocument(**error.public()) for error in doc.errors],
        created_at=time_text(doc.created_ms),
        ended_at=None if doc.ended_ms is None else time_text(doc.ended_ms),
    )
