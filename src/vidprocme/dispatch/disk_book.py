"""What was free of the data folder's disk, each minute of the last hour: one note on the queue's server, so that a restart forgets nothing.

A disk is known by its machine and folder: servers elsewhere keep notes of their own, and each ends an hour after its last minute.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from vidprocme.core import wire
from vidprocme.core.errors import Fatal
from vidprocme.monitor import trend
from vidprocme.monitor.trend import Sample
from vidprocme.queue.kept import Notes

DISKS = "disk"


class DiskBook:
    """Used by one thread."""

    def __init__(self, notes: Callable[[], Notes], host: str, folder: Path) -> None:
        self._notes = notes
        # A path need not be text that a key may hold.
        self._id = hashlib.sha256(host.encode() + b"\0" + os.fsencode(folder)).hexdigest()[:32]
        self._samples: tuple[Sample, ...] = ()

    def look(self, now_ms: int, free_bytes: int) -> Sequence[Sample]:
        """The samples, with this one if the last is a minute old. `now_ms`: of the queue's clock."""
        if self._samples and 0 <= now_ms - self._samples[-1].at_ms < trend.EVERY_MS:
            return self._samples
        there = trend.kept(self._read(), now_ms)  # another server of this folder may have written some
        if not there or now_ms - there[-1].at_ms >= trend.EVERY_MS:
            there = trend.kept([*there, Sample(now_ms, free_bytes)], now_ms)
            self._notes().put(self._id, wire.dumps(there), trend.WINDOW_MS // 1000)
        self._samples = there
        return there

    def _read(self) -> Sequence[Sample]:
        text = self._notes().get(self._id)
        try:
            return () if text is None else wire.loads(tuple[Sample, ...], text)
        except Fatal:  # begun anew: a pace is not worth a watch that fails
            return ()
