"""What becomes of files on their way in: who may send what, and the job that is made of one when its last byte is there."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request

from vidprocme.api.access import Caller
from vidprocme.api.admission import too_large
from vidprocme.api.desk import Desk
from vidprocme.api.settling import settle
from vidprocme.api.wishes import now_ms
from vidprocme.core.errors import Fatal, VidprocmeError
from vidprocme.library.arrivals import ENDED, Arrival, Arrivals, ArrivalState, unknown
from vidprocme.library.part import Held

LOOK_EVERY_S = 5.0
SWEEP_EVERY_S = 3600.0
TAKE_OVER_S = 5.0  # how long a newer request waits for the older one to let go
SETTLED_AT_ONCE = 8
SETTLE_S = 10.0  # how long an answer waits for the job; what takes longer (a file to be read again) ends by itself

LOG = logging.getLogger("vidprocme.api.uploads")


@dataclass
class Writer:
    """A request that brings bytes. `stop`: a newer one for the same upload has come."""

    stopped: bool = False
    limit: asyncio.Timeout | None = None

    def stop(self) -> None:
        self.stopped = True
        if self.limit is not None:
            self.limit.reschedule(asyncio.get_running_loop().time())


class Arriving:
    """The uploads of one app."""

    def __init__(self, desk: Desk, fetch: Callable[[Desk, Arrival, threading.Event], None]) -> None:
        """
        Args:
            fetch: brings the bytes of an arrival from where its `url` says, until the event is set.
        """
        self.desk, self._fetch = desk, fetch
        self.writers: dict[str, Writer] = {}
        self._over = threading.Event()
        self._fetching: dict[str, threading.Event] = {}
        self._fetched_for: list[str] = []  # tenants, one for each that is fetched
        self._line = threading.Lock()  # of these two
        self._tasks: set[asyncio.Future[Arrival]] = set()
        # Theirs alone: a slow bucket would keep the threads from those who bring bytes.
        self._settling = ThreadPoolExecutor(SETTLED_AT_ONCE, thread_name_prefix="settling")
        self._threads: list[threading.Thread] = []

    @property
    def arrivals(self) -> Arrivals:
        return self.desk.house.arrivals

    # -- beginning -----------------------------------------------------------------------------------------------------

    def begin(self, arrival: Arrival) -> Arrival:
        """Take it on, or say why not, before one byte comes.

        Raises:
            BadWish: UPLOAD_TOO_LARGE, QUOTA_EXCEEDED; Retryable: DISK_FULL, QUEUE_*.
        """
        error = self.desk.queue_error()
        if error is not None:
            raise error
        most = self.desk.admission.most_bytes
        if most and arrival.size_bytes > most:
            raise too_large(arrival.size_bytes, most)
        self.arrivals.create(arrival, lambda others: self._admit(arrival, others))
        return arrival

    def _admit(self, arrival: Arrival, others: Sequence[Arrival]) -> None:
        if not arrival.path:  # a file that is here already stays where it is
            self.desk.admission.admit(arrival.tenant, max(arrival.size_bytes, 1), others)  # unknown: at least a byte

    # -- going on ------------------------------------------------------------------------------------------------------

    def seen(self, caller: Caller, id_: str) -> Arrival:
        """
        Raises:
            Fatal: UPLOAD_UNKNOWN, also when it is another tenant's; UPLOAD_EXPIRED; UPLOAD_DAMAGED, to who sees all tenants'.
        """
        try:
            arrival = self.arrivals.find(id_)
        except Fatal:
            if caller.tenant is None:
                raise
            raise unknown(id_) from None  # nobody knows whose it is
        if arrival is None or not caller.sees(arrival.tenant):
            raise unknown(id_)
        if arrival.state is ArrivalState.RECEIVING and id_ not in self.writers and self.is_expired(arrival):
            raise Fatal(
                "UPLOAD_EXPIRED", f"The upload {id_} was given up: nothing came for too long.", "Begin it anew."
            )
        return arrival

    def is_expired(self, arrival: Arrival) -> bool:
        return self.arrivals.expires_ms(arrival) <= now_ms()

    async def take_over(self, id_: str) -> Held:
        """The right to write to it. A request of this server that has it ends: its client has most likely gone.

        Raises:
            Fatal: UPLOAD_LOCKED, UPLOAD_UNKNOWN.
        """
        end_s = time.monotonic() + TAKE_OVER_S
        while True:
            held = self.arrivals.hold(id_)
            if held is not None:
                return held
            writer, fetching = self.writers.get(id_), self._fetching.get(id_)
            if writer is not None:
                writer.stop()
            if fetching is not None:
                fetching.set()
            if time.monotonic() > end_s:
                raise Fatal(
                    "UPLOAD_LOCKED",
                    f"Another request writes to the upload {id_}, or makes a job of it.",
                    "Ask with HEAD how far it is, in some seconds.",
                )
            await asyncio.sleep(0.02)

    async def settled(self, arrival: Arrival, held: Held) -> Arrival:
        """A whole upload with what became of it. It goes on when the asker goes, and answers before its end if that takes long.

        Raises:
            Fatal: UPLOAD_HASH and what else is wrong with it; Retryable: the queue or the disk; it is tried again.
        """

        def work() -> Arrival:
            with contextlib.closing(held):
                return settle(self.desk, arrival)

        task = asyncio.get_running_loop().run_in_executor(self._settling, work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        await asyncio.wait({task}, timeout=SETTLE_S)
        return task.result() if task.done() else arrival

    def _ended(self, task: asyncio.Future[Arrival]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits has it; the state has it in any case

    # -- what nobody asks for ------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Look now and then for whole uploads without a job, imports that nobody fetches, and what is given up."""
        self._spawn("uploads", self._watch)

    async def stop(self) -> None:
        self._over.set()
        for fetching in self._fetching.values():
            fetching.set()
        for writer in self.writers.values():
            writer.stop()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self._join)

    def _join(self) -> None:
        for thread in self._threads:
            thread.join(5)

    def _spawn(self, name: str, target: Callable[..., None], *arguments: Any) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=target, args=arguments, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _watch(self) -> None:
        sweep_s = 0.0
        while not self._over.is_set():
            try:
                waiting = [one for one in self.arrivals.all() if is_to_be_fetched(one)]
                self._fetch_next(*waiting)
                for arrival in waiting:
                    self.arrivals.touch(arrival.id)
                if time.monotonic() >= sweep_s:
                    sweep_s = time.monotonic() + SWEEP_EVERY_S
                    self.arrivals.sweep(now_ms())
                for arrival in self.arrivals.all():
                    self.go_on(arrival)
            except (OSError, VidprocmeError) as error:
                LOG.warning("uploads cannot be looked after: %s", error)
            self._over.wait(LOOK_EVERY_S)

    def go_on(self, arrival: Arrival) -> None:
        """What nobody else will do: fetch it, or make a job of it."""
        if arrival.state in ENDED or arrival.state is ArrivalState.HELD or self._over.is_set():
            return
        if is_to_be_fetched(arrival):
            self._fetch_next(arrival)
            return
        if not arrival.path and self.arrivals.offset(arrival) < arrival.size_bytes:
            return
        with contextlib.suppress(Fatal):  # its state says so
            self._settle_free(arrival.id)

    def _fetch_next(self, *waiting: Arrival) -> None:
        """Fetch as many as may be fetched at once; the others wait. A tenant with fewer of them comes first, then the older."""
        with self._line:
            line = [one for one in waiting if one.id not in self._fetching]
            while line and len(self._fetching) < self.desk.house.settings.imports_at_once and not self._over.is_set():
                first = min(line, key=lambda one: (self._fetched_for.count(one.tenant), one.id))
                line.remove(first)
                self._fetched_for.append(first.tenant)
                self._fetching[first.id] = stop = threading.Event()
                self._spawn(f"import {first.id}", self._import, first.id, first.tenant, stop)

    def _settle_free(self, id_: str) -> None:
        held = self.arrivals.hold(id_)
        if held is None:
            return
        with contextlib.closing(held):
            arrival = self.arrivals.find(id_)
            if arrival is not None and arrival.state is not ArrivalState.HELD:
                settle(self.desk, arrival)

    def _import(self, id_: str, tenant: str, stop: threading.Event) -> None:
        others = False
        try:
            held = self.arrivals.hold(id_)
            if held is None:
                return
            others = True
            with contextlib.closing(held):
                arrival = self.arrivals.find(id_)
                if arrival is not None and is_to_be_fetched(arrival):
                    self._fetch(self.desk, arrival, stop)
                arrival = self.arrivals.find(id_)
                if arrival is not None and not stop.is_set() and arrival.state is not ArrivalState.HELD:
                    settle(self.desk, arrival)
        except Fatal as error:
            LOG.info("import %s: %s", id_, error)
        except (OSError, VidprocmeError) as error:
            LOG.warning("import %s is tried again: %s", id_, error)
            others = False  # at the next look, not at once and for ever
        finally:
            with self._line:
                self._fetching.pop(id_, None)
                self._fetched_for.remove(tenant)
            if others:
                with contextlib.suppress(OSError, VidprocmeError):  # the next look does it, then
                    self._fetch_next(*(one for one in self.arrivals.all() if is_to_be_fetched(one) and one.id != id_))


def is_to_be_fetched(arrival: Arrival) -> bool:
    return bool(arrival.url) and not arrival.content and arrival.state is ArrivalState.RECEIVING


def arriving_of(request: Request) -> Arriving:
    arriving: Arriving = request.app.state.arriving
    return arriving


AtArriving = Annotated[Arriving, Depends(arriving_of)]
