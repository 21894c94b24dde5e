"""Which jobs a person means: by state, bin, tenant, time and name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice

from vidprocme.core.job import Bin, JobState
from vidprocme.queue.base import JobView, Queue

UNFINISHED = frozenset({JobState.QUEUED, JobState.RUNNING})


@dataclass(frozen=True, slots=True)
class Choice:
    """What must be true of a job; an empty set is no condition.

    since_ms, until_ms: submitted in [since_ms, until_ms). name: a pattern with * and ?, of the whole name, in any case.
    """

    states: frozenset[JobState] = frozenset()
    bins: frozenset[Bin] = frozenset()
    tenants: frozenset[str] = frozenset()
    since_ms: int | None = None
    until_ms: int | None = None
    name: str = ""

    def fits(self, view: JobView) -> bool:
        return (
            (not self.states or view.state in self.states)
            and (not self.bins or view.job.bin in self.bins)
            and (not self.tenants or view.job.tenant in self.tenants)
            and (self.since_ms is None or view.submitted_ms >= self.since_ms)
            and (self.until_ms is None or view.submitted_ms < self.until_ms)
            and (not self.name or fnmatchcase(view.job.source.name.casefold(), self.name.casefold()))
        )


def chosen(queue: Queue, choice: Choice, limit: int | None = None) -> Iterator[JobView]:
    """The jobs that fit, newest first. Those that have ended are not even read when only others are wanted."""
    active = bool(choice.states) and choice.states <= UNFINISHED
    views = queue.each_job(active=active, since_ms=choice.since_ms, until_ms=choice.until_ms)
    return islice((view for view in views if choice.fits(view)), limit)
