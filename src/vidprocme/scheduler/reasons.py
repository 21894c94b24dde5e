"""Why each task waits that a decision did not start: one code and one sentence with numbers. The codes are told in explain.py.

What is common to the tasks of a bin that ask for the same is worked out once for them all; a task's own reason follows from that, and from what
its tenant has used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from vidprocme.core.ids import TaskId
from vidprocme.core.job import Bin
from vidprocme.core.resources import Need
from vidprocme.core.snapshot import Head, Placement, Reason
from vidprocme.scheduler import explain
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.explain import amount, count, kinds_in_words, needs_in_words
from vidprocme.scheduler.held import gpus_free
from vidprocme.scheduler.ledger import Account
from vidprocme.scheduler.lines import Entry, Group, LineQueue, Wants
from vidprocme.scheduler.orders import Fair
from vidprocme.scheduler.places import COLD, Seat
from vidprocme.scheduler.states import Ask


class _Able(NamedTuple):
    """What places could hold one way of asking, were they empty."""

    sorts: int  # a bit for each sort of open ones (Seats.bit_of)
    open_count: int
    draining_count: int
    needs: tuple[Need, ...]  # those that some open one could hold
    kinds: str  # in words


class _Common(NamedTuple):
    """What is true for all tasks of a group, but for what their tenants may: the reason, or what it depends on."""

    reason: Reason | None
    able: _Able
    ahead: int  # tasks of more urgent bins
    least: int  # how far behind the tenant of its bin is that has used least for its weight, of those that wait for these places
    first: Entry | None


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
        self._able: dict[Wants, _Able] = board.seats.known_of_asks
        self._any_started = bool(placements)
        self._groups: dict[Group, _Common] = {}
        self._rooms: dict[Wants, Reason | None] = {}
        self._known: dict[tuple[int, Bin, str], Reason] = {}

    # -- as a mapping --------------------------------------------------------------------------------------------------

    def __getitem__(self, task: TaskId) -> Reason:
        batch = self._board.waiting.tasks[task]
        return self._why(batch.queue, batch.head(task))

    def __iter__(self) -> Iterator[TaskId]:
        return iter(self._board.waiting.tasks)

    def __len__(self) -> int:
        return len(self._board.waiting.tasks)

    def by_group(self) -> Iterator[tuple[Group, str]]:
        """Of each group that waits, the code of the head that goes first."""
        for group, common in self.common.items():
            if common.first is not None:
                batch = common.first[6]
                yield group, self._why(batch.queue, batch.heap[0][2]).code

    # -- what is common ------------------------------------------------------------------------------------------------

    @property
    def common(self) -> Mapping[Group, _Common]:
        """By group; worked out when it is first asked for."""
        if not self._groups:
            self._tell()
        return self._groups

    def _tell(self) -> None:
        board, config = self._board, self._board.config
        waiting, kept = board.waiting, self._kept()
        started = (
            Counter(batch.queue.group for _, _, _, _, batch, *_ in board.tried) if self._any_started else Counter()
        )
        ahead: dict[int, int] = {}  # by sorts of places
        fair = config.order.fair in (Fair.TENANTS, Fair.BOUNDED)
        for bin_ in config.bins:
            here: dict[int, int] = {}
            least: dict[int, int] = {}
            groups: list[tuple[Group, _Able, Entry | None]] = []
            for group in waiting.bins.get(bin_, {}).values():
                if not group.length:
                    continue
                able = self._able.get(group.wants) or self._able_of(group.wants)
                first, sorts = waiting.first(group), able.sorts
                groups.append((group, able, first))
                here[sorts] = here.get(sorts, 0) + group.length - kept.get(group, 0)
                if fair and first is not None:
                    used = first[6].queue.account.offset
                    least[sorts] = min(used, least.get(sorts, used))
            before = {sorts: sum(n for more, n in ahead.items() if more & sorts) for sorts in here}
            fewest = {sorts: min((n for more, n in least.items() if more & sorts), default=0) for sorts in here}
            for group, able, first in groups:
                forced = None if able.open_count else self._forced(group, able)
                self._groups[group] = _Common(forced, able, before[able.sorts], fewest[able.sorts], first)
            for sorts, n in here.items():
                ahead[sorts] = ahead.get(sorts, 0) + n
            for group, n in started.items():
                if group.bin is bin_:
                    sorts = self._able_of(group.wants).sorts
                    ahead[sorts] = ahead.get(sorts, 0) + n

    def _kept(self) -> Counter[Group]:
        """Of each group, how many tasks a rule keeps back: those are in nobody's way."""
        ledger, waiting = self._board.ledger, self._board.waiting
        kept: Counter[Group] = Counter()
        for name, one in ledger.accounts.items():
            if one.full:
                for queue in waiting.by_tenant.get(name, {}).values():
                    kept[queue.group] += len(queue)
        if any(one.shut for one in ledger.bins.values()):
            for queue in waiting.queues.values():
                if queue.bin_account.shut and not queue.account.full:
                    kept[queue.group] += len(queue)
        return kept

    def _able_of(self, wants: Wants) -> _Able:
        known = self._able.get(wants)
        if known is None:
            seats = self._board.seats
            open_ = {sort: n for sort, n in seats.sorts.items() if n and any(a.could_be_held(sort) for a in wants)}
            drains = {sort: n for sort, n in seats.draining.items() if n and any(a.could_be_held(sort) for a in wants)}
            needs = tuple(ask.need for ask in wants if any(ask.could_be_held(sort) for sort in open_ or drains))
            bits = sum(seats.bit_of(sort) for sort in open_)
            known = _Able(bits, sum(open_.values()), sum(drains.values()), needs, kinds_in_words(needs))
            self._able[wants] = known
        return known

    def _forced(self, group: Group, able: _Able) -> Reason:
        """The reason that holds for every task of it, where no open place could hold it."""
        if not able.draining_count:
            return explain.no_such_place(list(group.wants), self._board.seats.sorts)
        return explain.draining(able.draining_count, able.needs)

    # -- of one task ---------------------------------------------------------------------------------------------------

    def _why(self, queue: LineQueue, head: Head) -> Reason:
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
            if any((found := board.seats.find(ask)) is not None and found.rank == COLD for ask in queue.group.wants):
                return self._wait_warm(queue, head)
        if queue.group in self._cold:
            return self._wait_warm(queue, head)
        key = (id(queue.group), queue.bin, queue.tenant)
        if key not in self._known:
            self._known[key] = self._others(queue, common)
        return self._known[key]

    def _others(self, queue: LineQueue, common: _Common) -> Reason:
        """What is in its way."""
        reserved = self._reserved(queue.group.wants)
        if reserved is not None:
            return reserved
        if common.ahead:
            verb = "is" if common.ahead == 1 else "are"
            text = (
                f"{count(common.ahead, 'task')} of more urgent bins {verb} placed first on {common.able.kinds} places."
            )
            return Reason(explain.BIN_BEHIND, text)
        if common.least < queue.account.offset:
            over = self._over_share(queue, common.able)
            if over is not None:
                return over
        wants = queue.group.wants
        found = (self._next_turn(wants) if self._ended else None) or self._gang(wants)
        return found or Reason(explain.NO_PLACE_FREE, f"{self._full(common.able)}.")

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

    def _kept_back(self, queue: LineQueue) -> Reason | None:
        """A rule that a person made keeps it back, whatever is free."""
        if queue.is_allowed:
            return None
        bin_, one, tenant = queue.bin, queue.bin_account, queue.account
        if one.told.paused:
            number = sum(group.length for group in self._board.waiting.bins.get(bin_, {}).values())
            tasks = count(number, "waiting task")
            text = f"The {bin_} bin is paused: none of its {tasks} starts before it is resumed."
            return Reason(explain.BIN_PAUSED, text)
        if one.is_full:
            text = f"The {bin_} bin runs {count(one.running, 'task')}; its limit is {one.told.limit}."
            return Reason(explain.QUOTA, text)
        text = f"Tenant {tenant.name} runs {count(tenant.running, 'task')}; its limit is {tenant.told.limit}."
        return Reason(explain.QUOTA, text)

    def _wait_warm(self, queue: LineQueue, head: Head) -> Reason:
        seats, model = self._board.seats, queue.model or ""
        until_ms = head.ready_ms + self._board.config.patience_ms.get(queue.bin, 0)
        n = seats.having(model)
        has = f"{count(n, 'place')} {'has' if n == 1 else 'have'} {model} loaded, and {'is' if n == 1 else 'all are'} busy"
        if not n:
            has = f"No place has {model} loaded, and tasks wait for what is loaded where it could run"
        left_s = (until_ms - self._now_ms) / 1000
        if left_s <= 0:
            text = f"{has}; there is not yet so much work for it that another model should go."
        else:
            text = f"{has}; it waits {left_s:.0f} s more before it takes a place that would have to drop another model."
        return Reason(explain.WAIT_WARM, text)

    def _reserved(self, wants: Wants) -> Reason | None:
        if wants not in self._rooms:
            rooms = ((self._board.held.with_room(ask), ask) for ask in wants)
            self._rooms[wants] = next((self._beside(seat, ask) for seat, ask in rooms if seat is not None), None)
        return self._rooms[wants]

    @staticmethod
    def _beside(seat: Seat, ask: Ask) -> Reason:
        text = f"{seat.id} has {amount(ask.resources)} free, but is held for {seat.held_for}, which is overdue and needs more."
        return Reason(explain.RESERVED_FOR, text)

    def _over_share(self, queue: LineQueue, able: _Able) -> Reason | None:
        mine = queue.account.offset
        before = {
            other.account.name: other.account
            for group in self._board.waiting.bins.get(queue.group.bin, {}).values()
            if self._able_of(group.wants).sorts & able.sorts
            for other in group.queues.values()
            if other.account.offset < mine and other.count and other.is_allowed
        }
        if not before:
            return None
        least = min(before.values(), key=lambda one: (one.offset, one.name))
        return Reason(
            explain.TENANT_OVER_SHARE,
            f"Tenant {queue.tenant} has used {_used(queue.account)}; {count(len(before), 'tenant')} with less for "
            f"{'its' if len(before) == 1 else 'their'} weight first, such as {least.name} with {_used(least)}.",
        )

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
        words, n = able.kinds, able.open_count
        text = f"The only {words} place that could hold it is busy" if n == 1 else f"All {n} {words} places are busy"
        return f"{text}: none has {needs_in_words(able.needs)} free"


def _used(account: Account) -> str:
    return f"{account.whole_use / 60_000_000:.1f} core-minutes at weight {account.told.weight}"
