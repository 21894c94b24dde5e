"""The one decision of the house: which waiting tasks start now, where, and why the others do not.

Pure. The live loop calls this function; the simulator's replay shares the search below it (place.FirstFit), not the order.
Whole numbers only and ties by stable ids, so the same snapshot always gives the same plan, on every machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vidprocme.core.ids import TaskId
from vidprocme.core.job import Bin
from vidprocme.core.resources import Need
from vidprocme.core.snapshot import Head, Placement, Plan, Reason, Snapshot
from vidprocme.scheduler import order
from vidprocme.scheduler.explain import Explainer, amount
from vidprocme.scheduler.ledger import Ledger
from vidprocme.scheduler.order import Waiter
from vidprocme.scheduler.place import OpenPlace, OpenPlaces, Spot
from vidprocme.scheduler.turns import turn_of

MINUTE_MS = 60_000
# How long a task that failed at some places waits for one of the others, from when it was ready again: one of this pool's that
# could hold it, or else, since the others may have some, of any pool's.
ELSEWHERE_HERE_MS, ELSEWHERE_MS = 60_000, 10_000


def _bounds() -> Mapping[Bin, int]:
    return {Bin.URGENT: 0, Bin.HIGH: 5 * MINUTE_MS, Bin.NORMAL: 30 * MINUTE_MS, Bin.BULK: 240 * MINUTE_MS}


@dataclass(frozen=True, slots=True)
class PolicyConfig:
    """What may be set about the policy.

    bins: most urgent first; a line of a bin that is not named waits for ever.
    max_wait_ms: after so long in line a task is overdue, and its bin's turns are for it (turns.py); a bin without: never.
    """

    bins: tuple[Bin, ...] = tuple(Bin)
    max_wait_ms: Mapping[Bin, int] = field(default_factory=_bounds)


def decide(snapshot: Snapshot, now_ms: int, config: PolicyConfig) -> Plan:
    """Who starts now and where; a reason for every head that does not.

    Order: the turns of what is overdue (turns.py); else bins in order, in them the tenant that has used least, the oldest
    first. Place: the first alternative of a head's needs that fits; for a model, places that hold it, then places that hold
    nothing, then places that would have to drop another one; each in the order of their ids.

    A place is held for the overdue head whose turn it is and which does not fit, until it does; and one place for the oldest
    overdue head of the most urgent bin that fits nowhere. Nobody takes what that head lacks there. Work conserving but for
    that: a head that fits a free place waits only beside a place that is held (Plan.reserved), or because its bin is
    paused, or its bin or tenant at its limit, or because it failed there (Head.avoid) and another place may come: for a minute
    at most; meanwhile that place's turns are not for it.

    Args:
        snapshot: the lines, what is free, who used what. It is not changed; `apply.planned` gives the next one.
        now_ms: milliseconds since the epoch, on the clock that the lines' ages are told by.
    """
    decision = _Decision(snapshot, now_ms, config)
    decision.keep_reservations(snapshot)
    while decision.go_round():
        pass
    return decision.plan(snapshot)


class _Decision:
    def __init__(self, snapshot: Snapshot, now_ms: int, config: PolicyConfig) -> None:
        self._now_ms, self._config = now_ms, config
        self._places = OpenPlaces(snapshot.places.values())
        self._every_place = [load.place for load in snapshot.places.values()]
        self._ledger = Ledger(snapshot.shares)
        self._waiters = order.by_bin(snapshot.lines.values())
        self._overdue: dict[Bin, list[Waiter]] = {}
        self._placements: dict[TaskId, Placement] = {}
        self._held: dict[TaskId, tuple[OpenPlace, Waiter]] = {}
        self._lifted = False  # a place is no longer held: what did not fit before may fit now
        self._ways: dict[tuple[int, int], str] = {}  # by identity: the snapshot keeps them alive

    def keep_reservations(self, snapshot: Snapshot) -> None:
        """What was reserved stays so, unless the task is gone, kept back, or no longer overdue."""
        wanted = {load.held_for for load in snapshot.places.values()} - {None}
        if not wanted:
            return
        known = {w.head.task: w for bin_ in self._config.bins for w in self._late(bin_) if w.head.task in wanted}
        for place in self._places.all:
            waiter = known.get(snapshot.places[place.load.place.id].held_for or TaskId(""))
            if waiter is not None and self._may_start(waiter) and self._suits(place, waiter.head):
                self._hold(place, waiter)

    def go_round(self) -> bool:
        """Place what can be placed. True: a reservation was lifted on the way, so there may be more."""
        self._lifted = False
        for place in self._places.all:
            self._take_turns(place)
        for bin_ in self._config.bins:
            for waiter in order.rounds(self._waiters.get(bin_, ()), self._ledger.weighted):
                if waiter.head.task in self._placements or not self._ledger.allows(bin_, waiter.line.tenant):
                    continue
                spot = self._find(waiter.head)
                if spot is not None:
                    self._start(waiter, spot, self._because(waiter, spot))
                    self._take_turns(spot.place)
            if bin_ is self._config.bins[0]:
                self._hold_for_most_urgent(bin_)
        return self._lifted

    def _find(self, head: Head) -> Spot | None:
        spot = self._places.find(head.needs, head.model, head.avoid)
        if spot is not None or not head.avoid:
            return spot
        others = any(
            place.id not in head.avoid
            and not place.draining
            and need.kind is place.kind
            and need.resources.fits(place.resources)
            for place in self._every_place
            for need in head.needs
        )
        patience_ms = ELSEWHERE_HERE_MS if others else ELSEWHERE_MS
        if self._now_ms - head.ready_ms < patience_ms:
            return None
        return self._places.find(head.needs, head.model)

    def plan(self, snapshot: Snapshot) -> Plan:
        waiting = [
            w for bin_ in self._config.bins for w in self._waiters.get(bin_, ()) if w.head.task not in self._placements
        ]
        reasons: dict[TaskId, Reason] = {}
        if waiting:
            explainer = Explainer(snapshot, self._config.bins, self._places.all, self._ledger, self._placements)
            reasons = {w.head.task: explainer.why(w) for w in waiting}
        reserved = {place.load.place.id: task for task, (place, _) in self._held.items()}
        return Plan(tuple(self._placements.values()), reasons, reserved)

    def _take_turns(self, place: OpenPlace) -> None:
        """While it is a bin's turn here, start what is overdue in it, or hold the place for it."""
        if place.load.held_for is not None:
            self._start_or_hold(place, self._held[place.load.held_for][1])
        while place.load.held_for is None and place.load.free_slots > 0:
            bin_ = turn_of(place.load.starts + 1, self._config.bins)
            if bin_ is None:
                return
            able = (w for w in self._late(bin_) if self._may_start(w) and self._suits(place, w.head))
            waiter = next(able, None)
            if waiter is None:
                return
            self._start_or_hold(place, waiter)

    def _start_or_hold(self, place: OpenPlace, waiter: Waiter) -> None:
        head = waiter.head
        need = place.room_for(head.needs)
        if need is None:
            self._hold(place, waiter)
        else:
            reason = f"OVERDUE in {waiter.line.bin}, {self._way(head, need)}"
            self._start(waiter, self._places.spot(place, need, head.model), reason)

    def _hold_for_most_urgent(self, bin_: Bin) -> None:
        """What is less urgent must not slip by for ever because it is smaller."""
        late = self._late(bin_)
        if any(w.head.task in self._held for w in late):
            return
        for waiter in late:
            if not self._may_start(waiter):
                continue
            for place in self._places.all:
                if place.load.held_for is None and place.load.free_slots > 0 and self._suits(place, waiter.head):
                    self._hold(place, waiter)
                    return

    def _start(self, waiter: Waiter, spot: Spot, reason: str) -> None:
        head, place = waiter.head, spot.place
        if head.task in self._held:
            self._release(head.task)
        counted = place.load.held_for is None
        place.take(spot.need, counted=counted)
        self._ledger.start(waiter.line.bin, waiter.line.tenant, spot.need.resources)
        self._placements[head.task] = Placement(head.task, place.load.place.id, spot.need.resources, reason, counted)
        for task, (_, other) in list(self._held.items()) if self._held else ():
            if not self._ledger.allows(
                other.line.bin, other.line.tenant
            ):  # this start was the last that its limit allows
                self._release(task)

    def _hold(self, place: OpenPlace, waiter: Waiter) -> None:
        need = place.could_hold(waiter.head.needs)
        assert need is not None, "only a place that could hold it is held for it"
        place.hold(waiter.head.task, need)
        self._held[waiter.head.task] = place, waiter

    def _release(self, task: TaskId) -> None:
        place, _ = self._held.pop(task)
        place.release()
        self._places.more_is_free()
        self._lifted = True

    def _suits(self, place: OpenPlace, head: Head) -> bool:
        """Could this place take it, were it empty? Not yet, if it failed there just now."""
        failed = place.load.place.id in head.avoid and self._now_ms - head.ready_ms < ELSEWHERE_HERE_MS
        return not failed and place.could_hold(head.needs) is not None

    def _may_start(self, waiter: Waiter) -> bool:
        task = waiter.head.task
        free = task not in self._placements and task not in self._held
        return free and self._ledger.allows(waiter.line.bin, waiter.line.tenant)

    def _late(self, bin_: Bin) -> list[Waiter]:
        """What is overdue in a bin, the oldest first."""
        if bin_ not in self._overdue:
            bound = self._config.max_wait_ms.get(bin_)
            waiters = self._waiters.get(bin_, [])
            self._overdue[bin_] = [] if bound is None else order.overdue(waiters, self._now_ms - bound)
        return self._overdue[bin_]

    def _because(self, waiter: Waiter, spot: Spot) -> str:
        way = self._way(waiter.head, spot.need)
        if spot.warm is None:
            return f"FIRST_FIT {way}"
        return f"{'WARM' if spot.warm else 'COLD'} {waiter.head.model}, {way}"

    def _way(self, head: Head, need: Need) -> str:
        known = self._ways.get((id(head.needs), id(need)))
        if known is None:
            known = f"alternative {head.needs.index(need) + 1} of {len(head.needs)}: {amount(need.resources)}"
            self._ways[id(head.needs), id(need)] = known
        return known
