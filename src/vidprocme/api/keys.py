"""/v1/keys: made, listed, revoked."""

from __future__ import annotations

import base64
import os
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from vidprocme.api.access import AsCaller, Caller, needs
from vidprocme.api.audit import audit
from vidprocme.api.desk import AtDesk, Desk
from vidprocme.api.holders import USED, Key, hash_of, id_of
from vidprocme.api.idempotency import told_once
from vidprocme.api.paging import cursor_of, text_of
from vidprocme.api.params import IfMatch, agree
from vidprocme.api.problems import documented
from vidprocme.api.schemas.access import KeyDocument, KeyList, KeyMade, KeyWish, Scope
from vidprocme.api.schemas.base import time_text
from vidprocme.core.errors import Fatal
from vidprocme.core.shares import tenant_named
from vidprocme.queue.kept import NEW, Record

router = APIRouter(dependencies=[needs(Scope.ADMIN)])

RANDOM_BYTES = 20
SHOWN = 8  # characters of a key that are not secret any more


@router.get("/v1/keys", responses=documented(401, 403, 422, 429, 503))
def list_keys(
    desk: AtDesk,
    caller: AsCaller,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> KeyList:
    """The keys, by name. Nobody can read a key again."""
    after = None if cursor is None else text_of(cursor, "keys")
    seen = [record for record in desk.keys.store.list() if caller.tenant in (None, record.doc.tenant)]
    found = sorted((record for record in seen if after is None or _place(record) > after), key=_place)
    more = len(found) > limit
    return KeyList(
        items=[_document(desk, record) for record in found[:limit]],
        next_cursor=cursor_of("keys", _place(found[limit - 1])) if more else None,
    )


@router.post("/v1/keys", status_code=201, responses=documented(401, 403, 409, 422, 429, 503))
def create_key(wish: KeyWish, desk: AtDesk, caller: AsCaller, request: Request, response: Response) -> KeyMade:
    """Make a key. The answer is the only time that it is told."""
    tenant = caller.tenant if wish.tenant is None else caller.for_tenant(tenant_named(wish.tenant))
    secret = "vp_" + base64.b32encode(os.urandom(RANDOM_BYTES)).decode().lower()
    sha256, now_ms = hash_of(secret), desk.house.clock.now_ms()
    key = Key(
        name=wish.name,
        scope=wish.scope,
        tenant=tenant,
        sha256=sha256,
        prefix=secret[:SHOWN],
        created_ms=now_ms,
        expires_ms=None if wish.expires_in_s is None else now_ms + 1000 * wish.expires_in_s,
    )
    made = desk.keys.store.put(id_of(sha256), key, if_match=NEW)
    told_once(request)
    audit(request, "key.create", made.id, name=key.name, scope=key.scope.value, tenant=tenant)
    response.headers["ETag"] = f'"{made.etag}"'
    response.headers["Location"] = f"/v1/keys/{made.id}"
    return KeyMade(**_document(desk, made).model_dump(), key=secret)


@router.get("/v1/keys/{key_id}", responses=documented(401, 403, 404, 422, 429, 503))
def show_key(key_id: str, desk: AtDesk, caller: AsCaller, response: Response) -> KeyDocument:
    """One key, without its secret."""
    found = _document(desk, _known(desk, caller, key_id))
    response.headers["ETag"] = f'"{found.etag}"'
    return found


@router.delete("/v1/keys/{key_id}", status_code=204, responses=documented(401, 403, 404, 412, 422, 429, 503))
def revoke_key(key_id: str, desk: AtDesk, caller: AsCaller, request: Request, if_match: IfMatch = None) -> None:
    """Revoke a key, at once; its sign-ins end with it."""
    record = _known(desk, caller, key_id)
    agree(if_match, record.etag)
    desk.keys.store.delete(key_id)
    audit(request, "key.revoke", key_id, name=record.doc.name)


def _known(desk: Desk, caller: Caller, key_id: str) -> Record[Key]:
    record = desk.keys.store.get(key_id)
    if record is None or caller.tenant not in (None, record.doc.tenant):
        raise Fatal("KEY_NOT_FOUND", f"There is no key {key_id[:100]!r}.", "GET /v1/keys lists those there are.")
    return record


def _place(record: Record[Key]) -> str:
    return f"{record.doc.name}\0{record.id}"


def _document(desk: Desk, record: Record[Key]) -> KeyDocument:
    key, used = record.doc, desk.notes(USED).get(record.id)
    return KeyDocument(
        id=record.id,
        name=key.name,
        prefix=key.prefix,
        scope=key.scope,
        tenant=key.tenant,
        created_at=time_text(key.created_ms),
        expires_at=None if key.expires_ms is None else time_text(key.expires_ms),
        last_used_at=None if used is None else time_text(int(used)),
        etag=record.etag,
    )
