"""Who may use how much: what persons set about bins and tenants, and what was used."""

from __future__ import annotations

from dataclasses import dataclass

from vidprocme.core.job import Bin


@dataclass(frozen=True, slots=True)
class Shares:
    """As the queue last told it. Nothing told: nothing is held back."""

    paused: frozenset[Bin] = frozenset()
