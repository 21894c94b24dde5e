"""Between what is kept of bins and tenants (lua/_shares.lua) and the nouns of core.shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vidprocme.core.errors import BadWish
from vidprocme.core.job import Bin
from vidprocme.core.shares import WEIGHT_MOST, BinShare, Shares, TenantShare, tenant_named, used_at


def shares_from(terms: Sequence[Any]) -> Shares:
    """The last part of a turn's reply."""
    _, bins, tenants = terms
    return Shares(
        {
            Bin(bin_): BinShare(bool(int(paused)), _limit(most), int(running))
            for bin_, paused, most, running in zip(*(bins[i::4] for i in range(4)), strict=True)
        },
        {
            tenant: TenantShare(int(used), int(weight), _limit(most), int(running))
            for tenant, used, weight, most, running in zip(*(tenants[i::5] for i in range(5)), strict=True)
        },
    )


def limit_arg(limit: int | None) -> str:
    """A limit as the script wants it.

    Raises:
        BadWish: LIMIT_BAD.
    """
    if limit is None:
        return ""
    if limit < 1:
        raise BadWish("LIMIT_BAD", f"A limit is at least 1, not {limit}.", "To stop a bin altogether, pause it.")
    return str(limit)


def tenant_args(tenant: str, weight: int, limit: int | None) -> tuple[str, str, int]:
    """What is to be set of a tenant, as the script wants it.

    Raises:
        BadWish: TENANT_BAD, LIMIT_BAD.
    """
    tenant_named(tenant)
    if not 1 <= weight <= WEIGHT_MOST:
        raise BadWish("TENANT_BAD", f"A tenant's weight is 1 to {WEIGHT_MOST}, not {weight}.")
    return tenant, limit_arg(limit), weight


def bin_share(bin_: Bin, said: Mapping[str, str], running: Mapping[str, str]) -> BinShare:
    """From the hashes `ctl` and `running`."""
    paused = f"paused|{bin_}" in said
    return BinShare(paused, _limit(said.get(f"most|bin|{bin_}", "")), int(running.get(f"bin|{bin_}", 0)))


def tenant_shares(
    said: Mapping[str, str], running: Mapping[str, str], usage: Mapping[str, str], now_ms: int
) -> dict[str, TenantShare]:
    """From the hashes `ctl`, `running` and `usage`: everybody who is named there."""
    names = set(usage)
    names |= {
        name.removeprefix(before) for before in ("weight|", "most|tenant|") for name in said if name.startswith(before)
    }
    names |= {name.removeprefix("tenant|") for name in running if name.startswith("tenant|")}
    shares = {}
    for name in sorted(names):
        used, rate, since_ms = map(int, usage.get(name, "0 0 0").split())
        shares[name] = TenantShare(
            used_at(used, rate, since_ms, now_ms),
            int(said.get(f"weight|{name}", 1)),
            _limit(said.get(f"most|tenant|{name}", "")),
            int(running.get(f"tenant|{name}", 0)),
        )
    return shares


def _limit(text: str) -> int | None:
    return int(text) if text else None
