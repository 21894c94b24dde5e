"""Documents about what needs a person: alerts, their rules, and webhooks."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import Field, StrictBool

from vidprocme.api.schemas.base import Document, Wish


class Severity(StrEnum):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class AlertState(StrEnum):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"  # somebody looks after it
    SILENCED = "silenced"  # nobody wants to hear of it until `silenced_until`
    RESOLVED = "resolved"  # what caused it is over


class AlertDocument(Document):
    """Something that needs a person. `object`: what it is about: `bin:bulk`, `job:job_...`, `node:...`."""

    id: str
    rule: str
    severity: Severity
    state: AlertState
    title: str
    text: str
    hint: str
    object: str
    link: str = Field(description="the page that shows it")
    job: str | None = Field(description="of failed jobs: the one that failed last")
    job_link: str | None = Field(description="that job's page")
    count: int = Field(description="how often it was seen since it opened")
    opened_at: str
    seen_at: str
    resolved_at: str | None
    acknowledged_at: str | None
    acknowledged_by: str | None
    silenced_until: str | None
    note: str
    etag: str


class AlertList(Document):
    items: list[AlertDocument]
    next_cursor: str | None = None


class AckWish(Wish):
    note: str = Field(default="", max_length=1000)


class SilenceWish(Wish):
    for_s: int = Field(default=3600, ge=0, le=30 * 86400, description="0: no longer silenced")
    note: str = Field(default="", max_length=1000)


class RuleDocument(Document):
    """When an alert opens: what is looked at, from which value on, for how long."""

    id: str
    title: str
    explains: str
    severity: Severity
    enabled: bool
    threshold: float | None = Field(description="in `unit`; null: the rule has none")
    unit: str
    for_s: int = Field(description="so long must it be true before the alert opens")
    etag: str


class RuleList(Document):
    items: list[RuleDocument]
    next_cursor: str | None = None


class RulePatch(Wish):
    """Fields that are not given stay."""

    severity: Severity | None = None
    enabled: StrictBool | None = None
    threshold: float | None = Field(default=None, ge=0)
    for_s: int | None = Field(default=None, ge=0, le=86400)


class WebhookWish(Wish):
    """Where to tell what happens. Events: `job.succeeded`, `job.failed`, `job.cancelled`, `alert.opened`, `alert.resolved`; `*`: all."""

    name: str = Field(min_length=1, max_length=100)
    url: str = Field(max_length=2000)
    events: list[str] = Field(default=["*"], max_length=20)
    enabled: StrictBool = True


class WebhookPatch(Wish):
    """Fields that are not given stay."""

    name: str | None = Field(default=None, min_length=1, max_length=100)
    url: str | None = Field(default=None, max_length=2000)
    events: list[str] | None = Field(default=None, max_length=20)
    enabled: StrictBool | None = None


class WebhookDocument(Document):
    id: str
    name: str
    url: str
    events: list[str]
    enabled: bool
    tenant: str | None
    created_at: str
    failing_since: str | None = Field(description="its last deliveries all failed since then")
    last_status: int | None
    last_at: str | None
    etag: str


class WebhookMade(WebhookDocument):
    secret: str = Field(description="`whsec_...`, told this once: it signs what is sent (Standard Webhooks)")


class WebhookList(Document):
    items: list[WebhookDocument]
    next_cursor: str | None = None


class DeliveryDocument(Document):
    """One try to deliver a message. `next_at`: it is tried again then; null: delivered, or given up."""

    id: str
    message_id: str
    webhook: str
    event: str
    at: str
    attempt: int
    status: int | None
    error: str | None
    took_s: float
    next_at: str | None
    payload: dict[str, Any]


class DeliveryList(Document):
    items: list[DeliveryDocument]
    next_cursor: str | None = None
