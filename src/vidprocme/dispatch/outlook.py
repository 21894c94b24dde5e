"""What one pool knows of the lines and of its places, and what it decides by that. Moved forward by what is seen; never built anew."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace

from vidprocme.core.ids import JobId
from vidprocme.core.resources import Place
from vidprocme.core.snapshot import Placement, Plan, Snapshot
from vidprocme.dispatch.pace import AHEAD_S, HALVES_FROM
from vidprocme.dispatch.reporting import Decided
from vidprocme.dispatch.rest import Rest
from vidprocme.dispatch.unread import Unread
from vidprocme.queue.base import Reservation, Turn
from vidprocme.scheduler.beside import SeatNow, seats_of
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.config import PolicyConfig
from vidprocme.scheduler.durations import Durations, with_work
from vidprocme.scheduler.facts import snapshot_of
from vidprocme.scheduler.forks import fork
from vidprocme.scheduler.journal import Journal
from vidprocme.scheduler.policy import decide

# Of a board that is copied: a copy and all that is tried on it are to take tenths of a second at most.
COPIED_HEADS, COPIED_LINES = 1_000, 1_000


class Outlook:
    """For one loop's thread; `plan` and `snapshot` are values that any thread may ask for."""

    def __init__(
        self,
        policy: PolicyConfig,
        rest: Rest,
        record: Callable[[str], None] | None = None,
        renew: Callable[[], bool] = lambda: False,
    ) -> None:
        """
        Args:
            record: writes down a line of what is told and decided (scheduler/journal.py); None: nobody does.
            renew: asked before a turn is told; True: what is recorded from now on is to be replayed without what came before.
        """
        self._rest, self._renew = rest, renew
        self._board = Board(policy)
        self._journal = Journal(self._board, record)
        self._lock = threading.RLock()  # the board's
        # Decided while a turn was on its way, or asked for in one whose answer never came: it may be granted. The next one claims it.
        self.foreseen: tuple[Placement, ...] = ()
        self.unread = Unread()
        self.decided = Decided()
        self._last: tuple[Placement, ...] = ()
        self._rests = False
        self._durations = Durations()
        self._seen_s, self._seen_ms = float("-inf"), 0  # when lines were last shown: on our clock, and the queue's

    def see(self, turn: Turn, places: Iterable[Place]) -> None:
        """What a turn showed, and the executor's places as they are."""
        if turn.sums is not None:
            self._durations = Durations(turn.sums)
        lines = with_work(self.unread.without(turn.lines), turn.sizes, turn.left, self._durations)
        with self._lock:
            journal = self._journal
            if self._renew():
                journal.begin()
            journal.lines(lines, complete=len(turn.lines) >= turn.lines_total)
            journal.shares(turn.shares)
            if turn.elsewhere != self._board.others:
                journal.elsewhere(turn.elsewhere)
            journal.places(tuple(places))
            for placement in self.foreseen:
                journal.begun(placement)
            self._seen_s, self._seen_ms = time.monotonic(), turn.now_ms

    @property
    def is_fresh(self) -> bool:
        """Were the lines seen so short a time ago that what is decided may be claimed without another look?"""
        return time.monotonic() - self._seen_s < AHEAD_S

    @property
    def slots(self) -> int:
        with self._lock:
            return sum(seat.place.slots for seat in self._board.seats.all.values())

    @property
    def reserved(self) -> tuple[Reservation, ...]:
        """The places that are held, for the other pools to know; none while nothing starts here."""
        with self._lock:
            held, tasks = self._board.held, self._board.waiting.tasks
            if not held or self._rests:
                return ()
            return tuple(
                Reservation(task, seat.id, batch.queue.key, batch.head(task).ready_ms)
                for task, seat in sorted(held.seats.items())
                if (batch := tasks.get(task)) is not None
            )

    @property
    def snapshot(self) -> Snapshot:
        with self._lock:
            return snapshot_of(self._board)

    @property
    def seats(self) -> tuple[SeatNow, ...]:
        """The places and what runs there, for other pools to play over."""
        with self._lock:
            return seats_of(self._board)

    def decide(self, granted: int) -> tuple[Placement, ...]:
        """What can start by what is known now; its places are taken.

        Args:
            granted: claims that were granted and are not started yet.
        """
        allowed = self._rest.most(granted)
        with self._lock:
            self._last, self._rests = (), allowed == 0
            if self._rests or self._board.seats.free_slots <= 0:
                return ()
            began_s = time.perf_counter()
            plan = self._journal.decide(self._now_ms())
            self.decided.add(time.perf_counter() - began_s)
            most = max(HALVES_FROM, -(-self.slots // 2)) if allowed is None else allowed
            if len(plan.placements) > most:
                plan = replace(plan, placements=plan.placements[:most])
            self._journal.planned(plan)
            self._last = plan.placements
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
        with self._lock:
            for placement in claims:
                self._journal.taken_back(placement)

    def free(self, ended: Sequence[Placement]) -> None:
        """Attempts ended that had this."""
        with self._lock:
            for one in ended:
                self._journal.finished(one)
        if self._rest.most(0) == 0:  # what was to be claimed next is not
            self.take_back(self.take_foreseen())

    def copy(self, jobs: Collection[JobId]) -> tuple[Board, int] | None:
        """The board as it is, for somebody to try things on, with all that is known of these jobs, and the moment on the queue's clock.

        None: nothing can start here, or there are so many lines that trying would take seconds.
        """
        with self._lock:
            many = len(self._board.waiting.queues) > COPIED_LINES
            if self._rests or many or self._seen_s == float("-inf"):
                return None
            return fork(self._board, heads=COPIED_HEADS, keep=jobs), self._now_ms()

    @property
    def plan(self) -> Plan:
        """What was decided last, and why what waits does."""
        with self._lock:
            if self._rests:
                return self._rest.plan(snapshot_of(self._board))
            if self._seen_s == float("-inf"):
                return Plan()
            plan = decide(self._board, self._now_ms())
            told = Plan(self._last, dict(plan.reasons), plan.reserved)
            self._board.undo()
            return told

    def _now_ms(self) -> int:
        """On the queue's clock: the lines' ages are told by it, and another machine's may be ahead of ours."""
        return self._seen_ms + round(1000 * (time.monotonic() - self._seen_s))
