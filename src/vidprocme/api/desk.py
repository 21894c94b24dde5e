"""What the routes need of the house: opened when it is first needed, from whatever thread asks first."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, TypeVar

from fastapi import Depends, Request

from vidprocme.api.admission import Admission
from vidprocme.api.cached import Cached
from vidprocme.api.holders import Keys, Sessions
from vidprocme.api.hub import Hub
from vidprocme.api.limits import Limits
from vidprocme.core.errors import VidprocmeError
from vidprocme.dispatch.alarm import Alarm
from vidprocme.dispatch.control import Control
from vidprocme.library.base import SearchIndex
from vidprocme.library.blobs import BlobStore
from vidprocme.library.pictures import PictureCache
from vidprocme.queue.base import Queue
from vidprocme.queue.kept import Journal, Notes, Outbox, RecordStore
from vidprocme.wiring import House

T = TypeVar("T")


@dataclass(slots=True)
class Traffic:
    """HTTP answers of this process, for /metrics. Written by the event loop's thread alone."""

    requests: dict[tuple[str, str, int], int] = field(default_factory=dict)  # (method, route, status)
    seconds: dict[tuple[str, str], tuple[int, float]] = field(default_factory=dict)  # (method, route): count, sum

    def add(self, method: str, route: str, status: int, took_s: float) -> None:
        self.requests[method, route, status] = self.requests.get((method, route, status), 0) + 1
        count, total_s = self.seconds.get((method, route), (0, 0.0))
        self.seconds[method, route] = count + 1, total_s + took_s


class Desk:
    """One for each app. A queue that cannot be reached now is tried again by the next request."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.traffic = Traffic()
        self.cached = Cached()
        self.admission = Admission(self)
        self.hub = Hub(lambda: self.queue)
        self.open_alerts: Callable[[], int] = lambda: 0  # where there is no watch
        self.alarm: Alarm  # the server's watch: api/alarming.py
        self.keys = Keys(self)
        self.sessions = Sessions(self, self.keys)
        self.limits = Limits(house.settings.rate_per_s, house.settings.rate_burst)
        self.pictures = PictureCache(house.data / "cache" / "pictures")
        self._lock = threading.Lock()
        self._index: SearchIndex | None = None

    @property
    def queue(self) -> Queue:
        with self._lock:
            return self.house.queue

    @property
    def control(self) -> Control:
        with self._lock:
            return self.house.control

    @property
    def blobs(self) -> BlobStore:
        with self._lock:
            return self.house.blobs

    @property
    def index(self) -> SearchIndex:
        with self._lock:
            if self._index is None:
                self._index = self.house.open_index()
            return self._index

    def records(self, kind: str, document: type[T]) -> RecordStore[T]:
        with self._lock:
            return self.house.records(kind, document)

    def outbox(self, kind: str, document: type[T]) -> Outbox[T]:
        with self._lock:
            return self.house.outbox(kind, document)

    def notes(self, kind: str) -> Notes:
        with self._lock:
            return self.house.notes(kind)

    def journal(self, kind: str, document: type[T]) -> Journal[T]:
        with self._lock:
            return self.house.journal(kind, document)

    def disk(self) -> tuple[int, int]:
        """Free bytes and size of the disk of the data folder."""
        usage = shutil.disk_usage(self.house.data)
        return usage.free, usage.total

    def queue_error(self) -> VidprocmeError | None:
        """Why the queue takes nothing new: it does not answer, or is full; None when it does."""
        try:
            self.queue.pools()
            self.queue.admit()
        except VidprocmeError as error:
            return error
        return None

    def close(self) -> None:
        """The house is the caller's."""
        with self._lock:
            if self._index is not None:
                self._index.close()
                self._index = None


def desk_of(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


AtDesk = Annotated[Desk, Depends(desk_of)]
