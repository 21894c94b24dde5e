"""The one decision of the house: which waiting tasks start now, where, and why the others do not.

Pure: the same board, moment and settings give the same plan, on every machine. The live loop and the simulator call this very function.
Whole numbers only and ties by stable ids.
"""

from __future__ import annotations

from heapq import heapify, heappop, heapreplace

from vidprocme.core.ids import TaskId
from vidprocme.core.job import Bin
from vidprocme.core.snapshot import Head, Placement, Plan
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.config import PolicyConfig
from vidprocme.scheduler.explain import amount
from vidprocme.scheduler.late import ELSEWHERE_HERE_MS, Late
from vidprocme.scheduler.lines import Batch, Group, LineQueue, Wants
from vidprocme.scheduler.orders import Fair
from vidprocme.scheduler.patience import Patience
from vidprocme.scheduler.places import COLD, WARM, Found, Seat
from vidprocme.scheduler.reasons import Reasons
from vidprocme.scheduler.states import Ask
from vidprocme.scheduler.turns import turn_of

OVERDUE = 3  # beside WARM, EMPTY and COLD
# The same as ELSEWHERE_HERE_MS where this pool has no other place that could hold it: others may have some.
ELSEWHERE_MS = 10_000


def decide(board: Board, now_ms: int, config: PolicyConfig | None = None) -> Plan:
    """Who starts now and where; a reason for every task that waits.

    Order: the turns of what is overdue (turns.py); else bins in order, in them as `config.order` says. Place: the first
    alternative of a head's needs that fits; for a model, places that hold it, then places that hold nothing, then, when it has been patient,
    places that would have to drop another one; of these the best by `config.score`; of equals the first id.

    A place is held for the overdue head whose turn it is and which does not fit, until it does; and one place for the oldest
    overdue head of the most urgent bin that fits nowhere. Nobody takes what that head lacks there, but for tasks that will have ended, as
    predicted, before it could start. Work conserving but for that: a head that fits a free place waits only beside a place that is
    held (Plan.reserved), or because its bin is paused, or its bin or tenant at its limit, or for its model, or because it failed there
    (Head.avoid) and another place may come: for a minute at most; meanwhile that place's turns are not for it.

    Args:
        board: the lines, what is free, who used what. It says afterwards what it said before; `Board.planned` moves it forward.
        now_ms: milliseconds since the epoch, on the clock that the lines' ages are told by.
        config: the board's own, if it is given.
    """
    if config is not None and config is not board.config:
        raise ValueError("a board decides by the settings that it was made with")
    board.undo()
    board.seats.tidy()
    board.now_ms = now_ms
    return board.keep(_Decision(board, now_ms).plan())


class _Decision:
    def __init__(self, board: Board, now_ms: int) -> None:
        config = board.config
        self._board, self._now_ms, self._config = board, now_ms, config
        self._seats, self._waiting, self._ledger = board.seats, board.waiting, board.ledger
        self._held = board.held
        self._placements: list[Placement] = []
        self._full: set[Wants] = set()  # what found no place, not even one without its model
        self._cold: dict[Group, Ask] = {}  # what waits for its model: there is room where another one is loaded
        self._aside: list[tuple[Head, Batch]] = []  # heads that failed where there is room
        self._lifted = False  # a place is no longer held: what did not fit before may fit now
        self._late, self._patience = Late(board, now_ms), Patience(board, now_ms)
        self._left = -1 if config.most is None else config.most

    def plan(self) -> Plan:
        board = self._board
        if self._config.order.fair is Fair.MIXED:
            board.ledger.compare()
            board.waiting.epoch += 1
        self._keep_reservations()
        while self._left:
            self._lifted = False
            self._full.clear()
            self._cold.clear()
            self._late.restore()
            for bin_ in self._config.bins:
                self._serve(bin_)
                if self._cold:
                    self._serve_cold(bin_)
                if bin_ is self._config.bins[0]:
                    self._hold_for_most_urgent(bin_)
            if not self._lifted:
                break
        self._late.restore()
        for head, batch in self._aside:
            self._waiting.add(batch.queue, head, batch.job)
            again = self._waiting.tasks[head.task]
            if again is not batch:
                self._waiting.unserved(again, max(again.served_ms, batch.served_ms))
        reserved = {seat.id: task for task, seat in board.held.seats.items()}
        elsewhere = [head.task for head, _ in self._aside]
        reasons = Reasons(board, self._now_ms, self._placements, self._cold, elsewhere)
        return Plan(tuple(self._placements), reasons, reserved)

    # -- in the usual order --------------------------------------------------------------------------------------------

    def _serve(self, bin_: Bin) -> None:
        """Start what can be started of one bin."""
        groups = self._waiting.bins.get(bin_)
        if not groups or not self._left or (self._config.order.strict and self._ledger.bins[bin_].shut):
            return
        full, cold, waiting, find = self._full, self._cold, self._waiting, self._seats.find
        tasks, spread = waiting.tasks, bin_ in self._config.spread
        firsts = [
            (first, group)
            for wants, group in groups.items()
            if group.length and wants not in full and (first := waiting.first(group)) is not None
        ]
        heapify(firsts)
        parked: list[LineQueue] = []
        seen: Group | None = None  # whose first stands as it is
        while firsts and self._left:
            entry, group = firsts[0]
            if group.wants in full or group in cold:
                heappop(firsts)
                continue
            if group is not seen:
                seen, now = group, waiting.first(group)
                if now is None:
                    heappop(firsts)
                    continue
                if now is not entry:
                    heapreplace(firsts, (now, group))
                    continue
            seen = None
            if (queue := entry[6].queue).bin_account.shut or queue.account.full:
                waiting.hide(queue)
                parked.append(queue)
            else:
                head, wants = entry[6].heap[0][2], group.wants
                if len(wants) == 1 and not head.avoid:  # as nearly always; and there is room
                    found = find(wants[0], spread)
                    if found is not None and found.rank != COLD:
                        # Of every second start it is nobody's turn (turns.py).
                        if not found.seat.starts & 1 or not self._take_turn(found.seat):
                            self._start(queue, head, found)
                            continue
                        if not self._left or head.task not in tasks:
                            continue
                self._try(queue, head)
        for queue in parked:
            waiting.place(queue)

    def _try(self, queue: LineQueue, head: Head) -> None:
        """Start a head, if there is room; else note why there is none."""
        task, group = head.task, queue.group
        found = self._find(group, head)
        if found is None:
            if head.avoid and group.wants not in self._full and task in self._waiting.tasks:
                self._lay_aside(task)
        elif found.rank == COLD and not self._patience.may_drop(queue, head, found):
            failed = any(self._has_room(id_, group.wants) for id_ in head.avoid)
            if failed and not self._may_return(head, group.wants):  # the others need not wait with it
                self._lay_aside(task)
            else:
                self._cold[group] = found.ask
        else:
            self._start(queue, head, found)

    def _lay_aside(self, task: TaskId) -> None:
        """For as long as this is decided: those behind it may go before it."""
        batch = self._waiting.tasks[task]
        self._aside.append((self._waiting.take(task), batch))

    def _has_room(self, id_: str, wants: Wants) -> bool:
        seat = self._seats.all.get(id_)
        return seat is not None and seat.listed and any(seat.state.holds(ask) for ask in wants)

    def _serve_cold(self, bin_: Bin) -> None:
        """What waits for its model, and has been patient for long enough, may have what is left."""
        waits = [group for group in self._cold if group.bin is bin_]
        while waits and self._left:
            first = [(due, group) for group in waits if (due := group.patience.first()) is not None]
            if not first:
                return
            (due_ms, task, batch), group = min(first, key=lambda one: one[0][:2])
            queue = batch.queue
            waits_on = due_ms > self._now_ms and self._config.patience_ms.get(queue.bin, 0) > 0
            if waits_on or not queue.is_allowed:
                waits.remove(group)
                continue
            head = batch.heap[0][2]
            found = self._find(group, head)
            if found is not None and found.rank == COLD and self._patience.waits_on(queue, found):
                waits.remove(group)
            elif found is not None:
                self._start(queue, head, found)
            elif task in self._waiting.tasks:
                waits.remove(group)
                if group.wants in self._full:
                    del self._cold[group]

    def _find(self, group: Group, head: Head) -> Found | None:
        """A place for it; of its alternatives the first that fits somewhere."""
        if head.avoid:
            found = self._find_elsewhere(group, head)
            if (found is not None and found.rank != COLD) or not self._may_return(head, group.wants):
                return found
        cold, tasks, held = None, self._waiting.tasks, self._held
        for ask in group.wants:
            found = self._open(ask, head, group.bin in self._config.spread)
            if head.task not in tasks or not self._left:
                return None  # it was its turn, and it has started; or something else has, and that was the last
            if found is not None:
                if found.rank != COLD:
                    return found
                cold = cold or found
            beside = held.beside(ask, head.task, head.work_ms, self._now_ms, head.avoid) if held.seats else None
            if beside is not None:
                return Found(beside[0], ask, self._rank(beside[0], ask), beside[1])
        if cold is None:
            self._full.add(group.wants)
        return cold

    def _open(self, ask: Ask, head: Head, spread: bool) -> Found | None:
        """The best place that is open for it now. What is overdue starts first at places whose turn it is."""
        find = self._seats.find
        while True:
            found = find(ask, spread)
            # Of every second start it is nobody's turn (turns.py).
            if found is None or not found.seat.starts & 1 or not self._take_turn(found.seat):
                return found
            if not self._left or head.task not in self._waiting.tasks:
                return None

    def _find_elsewhere(self, group: Group, head: Head) -> Found | None:
        for ask in group.wants:
            found = self._seats.find_beside(ask, head.avoid, group.bin in self._config.spread)
            if found is not None:
                return found
        return None

    def _may_return(self, head: Head, wants: Wants) -> bool:
        """To where it failed: another place has been waited for long enough."""
        others = any(
            seat.id not in head.avoid
            and not seat.place.draining
            and any(ask.could_be_held(seat.state.spec) for ask in wants)
            for seat in self._seats.all.values()
        )
        return self._now_ms - head.ready_ms >= (ELSEWHERE_HERE_MS if others else ELSEWHERE_MS)

    def _start(self, queue: LineQueue, head: Head, found: Found, overdue: bool = False) -> None:
        task, seat = head.task, found.seat
        if task in self._held.seats:
            self._release(task)
        counted = seat.held_for is None
        reason = queue.group.because.get((found.ask.number, OVERDUE if overdue else found.rank))
        if reason is None:
            reason = self._because(queue, found, overdue)
        placement = self._board.start(seat, found.ask, found.gpu, queue, task, reason, self._now_ms, counted)
        self._placements.append(placement)
        self._left -= 1
        if self._board.filled:  # this start was the last that its limit allows
            for other in list(self._held.seats):
                batch = self._waiting.tasks.get(other)
                if batch is None or not batch.queue.is_allowed:
                    self._release(other)

    # -- what is overdue -----------------------------------------------------------------------------------------------

    def _take_turn(self, seat: Seat) -> bool:
        """If the next start here is a bin's in which something is overdue: start that, or hold the place for it. False: it is the
        usual order's."""
        bin_ = turn_of(seat.starts + 1, self._config.bins)
        if bin_ is None or not self._late.any(bin_):
            return False
        late = self._late.first(bin_, seat)
        if late is None:
            return False
        queue, head = late
        ask = self._ask_that_holds(queue.group.wants, seat)
        if ask is None:
            self._board.hold(seat, head.task)
            return True
        self._start(queue, head, Found(seat, ask, self._rank(seat, ask), None), overdue=True)
        return True

    # -- reservations --------------------------------------------------------------------------------------------------

    def _keep_reservations(self) -> None:
        """What was reserved stays so, unless the task is gone, kept back, or no longer overdue; what fits by now starts."""
        held = self._held
        for task in list(held.seats):
            batch = self._waiting.tasks.get(task)
            if batch is None or not self._stays_held(batch.queue, batch.head(task), held.seats[task]):
                self._board.release(task)
        for task, seat in sorted(held.seats.items(), key=lambda one: one[1].id):
            batch = self._waiting.tasks.get(task)
            if batch is None or held.seats.get(task) is not seat or not self._left:
                continue
            queue = batch.queue
            ask = self._ask_that_holds(queue.group.wants, seat)
            if ask is not None:
                self._start(queue, batch.head(task), Found(seat, ask, self._rank(seat, ask), None), overdue=True)

    def _stays_held(self, queue: LineQueue, head: Head, seat: Seat) -> bool:
        bound_ms = self._config.max_wait_ms.get(queue.bin)
        return (
            bound_ms is not None
            and head.ready_ms + bound_ms <= self._now_ms
            and not self._late.failed_here(head, seat)
            and not seat.place.draining
            and seat.state.slots > 0
            and queue.is_allowed
            and any(ask.could_be_held(seat.state.spec) for ask in queue.group.wants)
        )

    def _hold_for_most_urgent(self, bin_: Bin) -> None:
        """What is less urgent must not slip by for ever because it is smaller."""
        if not self._left or not self._seats.live or not self._late.any(bin_):
            return
        if any((queue := self._queue_of(task)) is not None and queue.bin is bin_ for task in self._held.seats):
            return
        groups = [group for wants, group in self._waiting.bins.get(bin_, {}).items() if wants in self._full]
        first = self._late.first_of(groups)
        if first is None or self._hold_somewhere(*first):
            return
        for queue, head in self._late.all_of(groups):
            if not self._left or self._hold_somewhere(queue, head):
                return

    def _hold_somewhere(self, queue: LineQueue, head: Head) -> bool:
        """Hold the first open place that could hold it, were it empty, and whose turn is nobody else's."""
        while self._left and head.task in self._waiting.tasks and head.task not in self._held:
            seat = self._seat_for(queue, head)
            if seat is None:
                return False
            if not self._take_turn(seat):
                self._board.hold(seat, head.task)
                return True
        return True

    def _seat_for(self, queue: LineQueue, head: Head) -> Seat | None:
        tops = [
            state.top
            for state in self._seats.live.values()
            if state.top is not None and any(ask.could_be_held(state.spec) for ask in queue.group.wants)
        ]
        seat = self._seats.all[min(tops)] if tops else None
        return None if seat is None or self._late.failed_here(head, seat) else seat

    def _release(self, task: TaskId) -> None:
        self._board.release(task)
        self._lifted = True

    # -- small things --------------------------------------------------------------------------------------------------

    def _queue_of(self, task: TaskId) -> LineQueue | None:
        batch = self._waiting.tasks.get(task)
        return None if batch is None else batch.queue

    def _ask_that_holds(self, wants: Wants, seat: Seat) -> Ask | None:
        """The first way in which it can be run here now."""
        return next((ask for ask in wants if seat.state.holds(ask)), None)

    def _rank(self, seat: Seat, ask: Ask) -> int:
        return WARM if ask.model is not None and ask.model in seat.state.warm else COLD

    def _because(self, queue: LineQueue, found: Found, overdue: bool) -> str:
        ask, group = found.ask, queue.group
        way = f"alternative {group.wants.index(ask) + 1} of {len(group.wants)}: {amount(ask.resources)}"
        if overdue:
            text = f"OVERDUE in {queue.bin}, {way}"
        elif ask.model is None:
            text = f"FIRST_FIT {way}"
        else:
            text = f"{'WARM' if found.rank == WARM else 'COLD'} {ask.model}, {way}"
        if group.bin is queue.bin:  # not where bins stand in one group
            group.because[ask.number, OVERDUE if overdue else found.rank] = text
        return text
