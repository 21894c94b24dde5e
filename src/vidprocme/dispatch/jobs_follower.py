"""Keeps the table of all jobs by following the queue's events: what lists are filtered, sorted and counted by.

What a row says comes from the queue as it is when the event is read, so that an event that is read twice, or late, does no harm.
Where a job is comes from the events themselves: the task that started last. The rows of a batch and its last event are
written in one transaction.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache

from vidprocme.core.errors import Fatal, VidprocmeError
from vidprocme.core.event import Event
from vidprocme.core.ids import JobId, event_order
from vidprocme.core.job import JobState, OutcomeKind, Stage, TaskState
from vidprocme.core.wire import UNREADABLE
from vidprocme.dispatch.advance import Failpoint
from vidprocme.dispatch.results import job_error
from vidprocme.library.base import JobRow, SearchIndex
from vidprocme.queue.base import JobView, Queue, TaskView

NOTHING_YET = "0"  # the last event of a table that is new, or not whole yet
BATCH = 500  # events of one transaction, jobs of one page of a rebuild
MESSAGE_CHARS = 300

LOG = logging.getLogger("vidprocme.dispatch.jobs_follower")


def follow_jobs(queue: Queue, index: SearchIndex, *, block_ms: int, at: Failpoint = lambda _name: None) -> bool:
    """Write what one batch of events changed. False when there was none.

    A damaged index, and a table that is behind a trimmed stream (a new one too), is made again from the queue's jobs.
    """
    try:
        return _follow(queue, index, block_ms, at)
    except VidprocmeError as error:
        if error.code != "INDEX_DAMAGED":
            raise
        index.clear()
        rebuild_jobs(queue, index, at=at)
        return True


def _follow(queue: Queue, index: SearchIndex, block_ms: int, at: Failpoint) -> bool:
    after = index.last_job_event()
    oldest = queue.oldest_event()
    if oldest is not None and (after == NOTHING_YET or event_order(after) < event_order(oldest)):
        rebuild_jobs(queue, index, at=at)
        return True
    events = queue.events(after, BATCH, block_ms)
    if not events:
        return False
    jobs = list(dict.fromkeys(event.job for event in events if event.job))
    views, there = queue.views(jobs), index.job_rows(jobs)
    rows = _rows(queue, list(views.values()), there, _started(events), _asked_of(events, there, views))
    at("jobs-read")
    index.write_jobs([row for row in rows if row != there.get(row.id)], there.keys() - views.keys(), events[-1].id)
    at("jobs-followed")
    return True


def rebuild_jobs(
    queue: Queue,
    index: SearchIndex,
    on_progress: Callable[[int], None] | None = None,
    at: Failpoint = lambda _name: None,
) -> int:
    """Write the row of every job anew, the newest first; what was there stays readable meanwhile. Returns how many."""
    # The mark is read first: what happens meanwhile is read again afterwards, which changes nothing.
    mark = queue.newest_event() or NOTHING_YET
    cleared = index.cleared
    generation = f"{time.time_ns()}"  # a rebuild that was killed has another name: what it wrote may be gone since
    done = 0
    page: list[JobView] = []

    def write() -> None:
        index.rewrite_jobs(_rows(queue, page, {}, {}, {view.job.id for view in page}), generation)
        at("jobs-rewritten")

    for view in queue.each_job():
        page.append(view)
        if len(page) == BATCH:
            write()
            done += len(page)
            page.clear()
            if on_progress is not None:
                on_progress(done)
    if page:
        write()
    if index.cleared == cleared:  # else somebody found it damaged meanwhile: it is made anew by the next
        index.end_rewrite(generation, mark)
    return done + len(page)


def _started(events: Sequence[Event]) -> dict[JobId, str]:
    """The stage of the task that started last, of each job of which one did."""
    return {event.job: str(event.data["stage"]) for event in events if event.kind == "task.running"}


def _asked_of(
    events: Sequence[Event], there: Mapping[JobId, JobRow], views: Mapping[JobId, JobView]
) -> Collection[JobId]:
    """Jobs of which the events alone do not say everything: new ones, those whose probe has ended, those that are retried."""
    probed = {
        event.job for event in events if event.kind == "task.succeeded" and event.data.get("stage") == Stage.PROBE
    }
    retried = {event.job for event in events if event.kind == "job.retried"}
    return (probed | retried | (views.keys() - there.keys())) & views.keys()


def _rows(
    queue: Queue,
    views: Sequence[JobView],
    there: Mapping[JobId, JobRow],
    started: Mapping[JobId, str],
    anew: Collection[JobId],
) -> list[JobRow]:
    firsts = queue.first_tasks([view.job.id for view in views if view.job.id in anew])
    rows = []
    for view in views:
        id_ = view.job.id
        try:
            rows.append(_row(queue, view, there.get(id_), firsts.get(id_), started.get(id_, "")))
        except Fatal as error:
            if error.code not in UNREADABLE:
                raise
            _tell(id_, str(error))
        except (ValueError, LookupError, TypeError) as error:  # what its tasks said of themselves is of another form
            _tell(id_, f"{error!r}.")
    return rows


@lru_cache(maxsize=4096)
def _tell(job: JobId, why: str) -> None:
    """Once: the cache knows what was told."""
    LOG.warning("job %s cannot be read and is not in the list: %s", job, why, extra={"job": job})


def _row(queue: Queue, view: JobView, old: JobRow | None, first: TaskView | None, started: str) -> JobRow:
    job = view.job
    tasks = queue.tasks(job.id) if view.state is JobState.FAILED else ()
    error = job_error(view, tasks)
    if view.state is JobState.SUCCEEDED:
        stage = ""
    elif view.state is JobState.FAILED:
        stage = str(error.evidence.get("stage", "")) if error else ""
    elif started:
        stage = started
    elif first is not None or old is None:  # it is new here, or goes on after a retry
        stage = _where(queue, view, first)
    else:
        stage = old.stage
    return JobRow(
        id=job.id,
        video=job.video,
        name=job.source.name,
        size_bytes=job.source.size_bytes,
        tenant=job.tenant,
        created_ms=view.submitted_ms,
        bin=job.bin.value,
        state=view.state.value,
        ended_ms=view.ended_ms or 0,
        duration_ms=_duration_ms(first) or (old.duration_ms if old else 0),
        dead=sum(count for state, count in view.counts.items() if state == "dead"),
        stage=stage,
        code=error.code if error else "",
        message=error.message[:MESSAGE_CHARS] if error else "",
        title=old.title if old else "",
    )


def _where(queue: Queue, view: JobView, first: TaskView | None) -> str:
    """The stage of the task that started last of those that run; else of the first that may run; else of the last that ran."""
    if first is not None and sum(view.counts.values()) == 1:
        return first.task.stage.value
    tasks = queue.tasks(view.job.id)
    open_ = [task for task in tasks if task.state in (TaskState.READY, TaskState.DELAYED)]
    running = [task for task in tasks if task.state is TaskState.RUNNING]
    begun = [task for task in tasks if task.started_ms is not None]
    if running or not open_:
        last = max(running or begun, key=lambda task: task.started_ms or 0, default=first)
        return last.task.stage.value if last else ""
    return open_[0].task.stage.value


def _duration_ms(first: TaskView | None) -> int:
    """0 while the probe has not ended, and for a job that has none."""
    if first is None or first.task.stage is not Stage.PROBE or first.outcome is None:
        return 0
    if first.outcome.kind is not OutcomeKind.OK:
        return 0
    media = first.outcome.result.get("media", {})
    return int(Fraction(media["duration"]) * 1000) if isinstance(media, dict) and "duration" in media else 0
