"""What becomes of files on their way in: who may send what, and the job that is made of one when its last byte is there."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request

from vidprocme.api.access import Caller
from vidprocme.api.desk import DISK_RESERVE_BYTES, Desk
from vidprocme.api.settling import settle
from vidprocme.api.wishes import GB, now_ms, too_large
from vidprocme.core.errors import BadWish, Fatal, Retryable, VidprocmeError
from vidprocme.library.arrivals import ENDED, Arrival, Arrivals, ArrivalState, Held, live, unknown

LOOK_EVERY_S = 5.0
SWEEP_EVERY_S = 3600.0
TAKE_OVER_S = 5.0  # how long a newer request waits for the older one to let go
SETTLE_S = 10.0  # how long an answer waits for the job; what takes longer (a file to be read again) ends by itself
DAY_MS = 86_400_000

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
        self._tasks: set[asyncio.Task[Arrival]] = set()
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
        most = self.most_bytes
        if most and arrival.size_bytes > most:
            raise too_large(arrival.size_bytes, most)
        self.arrivals.create(arrival, lambda others: self._admit(arrival, others))
        return arrival

    @property
    def most_bytes(self) -> int:
        """0: any."""
        return self.desk.house.settings.upload_max_gb * GB

    def _admit(self, arrival: Arrival, others: Sequence[Arrival]) -> None:
        if arrival.path:
            return  # it is here already, and stays where it is
        size = max(arrival.size_bytes, 0)
        quota = self.desk.house.settings.upload_quota_gb * GB
        used = sum(max(other.size_bytes, 0) for other in live(others, arrival.tenant, now_ms() - DAY_MS))
        if quota and used + size > quota:
            raise BadWish(
                "QUOTA_EXCEEDED",
                f"The tenant {arrival.tenant} may bring in {quota / GB:g} GB within a day; {used / GB:.1f} GB came or are "
                f"coming, and this has {size / GB:.1f} GB more.",
                "Wait until older uploads are a day old, delete unfinished ones, or let the quota be raised "
                "(VIDPROCME_UPLOAD_QUOTA_GB).",
                {"quota_bytes": quota, "used_bytes": used, "upload_bytes": size},
            )
        self.need_room(size, sum(self.arrivals.coming_bytes(other) for other in others))

    def need_room(self, size: int, coming: int) -> None:
        free, _ = self.desk.disk()
        if size + coming + DISK_RESERVE_BYTES > free:
            raise Retryable(
                "DISK_FULL",
                f"{free >> 20} MiB are free in the data folder; this upload has {size >> 20} MiB, other unfinished ones have "
                f"{coming >> 20} MiB still to come, and {DISK_RESERVE_BYTES >> 20} MiB are kept for what runs already.",
                "Free some space there, or use a data folder on a larger disk.",
                {
                    "free_bytes": free,
                    "upload_bytes": size,
                    "coming_bytes": coming,
                    "reserve_bytes": DISK_RESERVE_BYTES,
                },
            )

    # -- going on ------------------------------------------------------------------------------------------------------

    def seen(self, caller: Caller, id_: str) -> Arrival:
        """
        Raises:
            Fatal: UPLOAD_UNKNOWN, also when it is another tenant's; UPLOAD_EXPIRED.
        """
        arrival = self.arrivals.find(id_)
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

        task = asyncio.create_task(asyncio.to_thread(work))
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        await asyncio.wait({task}, timeout=SETTLE_S)
        return task.result() if task.done() else arrival

    def _ended(self, task: asyncio.Task[Arrival]) -> None:
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
        if arrival.url and not arrival.content:
            if arrival.id not in self._fetching:
                self._fetching[arrival.id] = stop = threading.Event()
                self._spawn(f"import {arrival.id}", self._import, arrival.id, stop)
            return
        if not arrival.path and self.arrivals.offset(arrival) < arrival.size_bytes:
            return
        with contextlib.suppress(Fatal):  # its state says so
            self._settle_free(arrival.id)

    def _settle_free(self, id_: str) -> None:
        held = self.arrivals.hold(id_)
        if held is None:
            return
        with contextlib.closing(held):
            arrival = self.arrivals.find(id_)
            if arrival is not None and arrival.state is not ArrivalState.HELD:
                settle(self.desk, arrival)

    def _import(self, id_: str, stop: threading.Event) -> None:
        try:
            held = self.arrivals.hold(id_)
            if held is None:
                return
            with contextlib.closing(held):
                arrival = self.arrivals.find(id_)
                if arrival is not None and arrival.state is ArrivalState.RECEIVING and not arrival.content:
                    self._fetch(self.desk, arrival, stop)
                arrival = self.arrivals.find(id_)
                if arrival is not None and not stop.is_set() and arrival.state is not ArrivalState.HELD:
                    settle(self.desk, arrival)
        except Fatal as error:
            LOG.info("import %s: %s", id_, error)
        except (OSError, VidprocmeError) as error:
            LOG.warning("import %s is tried again: %s", id_, error)
        finally:
            self._fetching.pop(id_, None)


def arriving_of(request: Request) -> Arriving:
    arriving: Arriving = request.app.state.arriving
    return arriving


AtArriving = Annotated[Arriving, Depends(arriving_of)]
