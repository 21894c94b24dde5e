"""What is overdue, while a decision is made: the first of a bin that a place could hold."""

from __future__ import annotations

from collections.abc import Sequence

from vidprocme.core.job import Bin
from vidprocme.core.snapshot import Head
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.places import Seat
from vidprocme.scheduler.states import Ask
from vidprocme.scheduler.waiting import Batch, Clock, Due, Group, Queue

# How long a task that failed at some places waits for one of the others, from when it was ready again, if this pool has one that could
# hold it.
ELSEWHERE_HERE_MS = 60_000
Until = tuple[Group, int]  # a group, and the moment by which something of it must have fallen due


class Late:
    """What is in nobody's reach (held for already, or kept back by a rule) is laid aside while the decision is made."""

    def __init__(self, board: Board, now_ms: int) -> None:
        self._board, self._now_ms, self._config = board, now_ms, board.config
        self._known: dict[Bin, bool] = {}
        self._groups: dict[
            tuple[Bin, int, tuple[str, ...]], list[Until]
        ] = {}  # a sort by its identity: states.py keeps them
        self._aside: list[tuple[Clock, Batch]] = []

    def any(self, bin_: Bin) -> bool:
        """Was something of a bin overdue when the decision began?"""
        found = self._known.get(bin_)
        if found is None:
            found = self._known[bin_] = any(
                (due := group.late.first()) is not None and due[0] <= self._now_ms
                for group in self._board.waiting.bins.get(bin_, {}).values()
            )
        return found

    def first(self, bin_: Bin, seat: Seat) -> tuple[Queue, Head] | None:
        """What fell due first of what the place could hold, were it empty."""
        key = (bin_, id(seat.state.spec), seat.state.warm)
        groups = self._groups.get(key)
        if groups is None:
            later = self._now_ms - self._config.late_patience_ms.get(bin_, 0)
            groups = self._groups[key] = [
                (group, later if all(self._would_drop(seat, ask) for ask in wants) else self._now_ms)
                for wants, group in self._board.waiting.bins.get(bin_, {}).items()
                if any(ask.could_be_held(seat.state.spec) for ask in wants)
            ]
        return self._first(groups, seat)

    def first_of(self, groups: Sequence[Group]) -> tuple[Queue, Head] | None:
        """What fell due first of some groups, wherever it may go."""
        return self._first([(group, self._now_ms) for group in groups], None)

    def all_of(self, groups: Sequence[Group]) -> list[tuple[Queue, Head]]:
        """All of it, the first first."""
        due = [one for group in groups for one in group.late.all(self._now_ms)]
        heads = [(batch.queue, batch.queue.heads[task]) for _, task, batch in sorted(due, key=lambda one: one[:2])]
        return [(queue, head) for queue, head in heads if self._may_start(queue, head)]

    def restore(self) -> None:
        """Nothing is aside any more."""
        for clock, batch in self._aside:
            if batch.count:
                clock.push(batch)
        self._aside.clear()
        self._known.clear()
        self._groups.clear()

    def failed_here(self, head: Head, seat: Seat) -> bool:
        """It failed here just now, and had better go elsewhere."""
        return seat.id in head.avoid and self._now_ms - head.ready_ms < ELSEWHERE_HERE_MS

    def _first(self, groups: Sequence[Until], seat: Seat | None) -> tuple[Queue, Head] | None:
        while True:
            best: Due | None = None
            for group, until_ms in groups:
                due = group.late.first()
                if due is not None and due[0] <= until_ms and (best is None or due[:2] < best[:2]):
                    best = due
            if best is None:
                return None
            _, task, batch = best
            queue = batch.queue
            head = queue.heads[task]
            if not self._may_start(queue, head):
                self._aside.append((queue.group.late, batch))
                queue.group.late.hide()
            elif seat is not None and head.avoid and self.failed_here(head, seat):
                return self._search(groups, seat)
            else:
                return queue, head

    def _search(self, groups: Sequence[Until], seat: Seat) -> tuple[Queue, Head] | None:
        """The same, where the first will not do for this place."""
        due = [one for group, until_ms in groups for one in group.late.all(until_ms)]
        for _, task, batch in sorted(due, key=lambda one: one[:2]):
            head = batch.queue.heads[task]
            if self._may_start(batch.queue, head) and not self.failed_here(head, seat):
                return batch.queue, head
        return None

    def _may_start(self, queue: Queue, head: Head) -> bool:
        """No place is held for it yet, and no rule keeps it back."""
        return head.task not in self._board.held and self._board.ledger.allows(queue.bin, queue.tenant)

    def _would_drop(self, seat: Seat, ask: Ask) -> bool:
        """Would another model have to go here, while there are places that have this one?"""
        warm = seat.state.warm
        return bool(self._config.warmth and warm and ask.model is not None) and (
            ask.model not in warm and self._board.seats.can_warm(ask)
        )
