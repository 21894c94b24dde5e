"""What one pool knows of the lines and of its places, and what it decides by that. Moved forward by what is seen; never built anew."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

from vidprocme.core.resources import Place, Resources
from vidprocme.core.snapshot import Placement, Plan, Snapshot
from vidprocme.dispatch.pace import AHEAD_S, HALVES_FROM
from vidprocme.dispatch.reporting import Decided
from vidprocme.dispatch.rest import Rest
from vidprocme.dispatch.unread import Unread
from vidprocme.queue.base import Turn
from vidprocme.scheduler.apply import (
    finished_all,
    planned,
    still_planned,
    taken_back,
    with_lines,
    with_places,
    with_shares,
)
from vidprocme.scheduler.durations import Durations, foretold, with_work
from vidprocme.scheduler.policy import PolicyConfig, decide


class Outlook:
    """For one loop's thread; `plan` and `snapshot` are values, replaced as a whole, that any thread may read."""

    def __init__(self, policy: PolicyConfig, rest: Rest) -> None:
        self._policy, self._rest = policy, rest
        self.snapshot = Snapshot()
        # Decided while a turn was on its way, or asked for in one whose answer never came: it may be granted. The next one claims it.
        self.foreseen: tuple[Placement, ...] = ()
        self.unread = Unread()
        self.decided = Decided()
        self._durations = Durations()
        self._plan: Plan | None = Plan()  # None: nothing was free, so that nothing had to be decided
        self._seen_s, self._seen_ms = float("-inf"), 0  # when lines were last shown: on our clock, and the queue's

    def see(self, turn: Turn, places: Iterable[Place]) -> None:
        """What a turn showed, and the executor's places as they are."""
        if turn.sums is not None:
            self._durations = Durations(turn.sums)
        lines = with_work(self.unread.without(turn.lines), turn.sizes, turn.left, self._durations)
        after = with_lines(self.snapshot, lines, complete=len(turn.lines) >= turn.lines_total)
        after = with_places(with_shares(after, turn.shares), places)
        self.snapshot = still_planned(after, self.foreseen)
        self._seen_s, self._seen_ms = time.monotonic(), turn.now_ms

    @property
    def is_fresh(self) -> bool:
        """Were the lines seen so short a time ago that what is decided may be claimed without another look?"""
        return time.monotonic() - self._seen_s < AHEAD_S

    @property
    def slots(self) -> int:
        return sum(load.place.slots for load in self.snapshot.places.values())

    def decide(self, granted: int) -> tuple[Placement, ...]:
        """What can start by what is known now; its places are taken.

        Args:
            granted: claims that were granted and are not started yet.
        """
        allowed = self._rest.most(granted)
        if allowed == 0:
            self._plan = self._rest.plan(self.snapshot)
            return ()
        if not any(load.free_slots > 0 for load in self.snapshot.places.values()):
            self._plan = None
            return ()
        began_s = time.perf_counter()
        plan = decide(self.snapshot, self._now_ms(), self._policy)
        self.decided.add(time.perf_counter() - began_s)
        most = max(HALVES_FROM, -(-self.slots // 2)) if allowed is None else allowed
        if len(plan.placements) > most:
            plan = replace(plan, placements=plan.placements[:most])
        plan = foretold(self.snapshot, plan)
        self._plan = plan
        self.snapshot = planned(self.snapshot, plan)
        return plan.placements

    def foresee(self, granted: int) -> None:
        """Decide what the next turn is to claim, while this one is on its way."""
        if not self.foreseen and self.is_fresh:
            self.foreseen = self.decide(granted)

    def take_foreseen(self) -> tuple[Placement, ...]:
        taken, self.foreseen = self.foreseen, ()
        return taken

    def take_back(self, claims: Iterable[Placement]) -> None:
        """These claims came to nothing: what they were to have is free again."""
        for placement in claims:
            self.snapshot = taken_back(self.snapshot, placement)

    def free(self, ended: Sequence[tuple[str, Resources]]) -> None:
        """Attempts ended: where, and what each had."""
        self.snapshot = finished_all(self.snapshot, ended)
        if self._rest.most(0) == 0:  # what was to be claimed next is not
            self.take_back(self.take_foreseen())

    @property
    def plan(self) -> Plan:
        """What was decided last, and why what waits does."""
        plan = self._plan
        return decide(self.snapshot, self._now_ms(), self._policy) if plan is None else plan

    def _now_ms(self) -> int:
        """On the queue's clock: the lines' ages are told by it, and another machine's may be ahead of ours."""
        return self._seen_ms + round(1000 * (time.monotonic() - self._seen_s))
