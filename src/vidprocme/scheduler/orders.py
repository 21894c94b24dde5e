"""In which order what waits would go: ours, and those that it is measured against.

A line stands in its group by the rank of whoever pays for it, then by the key of its first job; groups of a level are tried together. Bins are
levels, or make no difference. All keys are fixed while a job waits: what grows with time grows for everybody alike, so that left + weight * age
is compared as left - weight * since.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from vidprocme.core.job import Bin
from vidprocme.scheduler.ledger import SCALE, Ledger
from vidprocme.scheduler.waiting import Job, Queue


class Fair(StrEnum):
    """Between whom shares are kept."""

    NOBODY = "nobody"
    TENANTS = "tenants"  # whoever has used least for its weight goes first
    STEPS = "steps"  # the same, where uses that differ by little count as equal
    BINS = "bins"  # the bin that has used least for its weight, instead of a strict order
    MIXED = "mixed"  # a tenant's use counts like so much less waiting


BIN_WEIGHTS = {Bin.URGENT: 8, Bin.HIGH: 4, Bin.NORMAL: 2, Bin.BULK: 1}


@dataclass(frozen=True, slots=True)
class Order:
    """
    strict: bins go in order.
    left: how much the predicted remaining work of a job counts, in thousandths.
    age: how much a millisecond that it waits counts against a millisecond of work, in thousandths.
    steps: into how many steps a doubling of a tenant's use is divided, with Fair.STEPS.
    mixed_ms: so much waiting makes up for the whole use of a tenant's fair share, with Fair.MIXED.
    """

    strict: bool = True
    fair: Fair = Fair.TENANTS
    left: int = 1000
    age: int = 0
    steps: int = 1
    mixed_ms: int = 3_600_000

    def level(self, bin_: Bin) -> Bin:
        return bin_ if self.strict else Bin.URGENT

    def key(self, job: Job) -> int:
        return self.left * job.left_ms + self.age * job.since_ms

    def payer(self, bin_: Bin, tenant: str) -> str:
        """Whose use grows when something of this bin and tenant starts."""
        return bin_.value if self.fair is Fair.BINS else tenant

    def rank(self, ledger: Ledger, queue: Queue, key: int) -> int:
        match self.fair:
            case Fair.TENANTS:
                return ledger.weighted.get(queue.tenant, 0)
            case Fair.STEPS:
                return _step(ledger.weighted.get(queue.tenant, 0), self.steps)
            case Fair.BINS:
                return ledger.used(queue.bin.value) * SCALE // BIN_WEIGHTS[queue.bin]
            case Fair.MIXED:
                mean = max(1, sum(ledger.weighted.values()) // max(1, len(ledger.weighted)))
                return key + self.age * self.mixed_ms * ledger.weighted.get(queue.tenant, 0) // mean
            case _:
                return 0


def _step(value: int, steps: int) -> int:
    """The logarithm of a use, in so many steps for each doubling, by whole numbers."""
    bits = value.bit_length()
    if bits <= 8:
        return 0
    return bits * steps + ((value >> (bits - 9)) - 256) * steps // 256


FIFO = Order(strict=False, fair=Fair.NOBODY, left=0, age=1000)
STRICT = Order(fair=Fair.NOBODY, left=0, age=1000)
WEIGHTED_FAIR = Order(strict=False, fair=Fair.BINS, left=0, age=1000)
AGE_FAIR_SHARE = Order(strict=False, fair=Fair.MIXED, left=0, age=1000)
SRPT = Order(strict=False, fair=Fair.NOBODY)
DEFAULT = Order(left=0)
