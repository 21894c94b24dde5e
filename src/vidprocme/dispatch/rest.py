"""A pool that cannot start attempts (its scratch disk is full, it has no more processes or files) claims nothing for a while.

It would fail at once whatever it claims, faster than any pool beside it works, and so take most of the work only to lose it. What
it could not start goes back uncharged; then it rests, longer after each start that fails, and tries one task at a time until one
has begun.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from vidprocme.core.ids import AttemptId
from vidprocme.core.job import Outcome, OutcomeKind
from vidprocme.core.snapshot import Plan, Reason, Snapshot
from vidprocme.executor.base import NOT_STARTED
from vidprocme.scheduler.explain import CANNOT_START

FIRST_S = 1.0
MOST_S = 60.0

LOG = logging.getLogger("vidprocme.dispatch")


class Rest:
    """Tells how much may be claimed. The loop tells it what began and ended; one thread."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._pause_s = 0.0  # 0: starts succeed
        self._until_s = float("-inf")
        self._trial: AttemptId | None = None
        self._why = ""

    def most(self, granted: int) -> int | None:
        """How many tasks may be claimed now; None: any number.

        Args:
            granted: claims that were granted and are not started yet.
        """
        if not self._pause_s:
            return None
        busy = granted or self._trial is not None or self._now_s() < self._until_s
        return 0 if busy else 1

    def plan(self, snapshot: Snapshot) -> Plan:
        """Nothing starts, and why."""
        reason = Reason(CANNOT_START, f"This pool rests, since it could not start an attempt: {self._why}")
        return Plan(reasons={head.task: reason for line in snapshot.lines.values() for head in line.heads})

    def begun(self, attempt: AttemptId) -> None:
        """It was given to the executor."""
        if self._pause_s and self._trial is None:
            self._trial = attempt

    def runs(self, attempt: AttemptId) -> None:
        """It has been heard of: its process runs."""
        if attempt == self._trial:
            LOG.info("attempts can be started again")
            self._pause_s, self._trial = 0.0, None

    def ended(self, attempt: AttemptId, outcome: Outcome) -> None:
        if not_started(outcome):
            self._fail(outcome)
        elif outcome.kind in (OutcomeKind.LOST, OutcomeKind.CANCELLED) and attempt == self._trial:
            self._trial = None  # stopped before it was heard of: it says nothing of the next one
        else:
            self.runs(attempt)

    def _fail(self, outcome: Outcome) -> None:
        self._trial = None
        if self._now_s() < self._until_s:
            return  # it was claimed together with the one before
        self._pause_s = min(MOST_S, max(FIRST_S, 2 * self._pause_s))
        self._until_s = self._now_s() + self._pause_s
        why = outcome.error.message if outcome.error else ""
        if why != self._why or self._pause_s == FIRST_S:  # a disk that is full all night is told once
            LOG.warning(
                "%s Its task goes back, uncharged; this pool claims nothing for 1 to %d s at a time until one can be started. Free its "
                "disk (the data folder's scratch), or raise its limits of processes and open files.",
                why,
                MOST_S,
                extra={"code": NOT_STARTED},
            )
        self._why = why


def not_started(outcome: Outcome) -> bool:
    """Whether nothing of this attempt was ever begun."""
    return outcome.kind is OutcomeKind.LOST and outcome.error is not None and outcome.error.code == NOT_STARTED
