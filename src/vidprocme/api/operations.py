"""What is done to many jobs: in the background of one server, in steps, with a record that others can read.

The server that works on it says every few seconds in the record that it is there. When it has said nothing for a while, the
operation is interrupted, wherever that server was. What was done stays, and the same wish can be said again.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from vidprocme.api.desk import Desk
from vidprocme.api.schemas.bulk import Action, OperationState
from vidprocme.core.errors import ErrorInfo, Fatal, Retryable, VidprocmeError, describe_exception
from vidprocme.core.ids import JobId
from vidprocme.core.job import Bin
from vidprocme.queue.kept import RecordStore

KIND = "operation"
KEPT = 1000  # that have ended
ERRORS_SHOWN = 20
SAY_EVERY_S = 0.5
BEAT_S = 3.0  # also while a job takes long, and for those that wait
SILENT_S = 20.0  # after so long without a word it is interrupted
PATIENT_S = 60.0  # how long a queue that is away may keep one job from being tried
PAUSES_S = (0.1, 5.0)  # between tries: the first, the longest
LAST_TRIES = 3  # to write the end down, once this server is to stop
REST_S = 0.002  # after each job: those who ask for something else come first
UNCHANGED = frozenset({"JOB_ENDED", "NOTHING_TO_RETRY", "JOB_UNFINISHED", "JOB_SUCCEEDED", "JOB_UNKNOWN"})

LOG = logging.getLogger("vidprocme.api.operations")


@dataclass(frozen=True, slots=True)
class Operation:
    """See OperationDocument. `beat_ms`: when its server last said that it is there. tenant: of the key; None: of all."""

    action: str
    state: str
    total: int
    created_ms: int
    beat_ms: int = 0
    tenant: str | None = None
    done: int = 0
    unchanged: int = 0
    failed: int = 0
    errors: tuple[ErrorInfo, ...] = field(default=())
    ended_ms: int | None = None

    @property
    def through(self) -> int:
        return self.done + self.unchanged + self.failed

    def at(self, now_ms: int) -> Operation:
        """As it is seen then."""
        if self.state == OperationState.RUNNING and now_ms - self.beat_ms > 1000 * SILENT_S:
            return replace(self, state=OperationState.INTERRUPTED.value)
        return self


class Operations:
    """Those of one server. One is worked on at a time; the others wait."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._workers = ThreadPoolExecutor(1, thread_name_prefix="operations")
        self._over = threading.Event()
        self._mine: dict[str, Operation] = {}  # as far as they are
        self._writing = threading.Lock()  # of `_mine` and its records: a beat must not undo an end
        self._beating: threading.Thread | None = None
        self._patient_until_s = 0.0

    @property
    def records(self) -> RecordStore[Operation]:
        return self._desk.house.records(KIND, Operation)

    def start(self, action: Action, bin_: Bin | None, jobs: Iterable[JobId], total: int, tenant: str | None) -> str:
        """Begin; returns the operation's id.

        Args:
            jobs: read one by one as the work goes on.
            total: how many these are, as far as is known.
        """
        id_ = f"op_{time.time_ns():x}{secrets.token_hex(3)}"
        now_ms = self._desk.queue.now_ms()
        first = Operation(action.value, OperationState.RUNNING.value, total, now_ms, now_ms, tenant)
        self.sweep()
        self._trim()
        try:
            self._say(id_, first)
        except BaseException:
            self._mine.pop(id_, None)
            raise
        with self._writing:
            if self._beating is None:
                self._beating = threading.Thread(target=self._beat, name="operations-beat", daemon=True)
                self._beating.start()
        self._workers.submit(self._work, id_, first, _verb(self._desk, action, bin_), jobs)
        return id_

    def sweep(self) -> None:
        """Write down of those interrupted that they are."""
        now_ms = self._desk.queue.now_ms()
        for record in self.records.list():
            seen = record.doc.at(now_ms)
            if seen is not record.doc and record.id not in self._mine:
                with contextlib.suppress(Fatal):  # it goes on after all
                    self.records.put(record.id, seen, if_match=record.etag)

    def stop(self) -> None:
        """Ends what is worked on after the job it is at; it is interrupted then."""
        self._over.set()
        self._workers.shutdown(cancel_futures=False)
        if self._beating is not None:
            self._beating.join()

    def _say(self, id_: str, now: Operation) -> None:
        with self._writing:
            self._mine[id_] = now
            self.records.put(id_, replace(now, beat_ms=self._desk.queue.now_ms()))

    def _beat(self) -> None:
        while not self._over.wait(BEAT_S):
            for id_ in tuple(self._mine):
                with self._writing, contextlib.suppress(VidprocmeError):  # at the next beat
                    if id_ in self._mine:
                        self.records.put(id_, replace(self._mine[id_], beat_ms=self._desk.queue.now_ms()))

    def _work(self, id_: str, now: Operation, verb: Callable[[JobId], None], jobs: Iterable[JobId]) -> None:
        said_s = self._patient_until_s = time.monotonic()
        self._patient_until_s += PATIENT_S
        whole = False
        try:
            for job in jobs:
                if self._over.is_set():
                    break
                now = self._tried(now, verb, job)
                if self._over.is_set():
                    break
                if time.monotonic() - said_s > SAY_EVERY_S:
                    with contextlib.suppress(VidprocmeError):  # the queue is away: what was done is said later
                        self._say(id_, now)
                    said_s = time.monotonic()
                self._over.wait(REST_S)
            else:
                whole = True
        except Exception as error:
            LOG.exception("operation %s ends early", id_)
            now = replace(now, errors=(*now.errors, describe_exception(error))[-ERRORS_SHOWN:])
        finally:
            self._end(id_, now, whole or now.through >= now.total)

    def _end(self, id_: str, now: Operation, whole: bool) -> None:
        """Write down how it ended, as soon as that can be written."""
        state = OperationState.DONE if whole else OperationState.INTERRUPTED
        total = now.through if whole else now.total  # jobs may have gone, or come to fit, meanwhile
        pause_s, tries = PAUSES_S[0], 0
        while tries < LAST_TRIES:
            try:
                with self._writing:
                    ended_ms = self._desk.queue.now_ms()
                    self.records.put(
                        id_, replace(now, state=state.value, total=total, ended_ms=ended_ms, beat_ms=ended_ms)
                    )
                    del self._mine[id_]
                return
            except Retryable:
                tries += self._over.wait(pause_s)
                pause_s = min(2 * pause_s, PAUSES_S[1])
            except VidprocmeError:
                break
        LOG.warning("operation %s: its end could not be written down", id_)
        self._mine.pop(id_, None)

    def _tried(self, now: Operation, verb: Callable[[JobId], None], job: JobId) -> Operation:
        """A queue that is away is waited for; when it stays away, each further job is tried once."""
        pause_s = PAUSES_S[0]
        while True:
            try:
                verb(job)
            except Exception as error:
                is_away = isinstance(error, Retryable)
                if is_away and time.monotonic() < self._patient_until_s:
                    if self._over.wait(pause_s):
                        return now
                    pause_s = min(2 * pause_s, PAUSES_S[1])
                    continue
                if not is_away:
                    self._patient_until_s = time.monotonic() + PATIENT_S
                if isinstance(error, VidprocmeError) and error.code in UNCHANGED:
                    return replace(now, unchanged=now.unchanged + 1)
                info = describe_exception(error)
                info = replace(info, evidence={**info.evidence, "job": job})
                return replace(now, failed=now.failed + 1, errors=(*now.errors, info)[:ERRORS_SHOWN])
            self._patient_until_s = time.monotonic() + PATIENT_S
            return replace(now, done=now.done + 1)

    def _trim(self) -> None:
        ended = [record for record in self.records.list() if record.doc.state != OperationState.RUNNING]
        for record in sorted(ended, key=lambda record: record.doc.created_ms)[: max(0, len(ended) - KEPT)]:
            self.records.delete(record.id)


def _verb(desk: Desk, action: Action, bin_: Bin | None) -> Callable[[JobId], None]:
    def nothing(job: JobId) -> Fatal:
        return Fatal("JOB_ENDED", f"There is nothing to {action} of job {job}.")

    def cancel(job: JobId) -> None:
        if not desk.control.cancel(job):
            raise nothing(job)

    def retry(job: JobId) -> None:
        if not desk.control.retry(job):
            raise nothing(job)

    def move(job: JobId) -> None:
        view = desk.queue.job(job)
        if view is None or bin_ is None or view.job.bin is bin_:
            raise nothing(job)
        desk.control.move(job, bin_)

    match action:
        case Action.CANCEL:
            return cancel
        case Action.RETRY:
            return retry
        case Action.MOVE:
            return move
        case Action.DROP:
            return desk.control.drop
