"""What tenants have used and how many more may start, while a decision is made."""

from __future__ import annotations

from vidprocme.core.job import Bin
from vidprocme.core.resources import Resources
from vidprocme.core.shares import BinShare, Shares, TenantShare, start_cost

SCALE = 1_000_000  # so that dividing a use by a weight loses nothing that matters
NO_BIN, NO_TENANT = BinShare(), TenantShare()


class Ledger:
    """Begins with what the queue told; `start` moves it forward as the queue will when the claim is granted."""

    def __init__(self, shares: Shares) -> None:
        self._bins, self._tenants = shares.bins, shares.tenants
        self._free = not shares.bins and all(share.limit is None for share in shares.tenants.values())
        self._used: dict[str, int] = {}
        self._started: dict[tuple[str, str], int] = {}  # by this decision

    def bin(self, bin_: Bin) -> BinShare:
        return self._bins.get(bin_, NO_BIN)

    def tenant(self, tenant: str) -> TenantShare:
        return self._tenants.get(tenant, NO_TENANT)

    def used(self, tenant: str) -> int:
        """What it has used; 1,000,000 = one core for one second."""
        return self._used.get(tenant, 0) + self.tenant(tenant).used

    def weighted(self, tenant: str) -> int:
        """What is compared between tenants: use for weight. Least goes first."""
        return self.used(tenant) * SCALE // self.tenant(tenant).weight

    def running(self, bin_: Bin) -> int:
        """Of a bin with a limit."""
        return self.bin(bin_).running + self._started.get(("bin", bin_), 0)

    def running_of(self, tenant: str) -> int:
        """Of a tenant with a limit."""
        return self.tenant(tenant).running + self._started.get(("tenant", tenant), 0)

    def bin_full(self, bin_: Bin) -> bool:
        limit = self.bin(bin_).limit
        return limit is not None and self.running(bin_) >= limit

    def tenant_full(self, tenant: str) -> bool:
        limit = self.tenant(tenant).limit
        return limit is not None and self.running_of(tenant) >= limit

    def allows(self, bin_: Bin, tenant: str) -> bool:
        """May one more task start, wherever there is room?"""
        return self._free or not (self.bin(bin_).paused or self.bin_full(bin_) or self.tenant_full(tenant))

    def start(self, bin_: Bin, tenant: str, resources: Resources) -> None:
        self._used[tenant] = self._used.get(tenant, 0) + start_cost(resources)
        for key in (("bin", bin_), ("tenant", tenant)):
            self._started[key] = self._started.get(key, 0) + 1
