"""The whole house in one sentence: is work being done, and what should a person look at?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from vidprocme.core.job import Bin, TaskState
from vidprocme.core.shares import BinShare
from vidprocme.dispatch.waiting import Standing, drains, rests
from vidprocme.queue.base import PoolView

START = "Start one: vidprocme worker (or vidprocme up)."


class Mood(StrEnum):
    """`stuck`: there is work, and nothing is done of it."""

    WORKING = "working"
    IDLE = "idle"
    ATTENTION = "attention"
    STUCK = "stuck"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`text`: the sentence. `detail`: what to look at, and the numbers behind it."""

    mood: Mood
    text: str
    detail: str


def judge(now: Standing, frames_per_s: float, open_alerts: int = 0) -> Verdict:
    """
    Args:
        frames_per_s: frames described, lately.
    """
    running, ready, delayed = (
        now.depth.by_state.get(state, 0) for state in (TaskState.RUNNING, TaskState.READY, TaskState.DELAYED)
    )
    numbers = _numbers(running, ready, delayed, frames_per_s)
    stuck = _stuck(now) if ready and not running else None
    if stuck is not None:
        return Verdict(Mood.STUCK, stuck[0], f"{_waits(ready)}. {stuck[1]}")
    look_at = _look_at(now, open_alerts)
    works = bool(running or ready or delayed or now.depth.jobs_active)
    if look_at:
        count = max(len(look_at), open_alerts)  # each alert is one; a paused bin may have one too
        things = "one thing" if count == 1 else f"{count} things"
        return Verdict(
            Mood.ATTENTION,
            f"{'Working' if works else 'Idle'}, with {things} to look at.",
            " ".join([*look_at, numbers]),
        )
    if not works:
        return Verdict(Mood.IDLE, "Nothing to do.", numbers)
    return Verdict(Mood.WORKING, "Working." if running or ready else "Waiting to go on.", numbers)


def _numbers(running: int, ready: int, delayed: int, frames_per_s: float) -> str:
    if not running and not ready and not delayed:
        return "Nothing runs and nothing waits."
    parts = [f"{running:,} running", f"{ready:,} waiting"]
    if delayed:
        parts.append(f"{delayed:,} to be tried again")
    if frames_per_s:
        told = f"{frames_per_s:,.0f}" if frames_per_s >= 10 else f"{frames_per_s:.1f}"
        parts.append(f"{told} frames described per second")
    return ", ".join(parts) + "."


def _stuck(now: Standing) -> tuple[str, str] | None:
    """Why nothing of what waits can start, and what to do."""
    takers = [pool for pool in now.fleet if not pool.info.own_jobs_only]
    if not takers:
        if now.fleet:  # they may take what waits; nobody else's is started
            return None
        return "Stuck: no pool is at work.", START
    paused = _paused(now)
    if paused and len(paused) == sum(1 for n in now.depth.waiting_by_bin.values() if n):
        what = f"{_and(paused)} {'is' if len(paused) == 1 else 'are'} paused"
        return f"Stuck: {what}.", f"vidprocme bins resume {' '.join(paused)}"
    if all(drains(pool, now) for pool in takers):
        mend = f"vidprocme nodes undrain {' '.join(sorted(now.drained))}" if now.drained else START
        return "Stuck: everything is draining.", mend
    if all(drains(pool, now) or rests(pool) for pool in takers):
        return "Stuck: the pools cannot start anything.", "Their logs say why; they try again within a minute."
    if all(pool.report is not None for pool in takers) and _no_place(now, takers):
        return "Stuck: there is no place for what waits.", "vidprocme jobs show JOB says what it needs."
    return None


def _no_place(now: Standing, takers: list[PoolView]) -> bool:
    wanted = {kind for (_, kind), n in now.depth.waiting_by_kind.items() if n}
    there = {place.kind for pool in takers if pool.report for place in pool.report.places if place.slots}
    return bool(wanted) and not wanted & there


def _look_at(now: Standing, open_alerts: int) -> list[str]:
    found = []
    for bin_ in _paused(now):
        count, since_ms = now.depth.waiting_by_bin[bin_], now.depth.oldest_by_bin_ms.get(bin_)
        longest = "" if since_ms is None else f", up to {_span(now.now_ms - since_ms)}"
        found.append(f"The {bin_} bin is paused: {_waits(count)}{longest}.")
    takers = [pool for pool in now.fleet if not pool.info.own_jobs_only and not drains(pool, now)]
    resting = sum(rests(pool) for pool in takers)
    if resting:
        found.append(f"{resting} of {len(takers)} pools cannot start anything; the logs say why.")
    if open_alerts:
        found.append(f"{open_alerts} alert{'s are' if open_alerts != 1 else ' is'} open.")
    return found


def _paused(now: Standing) -> list[Bin]:
    """Paused bins in which something waits."""
    return [b for b in Bin if now.bins.get(b, BinShare()).paused and now.depth.waiting_by_bin.get(b, 0)]


def _waits(count: int) -> str:
    return f"{count:,} task{' waits' if count == 1 else 's wait'}"


def _and(bins: list[Bin]) -> str:
    return f"the {bins[0]} bin" if len(bins) == 1 else f"the bins {', '.join(bins[:-1])} and {bins[-1]}"


def _span(ms: int) -> str:
    seconds = max(0, ms) / 1000
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5_400 else f"{seconds / 3600:.1f} h"
