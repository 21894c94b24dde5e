"""The child's side: run one attempt (or, as a resident worker, one after another) and say how it went.

No Redis here. A child gets its attempt as data, writes in its scratch folder, puts its outputs into the blobs, and answers
with progress and one Outcome.
"""

from __future__ import annotations

import json
import shutil
import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from vidprocme.core.errors import Cancelled, LeaseLost
from vidprocme.core.job import Attempt
from vidprocme.core.wire import from_wire, to_wire
from vidprocme.executor.channel import Channel
from vidprocme.executor.telling import AttemptLog
from vidprocme.stages.context import Context, Describers, StageSettings
from vidprocme.stages.shelf import ModelShelf
from vidprocme.stages.table import run

__all__ = ["Channel", "serve_attempt", "serve_resident"]


def serve_attempt(channel: Channel) -> None:
    """One attempt, then the end."""
    signal.signal(signal.SIGTERM, _cancelled_by_signal)
    order: dict[str, Any] | None = None
    while order is None and not channel.closed:
        order = next((_order(message) for message in channel.receive(None) if "run" in message), None)
    if order is not None:
        _run(channel, order, None)
    channel.close()


def serve_resident(channel: Channel) -> None:
    """Attempts one after another, models kept warm between them. Ends with the pool, or by a signal."""
    shelf = ModelShelf()
    signal.signal(signal.SIGTERM, _cancelled_by_signal)
    try:
        while not channel.closed:
            for message in channel.receive(None):
                if "run" in message:
                    order = _order(message)
                    settings = from_wire(StageSettings, order["settings"])
                    shelf.use(Path(settings.data), order["threads"])
                    _run(channel, order, shelf.describer)
                    channel.send({"warm": list(shelf.warm())})
    except Cancelled:
        pass
    finally:
        shelf.close()


def _order(message: dict[str, Any]) -> dict[str, Any]:
    order: dict[str, Any] = json.loads(Path(message["run"]).read_text())
    return order


def _run(channel: Channel, order: dict[str, Any], describers: Describers | None) -> None:
    attempt = from_wire(Attempt, order["attempt"])
    scratch = Path(order["scratch"])
    scratch.mkdir(parents=True, exist_ok=True)
    settings = from_wire(StageSettings, order["settings"])
    log = AttemptLog(attempt, settings.data, scratch=scratch, blobs=settings.blobs)
    reporter = _Reporter(channel, attempt.id, log)
    with log.kept():
        outcome = run(Context(attempt, settings, scratch, reporter, describers))
    shutil.rmtree(scratch, ignore_errors=True)
    log.ended(outcome)
    channel.send({"outcome": to_wire(outcome), "attempt": attempt.id})


class _Reporter:
    """Sends progress, and turns a cancel that came meanwhile into an exception where the stage stands."""

    def __init__(self, channel: Channel, attempt: str, log: AttemptLog) -> None:
        self.channel, self.attempt, self._log = channel, attempt, log
        # The vision client may report from several threads at once.
        self._lock = threading.Lock()

    def __call__(self, fraction: float, note: str = "") -> None:
        with self._lock:
            self._log.progress(fraction, note)
            self.channel.send({"progress": fraction, "note": note, "attempt": self.attempt})
            messages = self.channel.receive(0)
        for message in messages:
            if message.get("cancel") == self.attempt:
                raise LeaseLost if message.get("lost") else Cancelled
        if self.channel.closed:
            raise Cancelled("the pool is gone")


def _cancelled_by_signal(_number: int, _frame: FrameType | None) -> None:
    raise Cancelled("stopped by SIGTERM")
