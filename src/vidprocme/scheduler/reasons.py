"""Why each task waits that a decision did not start: one code and one sentence with numbers. The codes are told in explain.py.

What is common to the tasks of a bin that ask for the same is worked out once for them all; a task's own reason follows from that, and from what
its tenant has used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from vidprocme.core.ids import TaskId
from vidprocme.core.job import Bin
from vidprocme.core.resources import Need
from vidprocme.core.snapshot import Head, Placement, Reason
from vidprocme.scheduler import explain
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.explain import amount, count, kinds_in_words, needs_in_words
from vidprocme.scheduler.held import gpus_free
from vidprocme.scheduler.orders import Fair
from vidprocme.scheduler.places import Seat
from vidprocme.scheduler.states import Ask, Sort
from vidprocme.scheduler.waiting import Group, Queue, Wants


@dataclass(frozen=True, slots=True)
class _Able:
    """What places could hold one way of asking, were they empty."""

    open: frozenset[Sort]
    open_count: int
    draining_count: int
    needs: tuple[Need, ...]  # those that some open one could hold


@dataclass(frozen=True, slots=True)
class _Common:
    """What is true for all tasks of a group, but for what their tenants may: the reason, or what it depends on."""

    reason: Reason | None
    able: _Able
    ahead: int  # tasks of more urgent bins
    least: int  # the least that a tenant of its bin, that waits for these places, has used for its weight


class Reasons(Mapping[TaskId, Reason]):
    """By task. True while the board stands as it was decided; what is read from it later is `dict(reasons)`, taken at once."""

    def __init__(
        self,
        board: Board,
        now_ms: int,
        placements: Sequence[Placement] = (),
        cold: Collection[Group] = (),
        elsewhere: Collection[TaskId] = (),
    ) -> None:
        self._board, self._now_ms, self._cold = board, now_ms, frozenset(cold)
        self._elsewhere = frozenset(elsewhere)
        self._ended = board.config.most is not None and len(placements) >= board.config.most
        self._sorts, self._draining = dict(board.seats.sorts), dict(board.seats.draining)
        self._weighted = dict(board.ledger.weighted)
        self._able: dict[Wants, _Able] = {}
        self._started = Counter(one.queue.group for one in board.tried) if placements else Counter()
        self._groups: dict[Group, _Common] = {}
        self._rooms: dict[Wants, Reason | None] = {}
        self._known: dict[tuple[int, Bin, str], Reason] = {}

    # -- as a mapping --------------------------------------------------------------------------------------------------

    def __getitem__(self, task: TaskId) -> Reason:
        queue = self._board.waiting.tasks[task]
        return self._why(queue, queue.heads[task])

    def __iter__(self) -> Iterator[TaskId]:
        return iter(self._board.waiting.tasks)

    def __len__(self) -> int:
        return len(self._board.waiting.tasks)

    def by_group(self) -> Iterator[tuple[Group, str]]:
        """Of each group that waits, the code of the head that goes first."""
        for group in self.common:
            first = self._board.waiting.first(group)
            if first is not None:
                queue = first[1]
                yield group, self._why(queue, queue.heads[first[0].task]).code

    # -- what is common ------------------------------------------------------------------------------------------------

    @property
    def common(self) -> Mapping[Group, _Common]:
        """By group; worked out when it is first asked for."""
        if not self._groups:
            self._tell()
        return self._groups

    def _tell(self) -> None:
        board, config = self._board, self._board.config
        kept = self._kept()
        ahead: Counter[frozenset[Sort]] = Counter()
        fair = config.order.fair in (Fair.TENANTS, Fair.BOUNDED)
        for bin_ in config.bins:
            here: Counter[frozenset[Sort]] = Counter()
            least: dict[frozenset[Sort], int] = {}
            groups = [group for group in board.waiting.bins.get(bin_, {}).values() if group.length]
            for group in groups:
                able = self._able_of(group.wants)
                here[able.open] += group.length - kept[group]
                first = board.waiting.first(group) if fair else None
                if first is not None:
                    used = self._weighted.get(first[1].tenant, 0)
                    least[able.open] = min(used, least.get(able.open, used))
            for group in groups:
                able = self._able_of(group.wants)
                before = sum(n for sorts, n in ahead.items() if n and not sorts.isdisjoint(able.open))
                fewest = min((n for sorts, n in least.items() if not sorts.isdisjoint(able.open)), default=0)
                self._groups[group] = _Common(self._forced(group, able), able, before, fewest)
            ahead.update(here)
            for group in self._started:
                if group.bin is bin_:
                    ahead[self._able_of(group.wants).open] += self._started[group]

    def _kept(self) -> Counter[Group]:
        """Of each group, how many tasks a rule keeps back: those are in nobody's way."""
        ledger, waiting = self._board.ledger, self._board.waiting
        kept: Counter[Group] = Counter()
        for tenant in ledger.full:
            for queue in waiting.by_tenant.get(tenant, {}).values():
                kept[queue.group] += len(queue)
        if ledger.shut:
            for queue in waiting.queues.values():
                if queue.bin in ledger.shut and queue.tenant not in ledger.full:
                    kept[queue.group] += len(queue)
        return kept

    def _able_of(self, wants: Wants) -> _Able:
        known = self._able.get(wants)
        if known is None:
            open_ = {sort: n for sort, n in self._sorts.items() if n and any(a.could_be_held(sort) for a in wants)}
            drains = {sort: n for sort, n in self._draining.items() if n and any(a.could_be_held(sort) for a in wants)}
            needs = tuple(ask.need for ask in wants if any(ask.could_be_held(sort) for sort in open_ or drains))
            known = _Able(frozenset(open_), sum(open_.values()), sum(drains.values()), needs)
            self._able[wants] = known
        return known

    def _forced(self, group: Group, able: _Able) -> Reason | None:
        """The reason that holds for every task of it."""
        if not able.open and not able.draining_count:
            return explain.no_such_place(list(group.wants), self._sorts)
        if not able.open:
            return explain.draining(able.draining_count, able.needs)
        return None

    # -- of one task ---------------------------------------------------------------------------------------------------

    def _why(self, queue: Queue, head: Head) -> Reason:
        board, common = self._board, self.common[queue.group]
        seat = board.held.seats.get(head.task)
        if seat is not None:
            full = Reason(explain.NO_PLACE_FREE, f"{self._full(common.able)}; {seat.id} is held for it.")
            return (self._next_turn(queue.group.wants) if self._ended else None) or full
        if common.reason is not None:
            return common.reason
        kept_back = self._kept_back(queue)
        if kept_back is not None:
            return kept_back
        if head.task in self._elsewhere:
            failed = sorted(id_ for id_ in head.avoid if self._has_room(id_, queue.group.wants))
            if failed:
                text = f"It failed at {failed[0]}, where there is room, and waits up to a minute for another place."
                return Reason(explain.ELSEWHERE, text)
        if queue.group in self._cold:
            return self._wait_warm(queue, head)
        key = (id(queue.group), queue.bin, queue.tenant)
        if key not in self._known:
            self._known[key] = self._others(queue, common)
        return self._known[key]

    def _others(self, queue: Queue, common: _Common) -> Reason:
        """What is in its way."""
        reserved = self._reserved(queue.group.wants)
        if reserved is not None:
            return reserved
        if common.ahead:
            verb = "is" if common.ahead == 1 else "are"
            words = kinds_in_words(common.able.needs)
            text = f"{count(common.ahead, 'task')} of more urgent bins {verb} placed first on {words} places."
            return Reason(explain.BIN_BEHIND, text)
        if common.least < self._weighted.get(queue.tenant, 0):
            over = self._over_share(queue, common.able)
            if over is not None:
                return over
        wants = queue.group.wants
        full = Reason(explain.NO_PLACE_FREE, f"{self._full(common.able)}.")
        return self._next_turn(wants) or self._gang(wants) or full

    def _next_turn(self, wants: Wants) -> Reason | None:
        """There is room, and the decision ended before it."""
        found = next((one for ask in wants if (one := self._board.seats.find(ask)) is not None), None)
        if found is None:
            return None
        most = self._board.config.most
        return Reason(explain.NEXT_TURN, f"{found.seat.id} has room for it; one decision starts {most} tasks at most.")

    def _has_room(self, id_: str, wants: Wants) -> bool:
        seat = self._board.seats.all.get(id_)
        return seat is not None and not seat.place.draining and any(seat.state.holds(ask) for ask in wants)

    def _kept_back(self, queue: Queue) -> Reason | None:
        """A rule that a person made keeps it back, whatever is free."""
        bin_, tenant, ledger = queue.bin, queue.tenant, self._board.ledger
        if ledger.allows(bin_, tenant):
            return None
        if ledger.bin(bin_).paused:
            text = f"The {bin_} bin is paused: none of its tasks starts before it is resumed."
            return Reason(explain.BIN_PAUSED, text)
        if ledger.bin_full(bin_):
            runs = count(ledger.running(bin_), "task")
            return Reason(explain.QUOTA, f"The {bin_} bin runs {runs}; its limit is {ledger.bin(bin_).limit}.")
        if ledger.tenant_full(tenant):
            runs = count(ledger.running_of(tenant), "task")
            return Reason(explain.QUOTA, f"Tenant {tenant} runs {runs}; its limit is {ledger.tenant(tenant).limit}.")
        return None

    def _wait_warm(self, queue: Queue, head: Head) -> Reason:
        seats, model = self._board.seats, queue.model or ""
        until_ms = head.ready_ms + self._board.config.patience_ms.get(queue.bin, 0)
        n = seats.having(model)
        has = f"{count(n, 'place')} {'has' if n == 1 else 'have'} {model} loaded, and {'is' if n == 1 else 'all are'} busy"
        left_s = max(0, until_ms - self._now_ms) / 1000
        return Reason(
            explain.WAIT_WARM,
            f"{has}; it waits {left_s:.0f} s more before it takes a place that would have to drop another model.",
        )

    def _reserved(self, wants: Wants) -> Reason | None:
        if wants not in self._rooms:
            rooms = ((self._board.held.with_room(ask), ask) for ask in wants)
            self._rooms[wants] = next((self._beside(seat, ask) for seat, ask in rooms if seat is not None), None)
        return self._rooms[wants]

    @staticmethod
    def _beside(seat: Seat, ask: Ask) -> Reason:
        text = f"{seat.id} has {amount(ask.resources)} free, but is held for {seat.held_for}, which is overdue and needs more."
        return Reason(explain.RESERVED_FOR, text)

    def _over_share(self, queue: Queue, able: _Able) -> Reason | None:
        ledger = self._board.ledger
        mine = self._weighted.get(queue.tenant, 0)
        tenants = sorted(
            {
                other.tenant
                for group in self._board.waiting.bins.get(queue.group.bin, {}).values()
                if not self._able_of(group.wants).open.isdisjoint(able.open)
                for other in group.queues.values()
                if other.heads and self._weighted.get(other.tenant, 0) < mine and ledger.allows(other.bin, other.tenant)
            }
        )
        if not tenants:
            return None
        least = min(tenants, key=lambda tenant: (self._weighted.get(tenant, 0), tenant))
        return Reason(
            explain.TENANT_OVER_SHARE,
            f"Tenant {queue.tenant} has used {self._used(queue.tenant)}; {count(len(tenants), 'tenant')} with less for "
            f"{'its' if len(tenants) == 1 else 'their'} weight first, such as {least} with {self._used(least)}.",
        )

    def _used(self, tenant: str) -> str:
        ledger = self._board.ledger
        return f"{ledger.used(tenant) / 60_000_000:.1f} core-minutes at weight {ledger.tenant(tenant).weight}"

    def _gang(self, wants: Wants) -> Reason | None:
        """Of several GPUs that it needs at once, some are free."""
        asks = [ask for ask in wants if ask.gpus > 1]
        if not asks:
            return None
        seats = self._board.seats
        free = [
            (gpus_free(state, ask), ask.gpus, state.top or "")
            for ask in asks
            for state in seats.live.values()
            if ask.could_be_held(state.spec)
        ]
        if not free or any(gpus >= asked for gpus, asked, _ in free):  # something else is missing there
            return None
        best = max(free)
        text = f"It needs {best[1]} GPUs of one place at once; the most that are free are the {best[0]} of {best[2]}."
        return Reason(explain.GANG_INCOMPLETE, text)

    def _full(self, able: _Able) -> str:
        words, n = kinds_in_words(able.needs), able.open_count
        text = f"The only {words} place that could hold it is busy" if n == 1 else f"All {n} {words} places are busy"
        return f"{text}: none has {needs_in_words(able.needs)} free"
