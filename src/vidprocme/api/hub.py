"""One reader of the diary for each server, and any number of listeners.

A thread follows the queue's events and hands each batch to the event loop, which encodes an event once, whoever hears it. What is
no event but a state (the overview, the fleet) is made at most once a second, while anybody listens, and told when it changed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel

from vidprocme.api.schemas.attempts import event_document
from vidprocme.core.errors import VidprocmeError
from vidprocme.core.event import Event
from vidprocme.dispatch.failures import FailureBook
from vidprocme.dispatch.lanes import KEPT_MS, LaneBook
from vidprocme.queue.base import Queue

BATCH = 500
BLOCK_MS = 100  # also how long the end of the server waits for the thread
PAUSE_S = 1.0  # after an error
GAUGE_EVERY_S = 1.0
HELD_MOST = 10_000  # messages for one listener; who reads so slowly is cut off, and asks again from its last id
LOG = logging.getLogger("vidprocme.api.hub")


@dataclass(frozen=True, slots=True)
class Message:
    """Bytes for the stream, and what a listener needs to know whether they are for it."""

    topic: str  # jobs, overview, fleet, alerts
    data: bytes
    id: str = ""
    job: str = ""


def encoded(event: str, document: BaseModel | dict[str, object], id_: str = "") -> bytes:
    text = document.model_dump_json() if isinstance(document, BaseModel) else json.dumps(document, ensure_ascii=False)
    head = f"id: {id_}\n" if id_ else ""
    return f"{head}event: {event}\ndata: {text}\n\n".encode()


def diary(event: Event) -> Message:
    return Message("jobs", encoded("diary", event_document(event), event.id), event.id, event.job)


@dataclass(eq=False, slots=True)
class Listener:
    """What one stream has not sent yet. `after`: the newest event that was over when it came."""

    topics: frozenset[str]
    after: str
    waiting: asyncio.Queue[Message | None] = field(default_factory=lambda: asyncio.Queue(HELD_MOST))
    lost: bool = False

    def wants(self, message: Message) -> bool:
        if message.topic in self.topics:
            return True
        return message.topic == "jobs" and f"job:{message.job}" in self.topics

    def tell(self, message: Message) -> None:
        try:
            self.waiting.put_nowait(message)
        except asyncio.QueueFull:
            self.lost = True

    def end(self) -> None:
        """After what it holds, a farewell."""
        self.tell(Message("bye", encoded("bye", {})))
        try:
            self.waiting.put_nowait(None)
        except asyncio.QueueFull:
            self.lost = True


Gauge = Callable[[], BaseModel]


class Hub:
    """Started and ended with the server, by its event loop; all but `now` and the thread's own belong to that loop."""

    def __init__(self, queue: Callable[[], Queue]) -> None:
        self.book = LaneBook()
        self.failures = FailureBook()
        self.gauges: dict[str, Gauge] = {}  # topic (and name of the message) -> how it is made, on a thread
        self._queue = queue
        self.listeners: set[Listener] = set()
        self._at = ""  # the newest event that was handed out
        self._over = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._follow, name="hub", daemon=True)
        self._ticking: asyncio.Task[None] | None = None
        self._told: dict[str, bytes] = {}
        self.ready = asyncio.Event()  # it is known from where on listeners hear

    # -- the loop's --------------------------------------------------------------------------------------------------
    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ticking = self._loop.create_task(self._tick())
        self._thread.start()

    def current_book(self) -> LaneBook:
        """The book; where nobody follows (a verb in its own process), as it is now."""
        if self._loop is None:
            self._read_back()
        return self.book

    def current_failures(self) -> FailureBook:
        if self._loop is None:
            self._read_back()
        return self.failures

    def end_streams(self) -> None:
        """The server is about to end: every stream says so and is over."""
        for listener in self.listeners:
            listener.end()

    async def stop(self) -> None:
        self.end_streams()
        self._over.set()
        if self._ticking is not None:
            self._ticking.cancel()
        await asyncio.to_thread(self._thread.join, 5)

    def listen(self, topics: frozenset[str]) -> Listener:
        listener = Listener(topics, self._at)
        self.listeners.add(listener)
        for topic, data in self._told.items():
            if topic in topics:
                listener.tell(Message(topic, data))
        return listener

    def leave(self, listener: Listener) -> None:
        self.listeners.discard(listener)

    def publish(self, messages: list[Message]) -> None:
        for message in messages:
            self._at = message.id or self._at
        if self._at:
            self.ready.set()
        for listener in self.listeners:
            for message in messages:
                if listener.wants(message):
                    listener.tell(message)

    def tell(self, topic: str, event: str, document: BaseModel) -> None:
        """Something that is no event of the diary; from any thread."""
        self._hand_over([Message(topic, encoded(event, document))])

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(GAUGE_EVERY_S)
            for topic, make in list(self.gauges.items()):
                if not any(topic in listener.topics for listener in self.listeners):
                    self._told.pop(topic, None)
                    continue
                try:
                    data = encoded(topic, await asyncio.to_thread(make))
                except VidprocmeError:
                    continue  # the queue is away: the stream stays, and its readers see that nothing comes
                except Exception:
                    LOG.exception("the %s could not be made", topic)
                    continue
                if data != self._told.get(topic):
                    self._told[topic] = data
                    self.publish([Message(topic, data)])

    # -- the thread's ------------------------------------------------------------------------------------------------
    def _follow(self) -> None:
        last = ""
        while not self._over.is_set():
            try:
                if not last:
                    last = self._read_back()
                    self._hand_over([Message("", b"", last)])
                events = self._queue().events(last, BATCH, BLOCK_MS)
            except VidprocmeError:
                self._over.wait(PAUSE_S)
                continue
            except Exception:
                LOG.exception("the events could not be followed")
                self._over.wait(PAUSE_S)
                continue
            if events:
                last = events[-1].id
                self._write(events)
                self._hand_over([diary(event) for event in events])

    def _read_back(self) -> str:
        """Fill the books with the last hour, and with what runs for longer; returns the newest event."""
        queue = self._queue()
        last = f"{max(0, queue.now_ms() - KEPT_MS)}-0"
        while events := queue.events(last, BATCH):
            self._write(events)
            last = events[-1].id
        self.book.add_running(queue.running())
        return last

    def _write(self, events: Sequence[Event]) -> None:
        self.book.apply(events)
        self.failures.apply(events)

    def _hand_over(self, messages: list[Message]) -> None:
        if self._loop is None or self._over.is_set():
            return
        try:
            self._loop.call_soon_threadsafe(self.publish, messages)
        except RuntimeError:  # the loop has ended
            self._over.set()
