"""Attempts as processes of this machine: a fork server for the CPU's, one resident worker for each model place."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vidprocme import processes
from vidprocme.core.ids import AttemptId
from vidprocme.core.job import Attempt, Outcome, OutcomeKind
from vidprocme.core.resources import Place, PlaceKind
from vidprocme.core.wire import from_wire, to_wire
from vidprocme.executor import endings, memory
from vidprocme.executor.base import NOT_STARTED, Finished, Progress, Report
from vidprocme.executor.channel import Channel, pair
from vidprocme.executor.telling import tell_of_pool

TERM_AFTER_S = 0.5
KILL_AFTER_S = 1.5
# ffmpeg and the model client watch their own progress by Limits.stall_s; this is for a process that hangs around them.
STALL_GRACE_S = 15.0
# A fork server that has not said this long after a KILL that its child ended is itself stopped or stuck.
SERVER_GRACE_S = 5.0
MEMORY_EVERY_S = 1.0  # between two looks at what the attempts' processes have


@dataclass
class _Running:
    """An attempt on its way. `worker` is the fork server's name of the process that runs it."""

    attempt: Attempt
    worker: str
    scratch: Path
    started_s: float
    heard_s: float
    stopping: OutcomeKind | None = None
    stop_at: list[tuple[float, int]] = field(default_factory=list)  # (when, signal), soonest first
    gone_by_s: float = 0.0  # when its end must have been heard, once it was killed
    oom_kills: int = 0  # of the kernel, when it began
    outcome: Outcome | None = None
    said: Outcome | None = None  # by its own process


@dataclass
class _Worker:
    """A process of the fork server: one attempt's own, or a place's resident."""

    name: str
    channel: Channel
    log: Path
    resident_of: str | None = None
    pid: int = 0  # once the fork server has said it


class LocalExecutor:
    """See executor.base.Executor. One thread calls everything but `wake`.

    `settings` is what the attempts' processes get of the settings (stages.context.StageSettings, as on the wire).
    `nice`: how much less urgent to the kernel than this process they are, 0..19.
    `memory_bytes`: what one attempt's processes may have, those of model places excepted; 0: no limit.
    """

    def __init__(
        self,
        places: Sequence[Place],
        settings: dict[str, Any],
        scratch: Path,
        *,
        model_threads: int,
        memory_bytes: int = 0,
        nice: int = 0,
        stall_grace_s: float = STALL_GRACE_S,
        server_grace_s: float = SERVER_GRACE_S,
    ) -> None:
        self._stall_grace_s, self._server_grace_s = stall_grace_s, server_grace_s
        self._memory_bytes, self._weighed_s = memory_bytes, 0.0
        self._nice = nice
        self._places = {place.id: place for place in places}
        self._settings, self._scratch, self._model_threads = settings, scratch, model_threads
        self._selector = selectors.DefaultSelector()
        self._running: dict[AttemptId, _Running] = {}
        self._workers: dict[str, _Worker] = {}
        self._ready: list[Report] = []
        self._server: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._count = 0
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._selector.register(self._wake_read, selectors.EVENT_READ, "wake")
        self._closed = False

    def start(self) -> None:
        self._scratch.mkdir(parents=True, exist_ok=True)
        # Sequenced packets: one message a call, so that a descriptor never arrives with somebody else's line.
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._server = subprocess.Popen(
                [sys.executable, "-m", "vidprocme.executor.forkserver", str(theirs.fileno()), str(self._nice)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        self._control = ours
        self._selector.register(ours, selectors.EVENT_READ, "control")

    def places(self) -> Sequence[Place]:
        return tuple(self._places.values())

    def submit(self, attempt: Attempt) -> None:
        place = self._places.get(attempt.place)
        if place is None:
            self._ready.append(
                Finished(attempt.id, endings.lost("UNPLACEABLE", f"There is no place {attempt.place} here."))
            )
            return
        folder = self._scratch / re.sub(r"[^A-Za-z0-9._-]", "_", attempt.id)
        now = time.monotonic()
        order = {
            "attempt": to_wire(attempt),
            "settings": self._settings,
            "scratch": str(folder),
            "threads": self._model_threads,
        }
        try:
            if self._server is None and not self._closed:
                self.start()
            folder.mkdir(parents=True, exist_ok=True)
            # By a file: a join's inputs are larger than a socket holds, and a worker that hangs would hold up the loop.
            _order_file(folder).write_text(json.dumps(order))
            worker = self._resident(place.id) if place.kind is not PlaceKind.CPU else self._spawn("attempt", None)
        except OSError as error:
            _clear(folder)
            self._ready.append(
                Finished(attempt.id, endings.lost(NOT_STARTED, f"An attempt could not be started: {error}."))
            )
            return
        self._running[attempt.id] = _Running(attempt, worker.name, folder, now, now, oom_kills=processes.oom_kills())
        worker.channel.send({"run": str(_order_file(folder))})  # a worker that is gone already is noticed by its end

    def cancel(self, attempt: AttemptId, *, lost: bool = False) -> None:
        self._stop(attempt, OutcomeKind.LOST if lost else OutcomeKind.CANCELLED)

    def poll(self, timeout_s: float) -> Sequence[Report]:
        deadline = time.monotonic() + timeout_s
        while not self._ready:
            wait = (
                min([deadline, *(when for r in self._running.values() for when, _ in r.stop_at[:1])]) - time.monotonic()
            )
            events = self._selector.select(max(0.0, min(wait, 1.0)))
            woken = False
            for key, _ in events:
                woken |= self._handle(key.data)
            self._watch(time.monotonic())
            if woken or time.monotonic() >= deadline:
                break
        reports, self._ready = self._ready, []
        return reports

    def wake(self) -> None:
        with contextlib.suppress(BlockingIOError, OSError):
            os.write(self._wake_write, b"x")

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._control is not None:
            self._selector.unregister(self._control)
            self._control.close()  # its end tells the fork server to kill every group
        if self._server is not None:
            try:
                self._server.wait(5)
            except subprocess.TimeoutExpired:
                self._server.kill()
                self._server.wait()
        for worker in self._workers.values():
            worker.channel.close()
        self._selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)
        shutil.rmtree(self._scratch, ignore_errors=True)

    # -- processes -------------------------------------------------------------------------------------------------

    def _spawn(self, kind: str, place: str | None) -> _Worker:
        if self._control is None:
            raise OSError("the executor was not started")
        self._count += 1
        name = f"{kind}-{self._count}"
        log = self._scratch / f"{name}.log"
        channel, theirs = pair()
        try:
            message = json.dumps({"start": name, "kind": kind, "log": str(log)}).encode()
            socket.send_fds(self._control, [message], [theirs.fileno()])
        except OSError:
            channel.close()
            raise
        finally:
            theirs.close()
        worker = _Worker(name, channel, log, place)
        self._workers[name] = worker
        self._selector.register(channel, selectors.EVENT_READ, worker)
        return worker

    def _resident(self, place: str) -> _Worker:
        found = next((w for w in self._workers.values() if w.resident_of == place and not w.channel.closed), None)
        return found or self._spawn("resident", place)

    def _signal(self, worker: str, number: int) -> None:
        if self._control is not None:
            with contextlib.suppress(OSError):
                self._control.sendall(json.dumps({"signal": worker, "number": int(number)}).encode())

    def _stop(self, attempt: AttemptId, kind: OutcomeKind) -> None:
        running = self._running.get(attempt)
        if running is None or running.stopping is not None:
            return
        running.stopping = kind
        now = time.monotonic()
        running.stop_at = [(now + TERM_AFTER_S, signal.SIGTERM), (now + KILL_AFTER_S, signal.SIGKILL)]
        worker = self._workers.get(running.worker)
        if worker is not None:
            worker.channel.send({"cancel": attempt, "lost": kind is OutcomeKind.LOST})

    def _watch(self, now: float) -> None:
        """Kill what was asked to stop and did not, or has too much memory, and ask what hangs to stop."""
        if self._memory_bytes and now - self._weighed_s >= MEMORY_EVERY_S:
            self._weighed_s = now
            self._weigh()
        for running in list(self._running.values()):
            while running.stop_at and running.stop_at[0][0] <= now:
                self._signal(running.worker, running.stop_at.pop(0)[1])
                if not running.stop_at:
                    running.gone_by_s = now + self._server_grace_s
            if running.gone_by_s and now > running.gone_by_s and self._server is not None:
                # Nobody signals or reaps but the fork server. Its children die with it, and its end is heard in `poll`.
                running.gone_by_s = 0.0
                self._server.kill()
            limits = running.attempt.task.limits
            hangs = now - running.heard_s > limits.stall_s + self._stall_grace_s
            overtime = limits.wall_s and now - running.started_s > limits.wall_s
            if (hangs or overtime) and running.stopping is None:
                self._stop(running.attempt.id, OutcomeKind.TIMEOUT)

    def _weigh(self) -> None:
        """Kill what has too much memory: not asked, since it grows."""
        for running in self._running.values():
            worker = self._workers.get(running.worker)
            if worker is None or worker.resident_of or not worker.pid or running.outcome is not None:
                continue
            has = memory.tree_bytes(worker.pid)
            if has > self._memory_bytes:
                what = f"It had {has >> 20} MiB; {self._memory_bytes >> 20} are allowed."
                evidence = {"bytes": has, "most": self._memory_bytes}
                running.outcome = endings.out_of_memory(running.attempt.task.stage, what, evidence)
                self._signal(worker.name, signal.SIGKILL)

    # -- messages --------------------------------------------------------------------------------------------------

    def _handle(self, source: Any) -> bool:
        """Take in what one source has to say; True when it was a wake."""
        if source == "wake":
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake_read, 4096)
            return True
        if source == "control":
            self._hear_server()
        else:
            self._hear_worker(source)
        return False

    def _hear_worker(self, worker: _Worker) -> None:
        if worker.channel.sock.fileno() < 0:
            return  # its end was heard in the same round
        for message in worker.channel.receive(0):
            if "warm" in message and worker.resident_of:
                place = self._places[worker.resident_of]
                self._places[place.id] = replace(place, warm=tuple(message["warm"]))
                continue
            running = self._running.get(message.get("attempt", ""))
            if running is None:
                continue
            running.heard_s = time.monotonic()
            if "outcome" in message:
                running.outcome = running.said = from_wire(Outcome, message["outcome"])
                if worker.resident_of:
                    self._finish(running)
            else:
                self._ready.append(Progress(running.attempt.id, message["progress"], message.get("note", "")))
        if worker.channel.closed:
            self._selector.unregister(worker.channel)
            worker.channel.close()

    def _hear_server(self) -> None:
        assert self._control is not None
        try:
            data = self._control.recv(1 << 16)
        except ConnectionError:
            data = b""
        if not data:
            self._server_died()
            return
        message = json.loads(data)
        if "started" in message and (worker := self._workers.get(message["started"])) is not None:
            worker.pid = message["pid"]
            self._ready += [Progress(r.attempt.id, 0.0) for r in self._running.values() if r.worker == worker.name]
        if "ended" in message:
            self._worker_ended(message["ended"], message["status"], message.get("why", ""))

    def _worker_ended(self, name: str, status: int | None, why: str = "") -> None:
        """`status` is the process's wait status; None: there never was one, and `why` says so."""
        worker = self._workers.pop(name, None)
        if worker is None:
            return
        self._hear_all(worker)
        if worker.resident_of:
            self._places[worker.resident_of] = replace(self._places[worker.resident_of], warm=())
        for running in [r for r in self._running.values() if r.worker == name]:
            if running.outcome is None and status is None:
                running.outcome = endings.lost(NOT_STARTED, f"No process could be made for the attempt: {why}.")
            elif running.outcome is None and status is not None:
                oom = processes.oom_kills() > running.oom_kills
                stage = running.attempt.task.stage
                running.outcome = endings.of_process(status, stage, worker.log, kernel_killed=oom)
            self._finish(running)
        if not worker.resident_of:
            worker.log.unlink(missing_ok=True)

    def _hear_all(self, worker: _Worker) -> None:
        """What the worker said before it ended may still lie in the socket."""
        while worker.channel.sock.fileno() >= 0 and select.select([worker.channel], [], [], 0)[0]:
            self._hear_worker(worker)
        if worker.channel.sock.fileno() >= 0:  # somebody it started still holds the other end
            self._selector.unregister(worker.channel)
            worker.channel.close()

    def _finish(self, running: _Running) -> None:
        outcome = running.outcome
        assert outcome is not None
        del self._running[running.attempt.id]
        if running.stopping is not None and outcome.kind is not OutcomeKind.OK:
            outcome = replace(outcome, kind=running.stopping)
            if running.stopping is OutcomeKind.TIMEOUT:
                outcome = replace(
                    outcome, error=endings.timeout(running.attempt.task, time.monotonic() - running.started_s)
                )
        elif outcome.kind is OutcomeKind.CANCELLED:
            # Nobody here asked for it: a TERM from outside (a machine that shuts down), which no task answers for.
            outcome = replace(endings.killed({}), usage=outcome.usage)
        if outcome != running.said:
            tell_of_pool(self._settings, running.attempt, running.scratch, outcome)
        _clear(running.scratch)
        self._ready.append(Finished(running.attempt.id, outcome))

    def _server_died(self) -> None:
        """The fork server was killed: every child died with it. Lost, not failed; and a new server starts."""
        assert self._control is not None and self._server is not None
        self._selector.unregister(self._control)
        self._control.close()
        self._server.wait()
        self._server = self._control = None
        for name in list(self._workers):
            self._worker_ended(name, signal.SIGKILL)
        with contextlib.suppress(OSError):  # no process or file to be had now: the next attempt asks again
            self.start()


def _order_file(scratch: Path) -> Path:
    return scratch.with_name(f"{scratch.name}.order")


def _clear(scratch: Path) -> None:
    shutil.rmtree(scratch, ignore_errors=True)
    with contextlib.suppress(OSError):
        _order_file(scratch).unlink()
