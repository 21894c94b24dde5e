"""The places that pools hold for overdue tasks, as they said it with their turns (lua/_holds.lua)."""

from __future__ import annotations

from dataclasses import dataclass

from vidprocme.core.ids import TaskId
from vidprocme.queue.reader import QueueReader


@dataclass(frozen=True, slots=True)
class HeldPlace:
    """`since_ms`: when its pool first said so, on the queue's clock."""

    task: TaskId
    pool: str
    place: str
    since_ms: int


def held_places(queue: QueueReader) -> tuple[HeldPlace, ...]:
    """Those of pools that are present, by task."""
    keys = queue.keys
    found = []
    for task, text in sorted(queue.command("HGETALL", keys.of("reserved")).items()):
        pool, since_ms, _, place = text.split("|", 3)
        found.append(HeldPlace(TaskId(task), pool, place, int(since_ms)))
    owners = sorted({one.pool for one in found})
    there = dict(zip(owners, queue.commands(("EXISTS", keys.presence(pool)) for pool in owners), strict=True))
    return tuple(one for one in found if there[one.pool])
