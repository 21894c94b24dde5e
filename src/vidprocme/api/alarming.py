"""The watch of one server, put together from its desk."""

from __future__ import annotations

import random
import socket
from collections.abc import Mapping

from vidprocme.api import alerts
from vidprocme.api.desk import Desk
from vidprocme.api.outbound import Allowed, client
from vidprocme.core.errors import VidprocmeError
from vidprocme.dispatch import delivering
from vidprocme.dispatch.alarm import ALERTS, HISTORY, LOCKS, RULES, Alarm, Line
from vidprocme.dispatch.delivering import Deliverer, Message, Reached, Tried, Webhook
from vidprocme.dispatch.disk_book import DISKS, DiskBook
from vidprocme.dispatch.facts import gather
from vidprocme.monitor.alerts import Alert, Facts
from vidprocme.monitor.rules import Change

TIMEOUT_S = 15.0  # of one try: the name looked up, connected, sent and answered


def alarm_of(desk: Desk) -> Alarm:
    house = desk.house
    disk = DiskBook(lambda: desk.notes(DISKS), socket.gethostname(), house.data)

    def facts() -> Facts:
        hub = desk.hub
        return gather(
            lambda: desk.queue,
            hub.current_book(),
            hub.current_failures(),
            house.policy.max_wait_ms,
            desk.disk(),
            str(house.data),
            _failing(desk),
            disk.look,
        )

    def on_change(id_: str, alert: Alert) -> None:
        desk.cached.forget("overview")
        desk.hub.tell("alerts", "alert", alerts.told(id_, alert, house.clock.now_ms()))

    return Alarm(
        lambda: desk.queue,
        facts,
        lambda: desk.records(ALERTS, Alert),
        lambda: desk.records(RULES, Change),
        lambda: desk.journal(HISTORY, Line),
        lambda: desk.notes(LOCKS),
        lambda: _deliverer(desk),
        house.clock.now_ms,
        on_change,
    )


def _failing(desk: Desk) -> Mapping[str, tuple[str, float]]:
    now_ms = desk.house.clock.now_ms()
    try:
        hooks = desk.records(delivering.WEBHOOKS, Webhook).list()
        reached = {one.id: one.doc.failing_since_ms for one in desk.records(delivering.REACHED, Reached).list()}
    except VidprocmeError:
        return {}
    return {
        hook.id: (hook.doc.name, (now_ms - since_ms) / 60_000)
        for hook in hooks
        if hook.doc.enabled and (since_ms := reached.get(hook.id, 0))
    }


def _deliverer(desk: Desk) -> Deliverer:
    allowed = Allowed(desk.house.settings.outbound_allow)

    def send(url: str, headers: Mapping[str, str], body: bytes) -> int:
        # A redirect is an answer like others: what is signed for one address is not sent to another. Only the status is read.
        with (
            client(allowed, total_s=TIMEOUT_S) as asker,
            asker.stream("POST", url, content=body, headers=dict(headers), timeout=TIMEOUT_S) as answer,
        ):
            return answer.status_code

    return Deliverer(
        desk.records(delivering.WEBHOOKS, Webhook),
        desk.records(delivering.REACHED, Reached),
        desk.outbox(delivering.MESSAGES, Message),
        desk.records(delivering.CURSORS, str),
        desk.journal(delivering.TRIES, Tried),
        send,
        random.Random(),
        desk.house.clock.now_ms,
    )
