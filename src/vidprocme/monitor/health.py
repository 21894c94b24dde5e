"""Is it alive, and can it do its work? Judged from facts that the caller read; plain JSON for load balancers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Check:
    """One part. `needed`: without it the whole is not ready; else it is only shown."""

    name: str
    ok: bool
    text: str
    needed: bool = True


@dataclass(frozen=True, slots=True)
class Health:
    ok: bool
    parts: tuple[Check, ...] = ()

    @property
    def http_status(self) -> int:
        return 200 if self.ok else 503

    def to_json(self) -> dict[str, Any]:
        return {
            "ok": self.ok,
            "parts": {part.name: {"ok": part.ok, "needed": part.needed, "text": part.text} for part in self.parts},
        }


def healthz() -> Health:
    """The process answers: that is all that is asked here. A process is not restarted because Redis is away."""
    return Health(ok=True)


def readyz(checks: Sequence[Check]) -> Health:
    """Ready when every needed part is."""
    return Health(all(check.ok for check in checks if check.needed), tuple(checks))


def redis_check(where: str, error: str | None) -> Check:
    """`error`: a sentence about why it did not answer; None when it did."""
    if error is not None:
        return Check("redis", False, error)
    return Check("redis", True, f"Redis at {where} answers")


def disk_check(folder: str, free_bytes: int, watermark_bytes: int) -> Check:
    """Below the watermark nothing new is taken in, so that what runs can finish."""
    if free_bytes < watermark_bytes:
        text = f"{_mib(free_bytes)} MiB free in {folder}, {_mib(watermark_bytes)} MiB are kept in reserve"
        return Check("disk", False, text)
    return Check("disk", True, f"{_mib(free_bytes)} MiB free in {folder}")


def pools_check(working: int, draining: int = 0) -> Check:
    """Not needed: without a pool, jobs are taken in and wait."""
    if working:
        return Check("pools", True, f"{working} pool{'s' * (working != 1)} at work", needed=False)
    text = f"{draining} draining and none at work" if draining else "no pool is present"
    return Check("pools", False, f"{text}: jobs are accepted and wait. Start one: vidprocme worker", needed=False)


class PoolFacts(Protocol):
    """A pool that is present; `queue.base.PoolInfo` is one."""

    @property
    def draining(self) -> bool: ...
    @property
    def own_jobs_only(self) -> bool: ...


def standing(pools: Iterable[PoolFacts]) -> dict[str, int]:
    """How many pools are `working` (they take anybody's tasks), `draining`, or `private` (they serve their own jobs alone)."""
    counts = dict.fromkeys(("working", "draining", "private"), 0)
    for pool in pools:
        counts["private" if pool.own_jobs_only else "draining" if pool.draining else "working"] += 1
    return counts


def _mib(size_bytes: int) -> str:
    return f"{size_bytes >> 20:,}"
