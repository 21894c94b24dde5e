"""What is overdue, while a decision is made: the first of a bin that a place could hold."""

from __future__ import annotations

from collections.abc import Sequence

from vidprocme.core.job import Bin
from vidprocme.core.snapshot import Head
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.lines import Batch, Due, DueClock, Group, LineQueue
from vidprocme.scheduler.places import Seat
from vidprocme.scheduler.states import Ask

# How long a task that failed at some places waits for one of the others, from when it was ready again, if this pool has one that could
# hold it.
ELSEWHERE_HERE_MS = 60_000


class Late:
    """What is in nobody's reach (held for already, or kept back by a rule) is laid aside while the decision is made."""

    def __init__(self, board: Board, now_ms: int) -> None:
        self._board, self._now_ms, self._config = board, now_ms, board.config
        self._known: dict[Bin, bool] = {}
        self._aside: list[tuple[DueClock, Batch]] = []
        self._skipped: list[tuple[DueClock, Batch]] = []  # until the first of others is found

    def any(self, bin_: Bin) -> bool:
        """Was something of a bin overdue when the decision began?"""
        found = self._known.get(bin_)
        if found is None:
            found = self._known[bin_] = any(
                (due := group.late.first()) is not None and due[0] <= self._now_ms
                for group in self._board.waiting.bins.get(bin_, {}).values()
            )
        return found

    def first(self, bin_: Bin, seat: Seat) -> tuple[LineQueue, Head] | None:
        """What fell due first of what the place could hold, were it empty. What another pool holds a place for only if it fits now."""
        groups = self._board.waiting.that_could(bin_, seat.state.spec)
        return self._first(groups, seat, self._now_ms - self._config.late_patience_ms.get(bin_, 0))

    def first_of(self, groups: Sequence[Group]) -> tuple[LineQueue, Head] | None:
        """What fell due first of some groups, wherever it may go, and of what no other pool holds a place for."""
        return self._first(groups, None, self._now_ms)

    def all_of(self, groups: Sequence[Group]) -> list[tuple[LineQueue, Head]]:
        """All of it, the first first."""
        due = [one for group in groups for one in group.late.all(self._now_ms)]
        heads = [(batch.queue, batch.heap[0][2]) for _, _, batch in sorted(due, key=lambda one: one[:2])]
        return [one for one in heads if self._may_start(*one) and not self._is_elsewhere(*one, None)]

    def restore(self) -> None:
        """Nothing is aside any more."""
        for clock, batch in self._aside:
            if batch.heap:
                clock.push(batch)
        self._aside.clear()
        self._known.clear()

    def failed_here(self, head: Head, seat: Seat) -> bool:
        """It failed here just now, and had better go elsewhere."""
        return seat.id in head.avoid and self._now_ms - head.ready_ms < ELSEWHERE_HERE_MS

    def _first(self, groups: Sequence[Group], seat: Seat | None, later_ms: int) -> tuple[LineQueue, Head] | None:
        found = self._find(groups, seat, later_ms)
        for clock, batch in self._skipped:
            clock.push(batch)
        self._skipped.clear()
        return found

    def _find(self, groups: Sequence[Group], seat: Seat | None, later_ms: int) -> tuple[LineQueue, Head] | None:
        now_ms = self._now_ms
        while True:
            best: Due | None = None
            for group in groups:
                clock = group.late
                due = clock.first() if clock.moved else clock.known
                if due is None or due[0] > now_ms or (best is not None and due[:2] >= best[:2]):
                    continue
                if seat is None or due[0] <= later_ms or not self._drops(group, seat):
                    best = due
            if best is None:
                return None
            batch = best[2]
            queue, head = batch.queue, batch.heap[0][2]
            if not self._may_start(queue, head):
                self._aside.append((queue.group.late, batch))
                queue.group.late.hide()
            elif self._is_elsewhere(queue, head, seat):
                self._skipped.append((queue.group.late, batch))
                queue.group.late.hide()
            elif seat is not None and head.avoid and self.failed_here(head, seat):
                return self._search(groups, seat, later_ms)
            else:
                return queue, head

    def _search(self, groups: Sequence[Group], seat: Seat, later_ms: int) -> tuple[LineQueue, Head] | None:
        """The same, where the first will not do for this place."""
        due = [
            one for group in groups for one in group.late.all(later_ms if self._drops(group, seat) else self._now_ms)
        ]
        for _, _, batch in sorted(due, key=lambda one: one[:2]):
            head = batch.heap[0][2]
            if (
                self._may_start(batch.queue, head)
                and not self.failed_here(head, seat)
                and not self._is_elsewhere(batch.queue, head, seat)
            ):
                return batch.queue, head
        return None

    def _may_start(self, queue: LineQueue, head: Head) -> bool:
        """No place is held for it yet, and no rule keeps it back."""
        return queue.is_allowed and head.task not in self._board.held.seats

    def _is_elsewhere(self, queue: LineQueue, head: Head, seat: Seat | None) -> bool:
        """Does another pool hold a place for it, and it does not fit here now?"""
        if head.task not in self._board.others:
            return False
        return seat is None or not any(seat.state.holds(ask) for ask in queue.group.wants)

    def _drops(self, group: Group, seat: Seat) -> bool:
        """Would another model have to go here, while there are places that have this one?"""
        return all(self._would_drop(seat, ask) for ask in group.wants)

    def _would_drop(self, seat: Seat, ask: Ask) -> bool:
        warm = seat.state.warm
        return bool(self._config.warmth and warm and ask.model is not None) and (
            ask.model not in warm and self._board.seats.can_warm(ask)
        )
