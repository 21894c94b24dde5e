"""The part of the seam that is about bins and tenants: what a person may set, and who runs and has used how much."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from vidprocme.core.ids import JobId, TaskId
from vidprocme.core.job import Bin
from vidprocme.core.shares import BinShare, TenantShare


class Rules(Protocol):
    """Kept across restarts, and the same for all pools. See queue.base.Queue."""

    def pause(self, bin: Bin) -> bool:  # noqa: A002 - the noun's name
        """Start no more tasks of this bin, in any pool, until `resume`; kept across restarts. False: it was paused already.

        What runs ends as usual, what is delayed still becomes ready, and new jobs still come in.
        """
        ...

    def resume(self, bin: Bin) -> bool:  # noqa: A002 - the noun's name
        """Let a paused bin's tasks start again, in the order in which they stand. False: it was not paused."""
        ...

    def paused(self) -> frozenset[Bin]:
        """The bins that are paused."""
        ...

    def limit_bin(self, bin: Bin, limit: int | None) -> None:  # noqa: A002 - the noun's name
        """How many of this bin's tasks may run at once, over all pools; None: as many as find a place.

        What runs already is not touched. Raises BadWish LIMIT_BAD.
        """
        ...

    def set_tenant(self, tenant: str, weight: int = 1, limit: int | None = None) -> None:
        """A tenant's weight beside other tenants, and how many of its tasks may run at once, over all pools.

        Raises BadWish: TENANT_BAD, LIMIT_BAD, TENANTS_TOO_MANY.
        """
        ...

    def bins(self) -> Mapping[Bin, BinShare]:
        """Every bin: whether it is paused, its limit, and how many of its tasks run."""
        ...

    def tenants(self) -> Mapping[str, TenantShare]:
        """The tenants that run or used something, or of whom something is set, by name."""
        ...

    def drain_node(self, node: str, who: str) -> bool:
        """Start nothing new on this machine, in any of its pools, until `undrain_node`; kept across restarts. False: it was so
        already. Raises BadWish NODES_TOO_MANY."""
        ...

    def undrain_node(self, node: str) -> bool:
        """Let a drained machine take work again. False: it was not drained."""
        ...

    def number_in_line(self, task: TaskId) -> tuple[int, int] | None:
        """Where a task stands in its line, from 1, and how long that is; None when it stands in none."""
        ...

    def ask_why(self, job: JobId) -> None:
        """Let the pools say for the next seconds, with their reports, why this job's tasks wait (PoolReport.whys)."""
        ...

    def drained_nodes(self) -> Mapping[str, str]:
        """The machines that are drained, and who did it."""
        ...
