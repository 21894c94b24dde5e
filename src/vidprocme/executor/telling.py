"""What an attempt does, line by line, into its log: whatever the stages and their tools say, and how it ended.

Everything below says what it does to loggers under `vidprocme`; in an attempt's process these lines go into the attempt's log.
"""

from __future__ import annotations

import contextlib
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vidprocme.core.job import Attempt, Outcome
from vidprocme.library.logs import LogWriter, path_of

HOUSE = logging.getLogger("vidprocme")
STEP = 0.1  # progress is told in such steps


class AttemptLog(logging.Handler):
    """The log of one attempt, while it runs in this process."""

    def __init__(self, attempt: Attempt, data: str, *, scratch: Path, blobs: str) -> None:
        super().__init__(logging.DEBUG)
        self._attempt = attempt
        self._writer = writer(attempt, data, scratch=scratch, blobs=blobs)
        self._told = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + logging.Formatter().formatException(record.exc_info)
        level = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        self._writer.lines(level + text)

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Between the first line and the end: what this process says goes into the log."""
        attempt, level, shown = self._attempt, HOUSE.level, warnings.showwarning
        task, source = attempt.task, attempt.job.source
        self._writer.lines(
            f"attempt {attempt.id}: {task.stage} {task.index} of {source.name}, try {attempt.number} of "
            f"{task.limits.tries}, on {attempt.place}" + (f", with {task.model}" if task.model else "")
        )
        HOUSE.setLevel(logging.DEBUG)
        HOUSE.addHandler(self)
        warnings.showwarning = lambda message, category, *_, **__: self._writer.lines(
            f"warning: {category.__name__}: {message}"
        )
        try:
            yield
        finally:
            warnings.showwarning = shown
            HOUSE.removeHandler(self)
            HOUSE.setLevel(level)

    def progress(self, fraction: float, note: str) -> None:
        if fraction - self._told >= STEP or (note and not self._told):
            self._told = max(fraction, 1e-9)
            self._writer.lines(f"{fraction:.0%}{f': {note}' if note else ''}")

    def ended(self, outcome: Outcome) -> None:
        tell_end(self._writer, outcome)


def writer(attempt: Attempt, data: str, *, scratch: Path, blobs: str = "") -> LogWriter:
    short = [(str(scratch), "scratch"), (blobs if blobs.startswith("/") else "", "blobs"), (data, "data")]
    return LogWriter(path_of(Path(data), attempt.task.id, attempt.token), short)


def tell_end(log: LogWriter, outcome: Outcome) -> None:
    """The last lines: what was kept, what it took, and what went wrong."""
    for artifact in outcome.manifest:
        log.lines(f"kept {artifact.name}: {artifact.size_bytes} bytes, {artifact.sha256[:12]}")
    usage, error = outcome.usage, outcome.error
    if error is not None:
        log.lines(f"{error.code}: {error.message}")
        if error.hint:
            log.lines(error.hint)
        for name, value in error.evidence.items():
            log.lines(f"{name}:")
            for one in value if isinstance(value, list) else [value]:
                log.lines(f"  {one if isinstance(one, str) else json.dumps(one, ensure_ascii=False, default=str)}")
    log.lines(
        f"ended: {outcome.kind}, after {usage.wall_s:.2f} s and {usage.cpu_s:.2f} s of CPU time"
        + (f", {usage.peak_rss_bytes >> 20} MiB at most" if usage.peak_rss_bytes else "")
        + (f", {usage.frames_decoded} frames decoded" if usage.frames_decoded else "")
    )


def tell_of_pool(settings: dict[str, Any], attempt: Attempt, scratch: Path, outcome: Outcome) -> None:
    """For the pool: an attempt's process ended without a word, or was stopped; what that means goes into its log."""
    if data := settings.get("data"):
        log = writer(attempt, data, scratch=scratch)
        log.lines("its pool says:")
        tell_end(log, outcome)
