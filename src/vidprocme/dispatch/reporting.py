"""What a pool says of itself with its beat: its places, why heads wait, and how it decides."""

from __future__ import annotations

import threading
from collections import Counter

from vidprocme.core.counts import DECIDE
from vidprocme.core.snapshot import Plan, Snapshot
from vidprocme.queue.base import PlaceReport, PoolReport, TaskWhy
from vidprocme.scheduler.explain import CODES


def report_of(snapshot: Snapshot, plan: Plan, whys: tuple[TaskWhy, ...] = ()) -> PoolReport:
    """The places as the loop last saw them, and how many heads wait for which reason; a reason that nobody has counts 0."""
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
    return PoolReport(places, {code: waiting[code] for code in CODES}, whys)


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
