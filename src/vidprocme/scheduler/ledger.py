"""What tenants have used, and how many more tasks bins and tenants may start."""

from __future__ import annotations

from collections.abc import Callable, Collection

from vidprocme.core.job import Bin
from vidprocme.core.shares import BinShare, Shares, TenantShare

SCALE = 1_000_000  # so that dividing a use by a weight loses nothing that matters
LITTLE = 60_000_000 * SCALE  # a core-minute at weight 1: who has used no more is not held to any share
NO_BIN, NO_TENANT = BinShare(), TenantShare()
_BINS = frozenset(bin_.value for bin_ in Bin)  # who pay, with Fair.BINS


class Account:
    """One tenant's, or a bin's where bins pay. The same object as long as anything of it waits.

    weighted: what is compared, its use for its weight. offset: how much later it goes for that (orders.py). others: what the others that wait have
    used for their weight, on average; 0: there are none. full: it runs as many tasks as it may. named: the queue told of it.
    """

    __slots__ = ("full", "name", "named", "offset", "others", "started", "told", "used", "weighted")

    def __init__(self, name: str) -> None:
        self.name, self.told = name, NO_TENANT
        self.used = self.started = 0  # since it was told
        self.weighted = self.others = self.offset = 0
        self.full = self.named = False

    @property
    def running(self) -> int:
        return self.told.running + self.started

    @property
    def whole_use(self) -> int:
        """1,000,000 = one core for one second."""
        return self.told.used + self.used

    @property
    def share(self) -> TenantShare:
        told = self.told
        return TenantShare(told.used + self.used, told.weight, told.limit, told.running + self.started)

    @property
    def is_known(self) -> bool:
        return self.named or self.used > 0 or self.started > 0


class BinAccount:
    """One bin's. shut: it is paused, or runs as many tasks as it may. told: None: nothing is set or counted."""

    __slots__ = ("bin", "shut", "started", "told")

    def __init__(self, bin_: Bin) -> None:
        self.bin, self.told = bin_, NO_BIN
        self.started = 0  # since it was told
        self.shut = False

    @property
    def running(self) -> int:
        return self.told.running + self.started

    @property
    def is_full(self) -> bool:
        return self.told.limit is not None and self.running >= self.told.limit


class Ledger:
    """As the queue last told it, moved forward by what is started, as the queue will when the claim is granted."""

    def __init__(self) -> None:
        self.bins = {bin_: BinAccount(bin_) for bin_ in Bin}
        self.accounts: dict[str, Account] = {}
        self.mean = LITTLE  # of what those that wait had used for their weight when it was told, and at least LITTLE
        self.offset_of: Callable[[Account], int] = _none  # by whoever orders
        self._bins_told: set[Bin] = set()

    def account(self, name: str) -> Account:
        found = self.accounts.get(name)
        if found is None:
            found = self.accounts[name] = Account(name)
        return found

    def tell(self, shares: Shares, waiting: Collection[str]) -> None:
        """The queue's own figures, in place of everything.

        Args:
            waiting: tenants of which something does; each is compared with what the others of them have used now.
        """
        self._bins_told = set(shares.bins)
        for bin_, account in self.bins.items():
            account.told, account.started = shares.bins.get(bin_, NO_BIN), 0
            account.shut = account.told.paused or account.is_full
        for name in [
            name for name in self.accounts if not (name in shares.tenants or name in waiting or name in _BINS)
        ]:
            del self.accounts[name]
        for name in shares.tenants:
            self.account(name)
        for name, one in self.accounts.items():
            told = shares.tenants.get(name)
            one.named = told is not None or (name in waiting and one.is_known)
            if told is None:  # what was known of it
                told = one.share if name in waiting else NO_TENANT
            one.told, one.used, one.started, one.others = told, 0, 0, 0
            one.weighted = told.used * SCALE // told.weight
            one.full = told.limit is not None and told.running >= told.limit
        total, n = sum(self.account(name).weighted for name in waiting), len(waiting)
        self.mean = max(LITTLE, total // n) if n else LITTLE
        for name in waiting if n > 1 else ():
            one = self.accounts[name]
            one.others = max(LITTLE, (total - one.weighted) // (n - 1))
        for one in self.accounts.values():
            one.offset = self.offset_of(one)

    def shares(self) -> Shares:
        """The figures as they are now."""
        bins = {
            bin_: BinShare(one.told.paused, one.told.limit, one.running)
            for bin_, one in self.bins.items()
            if bin_ in self._bins_told or one.started
        }
        return Shares(bins, {name: one.share for name, one in self.accounts.items() if one.is_known})

    def mean_of_known(self) -> int:
        """What those have used for their weight, on average, of whom anything is known."""
        known = [one.weighted for one in self.accounts.values() if one.is_known]
        return sum(known) // max(1, len(known))

    def compare(self) -> None:
        """Work the offsets out again, where they depend on what others have used since it was told."""
        for one in self.accounts.values():
            one.offset = self.offset_of(one)

    def start(self, bin_: BinAccount, tenant: Account, payer: Account, cost: int) -> bool:
        """A task starts. A negative cost: it did not, after all. True: no more may start of its bin, or of its tenant."""
        payer.used += cost
        told = payer.told
        payer.weighted = (told.used + payer.used) * SCALE // told.weight
        payer.offset = self.offset_of(payer)
        return self.count(bin_, tenant, 1 if cost >= 0 else -1)

    def count(self, bin_: BinAccount, tenant: Account, by: int) -> bool:
        """So many more run. True: for that, no more may start of its bin, or of its tenant."""
        bin_.started += by
        tenant.started += by
        filled = False
        if bin_.told is not NO_BIN:
            shut = bin_.told.paused or bin_.is_full
            filled, bin_.shut = shut and not bin_.shut, shut
        told = tenant.told
        if told.limit is not None:
            full = told.running + tenant.started >= told.limit
            filled, tenant.full = filled or (full and not tenant.full), full
        return filled

    def charge(self, tenant: str, amount: int) -> None:
        """It has used so much more."""
        one = self.account(tenant)
        one.used += amount
        one.weighted = one.whole_use * SCALE // one.told.weight
        one.offset = self.offset_of(one)


def _none(_: Account) -> int:
    return 0
