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
from vidprocme.scheduler.ledger import SCALE, Account, Ledger
from vidprocme.scheduler.lines import Job


class Fair(StrEnum):
    """Between whom shares are kept."""

    NOBODY = "nobody"
    TENANTS = "tenants"  # whoever has used least for its weight goes first
    BOUNDED = "bounded"  # the same, but short and old jobs may go before by so much, and no more
    BINS = "bins"  # the bin that has used least for its weight, instead of a strict order
    MIXED = "mixed"  # a tenant's use counts like so much less waiting


BEHIND = 1 << 62  # more than any key
BIN_WEIGHTS: dict[str, int] = {Bin.URGENT: 8, Bin.HIGH: 4, Bin.NORMAL: 2, Bin.BULK: 1}


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
    bound: int = 8
    even_ms: int = 5_000
    mixed_ms: int = 3_600_000

    def level(self, bin_: Bin) -> Bin:
        return bin_ if self.strict else Bin.URGENT

    def key(self, job: Job) -> int:
        return self.left * job.left_ms + self.age * job.since_ms

    def payer(self, bin_: Bin, tenant: str) -> str:
        """Whose use grows when something of this bin and tenant starts."""
        return bin_.value if self.fair is Fair.BINS else tenant

    @property
    def by_key(self) -> bool:
        """Does a job's key count beside what its payer has used, or only between jobs of those that have used the same?"""
        return self.fair in (Fair.BOUNDED, Fair.MIXED)

    def offsets(self, ledger: Ledger) -> Callable[[Account], int]:
        """Tells how far behind an account's use puts what it pays for: the lowest goes first."""
        even, bound = 1000 * self.even_ms, self.bound

        def nobody(_: Account) -> int:
            return 0

        def tenants(account: Account) -> int:
            return account.weighted

        def bounded(account: Account) -> int:
            used = account.weighted
            offset = even * used // ledger.mean
            others = account.others or ledger.mean
            return offset + BEHIND * _times(used, others, bound) if used > others * bound else offset

        def bins(account: Account) -> int:
            return account.whole_use * SCALE // BIN_WEIGHTS.get(account.name, 1)

        def mixed(account: Account) -> int:
            return self.age * self.mixed_ms * account.weighted // max(1, ledger.mean_of_known())

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
