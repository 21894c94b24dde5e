"""A pool in a process of its own with a short lease. It says when it is busy, and which of its commits were refused as stale."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.dispatch.things import started, step_until
from vidprocme.dispatch.pace import LoopConfig
from vidprocme.library.blobs import open_blobs
from vidprocme.queue.base import Settlement, Turn, TurnSent
from vidprocme.queue.redis import RedisQueue


@dataclass(frozen=True)
class Heard:
    """A turn on its way whose answer is told aloud."""

    sent: TurnSent
    settle: Sequence[Settlement]

    def answer(self) -> Turn:
        turn = self.sent.answer()
        for settlement in self.settle:
            if settlement.lease in turn.stale:
                print(f"stale: {settlement.next} of {settlement.lease.task}", flush=True)
        return turn


class Telling(RedisQueue):
    """The real queue; it says aloud which settlements were refused."""

    def begin_turn(self, holder: str, settle: Sequence[Settlement], *more: Any, **named: Any) -> TurnSent:
        return Heard(super().begin_turn(holder, settle, *more, **named), settle)


if __name__ == "__main__":
    queue = Telling.connect(sys.argv[1], prefix=sys.argv[2])
    config = LoopConfig(lease_ms=600, beat_ms=100, presence_ms=400, turn_every_s=0.2)
    with tempfile.TemporaryDirectory() as folder, started(queue, open_blobs(folder), config=config) as pool:
        step_until(pool, lambda: pool.busy == 1)
        print("busy", flush=True)
        pool.run(lambda: False)
