"""What a pool logs: the few lines that a person looks for in the morning."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from vidprocme.core.errors import Fatal, Fate
from vidprocme.core.job import Lease, Next
from vidprocme.queue.base import Claimed, Settlement, Unreadable

LOG = logging.getLogger("vidprocme.dispatch")


def settled(pairs: Sequence[tuple[Claimed, Settlement]], stale: Sequence[Lease]) -> None:
    """How attempts ended: what failed, and whose end came too late, above all."""
    late = {lease.attempt for lease in stale}
    for claimed, settlement in pairs:
        attempt, outcome = claimed.attempt, settlement.outcome
        facts = {"job": attempt.job.id, "task": attempt.task.id, "attempt": attempt.id, "place": attempt.place}
        if attempt.id in late:
            LOG.info("attempt %s ended after its lease: what it did is not taken", attempt.id, extra=facts)
        elif settlement.next in (Next.FAIL, Next.RETRY, Next.LOST):
            error = outcome.error
            code = error.code if error else outcome.kind.value.upper()
            # A bad video is its owner's affair, and its job says so; what is tried again is the house's trouble.
            level = logging.INFO if error is not None and error.fate is Fate.NEVER else logging.WARNING
            message = f"attempt {attempt.id} failed: {code}{f', {error.message}' if error else ''}"
            facts |= {
                "code": code,
                "next": settlement.next.value,
                "tries": f"{attempt.number}/{attempt.task.limits.tries}",
            }
            LOG.log(level, "%s", message, extra=facts)
        elif settlement.next is Next.SUCCEED:
            LOG.info("attempt %s succeeded", attempt.id, extra=facts | {"wall_s": round(outcome.usage.wall_s, 3)})


def refused(settlement: Settlement, error: Fatal) -> None:
    task = settlement.lease.task
    LOG.error("the queue does not take how %s ended: %s", task, error, extra={"task": task, "code": error.code})


def unreadable(error: Unreadable) -> None:
    task = error.claim.task
    LOG.warning(
        "task %s cannot be read and is left to other pools: %s",
        task,
        error,
        extra={"task": task, "code": error.code},
    )


def lease_lost(lease: Lease) -> None:
    LOG.warning(
        "lease lost: what attempt %s does will not be taken",
        lease.attempt,
        extra={"task": lease.task, "attempt": lease.attempt},
    )
