"""The live loop of a pool: look, decide, claim, start, record.

One thread, one selector: it waits in the executor's `poll` for reports, and is woken by the doorbell (something became
ready) and by the beat (a lease was lost, a person cancelled). The deciding is pure and somebody else's (scheduler.policy).
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace

from vidprocme.core.clock import Clock, Rng
from vidprocme.core.errors import Fatal, VidprocmeError
from vidprocme.core.ids import AttemptId, JobId, TaskId
from vidprocme.core.job import Lease
from vidprocme.core.resources import Place
from vidprocme.core.snapshot import Placement, Plan
from vidprocme.dispatch import telling
from vidprocme.dispatch.advance import Failpoint
from vidprocme.dispatch.answering import Answering
from vidprocme.dispatch.answers import Answers
from vidprocme.dispatch.doorbell import doorbell
from vidprocme.dispatch.ends import Ends
from vidprocme.dispatch.housekeeping import Housekeeper
from vidprocme.dispatch.leases import LeaseKeeper
from vidprocme.dispatch.outlook import Outlook
from vidprocme.dispatch.pace import Due, LoopConfig
from vidprocme.dispatch.pool import free_dead
from vidprocme.dispatch.reporting import report_of
from vidprocme.dispatch.rest import Rest
from vidprocme.executor.base import Executor, Finished, Progress
from vidprocme.library.base import Blobs
from vidprocme.queue.base import Claim, Claimed, PoolInfo, PoolReport, Queue, Settlement, Turn, Unreadable
from vidprocme.scheduler.config import PolicyConfig

LOG = logging.getLogger("vidprocme.dispatch")


class Dispatcher:
    """One pool. `run` until told to stop; `drain` from any thread."""

    def __init__(
        self,
        queue: Queue,
        executor: Executor,
        blobs: Blobs,
        pool: PoolInfo,
        *,
        clock: Clock,
        rng: Rng,
        config: LoopConfig | None = None,
        policy: PolicyConfig | None = None,
        only: Callable[[], Collection[JobId]] | None = None,
        at: Failpoint = lambda _name: None,
        record: Callable[[str], None] | None = None,
        renew: Callable[[], bool] = lambda: False,
    ) -> None:
        """
        Args:
            only: the jobs this pool serves; None: all.
            record, renew: write down what the scheduler is told and decides; see outlook.py.
        """
        self._queue, self._executor, self._pool, self._at = queue, executor, pool, at
        self._config = config or LoopConfig()
        self._only = only
        self._running: dict[AttemptId, Claimed] = {}
        self._runs: dict[TaskId, AttemptId] = {}  # the newest attempt of a task that runs here
        self._granted: Sequence[Claimed] = ()  # not started yet: that is done while the queue works on the next call
        self._rest = Rest()
        self._outlook = Outlook(policy or PolicyConfig(), self._rest, record, renew)
        self._answers = Answers(self._outlook, queue, pool.id, only)
        self._answering = Answering(self._answers.hear)
        self._draining = threading.Event()
        self._told_draining = False
        self._rung = threading.Event()
        self._over = threading.Event()
        self._away = False  # the last turn did not get through
        self._last_turn_s = float("-inf")
        self._due = Due(clock)
        self._housekeeper = Housekeeper(queue, self._config.keep)
        self._beat = LeaseKeeper(
            queue,
            pool.id,
            beat_ms=self._config.beat_ms,
            lease_ms=self._config.lease_ms,
            presence_ms=self._config.presence_ms,
            wake=self._ring,
            report=self._report,
            totals=self._outlook.decided.totals,
            rejoin=self._rejoin,
            asked=self._answering.hear,
            at=at,
        )
        self._ends = Ends(queue, blobs, rng, self._beat.drop, at, self._config.later_ms)
        self._doorbell = doorbell(queue, self._ring, self._over, self._config.pause_s)

    # -- from outside ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._executor.start()
        self._at("executor-started")
        self._queue.join(self._pool, self._config.presence_ms)
        self._at("joined")
        free_dead(self._queue)
        self._at("dead-freed")
        self._beat.drained = frozenset(self._queue.drained_nodes())  # before the first turn claims
        self._beat.start()
        self._answering.start()
        self._doorbell.start()

    def run(self, done: Callable[[], bool]) -> None:
        """Step until `done()` says so, or a drain has finished."""
        while not done() and not (self._draining.is_set() and not (self._running or self._ends or self._granted)):
            self.step(self._config.turn_every_s)

    def drain(self) -> None:
        """No new attempts; the running ones end. The others hear of it at the next step. Safe from a signal handler."""
        self._draining.set()
        self._ring()

    def hand_back(self) -> None:
        """Stop the running attempts and give their tasks back, uncharged. Call after `drain`, from the loop's thread."""
        for attempt in self._running:
            self._ends.hand_back(attempt)
            self._executor.cancel(attempt, lost=True)

    @property
    def reached_s(self) -> float:
        """When a turn last went through, on the monotonic clock; -inf before the first."""
        return self._last_turn_s

    @property
    def busy(self) -> int:
        return len(self._running)

    def close(self) -> None:
        """Stop everything of this pool. Leases that are still held are given back, unless the queue is away: each call to one
        that hangs takes 20 s, and presence and leases end by themselves."""
        self._over.set()
        self._draining.set()
        try:
            self._start_granted()
            if (self._running or self._ends) and not self._away:
                self.hand_back()
                deadline = time.monotonic() + 5
                while (self._running or self._ends) and not self._away and time.monotonic() < deadline:
                    self.step(0.2)
            if not self._away:
                self._beat.stop()
                self._at("handed-back")
                self._queue.leave(self._pool.id)
                self._at("left")
        except VidprocmeError:
            self._away = True
        finally:
            self._beat.stop(wait_s=1.0 if self._away else 10.0)
            self._answering.stop(wait_s=0.0 if self._away else 2.0)
            self._executor.close()
            if self._doorbell.is_alive():
                self._doorbell.join(5)

    # -- one step --------------------------------------------------------------------------------------------------

    def step(self, timeout_s: float) -> None:
        """Wait for something to happen, take it in, and give out what can start."""
        self._hear(self._wait_s(timeout_s))
        self._obey()
        now = time.monotonic()
        late = now - self._last_turn_s >= self._config.turn_every_s
        rung = self._rung.is_set()
        if self._ends or rung or late or self._due.is_now():
            self._rung.clear()
            try:
                self._tell_draining()
                self._turns(ahead=not rung)
                self._last_turn_s = time.monotonic()
                self._away = False
                self._housekeeper.step()
                self._at("housekept")
            except VidprocmeError as error:
                if error.fate != "retry":
                    raise
                self._away = True
                self._start_granted()
                self._over.wait(self._config.pause_s)

    def _hear(self, timeout_s: float) -> None:
        finished: list[Finished] = []
        for report in self._executor.poll(timeout_s):
            match report:
                case Progress(attempt, fraction):
                    self._rest.runs(attempt)
                    if attempt in self._running:
                        self._beat.progress(self._running[attempt].lease.task, fraction)
                case Finished():
                    finished.append(report)
        self._take_in(finished)

    def _tell_draining(self) -> None:
        """Who waits for a pool must not wait for this one."""
        if self._draining.is_set() and not self._told_draining:
            self._queue.join(replace(self._pool, draining=True), self._config.presence_ms)
            self._told_draining = True
            self._at("draining-told")

    def _turns(self, ahead: bool) -> None:
        """Settle, look, decide, claim: a round trip each, until nothing more can start. `ahead`: nothing rang since the lines
        were seen, so that the first call may claim by them, if that was just now."""
        settlements = self._ends.settlements()
        claims = self._outlook.take_foreseen()
        unheard = self._away and bool(claims)
        if self._draining.is_set() or not (unheard or (ahead and self._outlook.is_fresh)):
            self._outlook.take_back(claims)
            claims = ()
        elif not claims:
            claims = self._decide()
        while True:
            asked = [Claim(p.task, p.place, p.resources, p.work_ms) for p in claims]
            try:
                turn = self._turn(settlements, asked)
            except Fatal:
                self._outlook.take_back([*claims, *self._outlook.take_foreseen()])
                if not settlements:
                    raise
                claims, turn = (), self._settle_apart(settlements)
            except VidprocmeError:
                self._outlook.take_back(self._outlook.take_foreseen())
                self._outlook.foreseen = claims
                raise
            self._ends.settled(settlements, turn.stale)
            if settlements:
                self._at("settled")
            settlements = []
            self._granted = turn.claimed
            self._outlook.take_back([placement for placement in claims if placement.task not in turn.granted])
            self._due.seen(turn)
            self._outlook.see(turn, self._places())
            if self._ends and not self._draining.is_set():
                return  # the next step goes on at once, and starts what was granted on the way
            claims = () if self._draining.is_set() else self._decide()
            if not claims:
                self._start_granted()
                return

    def _places(self) -> list[Place]:
        """The executor's; on those of a machine that a person drained nothing new starts."""
        drained = self._beat.drained
        return [replace(p, draining=True) if p.node in drained else p for p in self._executor.places()]

    def _decide(self) -> tuple[Placement, ...]:
        return self._outlook.decide(len(self._granted))

    @property
    def plan(self) -> Plan:
        """What was decided last, and why what waits does. From any thread."""
        return self._outlook.plan

    def _turn(self, settlements: Sequence[Settlement], claims: Sequence[Claim]) -> Turn:
        jobs = self._only and self._only()
        # As many heads of a line as could start at once: the next turns may claim them all.
        heads, lease_ms = self._outlook.slots, self._config.lease_ms
        sent = self._queue.begin_turn(
            self._pool.id,
            settlements,
            claims,
            lease_ms=lease_ms,
            jobs=jobs,
            heads=heads,
            looks=self._due.looks(),
            reserved=() if self._draining.is_set() else self._outlook.reserved,
        )
        self._meanwhile()
        return sent.answer()

    def _meanwhile(self) -> None:
        """While the queue works: start what it granted before, take in what ended, and plan what follows from that."""
        if not self._granted:
            return
        self._start_granted()
        known, planned = self._ends.ended, False
        self._hear(0.0)
        with contextlib.suppress(VidprocmeError):  # the queue is away: what it has to say comes with the turn's answer
            planned = self._ends.plan(known)
        if planned and not self._draining.is_set() and not self._rung.is_set():
            self._outlook.foresee(len(self._granted))

    def _settle_apart(self, settlements: Sequence[Settlement]) -> Turn:
        """A batch was refused: say them one by one, so that one that cannot be said takes no other along.

        Raises:
            Fatal: it was no settlement that was refused, but we.
        """
        turn = self._turn([], [])
        stale: list[Lease] = []
        for settlement in settlements:
            try:
                stale += self._turn([settlement], []).stale
            except Fatal as error:
                # Its lease is not beaten for any more: it ends, and the task is lost and tried again.
                telling.refused(settlement, error)
        return replace(turn, stale=tuple(stale))

    def _start_granted(self) -> None:
        granted, self._granted = self._granted, ()
        for claimed in self._readable(granted):
            # The lease was lost and is ours again before the beat could hear of it: the old attempt is of no use.
            old = self._runs.get(claimed.lease.task)
            if old is not None:
                telling.lease_lost(self._running[old].lease)
                self._executor.cancel(old, lost=True)
            self._running[claimed.attempt.id] = claimed
            self._runs[claimed.lease.task] = claimed.attempt.id
            self._beat.keep(claimed.lease)
            self._at("claimed")
            self._rest.begun(claimed.attempt.id)
            self._executor.submit(claimed.attempt)
            self._at("started")

    def _readable(self, granted: Sequence[Claimed]) -> Iterator[Claimed]:
        """Those that can be read; the others are handed back, and not claimed again."""
        for at in range(len(granted)):
            try:
                yield granted[at]
            except Unreadable as error:
                telling.unreadable(error)
                self._outlook.unread.add(error.claim.task)
                self._ends.give_back(error.lease, error.info())
                self._outlook.free([_had(error.claim)])

    def _take_in(self, reports: Sequence[Finished]) -> None:
        freed: list[Placement] = []
        for report in reports:
            self._rest.ended(report.attempt, report.outcome)
            claimed = self._running.pop(report.attempt, None)
            if claimed is not None:
                if self._runs.get(claimed.lease.task) == report.attempt:
                    del self._runs[claimed.lease.task]
                freed.append(Placement(claimed.lease.task, claimed.attempt.place, claimed.attempt.resources, ""))
                self._ends.add(claimed, report.outcome)
        self._outlook.free(freed)

    def _obey(self) -> None:
        """Stop what the beat says is lost or cancelled."""
        lost, cancel = self._beat.heard()
        for lease in lost:
            telling.lease_lost(lease)
            self._executor.cancel(lease.attempt, lost=True)
            self._beat.drop(lease)  # its attempt's end will be refused as stale
        for lease in cancel:
            self._executor.cancel(lease.attempt)

    def _wait_s(self, timeout_s: float) -> float:
        if self._rung.is_set() or self._ends:
            return 0.0
        return self._due.within_s(timeout_s)

    def _report(self) -> PoolReport:
        """For the beat, in its thread. One that drains plans no more."""
        if self._draining.is_set():
            return report_of(self._outlook.snapshot, Plan())
        # What waits for everybody is not known to a pool that serves some jobs only: nobody can count on its places.
        seats = self._outlook.seats if self._answering.are_asked and self._only is None else None
        return report_of(self._outlook.snapshot, self.plan, self._answers.told, seats)

    def _rejoin(self) -> None:
        """For the beat, in its thread: the queue has forgotten us."""
        self._outlook.decided.begin_again()
        self._queue.join(replace(self._pool, draining=self._draining.is_set()), self._config.presence_ms)

    def _ring(self) -> None:
        self._rung.set()
        self._executor.wake()


def _had(claim: Claim) -> Placement:
    return Placement(claim.task, claim.place, claim.resources, "")
