"""Documents that many ask for and that cost something: made once, and shared for a moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

FRESH_S = 1.0


class Cached:
    """One value for each name. While it is being made, others wait for it instead of making it too."""

    def __init__(self, fresh_s: float = FRESH_S) -> None:
        self._fresh_s = fresh_s
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._made: dict[str, tuple[float, Any]] = {}

    def get(self, name: str, make: Callable[[], T]) -> T:
        """Not older than FRESH_S. What `make` raises is raised by each who asked."""
        with self._lock:
            lock = self._locks.setdefault(name, threading.Lock())
        with lock:
            made_s, value = self._made.get(name, (float("-inf"), None))
            if time.monotonic() - made_s >= self._fresh_s:
                value = make()
                self._made[name] = time.monotonic(), value
            found: T = value
            return found

    def forget(self, *names: str) -> None:
        """Somebody changed what it shows: who asks next sees that."""
        for name in names:
            self._made.pop(name, None)
