"""What a pool does for the house now and then: trim what has ended, a step at a time, and tell of it; look who has died."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from vidprocme.core.errors import Fatal
from vidprocme.dispatch.pool import free_dead
from vidprocme.queue.base import Keep, Queue, Trimmed

EVERY_S = 5.0
# A pool killed beside us is known to be dead as soon as we look; otherwise its tasks would wait until its presence ends,
# a turn sweeps and the delay of what was swept is over: 3 to 5 s.
LOOK_FOR_DEAD_S = 1.0
# After a step that left more to do: about 4,000 tasks a second, each step 2 to 4 ms of the server's time.
AGAIN_S = 0.05
FAULT_S = 300.0

LOG = logging.getLogger("vidprocme.dispatch.housekeeping")


class Housekeeper:
    """Called from a pool's loop after each turn; most calls do nothing. Several pools do no harm to each other."""

    def __init__(self, queue: Queue, keep: Keep, now_s: Callable[[], float] = time.monotonic) -> None:
        self._queue, self._keep, self._now_s = queue, keep, now_s
        self._next_s = self._look_s = float("-inf")

    def step(self) -> None:
        """
        Raises:
            Retryable: the queue is out of reach; the step is tried again with the next call.
        """
        if self._now_s() >= self._look_s:
            free_dead(self._queue)
            self._look_s = self._now_s() + LOOK_FOR_DEAD_S
        if self._now_s() < self._next_s:
            return
        try:
            trimmed = self._queue.trim(self._keep)
        except Fatal as error:  # a fault of ours: work goes on without it
            LOG.error("what has ended cannot be trimmed: %s", error, extra={"code": error.code, **error.evidence})
            self._next_s = self._now_s() + FAULT_S
            return
        self._next_s = self._now_s() + (AGAIN_S if trimmed.more else EVERY_S)
        self._tell(trimmed)

    def _tell(self, trimmed: Trimmed) -> None:
        if trimmed.warn:
            LOG.warning(
                "%d dead letters are kept, of at most %s: the oldest will be given up soon (`vidprocme jobs dead`)",
                trimmed.dead,
                self._keep.dead or "any number",
                extra={"dead": trimmed.dead, "most": self._keep.dead},
            )
        if trimmed.given_up:
            LOG.warning(
                "%d dead letters were too old or too many and are given up; their jobs keep their errors",
                trimmed.given_up,
                extra={"given_up": trimmed.given_up, "dead": trimmed.dead},
            )
        if trimmed.jobs:
            LOG.info("%d ended jobs were too old or too many and are forgotten", trimmed.jobs)
