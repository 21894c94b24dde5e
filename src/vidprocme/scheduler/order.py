"""Who comes first: bins in order, in a bin the tenant that has used least for its weight, of a tenant the oldest job.

Inside a job the later stage goes first, so that a video that was begun is finished before the next one is: with tasks by
age alone, a batch of videos would all be transcoded before the first is joined.

Beside this order there is what is overdue, by age alone: see turns.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace

from vidprocme.core.ids import job_of
from vidprocme.core.job import Bin, Stage
from vidprocme.core.snapshot import Head, Line

STAGES = {stage.value: number for number, stage in enumerate(Stage)}


@dataclass(frozen=True, slots=True)
class Waiter:
    """A head with the line it stands in."""

    head: Head
    line: Line

    @property
    def rank(self) -> tuple[str, int, int, str]:
        """Job (its id sorts by when it was made), later stages before earlier ones, then age."""
        stage = STAGES.get(self.line.shape.partition("/")[0], 0)
        return job_of(self.head.task), -stage, self.head.ready_ms, self.head.task

    @property
    def age(self) -> tuple[int, str]:
        """The oldest sorts first."""
        return self.head.ready_ms, self.head.task


def by_bin(lines: Iterable[Line]) -> dict[Bin, list[Waiter]]:
    """The heads of every bin that has some."""
    found: dict[Bin, list[Waiter]] = {}
    for line in lines:
        if line.heads:
            found.setdefault(line.bin, []).extend(Waiter(head, line) for head in line.heads)
    return found


def overdue(waiters: Iterable[Waiter], ready_before_ms: int) -> list[Waiter]:
    """Those that have been ready since this moment or longer, the oldest first."""
    return sorted((w for w in waiters if w.head.ready_ms <= ready_before_ms), key=lambda w: w.age)


def rounds(waiters: Iterable[Waiter], used: Callable[[str], int]) -> Iterator[Waiter]:
    """The heads of one bin in the order in which they are to be tried, whatever the order in which they come.

    Each is of the tenant that has used least so far; of two that used the same, whose next head waits longer. A head that
    finds no place costs its tenant nothing: its next one is tried.

    Args:
        used: a tenant's use for its weight. It is asked again after every head, and may only have grown.
    """
    queues: dict[str, list[Waiter]] = {}
    for waiter in waiters:
        queues.setdefault(waiter.line.tenant, []).append(waiter)
    for queue in queues.values():
        queue.sort(key=lambda w: w.rank, reverse=True)
    if len(queues) == 1:
        yield from reversed(next(iter(queues.values())))
        return

    def place_of(tenant: str) -> tuple[int, int, str]:
        return used(tenant), queues[tenant][-1].head.ready_ms, tenant

    heap = [place_of(tenant) for tenant in queues]
    heapify(heap)
    while heap:
        tenant = heap[0][2]
        if place_of(tenant) != heap[0]:  # something of it was started meanwhile
            heapreplace(heap, place_of(tenant))
            continue
        yield queues[tenant].pop()
        if queues[tenant]:
            heapreplace(heap, place_of(tenant))
        else:
            heappop(heap)
