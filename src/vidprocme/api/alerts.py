"""Alerts and their rules: what needs a person, who looks after it, when it rings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from vidprocme.api.access import AsCaller, everywhere, needs
from vidprocme.api.audit import audit
from vidprocme.api.desk import AtDesk, Desk
from vidprocme.api.paging import cursor_of, line_id, text_of
from vidprocme.api.params import IfMatch, agree
from vidprocme.api.problems import documented
from vidprocme.api.schemas.access import Scope
from vidprocme.api.schemas.alerts import (
    AckWish,
    AlertDocument,
    AlertList,
    AlertState,
    RuleDocument,
    RuleList,
    RulePatch,
    Severity,
    SilenceWish,
)
from vidprocme.api.schemas.base import time_text
from vidprocme.core.errors import Fatal
from vidprocme.dispatch.alarm import HISTORY, RULES, Line, job_link
from vidprocme.monitor.alerts import Alert
from vidprocme.monitor.rules import BY_ID, Change, Rule
from vidprocme.queue.kept import NEW

# Alerts tell of all tenants' work: a key of one tenant does not see them.
router = APIRouter(dependencies=[needs(Scope.READ), everywhere()])
OPERATE = [needs(Scope.OPERATE)]
ADMIN = [needs(Scope.ADMIN)]
PAGE = 500


@router.get("/v1/alerts", responses=documented(401, 403, 422, 429, 503))
def list_alerts(
    desk: AtDesk,
    state: Annotated[list[AlertState] | None, Query(description="any of these; none: all but resolved ones")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> AlertList:
    """What needs a person, the newest first; with `state=resolved` what did."""
    wanted = set(state or [AlertState.OPEN, AlertState.ACKNOWLEDGED, AlertState.SILENCED])
    after = None if cursor is None else text_of(cursor, "alerts")
    gone = after if after is not None and not after.startswith("now ") else None
    before = None if gone is None else line_id(gone.removeprefix("was ") if gone.startswith("was ") else "")
    found: list[tuple[str, AlertDocument]] = []
    if after is None or after.startswith("now "):
        place = "" if after is None else after.removeprefix("now ")
        for document in _standing(desk):
            if document.state in wanted and (not place or f"{document.opened_at} {document.id}" < place):
                found.append((f"now {document.opened_at} {document.id}", document))
    if AlertState.RESOLVED in wanted and len(found) <= limit:
        for line, document in _resolved(desk, before):
            found.append((f"was {line}", document))
            if len(found) > limit:
                break
    more = len(found) > limit
    return AlertList(
        items=[document for _, document in found[:limit]],
        next_cursor=cursor_of("alerts", found[limit - 1][0]) if more else None,
    )


def _standing(desk: Desk) -> list[AlertDocument]:
    now_ms = desk.house.clock.now_ms()
    found = [_document(id_, etag, alert, now_ms) for id_, etag, alert in desk.alarm.standing()]
    return sorted(found, key=lambda one: (one.opened_at, one.id), reverse=True)


def _resolved(desk: Desk, before: str | None) -> Iterator[tuple[str, AlertDocument]]:
    journal = desk.journal(HISTORY, Line)
    while lines := journal.page(PAGE, before):
        for line in lines:
            if line.doc.what == "resolved":
                yield line.id, _document(line.doc.id, "", line.doc.alert, line.at_ms)
        before = lines[-1].id


@router.get("/v1/alerts/{alert_id}", responses=documented(401, 403, 404, 422, 429, 503))
def show_alert(alert_id: str, desk: AtDesk, response: Response) -> AlertDocument:
    """One that is not resolved."""
    found = next((one for one in _standing(desk) if one.id == alert_id), None)
    if found is None:
        raise Fatal("ALERT_UNKNOWN", f"No alert {alert_id[:100]!r} is open.", "GET /v1/alerts lists those there are.")
    response.headers["ETag"] = f'"{found.etag}"'
    return found


@router.post("/v1/alerts/{alert_id}/ack", dependencies=OPERATE, responses=documented(401, 403, 404, 409, 422, 429, 503))
def acknowledge_alert(
    alert_id: str, wish: AckWish, desk: AtDesk, caller: AsCaller, request: Request, response: Response
) -> AlertDocument:
    """Somebody looks after it: it stays until its cause is gone, and rings no more."""
    now_ms = desk.house.clock.now_ms()

    def taken(alert: Alert) -> Alert:
        return replace(alert, acknowledged_by=caller.name, acknowledged_ms=now_ms, note=wish.note or alert.note)

    return _change(desk, request, response, alert_id, "acknowledged", caller.name, taken)


@router.post(
    "/v1/alerts/{alert_id}/unack", dependencies=OPERATE, responses=documented(401, 403, 404, 409, 422, 429, 503)
)
def unacknowledge_alert(
    alert_id: str, desk: AtDesk, caller: AsCaller, request: Request, response: Response
) -> AlertDocument:
    """Nobody looks after it after all: it is open again."""

    def left(alert: Alert) -> Alert:
        return replace(alert, acknowledged_by="", acknowledged_ms=0)

    return _change(desk, request, response, alert_id, "unacknowledged", caller.name, left)


@router.post(
    "/v1/alerts/{alert_id}/silence", dependencies=OPERATE, responses=documented(401, 403, 404, 409, 422, 429, 503)
)
def silence_alert(
    alert_id: str, wish: SilenceWish, desk: AtDesk, caller: AsCaller, request: Request, response: Response
) -> AlertDocument:
    """Nobody wants to hear of it for a while. `for_s` 0 ends that."""
    until_ms = desk.house.clock.now_ms() + 1000 * wish.for_s if wish.for_s else 0

    def quiet(alert: Alert) -> Alert:
        return replace(alert, silenced_ms=until_ms, note=wish.note or alert.note)

    return _change(desk, request, response, alert_id, "silenced", caller.name, quiet)


def _change(
    desk: Desk,
    request: Request,
    response: Response,
    id_: str,
    what: str,
    who: str,
    how: Callable[[Alert], Alert],
) -> AlertDocument:
    audit(request, f"alert.{what}", id_)
    desk.alarm.change(id_, what, who, how, None)
    return show_alert(id_, desk, response)


def _document(id_: str, etag: str, alert: Alert, now_ms: int) -> AlertDocument:
    def moment(ms: int) -> str | None:
        return time_text(ms) if ms else None

    return AlertDocument(
        id=id_,
        rule=alert.rule,
        severity=Severity(alert.severity),
        state=AlertState(alert.state(now_ms)),
        title=alert.title,
        text=alert.text,
        hint=alert.hint,
        object=alert.object,
        link=alert.link,
        job=alert.job or None,
        job_link=job_link(alert),
        count=alert.count,
        opened_at=time_text(alert.opened_ms),
        seen_at=time_text(alert.seen_ms),
        resolved_at=moment(alert.resolved_ms),
        acknowledged_at=moment(alert.acknowledged_ms),
        acknowledged_by=alert.acknowledged_by or None,
        silenced_until=moment(alert.silenced_ms if alert.silenced_ms > now_ms else 0),
        note=alert.note,
        etag=etag,
    )


def told(id_: str, alert: Alert, now_ms: int) -> AlertDocument:
    """For the stream."""
    return _document(id_, "", alert, now_ms)


def open_alerts(desk: Desk) -> int:
    """How many nobody looks after yet."""
    now_ms = desk.house.clock.now_ms()
    return sum(alert.state(now_ms) == AlertState.OPEN for _, _, alert in desk.alarm.standing())


# -- rules -----------------------------------------------------------------------------------------------------------------


@router.get("/v1/alert-rules", responses=documented(401, 403, 422, 429, 503))
def list_alert_rules(desk: AtDesk) -> RuleList:
    """When alerts open."""
    return RuleList(items=[_rule(rule, etag) for rule, etag in desk.alarm.rules().values()])


@router.get("/v1/alert-rules/{rule_id}", responses=documented(401, 403, 404, 422, 429, 503))
def show_alert_rule(rule_id: str, desk: AtDesk, response: Response) -> RuleDocument:
    found = desk.alarm.rules().get(rule_id)
    if found is None:
        raise Fatal("RULE_UNKNOWN", f"There is no rule {rule_id[:100]!r}.", f"Rules: {', '.join(BY_ID)}.")
    response.headers["ETag"] = f'"{found[1]}"'
    return _rule(*found)


@router.patch(
    "/v1/alert-rules/{rule_id}", dependencies=ADMIN, responses=documented(401, 403, 404, 409, 412, 422, 429, 503)
)
def change_alert_rule(
    rule_id: str, wish: RulePatch, desk: AtDesk, request: Request, response: Response, if_match: IfMatch = None
) -> RuleDocument:
    """Set a rule otherwise; from the next look on, at most five seconds later, it holds."""
    agree(if_match, show_alert_rule(rule_id, desk, response).etag)
    audit(request, "rule.change", rule_id, **wish.model_dump(exclude_unset=True, mode="json"))
    store = desk.records(RULES, Change)
    there = store.get(rule_id)
    said = {name: value for name, value in wish.model_dump(mode="json").items() if value is not None}
    before = there.etag if there is not None else NEW
    store.put(rule_id, replace(there.doc if there is not None else Change(), **said), if_match=before)
    return show_alert_rule(rule_id, desk, response)


def _rule(rule: Rule, etag: str) -> RuleDocument:
    return RuleDocument(
        id=rule.id,
        title=rule.title,
        explains=rule.explains,
        severity=Severity(rule.severity),
        enabled=rule.enabled,
        threshold=rule.threshold,
        unit=rule.unit,
        for_s=rule.for_s,
        etag=etag,
    )
