"""A fork of a board on which changes are tried for one task, and taken back when they do not help."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from vidprocme.core.ids import TaskId, job_of
from vidprocme.core.job import Bin
from vidprocme.core.resources import Place
from vidprocme.core.shares import BinShare, Shares, TenantShare
from vidprocme.core.snapshot import Line, Plan
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.config import PolicyConfig
from vidprocme.scheduler.forks import fork
from vidprocme.scheduler.lines import LineQueue
from vidprocme.scheduler.policy import decide

NEW = "~"  # names of places that are tried begin so: they stand behind all that there are


class Trial:
    """`decisions` may be made, while `go_on` says so; after that nothing starts any more. What has helped stays, and `plan` starts the task."""

    def __init__(
        self, board: Board, task: TaskId, now_ms: int, decisions: int, go_on: Callable[[], bool] = lambda: True
    ) -> None:
        self.task, self._now_ms, self.left, self.go_on = task, now_ms, decisions, go_on
        self.board = fork(board, replace(board.config, most=None))  # the next decision is only a moment away
        self.plan = Plan()
        queue = self.queue
        shares, ledger = self.board.ledger.shares(), self.board.ledger
        # All that is changed below is named: who is not named when shares are told stays as he is.
        bins = {**shares.bins, queue.bin: shares.bins.get(queue.bin, BinShare())}
        tenants = {name: shares.tenants.get(name, ledger.account(name).share) for name in self.board.waiting.by_tenant}
        self._shares = Shares(bins, {**shares.tenants, **tenants})
        # As the next turn tells them: changes that tell them and changes that do not are tried alike.
        self.board.shares(self._shares)

    @property
    def queue(self) -> LineQueue:
        self.board.undo()
        return self.board.waiting.tasks[self.task].queue

    @property
    def bin(self) -> BinShare:
        return self._shares.bins[self.queue.bin]

    @property
    def tenant(self) -> TenantShare:
        return self._shares.tenants[self.queue.tenant]

    @property
    def goes_on(self) -> bool:
        """May another decision be made?"""
        return self.left > 0 and self.go_on()

    def starts(self) -> bool:
        """Does it, as things are on the fork?"""
        if not self.goes_on:
            return False
        self.left -= 1
        self.plan = decide(self.board, self._now_ms)
        return any(placement.task == self.task for placement in self.plan.placements)

    # -- one change each: True when the task starts, else it is as it was before ---------------------------------------------

    def set_bin(self, share: BinShare) -> bool:
        shares = self._shares
        return self._tell(replace(shares, bins={**shares.bins, self.queue.bin: share}))

    def set_tenant(self, share: TenantShare) -> bool:
        shares = self._shares
        return self._tell(replace(shares, tenants={**shares.tenants, self.queue.tenant: share}))

    def lift(self, *, bin_: BinShare | None = None, tenant: TenantShare | None = None) -> None:
        """Change a rule for good."""
        queue, shares = self.queue, self._shares
        bins = {**shares.bins, queue.bin: bin_} if bin_ is not None else shares.bins
        tenants = {**shares.tenants, queue.tenant: tenant} if tenant is not None else shares.tenants
        self._shares = Shares(bins, tenants)
        self.board.shares(self._shares)

    def move(self, to: Bin) -> bool:
        """The whole job, as far as it is known here."""
        if not self.goes_on:
            return False
        before, self.board = self.board, fork(self.board)
        board, job = self.board, job_of(self.task)
        for queue in list(board.waiting.queues.values()):
            for head in [head for task, head in queue.heads.items() if job_of(task) == job and queue.bin is not to]:
                board.left(head.task)
                board.arrived(Line(to, queue.tenant, queue.shape, 0, queue.oldest_ms, ()), head)
        if self.starts():
            return True
        self.board = before
        return False

    def forget_failures(self) -> bool:
        """It may go back to where it failed."""
        queue = self.queue
        head = queue.heads[self.task]
        self.board.waiting.retold(queue, replace(head, avoid=()))
        if self.starts():
            return True
        self.board.waiting.retold(self.queue, head)
        return False

    def undrain(self, node: str) -> bool:
        """Its places take new work."""
        seats = [seat for seat in self.board.seats.all.values() if seat.place.node == node and seat.place.draining]
        places = [replace(seat.place, warm=seat.state.warm) for seat in seats]
        for place in places:
            self.board.place(replace(place, draining=False))
        if self.starts():
            return True
        self.board.undo()
        for place in places:
            self.board.place(place)
        return False

    def add(self, place: Place, count: int) -> bool:
        """So many places more, with nothing loaded."""
        self.board.undo()
        for name in [name for name in self.board.seats.all if name.startswith(NEW)]:  # of a try that helped
            self.board.gone(name)
        names = [f"{NEW}{number:03d}" for number in range(count)]
        for name in names:
            self.board.place(replace(place, id=name, node=name, warm=(), draining=False))
        if self.starts():
            return True
        for name in names:
            self.board.gone(name)
        return False

    def settings(self, config: PolicyConfig) -> bool:
        if not self.goes_on:
            return False
        before, self.board = self.board, fork(self.board, config)
        if self.starts():
            return True
        self.board = before
        return False

    def _tell(self, shares: Shares) -> bool:
        self.board.shares(shares)
        if self.starts():
            return True
        self.board.shares(self._shares)
        return False


def least(helps: Callable[[int], bool], most: int) -> int | None:
    """The least number from 1 to `most` that helps, if more never helps less; None: none was seen to. It was tried last."""
    low, high = 0, 1
    while not helps(high):
        if high >= most:
            return None
        low, high = high, min(2 * high, most)
    found = high
    while high - low > 1:
        middle = (low + high) // 2
        if helps(middle):
            high = found = middle
        else:
            low = middle
    return found if helps(found) else None
