"""What has ended in a pool and waits for the queue to hear of it: what follows is planned, and how to settle is said."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vidprocme.core.clock import Rng
from vidprocme.core.errors import ErrorInfo
from vidprocme.core.ids import AttemptId
from vidprocme.core.job import Lease, Next, Outcome, OutcomeKind
from vidprocme.dispatch import telling
from vidprocme.dispatch.advance import Failpoint, advance, that_can_be_kept
from vidprocme.dispatch.rest import not_started
from vidprocme.library.base import Blobs
from vidprocme.queue.base import Claimed, Queue, Settlement


class Ends:
    """Attempts that ended, oldest first, and claims that are handed back. True while there are any."""

    def __init__(
        self,
        queue: Queue,
        blobs: Blobs,
        rng: Rng,
        drop: Callable[[Lease], None],
        at: Failpoint,
        later_ms: int,
    ) -> None:
        """
        Args:
            drop: called with each lease that nothing is done under any more.
        """
        self._queue, self._blobs, self._rng, self._drop = queue, blobs, rng, drop
        self._at, self._later_ms = at, later_ms
        self._ended: list[tuple[Claimed, Outcome]] = []
        self._said: dict[AttemptId, Settlement] = {}  # planned, enqueued, and to be settled so
        self._handing_back: set[AttemptId] = set()
        self._returned: list[Settlement] = []  # claims that nothing was begun of
        self._asked = 0  # how many of those that ended the last `settlements` told of

    def __bool__(self) -> bool:
        return bool(self._ended or self._returned)

    @property
    def ended(self) -> int:
        """How many attempts."""
        return len(self._ended)

    def add(self, claimed: Claimed, outcome: Outcome) -> None:
        self._ended.append((claimed, outcome))

    def hand_back(self, attempt: AttemptId) -> None:
        """However this one ends, if it does not end well: its task goes back, uncharged."""
        self._handing_back.add(attempt)

    def give_back(self, lease: Lease, error: ErrorInfo) -> None:
        """Hand back a claim that nothing was begun of, uncharged."""
        self._returned.append(Settlement(lease, Next.HAND_BACK, Outcome(OutcomeKind.LOST, error=error)))

    def plan(self, known: int) -> bool:
        """Plan already what follows from those after the first `known`, which are on their way. True: something is planned.

        Raises:
            VidprocmeError: the queue is away; what was planned so far is kept.
        """
        for claimed, outcome in self._ended[known:]:
            settlement = self._say(claimed, outcome)
            if settlement is not None:
                self._said[claimed.attempt.id] = settlement
        return bool(self._said)

    def settlements(self) -> list[Settlement]:
        """Plan and enqueue what follows from all of them, then say how to settle them."""
        settlements, going_on = [], []
        for claimed, outcome in self._ended:
            settlement = self._said.get(claimed.attempt.id) or self._say(claimed, outcome)
            if settlement is None:
                self._drop(claimed.lease)
            else:
                settlements.append(settlement)
                going_on.append((claimed, outcome))
        self._ended, self._asked = going_on, len(going_on)
        return [*settlements, *self._returned]

    def settled(self, settlements: Sequence[Settlement], stale: Sequence[Lease]) -> None:
        """The queue has heard these, as `settlements` gave them; or nothing, when they are none."""
        if not settlements:
            return
        told = [(claimed, said) for (claimed, _), said in zip(self._ended[: self._asked], settlements, strict=False)]
        telling.settled(told, stale)
        for settlement in settlements:
            self._drop(settlement.lease)
            self._said.pop(settlement.lease.attempt, None)
            self._handing_back.discard(settlement.lease.attempt)
        self._ended = self._ended[self._asked :]
        self._returned = self._returned[len(settlements) - self._asked :]

    def _say(self, claimed: Claimed, outcome: Outcome) -> Settlement | None:
        if claimed.attempt.id in self._handing_back and outcome.kind is not OutcomeKind.OK:
            return Settlement(claimed.lease, Next.HAND_BACK, that_can_be_kept(outcome)[0])
        if not_started(outcome):  # the task did nothing, and neither did its pool: see rest.py
            return Settlement(claimed.lease, Next.HAND_BACK, outcome)
        return advance(self._queue, self._blobs, claimed, outcome, claimed.lost, self._rng, self._at, self._later_ms)
