"""What tenants have used, and how many more tasks bins and tenants may start."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from vidprocme.core.job import Bin
from vidprocme.core.shares import BinShare, Shares, TenantShare

SCALE = 1_000_000  # so that dividing a use by a weight loses nothing that matters
LITTLE = 60_000_000 * SCALE  # a core-minute at weight 1: who has used no more is not held to any share
NO_BIN, NO_TENANT = BinShare(), TenantShare()


class Ledger:
    """As the queue last told it, moved forward by what is started, as the queue will when the claim is granted."""

    def __init__(self) -> None:
        self._bins: dict[Bin, BinShare] = {}
        self._tenants: dict[str, TenantShare] = {}
        self.shut: set[Bin] = set()  # bins that are paused or run as many tasks as they may
        self.full: set[str] = set()  # tenants that run as many tasks as they may
        self.weighted: dict[str, int] = {}  # what is compared between tenants: use for weight. Least goes first
        self.mean = LITTLE  # of what those that wait had used for their weight when it was told, and at least LITTLE
        self.others: dict[str, int] = {}  # the same without the one that is named
        self._limits = False  # is anything paused or limited?
        self._used: Counter[str] = Counter()  # since it was told; 1,000,000 = one core for one second
        self._started: Counter[str] = Counter()  # since it was told, by tenant
        self._started_in: Counter[Bin] = Counter()

    def tell(self, shares: Shares) -> None:
        """The queue's own figures, in place of everything."""
        self._bins, self._tenants = dict(shares.bins), dict(shares.tenants)
        self._used.clear()
        self._started.clear()
        self._started_in.clear()
        self.shut = {bin_ for bin_, share in self._bins.items() if share.paused or self.bin_full(bin_)}
        self.full = {name for name in self._tenants if self.tenant_full(name)}
        self._limits = bool(self._bins) or any(share.limit is not None for share in self._tenants.values())
        # The same object for ever: whoever ranks tenants keeps it.
        self.weighted.clear()
        self.weighted.update({name: share.used * SCALE // share.weight for name, share in self._tenants.items()})

    def compare(self, tenants: Collection[str]) -> None:
        """These wait: what each has used is compared with what the others have used now."""
        known = {name: self.weighted.get(name, 0) for name in tenants}
        total, n = sum(known.values()), len(known)
        self.mean = max(LITTLE, total // n) if n else LITTLE
        self.others = {name: max(LITTLE, (total - used) // (n - 1)) for name, used in known.items()} if n > 1 else {}

    def shares(self) -> Shares:
        """The figures as they are now."""
        bins = {bin_: BinShare(one.paused, one.limit, self.running(bin_)) for bin_, one in self._bins.items()}
        for bin_, started in self._started_in.items():
            if started:
                bins.setdefault(bin_, BinShare(running=self.running(bin_)))
        names = dict.fromkeys([*self._tenants, *(+self._used), *(+self._started)])
        tenants = {}
        for name in names:
            told = self.tenant(name)
            tenants[name] = TenantShare(self.used(name), told.weight, told.limit, self.running_of(name))
        return Shares(bins, tenants)

    def bin(self, bin_: Bin) -> BinShare:
        """What is set about it; its `running` is as it was told."""
        return self._bins.get(bin_, NO_BIN)

    def tenant(self, tenant: str) -> TenantShare:
        """What is set about it; its figures are as they were told."""
        return self._tenants.get(tenant, NO_TENANT)

    def used(self, tenant: str) -> int:
        """What it has used; 1,000,000 = one core for one second."""
        return self._used[tenant] + self.tenant(tenant).used

    def running(self, bin_: Bin) -> int:
        """Of a bin with a limit."""
        return self.bin(bin_).running + self._started_in[bin_]

    def running_of(self, tenant: str) -> int:
        """Of a tenant with a limit."""
        return self.tenant(tenant).running + self._started[tenant]

    def bin_full(self, bin_: Bin) -> bool:
        limit = self.bin(bin_).limit
        return limit is not None and self.running(bin_) >= limit

    def tenant_full(self, tenant: str) -> bool:
        limit = self.tenant(tenant).limit
        return limit is not None and self.running_of(tenant) >= limit

    def allows(self, bin_: Bin, tenant: str) -> bool:
        """May one more task start, wherever there is room?"""
        return bin_ not in self.shut and tenant not in self.full

    def start(self, bin_: Bin, tenant: str, cost: int) -> bool:
        """A task starts. A negative cost: it did not, after all. True: no more may start of its bin, or of its tenant."""
        self.charge(tenant, cost)
        return self._count(bin_, tenant, 1 if cost >= 0 else -1)

    def ended(self, bin_: Bin, tenant: str) -> None:
        """A task that was started has ended."""
        self._count(bin_, tenant, -1)

    def _count(self, bin_: Bin, tenant: str, by: int) -> bool:
        started, started_in = self._started, self._started_in
        started[tenant] = started.get(tenant, 0) + by
        started_in[bin_] = started_in.get(bin_, 0) + by
        if not self._limits:
            return False
        filled = False
        if bin_ in self._bins:
            shut = self.bin(bin_).paused or self.bin_full(bin_)
            filled = shut and bin_ not in self.shut
            (self.shut.add if shut else self.shut.discard)(bin_)
        if self.tenant(tenant).limit is not None:
            full = self.tenant_full(tenant)
            filled = filled or (full and tenant not in self.full)
            (self.full.add if full else self.full.discard)(tenant)
        return filled

    def charge(self, tenant: str, amount: int) -> None:
        """It has used so much more."""
        used = self._used[tenant] = self._used.get(tenant, 0) + amount
        told = self._tenants.get(tenant, NO_TENANT)
        self.weighted[tenant] = (told.used + used) * SCALE // told.weight
