"""A video goes with all its jobs: what runs is cancelled, what has ended is forgotten."""

from __future__ import annotations

from collections.abc import Sequence

from vidprocme.core.errors import Fatal
from vidprocme.core.ids import JobId
from vidprocme.dispatch.control import ENDED, Control
from vidprocme.queue.base import Queue


def remove(queue: Queue, control: Control, jobs: Sequence[JobId]) -> bool:
    """One step. False: some of them still end; ask again. Safe to repeat, also after a crash in the middle."""
    views = sorted(
        queue.jobs_named(jobs), key=lambda view: view.job.reuses is None
    )  # a job goes after those that use it
    left = False
    for view in views:
        try:
            if view.state not in ENDED:
                control.cancel(view.job.id)
            control.drop(view.job.id, succeeded=True)
        except Fatal as error:
            if error.code == "JOB_UNKNOWN":
                continue
            if error.code not in ("JOB_UNFINISHED", "JOB_IN_USE"):
                raise
            left = True
    return not left
