"""A stop that a person asked for: what it waits for is said at once, and a queue that does not answer is not waited for."""

from __future__ import annotations

import threading
from collections.abc import Callable

from vidprocme.queue.base import Queue

ANSWER_S = 1.0  # a queue that takes longer does not answer now
LOOK_EVERY_S = 0.5


class Stopping:
    """Begun by the signal; watches beside the calls that hang until it is over."""

    def __init__(self, queue: Queue, say: Callable[[str], None]) -> None:
        self._queue, self._say = queue, say
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="stopping", daemon=True)

    def begin(self) -> None:
        """Safe in a signal handler; once."""
        self._thread.start()

    def over(self) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(2 * ANSWER_S)

    def _watch(self) -> None:
        self._say("Stopping ...")
        while not self._over.is_set():
            if not self._queue.answers(ANSWER_S):
                self._say("The queue does not answer: stopping without it. What runs is tried again later.")
                self._queue.hurry()
                return
            self._over.wait(LOOK_EVERY_S)
