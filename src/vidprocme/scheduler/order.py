"""Who comes first: bins in order, in a bin the tenant that has used least for its weight, of a tenant the oldest job.

Inside a job the later stage goes first, so that a video that was begun is finished before the next one is: with tasks by
age alone, a batch of videos would all be transcoded before the first is joined.

Beside this order there is what is overdue, by age alone: see turns.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from heapq import heapify, heappop, heapreplace
from operator import itemgetter
from typing import NamedTuple

from vidprocme.core.ids import job_of
from vidprocme.core.job import Bin, Stage
from vidprocme.core.snapshot import Head, Line

STAGES = {stage.value: number for number, stage in enumerate(Stage)}


class Waiter(NamedTuple):
    """A head with the line it stands in."""

    head: Head
    line: Line


def by_bin(lines: Iterable[Line]) -> dict[Bin, list[Waiter]]:
    """The heads of every bin that has some."""
    found: dict[Bin, list[Waiter]] = {}
    for line in lines:
        if line.heads:
            found.setdefault(line.bin, []).extend([Waiter(head, line) for head in line.heads])
    return found


def overdue(waiters: Iterable[Waiter], ready_before_ms: int) -> list[Waiter]:
    """Those that have been ready since this moment or longer, the oldest first."""
    late = [(w.head.ready_ms, w.head.task, w) for w in waiters if w.head.ready_ms <= ready_before_ms]
    return [waiter for _, _, waiter in sorted(late, key=itemgetter(0, 1))]


def rounds(waiters: Iterable[Waiter], used: Callable[[str], int]) -> Iterator[Waiter]:
    """The heads of one bin in the order in which they are to be tried, whatever the order in which they come.

    Each is of the tenant that has used least so far; of two that used the same, whose first head waits longer. A head that
    finds no place costs its tenant nothing: its next one is tried.

    Args:
        used: a tenant's use for its weight. It is asked again after every head, and may only have grown.
    """
    queues: dict[str, list[Waiter]] = {}
    for waiter in waiters:
        queues.setdefault(waiter.line.tenant, []).append(waiter)
    if len(queues) == 1:
        yield from _ranked(next(iter(queues.values())))
        return
    turns = {tenant: _ranked(queue) for tenant, queue in queues.items()}
    heap = [(used(tenant), queue[0].head.ready_ms, tenant) for tenant, queue in turns.items()]
    heapify(heap)
    left = {tenant: iter(queue) for tenant, queue in turns.items()}
    while heap:
        before, since, tenant = heap[0]
        if used(tenant) == before:  # else something of it was started meanwhile
            for waiter in left[tenant]:
                yield waiter
                if used(tenant) != before:
                    break
            else:
                heappop(heap)
                continue
        heapreplace(heap, (used(tenant), since, tenant))


def _ranked(queue: list[Waiter]) -> list[Waiter]:
    """By job (its id sorts by when it was made), later stages before earlier ones, then age."""
    if len(queue) == 1:
        return queue
    keys = []
    for number, (head, line) in enumerate(queue):
        stage = STAGES.get(line.shape.partition("/")[0], 0)
        keys.append((job_of(head.task), -stage, head.ready_ms, head.task, number))
    return [queue[key[4]] for key in sorted(keys)]
