"""In which order what waits would go: ours, and those that it is measured against.

A line stands in its group by the rank of whoever pays for it, then by the key of its first job; groups of a level are tried together. Bins are
levels, or make no difference. All keys are fixed while a job waits: what grows with time grows for everybody alike, so that left + weight * age
is compared as left - weight * since.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from vidprocme.core.job import Bin
from vidprocme.scheduler.ledger import SCALE, Ledger
from vidprocme.scheduler.waiting import Job, Queue


class Fair(StrEnum):
    """Between whom shares are kept."""

    NOBODY = "nobody"
    TENANTS = "tenants"  # whoever has used least for its weight goes first
    BOUNDED = "bounded"  # the same, but short and old jobs may go before by so much, and no more
    BINS = "bins"  # the bin that has used least for its weight, instead of a strict order
    MIXED = "mixed"  # a tenant's use counts like so much less waiting


BEHIND = 1 << 62  # more than any key
BIN_WEIGHTS = {Bin.URGENT: 8, Bin.HIGH: 4, Bin.NORMAL: 2, Bin.BULK: 1}


@dataclass(frozen=True, slots=True)
class Order:
    """
    strict: bins go in order.
    left: how much the predicted remaining work of a job counts, in thousandths.
    age: how much a millisecond that it waits counts against a millisecond of work, in thousandths.
    bound: with Fair.BOUNDED, a tenant that has used more for its weight than so many times what the others have that wait goes behind them.
    even_ms: and below that, having used as much as everybody on average counts like so much more work.
    mixed_ms: so much waiting makes up for the whole use of a tenant's fair share, with Fair.MIXED.
    """

    strict: bool = True
    fair: Fair = Fair.TENANTS
    left: int = 1000
    age: int = 0
    bound: int = 4
    even_ms: int = 20_000
    mixed_ms: int = 3_600_000

    def level(self, bin_: Bin) -> Bin:
        return bin_ if self.strict else Bin.URGENT

    def key(self, job: Job) -> int:
        return self.left * job.left_ms + self.age * job.since_ms

    def payer(self, bin_: Bin, tenant: str) -> str:
        """Whose use grows when something of this bin and tenant starts."""
        return bin_.value if self.fair is Fair.BINS else tenant

    def ranking(self, ledger: Ledger) -> Callable[[Queue, int], int]:
        """Tells of a line whose first job has a key where it stands by who pays for it: the lowest goes first."""
        weighted, even, bound = ledger.weighted, 1000 * self.even_ms, self.bound

        def nobody(_queue: Queue, _key: int) -> int:
            return 0

        def tenants(queue: Queue, _key: int) -> int:
            return weighted.get(queue.tenant, 0)

        def bounded(queue: Queue, key: int) -> int:
            used = weighted.get(queue.tenant, 0)
            rank = key + even * used // ledger.mean
            others = ledger.others.get(queue.tenant, ledger.mean)
            return rank + BEHIND * _times(used, others, bound) if used > others * bound else rank

        def bins(queue: Queue, _key: int) -> int:
            return ledger.used(queue.bin.value) * SCALE // BIN_WEIGHTS[queue.bin]

        def mixed(queue: Queue, key: int) -> int:
            mean = max(1, sum(weighted.values()) // max(1, len(weighted)))
            return key + self.age * self.mixed_ms * weighted.get(queue.tenant, 0) // mean

        ways = {Fair.TENANTS: tenants, Fair.BOUNDED: bounded, Fair.BINS: bins, Fair.MIXED: mixed}
        return ways.get(self.fair, nobody)


def _times(used: int, others: int, bound: int) -> int:
    """How often `bound` goes into what has been used beyond what the others have used: 0 within it, 1 up to its square ..."""
    n, most = 0, others * bound
    while used > most:
        n, most = n + 1, most * bound
    return n


FIFO = Order(strict=False, fair=Fair.NOBODY, left=0, age=1000)
STRICT = Order(fair=Fair.NOBODY, left=0, age=1000)
WEIGHTED_FAIR = Order(strict=False, fair=Fair.BINS, left=0, age=1000)
AGE_FAIR_SHARE = Order(strict=False, fair=Fair.MIXED, left=0, age=1000)
SRPT = Order(strict=False, fair=Fair.NOBODY)
DEFAULT = Order(fair=Fair.BOUNDED, age=300)
