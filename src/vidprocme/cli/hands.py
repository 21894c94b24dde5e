"""Who does the work of a run: a pool that lives on the data folder, or one that the run brings itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from contextlib import ExitStack
from types import TracebackType
from typing import TypeVar

from vidprocme.core.errors import Retryable
from vidprocme.core.ids import JobId
from vidprocme.dispatch.dispatcher import Dispatcher
from vidprocme.monitor.alive import Mark
from vidprocme.wiring import House

STEP_S = 0.25
WAIT_S = 0.1
OTHERS_EVERY_S = 0.5
QUEUE_PATIENCE_S = (
    30.0  # how long a run waits for a queue that does not answer; an embedded one heals in a second or two
)

T = TypeVar("T")


class Hands:
    """Brings a pool for the run's own jobs when nobody else serves them, also when somebody stops doing so."""

    def __init__(self, house: House, jobs: Callable[[], Collection[JobId]]) -> None:
        self._house, self._jobs = house, jobs
        self._exits = ExitStack()
        self._mark = Mark(house.data, "run")
        self._exits.callback(self._mark.close)
        self._own: Dispatcher | None = None
        self._asked_s = float("-inf")
        self._others = False
        self._reached_s = time.monotonic()

    def __enter__(self) -> Hands:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._exits.close()

    @property
    def own(self) -> bool:
        """Whether this run's own pool does the work."""
        return self._own is not None

    @property
    def others(self) -> bool:
        """Whether somebody else's pool does the work."""
        return self._own is None and self._others

    def step(self, needed: bool, most_s: float = STEP_S) -> None:
        """Work or wait for a moment.

        Args:
            needed: there are jobs that somebody should be working on.
            most_s: how long to wait for something to happen.

        Raises:
            Retryable: the queue could not be reached for QUEUE_PATIENCE_S.
        """
        self._mark.touch()
        try:
            if self._own is None and needed and not self._others_work():
                self._own = self._exits.enter_context(self._house.pool(only=self._jobs))
            if self._own is not None:
                self._own.step(most_s)
                self._reached_s = max(self._reached_s, self._own.reached_s)
            else:
                time.sleep(min(WAIT_S, most_s))
                self._reached_s = time.monotonic()
            if time.monotonic() - self._reached_s > QUEUE_PATIENCE_S:
                raise Retryable(
                    "QUEUE_UNREACHABLE",
                    f"The queue has not answered for {QUEUE_PATIENCE_S:g} s.",
                    "Nothing accepted is lost: run the same command again when it does.",
                )
        except Retryable as error:
            if not error.code.startswith("QUEUE_") or time.monotonic() - self._reached_s > QUEUE_PATIENCE_S:
                raise
            time.sleep(STEP_S)

    def _others_work(self) -> bool:
        if time.monotonic() - self._asked_s >= OTHERS_EVERY_S:
            self._others = any(not pool.own_jobs_only and not pool.draining for pool in self._house.queue.pools())
            self._asked_s = time.monotonic()
        return self._others


def patiently(call: Callable[[], T], ends: Callable[[], bool] = lambda: False) -> T:
    """The call's answer, asked again while the queue is out of reach. Everything we ask may be said twice.

    Args:
        ends: whether nobody wants to know it any more; the call's error is raised then.
    """
    deadline = time.monotonic() + QUEUE_PATIENCE_S
    while True:
        try:
            return call()
        except Retryable as error:
            if not error.code.startswith("QUEUE_") or time.monotonic() > deadline or ends():
                raise
            time.sleep(STEP_S)
