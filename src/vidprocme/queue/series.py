"""Counts per minute by bin, stage and outcome: written by the scripts that end attempts, kept 48 h, read here for charts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from vidprocme.core.job import Bin, JobState, OutcomeKind, Stage
from vidprocme.queue.scripts import SERIES_KEPT_S
from vidprocme.queue.views import Count, Minute

if TYPE_CHECKING:
    from vidprocme.queue.reader import QueueReader

MINUTE_MS = 60_000
JOB, FRAMES = "job", "frames"  # in the places of a bin and an outcome: see lua/_lib.lua


def read(queue: QueueReader, from_ms: int, to_ms: int) -> list[Count]:
    """Counts of the minutes that begin in [from_ms, to_ms), oldest first; minutes without any are left out.

    At most 48 h before to_ms are read: older ones are not kept.
    """
    counts: list[Count] = []
    for minute, row in _rows(queue, from_ms, to_ms):
        for field in sorted(row):
            bin_, stage, kind, code = field.split("|", 3)
            with contextlib.suppress(ValueError):  # a stage of a newer vidprocme (its charts have it), or no attempt's
                counts.append(
                    Count(minute * MINUTE_MS, Bin(bin_), Stage(stage), OutcomeKind(kind), code, int(row[field]))
                )
    return counts


def brought(queue: QueueReader, from_ms: int, to_ms: int) -> list[Minute]:
    """As `read`: frames described and jobs ended."""
    found: list[Minute] = []
    for minute, row in _rows(queue, from_ms, to_ms):
        frames, jobs = 0, {}
        for field, count in row.items():
            first, _, kind, _ = field.split("|", 3)
            if first == JOB and kind in list(JobState):
                jobs[JobState(kind)] = int(count)
            elif kind == FRAMES:
                frames += int(count)
        if frames or jobs:
            found.append(Minute(minute * MINUTE_MS, frames, jobs))
    return found


def _rows(queue: QueueReader, from_ms: int, to_ms: int) -> Iterator[tuple[int, dict[str, str]]]:
    first = max(-(-from_ms // MINUTE_MS), (to_ms - SERIES_KEPT_S * 1000) // MINUTE_MS)
    minutes = range(first, -(-to_ms // MINUTE_MS))
    rows = queue.commands([("HGETALL", queue.keys.minute(minute)) for minute in minutes])
    return zip(minutes, rows, strict=True)
