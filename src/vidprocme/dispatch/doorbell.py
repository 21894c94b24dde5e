"""The doorbell of a pool: a thread that waits for work on a connection of its own, and wakes the loop."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from vidprocme.core.errors import VidprocmeError
from vidprocme.queue.base import Queue

# How long it listens at a time; closing a pool waits for the end of it.
DOORBELL_S = 0.3

LOG = logging.getLogger("vidprocme.dispatch")


def doorbell(queue: Queue, ring: Callable[[], None], over: threading.Event, pause_s: float) -> threading.Thread:
    """The thread, not started yet; it ends soon after `over` is set."""

    def listen() -> None:
        while not over.is_set():
            try:
                if queue.await_work(DOORBELL_S) and not over.is_set():
                    ring()
            except Exception as error:  # without this thread new work would wait for the next look
                if not isinstance(error, VidprocmeError):  # of a queue that is away the beat tells
                    LOG.warning("the doorbell is broken: %s", error, exc_info=error)
                over.wait(pause_s)

    return threading.Thread(target=listen, name="doorbell", daemon=True)
