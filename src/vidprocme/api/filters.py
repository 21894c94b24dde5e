"""Which jobs a caller means, as the table of jobs understands it."""

from __future__ import annotations

import time
from collections.abc import Iterable

from vidprocme.api.access import Caller
from vidprocme.api.desk import Desk
from vidprocme.api.schemas.base import time_text
from vidprocme.api.schemas.bulk import JobFilter
from vidprocme.core.errors import BadWish
from vidprocme.core.ids import event_order
from vidprocme.core.job import Bin, JobState, Stage
from vidprocme.core.when import moment_ms
from vidprocme.dispatch.follower import catch_up_jobs
from vidprocme.dispatch.jobs_follower import NOTHING_YET
from vidprocme.library.base import JobWant

DEAD = "dead"  # no state of a job, but asked for like one
NOBODY = ""  # no tenant has this name
CATCH_UP_S = 0.5  # so long a list waits for what has happened already
LOOK_EVERY_S = 0.002


def want_of(said: JobFilter, caller: Caller, now_ms: int) -> JobWant:
    """
    Raises:
        BadWish: STATE_UNKNOWN, BIN_UNKNOWN, STAGE_UNKNOWN, TIME_UNREADABLE.
    """
    states = _known(said.state, [*JobState, DEAD], "state")
    tenants = frozenset(said.tenant)
    if caller.tenant is not None:
        tenants = frozenset({caller.tenant}) if not tenants or caller.tenant in tenants else frozenset({NOBODY})
    return JobWant(
        states=states - {DEAD},
        dead=DEAD in states,
        bins=_known(said.bin, Bin, "bin"),
        tenants=tenants,
        stages=_known(said.stage, Stage, "stage"),
        codes=frozenset(said.code),
        videos=frozenset(said.video),
        since_ms=None if said.since is None else moment_ms(said.since, now_ms),
        until_ms=None if said.until is None else moment_ms(said.until, now_ms),
        name=said.name or "",
        q=said.q or "",
    )


def as_of(desk: Desk) -> str | None:
    """What has happened until then is in the table of jobs. Null: it is being made.

    Waits for a moment, so that who has just changed something sees it; writes what is missing itself when nobody else of this
    machine does (a verb of the command line, with no server).
    """
    newest, index = desk.queue.newest_event(), desk.index
    now_ms = desk.queue.now_ms()
    if newest is not None and index.last_job_event() != newest:
        catch_up_jobs(desk.queue, desk.house.open_index, desk.house.follower_lock)
    until = time.monotonic() + CATCH_UP_S
    while newest is not None and (last := index.last_job_event()) != newest:
        if last != NOTHING_YET and event_order(last) > event_order(newest):
            break
        if time.monotonic() > until:
            return None if last == NOTHING_YET else time_text(event_order(last)[0])
        time.sleep(LOOK_EVERY_S)
    return time_text(now_ms)


def _known(said: Iterable[str], all_: Iterable[str], what: str) -> frozenset[str]:
    names = [str(one) for one in all_]
    for word in said:
        if word not in names:
            raise BadWish(
                f"{what.upper()}_UNKNOWN",
                f"There is no {what} {word[:100]!r}.",
                f"There are: {', '.join(names)}.",
                {"field": what},
            )
    return frozenset(said)
