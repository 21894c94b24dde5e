"""Counts per minute by bin, stage and outcome: written by the scripts that end attempts, kept 48 h, read here for charts."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from vidprocme.core.job import Bin, OutcomeKind, Stage
from vidprocme.queue.scripts import SERIES_KEPT_S
from vidprocme.queue.views import Count

if TYPE_CHECKING:
    from vidprocme.queue.reader import QueueReader

MINUTE_MS = 60_000


def read(queue: QueueReader, from_ms: int, to_ms: int) -> list[Count]:
    """Counts of the minutes that begin in [from_ms, to_ms), oldest first; minutes without any are left out.

    At most 48 h before to_ms are read: older ones are not kept.
    """
    first = max(-(-from_ms // MINUTE_MS), (to_ms - SERIES_KEPT_S * 1000) // MINUTE_MS)
    minutes = range(first, -(-to_ms // MINUTE_MS))
    rows = queue.commands([("HGETALL", queue.keys.minute(minute)) for minute in minutes])
    counts: list[Count] = []
    for minute, row in zip(minutes, rows, strict=True):
        for field in sorted(row):
            bin_, stage, kind, code = field.split("|", 3)
            with contextlib.suppress(ValueError):  # a stage of a newer vidprocme: its charts have it
                counts.append(
                    Count(minute * MINUTE_MS, Bin(bin_), Stage(stage), OutcomeKind(kind), code, int(row[field]))
                )
    return counts
