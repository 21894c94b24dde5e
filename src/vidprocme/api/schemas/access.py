"""Documents about who may do what: keys, sign-ins, the audit log."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import Field

from vidprocme.api.schemas.base import Document, Wish


class Scope(StrEnum):
    """What a key allows. Each includes those before it."""

    READ = "read"  # look at everything
    SUBMIT = "submit"  # and bring videos in, change and cancel jobs of its own tenant
    OPERATE = "operate"  # and bins, nodes, alerts, other people's jobs
    ADMIN = "admin"  # and keys, webhooks, rules, the audit log


class SessionWish(Wish):
    key: str = Field(max_length=200)


class SessionDocument(Document):
    """Who is asking. `open`: nobody is asked for a key here; everybody on this machine is an admin."""

    name: str
    scope: Scope
    tenant: str | None = Field(description="null: of all tenants")
    key_id: str | None
    open: bool
    expires_at: str | None = Field(description="of the sign-in")


class KeyWish(Wish):
    name: str = Field(min_length=1, max_length=100)
    scope: Scope = Scope.SUBMIT
    tenant: str | None = Field(default=None, description="the key sees and makes only what is this tenant's; null: all")
    expires_in_s: int | None = Field(default=None, strict=True, ge=1, le=10 * 366 * 86400)


class KeyDocument(Document):
    """A key without its secret. `prefix`: its first characters, to know it by."""

    id: str
    name: str
    prefix: str
    scope: Scope
    tenant: str | None
    created_at: str
    expires_at: str | None
    last_used_at: str | None = Field(description="to the minute")
    etag: str


class KeyMade(KeyDocument):
    key: str = Field(description="told this once: only its hash is kept")


class KeyList(Document):
    items: list[KeyDocument]
    next_cursor: str | None = None


class AuditDocument(Document):
    """Something that somebody did, or was refused."""

    id: str
    at: str
    who: str = Field(description="name of the key; `local` where no keys are asked for; `command line`")
    key_id: str | None
    action: str = Field(description="`job.cancel`, `key.create`, `bin.pause` ...")
    object: str = Field(description="the id of what it was done to")
    status: int
    request_id: str
    detail: dict[str, Any]


class AuditList(Document):
    items: list[AuditDocument]
    next_cursor: str | None = None
