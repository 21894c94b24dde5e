"""Tells webhooks what happened: every message until it arrived or was tried for a day and a half.

A message is a record from the moment on that it is due to somebody until it arrived or was given up, and its id is made of what it
tells and whom: told twice it is one, and after a crash it is sent again under the id that its receiver knows. Only the server that
holds the watch's lock delivers.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from vidprocme.core.clock import Rng
from vidprocme.core.errors import Fatal, VidprocmeError
from vidprocme.core.event import Event
from vidprocme.core.ids import JobId
from vidprocme.monitor import signing
from vidprocme.queue.base import JobView, Queue
from vidprocme.queue.kept import LINE_MOST, Journal, Outbox, Record, RecordStore

WEBHOOKS, REACHED, MESSAGES, TRIES, CURSORS = "webhook", "webhook-reached", "message", "deliveries", "cursor"
EVENTS = ("job.succeeded", "job.failed", "job.cancelled", "alert.opened", "alert.resolved")
TEST = "test"
PAUSES_S = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400)  # before the second try and each next one
AT_ONCE = 16
EACH_AT_ONCE = 2  # of one webhook: a slow one holds up no other
FAILING_AT_ONCE = 8  # to all whose last message did not arrive: many slow ones hold up no other either
GO_ON_S = 1.0  # so long a thread goes on with the next message to a webhook that takes them
LINES_MOST = 256  # webhooks that are looked at in one round
BATCH = 500
OLD_SECRET_MS = 24 * 3_600_000
GONE = 410  # the receiver wants no more
OFF_LOOKS_MS, OFF_KEEPS_MS = (
    60_000,
    24 * 3_600_000,
)  # how often it is looked at what waits for a webhook that is off, and how long it waits
HOLD_S = 60.0  # so long the diary waits for a webhook that takes its messages, and more come than it takes

# Sends a message, and returns HTTP's status. Raises what it cannot.
Send = Callable[[str, Mapping[str, str], bytes], int]


@dataclass(frozen=True, slots=True)
class Webhook:
    """See WebhookDocument. `old_secret` signs too until `old_until_ms`. `tenant`: only of its jobs; None: of all."""

    name: str
    url: str
    events: tuple[str, ...]
    secret: str
    created_ms: int
    enabled: bool = True
    tenant: str | None = None
    old_secret: str = ""
    old_until_ms: int = 0

    def wants(self, event: str, tenant: str | None) -> bool:
        """`tenant`: whose job it is about; None: it is about the house."""
        mine = self.tenant is None or self.tenant == tenant
        return self.enabled and mine and ("*" in self.events or event in self.events)


@dataclass(frozen=True, slots=True)
class Reached:
    """How it went with a webhook last: beside it, so that a delivery is no change of what a person set."""

    failing_since_ms: int = 0
    last_status: int | None = None
    last_ms: int = 0


@dataclass(frozen=True, slots=True)
class Message:
    """Something that a webhook is still to be told."""

    webhook: str
    event: str
    payload: dict[str, Any]
    next_ms: int
    attempt: int = 0  # made already
    since_ms: int = 0


@dataclass(frozen=True, slots=True)
class Tried:
    """See DeliveryDocument."""

    message_id: str
    webhook: str
    event: str
    attempt: int
    status: int | None
    error: str | None
    took_s: float
    next_ms: int | None
    payload: dict[str, Any] = field(default_factory=dict)


def when_due(message: Message) -> tuple[str, int]:
    """For Outbox.mend."""
    return message.webhook, message.next_ms


class Deliverer:
    """Called by one thread; sends on its own."""

    def __init__(
        self,
        webhooks: RecordStore[Webhook],
        reached: RecordStore[Reached],
        messages: Outbox[Message],
        cursors: RecordStore[str],
        tries: Journal[Tried],
        send: Send,
        rng: Rng,
        now_ms: Callable[[], int],
    ) -> None:
        self._webhooks, self._reached = webhooks, reached
        self._messages, self._cursors, self._tries = messages, cursors, tries
        self._held_s: float | None = None  # since when the diary waits
        self._send, self._rng, self._now_ms = send, rng, now_ms
        self._sending: dict[str, str] = {}  # message -> webhook
        self._failing: set[str] = set()  # webhooks whose last message did not arrive
        self._begun = self._closed = False
        self._lock = threading.Lock()
        self._workers = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="webhooks")

    def close(self) -> None:
        """What is being sent ends by itself; what had not arrived is sent again by whoever is next."""
        self._closed = True
        self._workers.shutdown(wait=False, cancel_futures=True)

    # -- what is due -------------------------------------------------------------------------------------------------

    def follow(self, queue: Queue, goes_on: Callable[[], bool] = lambda: True) -> None:
        """Messages for what the diary tells since the last call, also before a restart.

        Args:
            goes_on: asked between two batches; False: it is somebody else's now.
        """
        cursor = self._cursors.get(WEBHOOKS)
        newest = queue.newest_event() or "0"
        hooks = self._webhooks.list()
        if cursor is None or not any(hook.doc.enabled for hook in hooks):
            if cursor is None or cursor.doc != newest:
                self._cursors.put(WEBHOOKS, newest)
            return
        while events := queue.events(cursor.doc, BATCH):
            told = cursor.doc
            for event in events:
                if not self._told(queue, event, hooks):
                    if told != cursor.doc:
                        self._cursors.put(WEBHOOKS, told, if_match=cursor.etag)
                    return
                told = event.id
            cursor = self._cursors.put(WEBHOOKS, told, if_match=cursor.etag)
            if not goes_on():
                return

    def _told(self, queue: Queue, event: Event, hooks: Iterable[Record[Webhook]]) -> bool:
        """False: it has to wait, since somebody who takes what comes has a full line."""
        if event.kind != "job.ended":
            return True
        view = queue.job(JobId(event.job))
        state = str(event.data.get("state") or (view.state if view else ""))
        name, tenant = f"job.{state}", view.job.tenant if view else None
        wanted = [hook for hook in hooks if hook.doc.wants(name, tenant)]
        if self._holds(wanted):
            return False
        data = job_data(view, state) if view else {"job": event.job, "state": state}  # it was forgotten since
        self.tell(name, event.id, data, event.at_ms, tenant, wanted)
        return True

    def _holds(self, hooks: Iterable[Record[Webhook]]) -> bool:
        full = any(hook.id not in self._failing and self._messages.waiting(hook.id) >= LINE_MOST for hook in hooks)
        if not full:
            self._held_s = None
            return False
        now_s = time.monotonic()
        self._held_s = self._held_s or now_s
        return now_s - self._held_s < HOLD_S

    def tell(
        self,
        event: str,
        id_: str,
        data: Mapping[str, Any],
        at_ms: int,
        tenant: str | None = None,
        hooks: Iterable[Record[Webhook]] | None = None,
    ) -> None:
        """A message for each webhook that wants to know. `id_`: of what happened."""
        for hook in self._webhooks.list() if hooks is None else hooks:
            if not hook.doc.wants(event, tenant):
                continue
            now_ms = self._now_ms()
            message = Message(hook.id, event, payload_of(event, data, at_ms), now_ms, since_ms=now_ms)
            message_id = f"msg_{id_}_{hook.id}"
            try:
                self._messages.put(message_id, message, hook.id, message.next_ms, new=True)
            except Fatal as error:
                if error.code != "OUTBOX_FULL":
                    raise
                full = f"{error.message} This one was given up."
                self._tries.append(Tried(message_id, hook.id, event, 0, None, full, 0.0, None, message.payload))

    def again(self, tried: Tried) -> str:
        """Send what was sent once more, as a message of its own under the same id. Returns the id."""
        now_ms = self._now_ms()
        message = Message(tried.webhook, tried.event, tried.payload, now_ms, since_ms=now_ms)
        self._messages.put(tried.message_id, message, message.webhook, message.next_ms)
        return tried.message_id

    def send_due(self) -> None:
        """Begin to send what is due, as much as may be on its way at once. Of what is not due nothing is read."""
        if not self._begun:
            self._messages.mend(when_due)
            self._failing |= {one.id for one in self._reached.list() if one.doc.failing_since_ms}
            self._begun = True
        with self._lock:
            if len(self._sending) >= AT_ONCE:
                return
        # Those on their way are due still: beside them there may be as many more.
        for webhook, ids in self._messages.due(self._now_ms(), LINES_MOST, 2 * EACH_AT_ONCE).items():
            while (id_ := self._taken(webhook, ids)) is not None:
                self._workers.submit(self._work, webhook, id_)

    def on_its_way(self) -> Mapping[str, str]:
        """Messages that are being sent now, each with its webhook."""
        with self._lock:
            return dict(self._sending)

    def _taken(self, webhook: str, ids: Iterable[str]) -> str | None:
        """One of them that is on its way from here on; None: no more may be."""
        with self._lock:
            on_way = list(self._sending.values())
            failing = sum(one in self._failing for one in on_way)
            id_ = next((one for one in ids if one not in self._sending), None)
            if id_ is None or len(on_way) >= AT_ONCE or on_way.count(webhook) >= EACH_AT_ONCE:
                return None
            if webhook in self._failing and failing >= FAILING_AT_ONCE:
                return None
            self._sending[id_] = webhook
            return id_

    def _work(self, webhook: str, id_: str) -> None:
        until_s = time.monotonic() + GO_ON_S
        more: str | None = id_
        while more is not None:
            more = self._sent(webhook, more, until_s)

    def _sent(self, webhook: str, id_: str, until_s: float) -> str | None:
        """Send one. Returns the next to go on with."""
        arrived = False
        try:
            arrived = self._tried(webhook, id_)
        except VidprocmeError:
            return None  # the queue is away: the message is still there
        finally:
            with self._lock:
                self._sending.pop(id_, None)
        if not arrived or self._closed or time.monotonic() >= until_s:
            return None
        with contextlib.suppress(VidprocmeError):
            ids = self._messages.due_of(webhook, self._now_ms(), 2 * EACH_AT_ONCE)
            return self._taken(webhook, ids)
        return None

    def _tried(self, webhook: str, id_: str) -> bool:
        message, hook = self._messages.get(id_), self._webhooks.get(webhook)
        if message is None or hook is None:
            self._messages.delete(id_, webhook)
            self._failing.discard(webhook)
            return True
        if not hook.doc.enabled:
            self._put_off(id_, message)
            return False
        arrived = self.deliver(hook, id_, message).error is None
        (self._failing.discard if arrived else self._failing.add)(webhook)
        return arrived

    def _put_off(self, id_: str, message: Message) -> None:
        """Its webhook is off: it waits a day for somebody to switch it on."""
        now_ms, hook = self._now_ms(), message.webhook
        if now_ms - message.since_ms < OFF_KEEPS_MS:
            self._messages.put(id_, replace(message, next_ms=now_ms + OFF_LOOKS_MS), hook, now_ms + OFF_LOOKS_MS)
            return
        off = "The webhook was off for a day. This one was given up."
        self._tries.append(Tried(id_, hook, message.event, message.attempt, None, off, 0.0, None, message.payload))
        self._messages.delete(id_, hook)

    def deliver(self, hook: Record[Webhook], id_: str, message: Message, *, keep: bool = True) -> Tried:
        """One try, and what follows from it. `keep`: it is tried again when it does not arrive."""
        body = json.dumps(message.payload, ensure_ascii=False).encode()
        now_ms, began_s = self._now_ms(), time.monotonic()
        secrets = [hook.doc.secret, *([hook.doc.old_secret] if hook.doc.old_until_ms > now_ms else [])]
        told = {"content-type": "application/json", **signing.headers(secrets, id_, now_ms // 1000, body)}
        status, error = None, None
        try:
            status = self._send(hook.doc.url, told, body)
        except Exception as problem:  # whatever it was: it did not arrive
            error = str(problem) or type(problem).__name__
        arrived = status is not None and 200 <= status < 300
        attempt = message.attempt + 1
        more = keep and not arrived and status != GONE and attempt <= len(PAUSES_S)
        pause_ms = round(1000 * PAUSES_S[attempt - 1] * (0.9 + 0.2 * self._rng.random())) if more else 0
        next_ms = now_ms + pause_ms if more else None
        if error is None and not arrived:
            error = f"It answered {status}."
        tried = Tried(
            id_,
            hook.id,
            message.event,
            attempt,
            status,
            None if arrived else error,
            round(time.monotonic() - began_s, 3),
            next_ms,
            message.payload,
        )
        self._tries.append(tried)
        if next_ms is not None:
            self._messages.put(id_, replace(message, attempt=attempt, next_ms=next_ms), hook.id, next_ms)
        elif keep:
            self._messages.delete(id_, hook.id)
        self._remember(hook.id, arrived, status, now_ms)
        return tried

    def _remember(self, hook: str, arrived: bool, status: int | None, now_ms: int) -> None:
        before = self._reached.get(hook)
        since_ms = 0 if arrived else (before.doc.failing_since_ms if before else 0) or now_ms
        self._reached.put(hook, Reached(since_ms, status, now_ms))
        if status == GONE and (found := self._webhooks.get(hook)) is not None:
            with contextlib.suppress(Fatal):  # somebody changed it meanwhile: their change counts
                self._webhooks.put(hook, replace(found.doc, enabled=False), if_match=found.etag)


def payload_of(event: str, data: Mapping[str, Any], at_ms: int) -> dict[str, Any]:
    seconds, ms = divmod(at_ms, 1000)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return {"type": event, "timestamp": f"{stamp}.{ms:03d}Z", "data": dict(data)}


def job_data(view: JobView, state: str) -> dict[str, Any]:
    source = view.job.source
    return {
        "job": view.job.id,
        "state": state,
        "name": source.name.encode("utf-8", "replace").decode(),
        "bin": view.job.bin.value,
        "tenant": view.job.tenant,
    }
