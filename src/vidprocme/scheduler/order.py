"""Who comes first: bins strictly in order, tenants in rounds inside a bin, a tenant's oldest job first.

Inside a job the later stage goes first, so that a video that was begun is finished before the next one is: with tasks by
age alone, a batch of videos would all be transcoded before the first is joined.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, zip_longest
from operator import itemgetter

from vidprocme.core.ids import job_of
from vidprocme.core.job import Bin, Stage
from vidprocme.core.snapshot import Head, Line

STAGES = {stage.value: number for number, stage in enumerate(Stage)}


def by_bin(lines: Iterable[Line], bins: Iterable[Bin]) -> Iterator[tuple[Bin, list[Head]]]:
    """The heads of every bin, in the order in which they are to be placed; bins without heads are left out.

    The order depends only on what the lines hold, never on the order in which they come.
    """
    sorted_lines: dict[Bin, list[Line]] = {}
    for line in lines:
        if line.heads:
            sorted_lines.setdefault(line.bin, []).append(line)
    for bin_ in bins:
        if bin_ in sorted_lines:
            yield bin_, _rounds(sorted_lines[bin_])


def _rounds(lines: Iterable[Line]) -> list[Head]:
    """One head of each tenant in turn, so that a tenant who brings a thousand tasks takes one place in each round.

    A round begins with the tenant whose first head waits longest: with names alone deciding, and one place free at a time,
    the first name would have it always. Rounds begin anew with every decision: what a tenant runs already does not count.
    """
    ranked: dict[str, list[tuple[tuple[str, int, int, str], Head]]] = {}
    for line in lines:
        ranked.setdefault(line.tenant, []).extend((_rank(line, head), head) for head in line.heads)
    tenants = {name: [head for _, head in sorted(heads, key=itemgetter(0))] for name, heads in ranked.items()}
    queues = [tenants[name] for name in sorted(tenants, key=lambda name: (tenants[name][0].ready_ms, name))]
    if len(queues) == 1:
        return queues[0]
    return [head for head in chain.from_iterable(zip_longest(*queues)) if head is not None]


def _rank(line: Line, head: Head) -> tuple[str, int, int, str]:
    """Job (its id sorts by when it was made), later stages before earlier ones, then age."""
    stage = STAGES.get(line.shape.partition("/")[0], 0)
    return job_of(head.task), -stage, head.ready_ms, head.task
