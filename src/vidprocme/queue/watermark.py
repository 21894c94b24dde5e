"""Nothing new is taken in when the server's memory is nearly used up: what is in hand needs the rest."""

from __future__ import annotations

import time

import redis

from vidprocme.core.errors import Retryable
from vidprocme.queue import connect

# Asking costs a round trip (about 0.1 ms); in a second the fastest producer we measured puts in some 40 MB.
ASK_EVERY_S = 1.0


class Watermark:
    """Asks the server now and then how full it is. Safe for threads: at worst two ask at once."""

    def __init__(self, client: redis.Redis, where: str, percent: int) -> None:
        """
        Args:
            percent: of the server's maxmemory; 0: never refuse. A server without a limit refuses nothing either.
        """
        self._client, self._where, self._percent = client, where, percent
        self._asked_s = float("-inf")
        self._used = self._limit = 0

    def check(self) -> None:
        """
        Raises:
            Retryable: QUEUE_FULL; QUEUE_UNREACHABLE.
        """
        if self._percent == 0:
            return
        now_s = time.monotonic()
        # One that is full is asked each time: it should take work again as soon as it can.
        if now_s - self._asked_s >= ASK_EVERY_S or self._is_full():
            with connect.translated(self._where):
                info = self._client.info("memory")
            self._used, self._limit = int(info["used_memory"]), int(info.get("maxmemory", 0))  # type: ignore[index, union-attr]
            self._asked_s = now_s
        if self._is_full():
            raise Retryable(
                "QUEUE_FULL",
                f"The Redis server at {self._where} uses {self._used >> 20} MiB of the {self._limit >> 20} MiB it may use; "
                f"nothing new is taken from {self._percent} % on.",
                "What was accepted goes on. Raise its maxmemory (the embedded server's: VIDPROCME_REDIS_MEMORY_MB), keep fewer ended jobs (VIDPROCME_KEEP_JOBS), or drop some: "
                "`vidprocme jobs drop`.",
                {"used_bytes": self._used, "limit_bytes": self._limit, "percent": self._percent},
            )

    def _is_full(self) -> bool:
        return self._limit > 0 and self._used * 100 >= self._limit * self._percent
