"""What is done to many jobs: in the background of one server, in steps, with a record that others can read.

A server that ends before it is through leaves the record as it was; whoever starts next on that machine calls it interrupted.
What was done stays, and the same wish can be said again.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from vidprocme.api.desk import Desk
from vidprocme.api.schemas.bulk import Action, OperationState
from vidprocme.core.errors import ErrorInfo, Fatal, VidprocmeError, describe_exception
from vidprocme.core.ids import JobId
from vidprocme.core.job import Bin
from vidprocme.processes import boot_id, pid_namespace, started
from vidprocme.queue.kept import RecordStore

KIND = "operation"
KEPT = 1000  # that have ended
ERRORS_SHOWN = 20
SAY_EVERY_S = 0.5
REST_S = 0.002  # after each job: those who ask for something else come first
UNCHANGED = frozenset({"JOB_ENDED", "NOTHING_TO_RETRY", "JOB_UNFINISHED", "JOB_SUCCEEDED", "JOB_UNKNOWN"})


@dataclass(frozen=True, slots=True)
class Operation:
    """See OperationDocument. `server`: whose it is: boot, namespace, pid and when that began. tenant: of the key; None: of all."""

    action: str
    state: str
    total: int
    created_ms: int
    server: str
    tenant: str | None = None
    done: int = 0
    unchanged: int = 0
    failed: int = 0
    errors: tuple[ErrorInfo, ...] = field(default=())
    ended_ms: int | None = None


class Operations:
    """Those of one server. One is worked on at a time; the others wait."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._workers = ThreadPoolExecutor(1, thread_name_prefix="operations")
        self._over = threading.Event()

    @property
    def records(self) -> RecordStore[Operation]:
        return self._desk.house.records(KIND, Operation)

    def start(self, action: Action, bin_: Bin | None, jobs: Sequence[JobId], tenant: str | None) -> str:
        """Begin; returns the operation's id."""
        id_ = f"op_{time.time_ns():x}{secrets.token_hex(3)}"
        first = Operation(
            action.value, OperationState.RUNNING.value, len(jobs), self._desk.queue.now_ms(), _me(), tenant
        )
        self._trim()
        self.records.put(id_, first)
        self._workers.submit(self._work, id_, first, _verb(self._desk, action, bin_), jobs)
        return id_

    def sweep(self) -> None:
        """Call those interrupted whose server is no more on this machine."""
        boot = boot_id()
        for record in self.records.list():
            if record.doc.state == OperationState.RUNNING and record.doc.server.startswith(
                f"{boot} {pid_namespace()} "
            ):
                pid, began = record.doc.server.split()[-2:]
                if record.doc.server != _me() and str(started(int(pid))) != began:
                    self.records.put(record.id, replace(record.doc, state=OperationState.INTERRUPTED.value))

    def stop(self) -> None:
        """Ends what is worked on after the job it is at; it is interrupted then."""
        self._over.set()
        self._workers.shutdown(cancel_futures=False)

    def _work(self, id_: str, now: Operation, verb: Callable[[JobId], None], jobs: Sequence[JobId]) -> None:
        said_s = time.monotonic()
        for job in jobs:
            if self._over.is_set():
                break
            now = _tried(now, verb, job)
            if time.monotonic() - said_s > SAY_EVERY_S:
                self.records.put(id_, now)
                said_s = time.monotonic()
            self._over.wait(REST_S)
        through = now.done + now.unchanged + now.failed == now.total
        state = OperationState.DONE if through else OperationState.INTERRUPTED
        self.records.put(id_, replace(now, state=state.value, ended_ms=self._desk.queue.now_ms()))

    def _trim(self) -> None:
        ended = [record for record in self.records.list() if record.doc.state != OperationState.RUNNING]
        for record in sorted(ended, key=lambda record: record.doc.created_ms)[: max(0, len(ended) - KEPT)]:
            self.records.delete(record.id)


def _tried(now: Operation, verb: Callable[[JobId], None], job: JobId) -> Operation:
    try:
        verb(job)
    except VidprocmeError as error:
        if error.code in UNCHANGED:
            return replace(now, unchanged=now.unchanged + 1)
        info = describe_exception(error)
        info = replace(info, evidence={**info.evidence, "job": job})
        return replace(now, failed=now.failed + 1, errors=(*now.errors, info)[:ERRORS_SHOWN])
    return replace(now, done=now.done + 1)


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


def _me() -> str:
    return f"{boot_id()} {pid_namespace()} {os.getpid()} {started(os.getpid())}"
