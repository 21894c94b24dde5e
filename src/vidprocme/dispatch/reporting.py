"""What a pool says of itself with its beat: its places, why heads wait, and how it decides."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence

from vidprocme.core.counts import DECIDE
from vidprocme.core.ids import TaskId
from vidprocme.core.job import Bin
from vidprocme.core.snapshot import Plan, Reason, Snapshot
from vidprocme.dispatch.seats import told
from vidprocme.queue.base import LineReport, PlaceReport, PoolReport, TaskWhy
from vidprocme.scheduler.beside import SeatNow
from vidprocme.scheduler.explain import CODES

LINES_TOLD, HEADS_TOLD = 32, 32  # the others hear no more: a report is written with each beat in which it changes
BINS = {bin_: number for number, bin_ in enumerate(Bin)}


def report_of(
    snapshot: Snapshot, plan: Plan, whys: tuple[TaskWhy, ...] = (), seats: Sequence[SeatNow] | None = None
) -> PoolReport:
    """The places as the loop last saw them, and how many heads wait for which reason; a reason that nobody has counts 0.

    Args:
        seats: what runs at these places, if the others are to know.
    """
    waiting = Counter(reason.code for reason in plan.reasons.values())
    places = tuple(
        PlaceReport(
            id=load.place.id,
            node=load.place.node,
            kind=load.place.kind,
            slots=load.place.slots,
            busy=load.place.slots - load.free_slots,
            warm=tuple(sorted(load.place.warm)),
        )
        for _, load in sorted(snapshot.places.items())
    )
    reasons = {code: waiting[code] for code in CODES}
    return PoolReport(places, reasons, *_told(snapshot, plan), whys, None if seats is None else told(seats, places))


def _told(snapshot: Snapshot, plan: Plan) -> tuple[tuple[Reason, ...], dict[str, LineReport], dict[TaskId, int]]:
    """What the first heads of the most urgent and oldest lines are told, and those others that are told something else."""
    numbers: dict[Reason, int] = {}
    lines: dict[str, LineReport] = {}
    heads: dict[TaskId, int] = {}
    for line in sorted(snapshot.lines.values(), key=lambda one: (BINS[one.bin], one.oldest_ms, one.key))[:LINES_TOLD]:
        its = [(head.task, plan.reasons[head.task]) for head in line.heads if head.task in plan.reasons]
        if not its:
            continue
        first = numbers.setdefault(its[0][1], len(numbers))
        lines[line.key] = LineReport(len(line.heads), first)
        for task, reason in its[1:]:
            if reason != its[0][1] and len(heads) < HEADS_TOLD:
                heads[task] = numbers.setdefault(reason, len(numbers))
    return tuple(numbers), lines, heads


class Decided:
    """How often a pool decided and how long that took, since it joined. The loop counts, the beat reads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._totals = dict.fromkeys(DECIDE.names("decide"), 0)

    def add(self, took_s: float) -> None:
        took = round(took_s * DECIDE.per_s)
        with self._lock:
            self._totals[f"decide.{DECIDE.bucket(took)}"] += 1
            self._totals["decide.sum"] += took

    def begin_again(self) -> None:
        """From nothing: the queue no longer knows what it was told."""
        with self._lock:
            self._totals = dict.fromkeys(self._totals, 0)

    def totals(self) -> dict[str, int]:
        """By the names of core.counts; those of buckets that hold nothing are left out."""
        with self._lock:
            return {name: n for name, n in self._totals.items() if n}
