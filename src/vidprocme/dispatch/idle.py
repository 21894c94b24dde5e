"""Why a place does nothing, in a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Set

from vidprocme.core.job import Bin
from vidprocme.core.shares import BinShare
from vidprocme.queue.base import Depth, PlaceReport, PoolView
from vidprocme.scheduler.explain import CANNOT_START, KIND_WORDS, QUOTA


def idle_reason(
    place: PlaceReport, pool: PoolView, depth: Depth, bins: Mapping[Bin, BinShare], drained: Set[str] = frozenset()
) -> str | None:
    """None: it works, or is about to."""
    if place.busy:
        return None
    if pool.info.draining or place.node in drained:
        return "It is draining: nothing new starts here."
    reasons: Mapping[str, int] = pool.report.reasons if pool.report else {}
    if reasons.get(CANNOT_START):
        return "Its pool could not start an attempt, and tries again within a minute."
    if pool.info.own_jobs_only:
        return "Its pool serves only the jobs that it made itself."
    waiting = {bin_: n for (bin_, kind), n in depth.waiting_by_kind.items() if kind is place.kind and n}
    if not waiting:
        others = sum(depth.waiting_by_bin.values())
        if others:
            return f"{_tasks(others)} wait{'s' * (others == 1)}, and none can run on a {KIND_WORDS[place.kind]} place."
        return "Nothing waits."
    paused = [bin_ for bin_ in waiting if bins.get(bin_, BinShare()).paused]
    if len(paused) == len(waiting):
        names = " and ".join(paused)
        return f"What waits for it is in {names}, which {'is' if len(paused) == 1 else 'are'} paused."
    if reasons.get(QUOTA):
        return "What waits for it is over a limit of its bin or tenant."
    return None


def _tasks(count: int) -> str:
    return f"{count:,} task{'s' * (count != 1)}"
