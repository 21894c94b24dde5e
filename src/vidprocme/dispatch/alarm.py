"""The watch: one server of all looks every few seconds at what the alerts are judged from, keeps them, and tells webhooks.

Alerts and what persons said of them are records, and what became of them a journal: both outlive any server. While the queue is
away the one alert that says so is kept in memory, where this server's own page sees it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from vidprocme.core.errors import Fatal, VidprocmeError
from vidprocme.core.ids import ulid
from vidprocme.dispatch.delivering import Deliverer
from vidprocme.monitor.alerts import Alert, Facts, Key, evaluate
from vidprocme.monitor.rules import BY_ID, DEFAULTS, Change, Rule, changed
from vidprocme.queue.base import Queue
from vidprocme.queue.kept import Journal, Notes, Record, RecordStore

ALERTS, HISTORY, RULES, LOCKS = "alert", "alerts", "rule", "lock"
LOOK_EVERY_S = 5.0
STEP_S = 1.0
LOCK_S = 15  # after so long without a word of its holder another server takes over
LOG = logging.getLogger("vidprocme.dispatch.alarm")


@dataclass(frozen=True, slots=True)
class Line:
    """Of the history. what: opened, acknowledged, unacknowledged, silenced, resolved."""

    id: str
    what: str
    who: str
    alert: Alert


class Alarm:
    """Started and ended with a server."""

    def __init__(
        self,
        queue: Callable[[], Queue],
        facts: Callable[[], Facts],
        alerts: Callable[[], RecordStore[Alert]],
        rules: Callable[[], RecordStore[Change]],
        history: Callable[[], Journal[Line]],
        locks: Callable[[], Notes],
        deliverer: Callable[[], Deliverer],
        now_ms: Callable[[], int],
        on_change: Callable[[str, Alert], None],
        *,
        every_s: float = LOOK_EVERY_S,
    ) -> None:
        """
        Args:
            queue, alerts, ...: asked on the thread, again after an error.
            on_change: called with an alert's id and what it is now, from the thread, or from whoever changed it.
        """
        self._queue, self._facts, self._alerts, self._rules = queue, facts, alerts, rules
        self._history, self._locks, self._now_ms = history, locks, now_ms
        self._make_deliverer = deliverer
        self._deliverer: Deliverer | None = None
        self._on_change = on_change
        self.every_s, self.step_s = every_s, STEP_S
        self._me = f"{os.getpid()}-{time.time_ns():x}"
        self._over = threading.Event()
        self._pending: Mapping[Key, int] = {}
        self._own: dict[str, Alert] = {}  # while the queue is away
        self._looked_s = float("-inf")
        self._thread = threading.Thread(target=self._run, name="alarm", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join(5)
        with contextlib.suppress(VidprocmeError):  # another server need not wait until it is sure that this one is gone
            if self._locks().get("watch") == self._me:
                self._locks().delete("watch")
        if self._deliverer is not None:
            self._deliverer.close()

    # -- for the routes ------------------------------------------------------------------------------------------------

    @property
    def deliverer(self) -> Deliverer:
        if self._deliverer is None:
            self._deliverer = self._make_deliverer()
        return self._deliverer

    def standing(self) -> list[tuple[str, str, Alert]]:
        """Those that are not resolved: id, ETag, alert; the newest first."""
        try:
            found = [(record.id, record.etag, record.doc) for record in self._alerts().list()]
        except VidprocmeError:
            found = [(id_, "", alert) for id_, alert in self._own.items()]
            if not found:
                raise
        return sorted(found, key=lambda one: (-one[2].opened_ms, one[0]))

    def rules(self) -> Mapping[str, tuple[Rule, str]]:
        """As they are set now, each with its ETag."""
        set_ = {record.id: record for record in self._rules().list()}
        return {
            rule.id: (changed(rule, set_[rule.id].doc), set_[rule.id].etag) if rule.id in set_ else (rule, "0")
            for rule in DEFAULTS
        }

    def change(self, id_: str, what: str, who: str, how: Callable[[Alert], Alert], if_match: str | None) -> Alert:
        """A person's word on an alert.

        Raises:
            Fatal: ALERT_UNKNOWN; RECORD_CHANGED.
        """
        while True:
            record = self._alerts().get(id_)
            if record is None:
                raise Fatal(
                    "ALERT_UNKNOWN", f"No alert {id_[:100]!r} is open.", "GET /v1/alerts lists those there are."
                )
            try:
                kept = self._alerts().put(id_, how(record.doc), if_match=if_match or record.etag)
            except Fatal as error:
                if error.code != "RECORD_CHANGED" or if_match is not None:
                    raise
                continue  # the watch saw it again just now
            self._history().append(Line(id_, what, who, kept.doc))
            self._on_change(id_, kept.doc)
            return kept.doc

    # -- the thread ----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        told = ""
        while not self._over.wait(self.step_s):
            try:
                if time.monotonic() - self._looked_s >= self.every_s:
                    self._looked_s = time.monotonic()
                    self._look()
                if not self._own and self._holds():
                    try:
                        self.deliverer.follow(self._queue(), self._holds)
                    finally:
                        self.deliverer.send_due()
                told = ""
            except Exception as error:  # a watch that ended would be silent for ever
                code = error.code if isinstance(error, VidprocmeError) else type(error).__name__
                if code != told:
                    fault = None if isinstance(error, VidprocmeError) else error
                    LOG.warning("the watch cannot look: %s", error, extra={"code": code}, exc_info=fault)
                told = code

    def _holds(self) -> bool:
        """Whether this server is the one that watches."""
        locks = self._locks()
        if locks.put("watch", self._me, LOCK_S, new=True):
            return True
        if locks.get("watch") != self._me:
            return False
        return locks.renew("watch", LOCK_S)

    def _look(self) -> None:
        facts = self._facts()
        if not facts.known:
            self._look_alone(facts)
            return
        self._tell_of_outage()
        if not self._holds():
            return
        rules = {id_: rule for id_, (rule, _) in self.rules().items()}
        records = {record.doc.key: record for record in self._alerts().list()}
        found = evaluate(facts, rules, self._pending, [record.doc for record in records.values()], self._now_ms())
        self._pending = found.pending
        self._open(found.opened)
        for alert in (*found.changed, *found.seen):
            self._again(records[alert.key], alert, tell=alert in found.changed)
        for alert in found.resolved:
            self._resolve(records[alert.key], alert)

    def _look_alone(self, facts: Facts) -> None:
        """Nothing can be kept: what is known is told by this server alone."""
        now_ms = int(time.time() * 1000)
        found = evaluate(facts, BY_ID, self._pending, list(self._own.values()), now_ms)
        self._pending = found.pending
        for alert in found.opened:
            if alert.rule == "redis-away":  # of all else it is not known whether it is open already
                id_ = f"alr_{ulid(now_ms, os.urandom(10))}"
                self._own[id_] = alert
                self._on_change(id_, alert)

    def _tell_of_outage(self) -> None:
        """The queue is back: now its outage can be written down."""
        for id_, alert in list(self._own.items()):
            over = replace(alert, resolved_ms=self._now_ms())
            for what, how in (("opened", alert), ("resolved", over)):
                self.deliverer.tell(f"alert.{what}", f"{id_}_{what}", alert_data(id_, how), self._now_ms())
                self._history().append(Line(id_, what, "", how))
            del self._own[id_]
            self._on_change(id_, over)

    def _open(self, alerts: Sequence[Alert]) -> None:
        for alert in alerts:
            id_ = f"alr_{ulid(alert.opened_ms, os.urandom(10))}"
            # Told first: killed in between, somebody hears of it twice rather than nobody of it.
            self.deliverer.tell("alert.opened", f"{id_}_opened", alert_data(id_, alert), alert.opened_ms)
            self._alerts().put(id_, alert)
            self._history().append(Line(id_, "opened", "", alert))
            self._on_change(id_, alert)

    def _again(self, record: Record[Alert], alert: Alert, *, tell: bool) -> None:
        try:
            self._alerts().put(record.id, alert, if_match=record.etag)
        except Fatal:
            return  # a person said something of it just now: next time
        if tell:
            self._on_change(record.id, alert)

    def _resolve(self, record: Record[Alert], alert: Alert) -> None:
        self.deliverer.tell("alert.resolved", f"{record.id}_resolved", alert_data(record.id, alert), alert.resolved_ms)
        self._history().append(Line(record.id, "resolved", "", alert))
        self._alerts().delete(record.id)
        self._on_change(record.id, alert)


def alert_data(id_: str, alert: Alert) -> dict[str, object]:
    """Links are paths of the dashboard: a server does not know under which name its users reach it."""
    return {
        "alert": id_,
        "rule": alert.rule,
        "object": alert.object,
        "severity": alert.severity,
        "title": alert.title,
        "text": alert.text,
        "hint": alert.hint,
        "link": alert.link,
        **({"job": alert.job, "job_link": job_link(alert)} if alert.job else {}),
    }


def job_link(alert: Alert) -> str | None:
    return f"/jobs/{alert.job}" if alert.job else None
