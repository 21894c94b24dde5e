"""The beat: one thread says every second that this pool lives, what it still works on, and how it is.

It runs beside the loop, so that nothing the loop does (planning a long video, waiting for a disk) can lose a lease. What it
hears (leases lost, attempts to cancel) waits for the loop, which is woken. While something runs it comes twice as often: a
cancel is heard with it, and two seconds later no process is to be left. So it does while somebody asks why a job waits.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence

from vidprocme.core.errors import VidprocmeError
from vidprocme.core.ids import JobId, TaskId
from vidprocme.core.job import Lease
from vidprocme.dispatch.advance import Failpoint
from vidprocme.queue.base import PoolReport, Queue

LOG = logging.getLogger("vidprocme.dispatch.leases")


class LeaseKeeper:
    """Extends the leases it was given until they are dropped."""

    def __init__(
        self,
        queue: Queue,
        holder: str,
        *,
        beat_ms: int,
        lease_ms: int,
        presence_ms: int,
        wake: Callable[[], None],
        report: Callable[[], PoolReport],
        totals: Callable[[], Mapping[str, int]],
        rejoin: Callable[[], None],
        asked: Callable[[Sequence[JobId]], None],
        at: Failpoint = lambda _name: None,
    ) -> None:
        """
        Args:
            report, totals: asked for each beat, from the beat's thread; see Queue.beat.
            rejoin: called, from that thread too, when the queue has forgotten this pool; may raise as the queue does.
            asked: called, from that thread too, after each beat: of which jobs somebody asked lately (BeatAnswer.asked). It returns at once.
        """
        self._report, self._totals, self._rejoin, self._asked, self._at = report, totals, rejoin, asked, at
        self._queue, self._holder, self._wake = queue, holder, wake
        self._beat_s, self._lease_ms, self._presence_ms = beat_ms / 1000, lease_ms, presence_ms
        self._lock = threading.Lock()
        self._leases: dict[TaskId, Lease] = {}
        self._progress: dict[TaskId, float] = {}
        self._lost: list[Lease] = []
        self._cancel: list[Lease] = []
        self._are_asked = False  # somebody waits for an answer: with the next beat it can be there
        self.drained: frozenset[str] = frozenset()  # machines on which nothing new is to start
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="beat", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def keep(self, lease: Lease) -> None:
        with self._lock:
            self._leases[lease.task] = lease

    def drop(self, lease: Lease) -> None:
        with self._lock:
            if self._leases.get(lease.task) == lease:
                del self._leases[lease.task]
                self._progress.pop(lease.task, None)

    def progress(self, task: TaskId, fraction: float) -> None:
        with self._lock:
            self._progress[task] = fraction

    def heard(self) -> tuple[list[Lease], list[Lease]]:
        """Leases lost and leases to cancel since the last call."""
        with self._lock:
            answer = self._lost, self._cancel
            self._lost, self._cancel = [], []
        return answer

    def stop(self, wait_s: float = 10.0) -> None:
        """No beat begins any more; one that is on its way is waited for this long, and ends with the process otherwise."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(wait_s)

    def _run(self) -> None:
        told = ""  # the trouble that was last logged: a queue that is away all night is told once
        left_out = False
        while not self._stop.wait(self._beat_s / 2):
            with self._lock:
                left_out = not (self._leases or self._are_asked) and not left_out
            if left_out:
                continue
            try:
                self._beat()
            except Exception as error:  # a beat that ended would lose every lease; fencing holds meanwhile
                code = error.code if isinstance(error, VidprocmeError) else type(error).__name__
                if code != told:
                    fault = None if isinstance(error, VidprocmeError) else error
                    LOG.warning("queue away: %s", error, extra={"code": code, "pool": self._holder}, exc_info=fault)
                told = code
                continue
            if told:
                LOG.info("queue back", extra={"pool": self._holder})
                told = ""

    def _beat(self) -> None:
        with self._lock:
            leases, progress = tuple(self._leases.values()), dict(self._progress)
        answer = self._queue.beat(
            self._holder,
            leases,
            lease_ms=self._lease_ms,
            presence_ms=self._presence_ms,
            progress=progress,
            report=self._report(),
            totals=self._totals(),
        )
        self._at("beaten")
        if not answer.known:
            LOG.warning("this pool was taken for dead; it joins again", extra={"pool": self._holder})
            self._rejoin()
            self._at("rejoined")
        if answer.drained != self.drained:
            self.drained = answer.drained
            self._wake()
        if answer.lost or answer.cancel:
            with self._lock:
                self._lost += answer.lost
                self._cancel += answer.cancel
            self._wake()
        self._are_asked = bool(answer.asked)
        self._asked(answer.asked)
