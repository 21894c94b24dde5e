"""Who comes first: bins strictly in order, tenants in rounds inside a bin, the oldest head of a tenant first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, zip_longest

from vidprocme.core.job import Bin
from vidprocme.core.snapshot import Head, Line


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

    A round begins with the tenant whose oldest head is oldest: with names alone deciding, and one place free at a time,
    the first name would have it always. Rounds begin anew with every decision: what a tenant runs already does not count.
    """
    tenants: dict[str, list[Head]] = {}
    for line in lines:
        tenants.setdefault(line.tenant, []).extend(line.heads)
    for heads in tenants.values():
        heads.sort(key=_age)
    queues = [tenants[name] for name in sorted(tenants, key=lambda name: (tenants[name][0].ready_ms, name))]
    if len(queues) == 1:
        return queues[0]
    return [head for head in chain.from_iterable(zip_longest(*queues)) if head is not None]


def _age(head: Head) -> tuple[int, str]:
    return head.ready_ms, head.task
