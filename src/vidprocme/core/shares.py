"""Who may use how much: what persons set about bins and tenants, and what tenants have used.

A tenant's use is one whole number: milli-cores times milliseconds, so that 1,000,000 is one core for one second. It grows by
what the tenant runs, as time goes by, and by START_MS more for every attempt that starts; it halves every HALF_MS. Between
two tenants of one bin, whoever has used less for its weight comes first. The queue keeps it (queue/lua/_shares.lua), on its own
clock, so that every pool sees the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from vidprocme.core.errors import BadWish
from vidprocme.core.job import Bin
from vidprocme.core.resources import Resources

# A start costs what a second costs: it takes a process and a folder, and tasks that are over at once still have to take turns.
START_MS = 1_000
# Who comes back after a long time has used nothing: for at most this long may it go before those who used everything.
HALF_MS = 600_000
TAU_MS = round(HALF_MS / math.log(2))
# A whole GPU is as dear as this many cores: the machines of the openb trace mostly have 96 cores beside 8 GPUs.
GPU_CORES = 12
WEIGHT_MOST = 1_000
TENANT_CHARS_MOST = 100
TENANTS_MOST = 1_000  # tenants whose use is kept; and of whom anything may be set


@dataclass(frozen=True, slots=True)
class BinShare:
    """What is set about a bin. `running` counts over all pools; a turn tells it only where there is a limit."""

    paused: bool = False
    limit: int | None = None  # tasks that may run at once
    running: int = 0


@dataclass(frozen=True, slots=True)
class TenantShare:
    """What is set about a tenant, and what it has used. `running` as in BinShare."""

    used: int = 0  # 1,000,000 = one core for one second
    weight: int = 1
    limit: int | None = None
    running: int = 0


@dataclass(frozen=True, slots=True)
class Shares:
    """As the queue last told it. Who is not named has nothing set, and has used nothing."""

    bins: Mapping[Bin, BinShare] = field(default_factory=dict)
    tenants: Mapping[str, TenantShare] = field(default_factory=dict)


def tenant_named(name: str) -> str:
    """A tenant's name, as it was given.

    Raises:
        BadWish: TENANT_BAD. Its lines are named after it, with '|' between the parts.
    """
    if not name or len(name) > TENANT_CHARS_MOST or "|" in name or not name.isprintable():
        raise BadWish(
            "TENANT_BAD",
            f"{name[:TENANT_CHARS_MOST]!r} cannot be a tenant's name.",
            f"Use 1 to {TENANT_CHARS_MOST} printable characters, without '|'.",
            {"field": "tenant"},
        )
    return name


def cost_milli(resources: Resources) -> int:
    """What a task costs while it runs, in milli-cores; one that needs nothing but a slot costs a core."""
    gpus_milli = resources.gpu_milli + 1_000 * resources.gpus
    return resources.cpu_milli + GPU_CORES * gpus_milli or 1_000


def start_cost(resources: Resources) -> int:
    """What a tenant's use grows by when a task starts."""
    return cost_milli(resources) * START_MS


def used_at(used: int, rate: int, since_ms: int, now_ms: int) -> int:
    """A tenant's use at a moment: `used` was it at `since_ms`, and `rate` milli-cores ran since. As in _shares.lua."""
    left = math.exp(-max(0, now_ms - since_ms) / TAU_MS)
    return math.floor(used * left + rate * TAU_MS * (1 - left) + 0.5)
