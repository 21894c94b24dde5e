"""Webhooks: where else what happens is told, what was sent there, and tests."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from vidprocme.api.access import AsCaller, Caller, needs
from vidprocme.api.audit import audit
from vidprocme.api.desk import AtDesk, Desk
from vidprocme.api.idempotency import told_once
from vidprocme.api.outbound import check_url
from vidprocme.api.paging import cursor_of, line_of
from vidprocme.api.params import IfMatch, agree
from vidprocme.api.problems import documented
from vidprocme.api.schemas.access import Scope
from vidprocme.api.schemas.alerts import (
    DeliveryDocument,
    DeliveryList,
    WebhookDocument,
    WebhookList,
    WebhookMade,
    WebhookPatch,
    WebhookWish,
)
from vidprocme.api.schemas.base import time_text
from vidprocme.core.errors import BadWish, Fatal
from vidprocme.core.ids import ulid
from vidprocme.dispatch.delivering import (
    EVENTS,
    OLD_SECRET_MS,
    REACHED,
    TEST,
    TRIES,
    WEBHOOKS,
    Message,
    Reached,
    Tried,
    Webhook,
    payload_of,
)
from vidprocme.monitor.signing import secret_from
from vidprocme.queue.kept import NEW, Entry, Record, RecordStore

router = APIRouter(dependencies=[needs(Scope.ADMIN)])
PAGE = 500
LOOKED_THROUGH = 10_000


@router.get("/v1/webhooks", responses=documented(401, 403, 422, 429, 503))
def list_webhooks(desk: AtDesk, caller: AsCaller) -> WebhookList:
    """All of them; a key of one tenant sees that tenant's."""
    reached = {one.id: one.doc for one in _reached(desk).list()}
    return WebhookList(items=[_document(one, reached.get(one.id)) for one in _store(desk).list() if _sees(caller, one)])


@router.post("/v1/webhooks", status_code=201, responses=documented(401, 403, 409, 422, 429, 503))
def create_webhook(
    wish: WebhookWish, desk: AtDesk, caller: AsCaller, request: Request, response: Response
) -> WebhookMade:
    """Tell this address what happens. The answer is the only time that the secret is told."""
    now_ms, secret = desk.house.clock.now_ms(), secret_from(os.urandom(32))
    hook = Webhook(
        wish.name, _address(wish.url), _events(wish.events), secret, now_ms, wish.enabled, tenant=caller.tenant
    )
    made = _store(desk).put(f"whk_{ulid(now_ms, os.urandom(10))}", hook, if_match=NEW)
    told_once(request)
    audit(request, "webhook.create", made.id, url=hook.url)
    response.headers["Location"] = f"/v1/webhooks/{made.id}"
    return WebhookMade(**_document(made).model_dump(), secret=secret)


@router.get("/v1/webhooks/{webhook_id}", responses=documented(401, 403, 404, 422, 429, 503))
def show_webhook(webhook_id: str, desk: AtDesk, caller: AsCaller, response: Response) -> WebhookDocument:
    last = _reached(desk).get(webhook_id)
    found = _document(_known(desk, caller, webhook_id), last.doc if last else None)
    response.headers["ETag"] = f'"{found.etag}"'
    return found


@router.patch("/v1/webhooks/{webhook_id}", responses=documented(401, 403, 404, 409, 412, 422, 429, 503))
def change_webhook(
    webhook_id: str,
    wish: WebhookPatch,
    desk: AtDesk,
    caller: AsCaller,
    request: Request,
    response: Response,
    if_match: IfMatch = None,
) -> WebhookDocument:
    """Another name, address, choice of events; or off."""
    record = _known(desk, caller, webhook_id)
    agree(if_match, record.etag)
    hook = record.doc
    if wish.url is not None:
        hook = replace(hook, url=_address(wish.url))
    if wish.events is not None:
        hook = replace(hook, events=_events(wish.events))
    if wish.name is not None:
        hook = replace(hook, name=wish.name)
    if wish.enabled is not None:
        hook = replace(hook, enabled=wish.enabled)
    _store(desk).put(webhook_id, hook, if_match=record.etag)
    audit(request, "webhook.change", webhook_id, **wish.model_dump(exclude_unset=True))
    return show_webhook(webhook_id, desk, caller, response)


@router.delete(
    "/v1/webhooks/{webhook_id}", status_code=204, responses=documented(401, 403, 404, 409, 412, 422, 429, 503)
)
def remove_webhook(webhook_id: str, desk: AtDesk, caller: AsCaller, request: Request, if_match: IfMatch = None) -> None:
    """Tell this address nothing more; what is still to be sent is not."""
    record = _known(desk, caller, webhook_id)
    agree(if_match, record.etag)
    _store(desk).delete(webhook_id)
    _reached(desk).delete(webhook_id)
    audit(request, "webhook.remove", webhook_id, url=record.doc.url)


@router.post("/v1/webhooks/{webhook_id}/test", responses=documented(401, 403, 404, 409, 422, 429, 503))
def test_webhook(webhook_id: str, desk: AtDesk, caller: AsCaller, request: Request) -> DeliveryDocument:
    """Send a test now, once; the answer says what became of it."""
    hook, now_ms = _known(desk, caller, webhook_id), desk.house.clock.now_ms()
    audit(request, "webhook.test", webhook_id)
    data = {"webhook": webhook_id, "text": "This is a test of vidprocme."}
    message = Message(webhook_id, TEST, payload_of(TEST, data, now_ms), now_ms)
    tried = desk.alarm.deliverer.deliver(hook, f"msg_{ulid(now_ms, os.urandom(10))}", message, keep=False)
    return _delivery(Entry(f"{now_ms}-0", now_ms, tried))


@router.post("/v1/webhooks/{webhook_id}/rotate", responses=documented(401, 403, 404, 409, 422, 429, 503))
def rotate_webhook(webhook_id: str, desk: AtDesk, caller: AsCaller, request: Request) -> WebhookMade:
    """A new secret. For a day, what is sent is signed with the old one too."""
    record, secret = _known(desk, caller, webhook_id), secret_from(os.urandom(32))
    until_ms = desk.house.clock.now_ms() + OLD_SECRET_MS
    hook = replace(record.doc, secret=secret, old_secret=record.doc.secret, old_until_ms=until_ms)
    _store(desk).put(webhook_id, hook, if_match=record.etag)
    told_once(request)
    audit(request, "webhook.rotate", webhook_id)
    return WebhookMade(**show_webhook(webhook_id, desk, caller, Response()).model_dump(), secret=secret)


@router.get("/v1/webhooks/{webhook_id}/deliveries", responses=documented(401, 403, 404, 422, 429, 503))
def list_deliveries(
    webhook_id: str,
    desk: AtDesk,
    caller: AsCaller,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> DeliveryList:
    """What was sent there, each try by itself, newest first; about the last 10,000 of all webhooks are kept."""
    _known(desk, caller, webhook_id)
    before = None if cursor is None else line_of(cursor, "deliveries")
    found: list[Entry[Tried]] = []
    journal = desk.journal(TRIES, Tried)
    while len(found) <= limit and (lines := journal.page(PAGE, before)):
        found += [line for line in lines if line.doc.webhook == webhook_id]
        before = lines[-1].id
    more = len(found) > limit
    return DeliveryList(
        items=[_delivery(one) for one in found[:limit]],
        next_cursor=cursor_of("deliveries", found[limit - 1].id) if more else None,
    )


@router.post(
    "/v1/deliveries/{delivery_id}/resend", status_code=202, responses=documented(401, 403, 404, 409, 422, 429, 503)
)
def resend_delivery(delivery_id: str, desk: AtDesk, caller: AsCaller, request: Request) -> DeliveryDocument:
    """Send the same once more, within seconds; its receiver sees the same id."""
    journal, before, looked = desk.journal(TRIES, Tried), None, 0
    while looked < LOOKED_THROUGH and (lines := journal.page(PAGE, before)):
        looked += len(lines)
        before = lines[-1].id
        found = next((line for line in lines if line.id == delivery_id), None)
        if found is not None:
            if not _known(desk, caller, found.doc.webhook).doc.enabled:
                raise Fatal(
                    "WEBHOOK_OFF",
                    "The webhook is off: nothing is sent to it.",
                    "Switch it on first; then send again.",
                    {"webhook": found.doc.webhook},
                )
            audit(request, "delivery.resend", delivery_id)
            desk.alarm.deliverer.again(found.doc)
            return _delivery(found)
    raise Fatal("DELIVERY_UNKNOWN", f"There is no delivery {delivery_id[:100]!r}.", "It may be too old.")


def _store(desk: Desk) -> RecordStore[Webhook]:
    return desk.records(WEBHOOKS, Webhook)


def _reached(desk: Desk) -> RecordStore[Reached]:
    return desk.records(REACHED, Reached)


def _sees(caller: Caller, record: Record[Webhook]) -> bool:
    return caller.tenant in (None, record.doc.tenant)


def _known(desk: Desk, caller: Caller, id_: str) -> Record[Webhook]:
    record = _store(desk).get(id_)
    if record is None or not _sees(caller, record):
        raise Fatal("WEBHOOK_UNKNOWN", f"There is no webhook {id_[:100]!r}.", "GET /v1/webhooks lists those there are.")
    return record


def _address(url: str) -> str:
    check_url(url)
    return url


def _events(events: list[str]) -> tuple[str, ...]:
    wrong = next((event for event in events if event != "*" and event not in EVENTS), None)
    if wrong is not None or not events:
        what = "No event is named." if wrong is None else f"There is no event {wrong[:100]!r}."
        raise BadWish("EVENT_UNKNOWN", what, f"Events: {', '.join(EVENTS)}; * is all of them.")
    return tuple(dict.fromkeys(events))


def _document(record: Record[Webhook], last: Reached | None = None) -> WebhookDocument:
    hook, last = record.doc, last or Reached()
    return WebhookDocument(
        id=record.id,
        name=hook.name,
        url=hook.url,
        events=list(hook.events),
        enabled=hook.enabled,
        tenant=hook.tenant,
        created_at=time_text(hook.created_ms),
        failing_since=time_text(last.failing_since_ms) if last.failing_since_ms else None,
        last_status=last.last_status,
        last_at=time_text(last.last_ms) if last.last_ms else None,
        etag=record.etag,
    )


def _delivery(entry: Entry[Tried]) -> DeliveryDocument:
    tried = entry.doc
    return DeliveryDocument(
        id=entry.id,
        message_id=tried.message_id,
        webhook=tried.webhook,
        event=tried.event,
        at=time_text(entry.at_ms),
        attempt=tried.attempt,
        status=tried.status,
        error=tried.error,
        took_s=tried.took_s,
        next_at=None if tried.next_ms is None else time_text(tried.next_ms),
        payload=tried.payload,
    )
