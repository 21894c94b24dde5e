"""Projects published results into the search index, by following the queue's events. One writer per machine.

The index is derived: whatever is missing or broken in it can be made again from the queue and the blobs (`rebuild`).
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path

from vidprocme.core.errors import Fatal, VidprocmeError
from vidprocme.core.event import Event
from vidprocme.core.ids import JobId, VideoId, event_order
from vidprocme.core.media import Caption
from vidprocme.core.wire import UNREADABLE
from vidprocme.dispatch.advance import Failpoint
from vidprocme.dispatch.jobs_follower import NOTHING_YET, follow_jobs
from vidprocme.dispatch.results import JobResult, begun, collect, media_document
from vidprocme.library.base import Blobs, SearchIndex, VideoRecord
from vidprocme.queue.base import Queue

# Events after which what a job shows can have changed.
TELLING = frozenset({"job.submitted", "job.ended", "job.cancelled", "job.retried", "job.forgotten", "task.succeeded"})
BLOCK_MS = 100  # also how long the end of a process waits for the thread
TOGETHER = 100  # jobs that are read, and written, at once
PAUSE_S = 1.0  # after an error, and between two looks whether another process still follows

REBUILDING = frozenset({"reprojected", "jobs-rewritten"})
WORK_S, REST = 0.02, 1.0  # a rebuild works so long and then rests as long: requests need the interpreter too

LOG = logging.getLogger("vidprocme.dispatch.follower")


class _Over(Exception):
    """The follower was told to end, in the middle of a step: what the step did not write down is done again next time."""


class Follower:
    """Follows the events on two threads of its own, while it holds the machine's lock.

    One writes the table of jobs (dispatch/jobs_follower.py), which takes a moment; the other what videos show and what is found
    in them, which takes as long as reading their captions does.
    """

    def __init__(
        self,
        queue: Callable[[], Queue],
        blobs: Callable[[], Blobs],
        open_index: Callable[[], SearchIndex],
        lock: Path,
        at: Failpoint = lambda _name: None,
    ) -> None:
        """
        Args:
            queue, blobs: asked on the thread, again after an error: either may be out of reach for now.
        """
        self._queue, self._blobs, self._open_index, self._lock = queue, blobs, open_index, lock
        self._at = at
        self._over = threading.Event()
        self._told: dict[str, str] = {}  # by thread, the trouble that was last logged
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread, also in the middle of a rebuild. Events that are not projected yet are, next time."""
        self._over.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self._follow_while_ours()
            except Exception as error:
                self._stumble("search index", error)

    def _stumble(self, what: str, error: Exception) -> None:
        """Whatever it was: a thread that ended would leave the search behind for ever. Again, from the last event that was kept."""
        code = error.code if isinstance(error, VidprocmeError) else type(error).__name__
        if code != self._told.get(what):  # a disk that is full all night is told once
            fault = None if isinstance(error, VidprocmeError) else error
            LOG.warning("the %s does not follow: %s", what, error, extra={"code": code}, exc_info=fault)
        self._told[what] = code
        self._over.wait(PAUSE_S)

    def _follow_while_ours(self) -> None:
        self._lock.parent.mkdir(parents=True, exist_ok=True)
        with self._lock.open("a") as lock:
            while not self._over.is_set():
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    self._over.wait(PAUSE_S)  # another process of this machine follows
            if self._over.is_set():
                return
            with contextlib.closing(self._open_index()) as index:
                jobs = threading.Thread(target=self._jobs, args=(index,), name="follower-jobs", daemon=True)
                jobs.start()
                try:
                    self._go_on(
                        "search index",
                        lambda at: follow(self._queue(), self._blobs(), index, block_ms=BLOCK_MS, at=at),
                    )
                finally:
                    jobs.join()

    def _jobs(self, index: SearchIndex) -> None:
        self._go_on("list of jobs", lambda at: follow_jobs(self._queue(), index, block_ms=BLOCK_MS, at=at))

    def _between(self) -> Failpoint:
        """What a thread calls between two writes: it ends there when it was told to, and a rebuild rests."""
        rested_s = time.thread_time()

        def between(name: str) -> None:
            nonlocal rested_s
            self._at(name)
            if name in REBUILDING and (worked_s := time.thread_time() - rested_s) > WORK_S:
                self._over.wait(worked_s * REST)
                rested_s = time.thread_time()
            if self._over.is_set():
                raise _Over

        return between

    def _go_on(self, what: str, step: Callable[[Failpoint], bool]) -> None:
        between = self._between()
        while not self._over.is_set():
            try:
                step(between)
            except _Over:
                return
            except Exception as error:
                self._stumble(what, error)
            else:
                if self._told.pop(what, ""):
                    LOG.info("the %s follows again", what)


def catch_up(queue: Queue, blobs: Blobs, open_index: Callable[[], SearchIndex], lock: Path) -> None:
    """Project everything that has happened so far, unless another process of this machine is doing so."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        with contextlib.closing(open_index()) as index:
            while follow_jobs(queue, index, block_ms=0):
                pass
            while follow(queue, blobs, index, block_ms=0):
                pass


def catch_up_jobs(queue: Queue, open_index: Callable[[], SearchIndex], lock: Path) -> None:
    """As `catch_up`, of the table of jobs alone."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        with contextlib.closing(open_index()) as index:
            while follow_jobs(queue, index, block_ms=0):
                pass


def follow(
    queue: Queue, blobs: Blobs, index: SearchIndex, *, block_ms: int, at: Failpoint = lambda _name: None
) -> bool:
    """Project one batch of events. False when there was none.

    A damaged index, and one that is behind a trimmed stream (a new one too), is made again from everything there is.
    """
    try:
        return _follow(queue, blobs, index, block_ms, at)
    except VidprocmeError as error:
        if error.code != "INDEX_DAMAGED":
            raise
        index.clear()
        rebuild(queue, blobs, index, at=at)
        return True


def _follow(queue: Queue, blobs: Blobs, index: SearchIndex, block_ms: int, at: Failpoint) -> bool:
    after = index.last_event()
    oldest = queue.oldest_event()
    if oldest is not None and (after == NOTHING_YET or event_order(after) < event_order(oldest)):
        rebuild(queue, blobs, index, at=at)
        return True
    events = queue.events(after, 500, block_ms)
    if not events:
        return False
    for _ in _project_all(queue, blobs, index, _jobs_of(events), after):
        at("projected")
    index.set_last_event(events[-1].id)
    at("followed")
    return True


def rebuild(
    queue: Queue,
    blobs: Blobs,
    index: SearchIndex,
    on_progress: Callable[[int], None] | None = None,
    at: Failpoint = lambda _name: None,
) -> int:
    """Make the index again from what the queue and the blobs hold, the newest job first. Returns how many jobs."""
    # The mark is read first: what happens during the rebuild is projected again afterwards, which changes nothing.
    mark = queue.newest_event() or NOTHING_YET
    cleared = index.cleared
    index.clear_videos()
    at("index-cleared")
    done = 0
    jobs = (view.job.id for view in queue.each_job())
    while page := list(islice(jobs, TOGETHER)):
        # Not the mark: killed half way, this index is one that nothing was projected into, and is made again.
        for _ in _project_all(queue, blobs, index, page, NOTHING_YET):
            at("reprojected")
            done += 1
            if on_progress is not None:
                on_progress(done)
    if index.cleared == cleared:  # else somebody found it damaged meanwhile: it is made anew by the next
        index.set_last_event(mark)
    return done


def record_of(result: JobResult) -> VideoRecord:
    """A job's result as the catalog shows it."""
    view, media = result.view, result.media
    return VideoRecord(
        id=view.job.video,
        job=view.job.id,
        name=view.job.source.name,
        state=view.state.value,
        created_ms=view.submitted_ms,
        duration=media.duration if media else None,
        width_px=media.video.width_px if media else None,
        height_px=media.video.height_px if media else None,
        document={
            "media": media_document(media) if media else None,
            "renditions": [r.name for r in result.renditions],
            "frames": len(result.frames),
            "captions": len(result.captions),
            "degraded": list(result.degraded),
            "error": result.error.public() if result.error else None,
        },
        tenant=view.job.tenant,
        size_bytes=view.job.source.size_bytes,
    )


def _jobs_of(events: tuple[Event, ...]) -> list[JobId]:
    """The jobs that changed, each once, in order; a describe or index that ended shows its captions at once."""
    telling = [
        event.job
        for event in events
        if event.kind in TELLING
        and (event.kind != "task.succeeded" or event.data.get("stage") in ("probe", "describe", "index", "join"))
    ]
    return list(dict.fromkeys(telling))


def _project_all(queue: Queue, blobs: Blobs, index: SearchIndex, jobs: Sequence[JobId], event_id: str) -> Iterator[int]:
    """Project these jobs, telling how many are done after each. Those that have published nothing yet, often all of them, are
    read and written together: a thousand a second that way instead of a hundred."""
    for start in range(0, len(jobs), TOGETHER):
        page = jobs[start : start + TOGETHER]
        new = _new_of(index, [found for view in queue.views(page).values() if (found := begun(view)) is not None])
        if new:
            index.project_all([record_of(result) for result in new.values()], event_id)
        for number, job in enumerate(page, start + 1):
            if job not in new:
                _project_if_read(queue, blobs, index, job, event_id)
            yield number


def _new_of(index: SearchIndex, results: Sequence[JobResult]) -> dict[JobId, JobResult]:
    """Without those whose video is shown by another job, or is another's of these too: which one it shows is not said by this."""
    once: dict[VideoId, JobResult | None] = {}
    for result in results:
        id_ = result.view.job.video
        there = index.video(id_)
        fits = id_ not in once and (there is None or there.job == result.view.job.id)
        once[id_] = result if fits else None
    return {result.view.job.id: result for result in once.values() if result is not None}


def _project_if_read(queue: Queue, blobs: Blobs, index: SearchIndex, job: JobId, event_id: str) -> None:
    """A job that a newer vidprocme made is left to the followers that can read it; the others go on here."""
    try:
        _project(queue, blobs, index, job, event_id)
    except Fatal as error:
        if error.code not in UNREADABLE:
            raise
        _tell(job, str(error))
    except (ValueError, LookupError, TypeError) as error:  # what its tasks said of themselves is of another form
        _tell(job, f"{error!r}.")


@lru_cache(maxsize=4096)
def _tell(job: JobId, why: str) -> None:
    """Once: the cache knows what was told."""
    LOG.warning(
        "job %s cannot be read and is not in the search index: %s When vidprocme is updated here: `vidprocme index rebuild`.",
        job,
        why,
        extra={"job": job},
    )


def _project(queue: Queue, blobs: Blobs, index: SearchIndex, job: JobId, event_id: str) -> None:
    if queue.job(job) is None:
        _forget(queue, blobs, index, job, event_id)
        return
    result = collect(queue, blobs, job)
    captions, older = result.captions, (job, result.view.submitted_ms)
    there = index.video(result.view.job.video)
    if there is not None and there.job != job and _newer(there, result) and not _is_gone(queue, there.job):
        # Of several jobs of one video the newest is shown, in whatever order they end; an older one's captions serve
        # until it has its own.
        result = collect(queue, blobs, there.job)
        captions = result.captions or captions
    index.project(record_of(result), captions or None, event_id, older)


def forget_gone(queue: Queue, index: SearchIndex, blobs: Blobs) -> int:
    """Forget the videos whose jobs the queue no longer has. Returns how many."""
    gone = [video for video in index.videos(1_000_000) if _is_gone(queue, video.job)]
    for video in gone:
        _forget(queue, blobs, index, video.job, index.last_event())
    return len(gone)


def _forget(queue: Queue, blobs: Blobs, index: SearchIndex, job: JobId, event_id: str) -> None:
    """A job was dropped, deleted or trimmed: its video shows the newest other job there is, or goes with it.

    First the other is written, then the job forgotten: killed in between, the same event does it again.
    """
    while (other := index.other_job(job)) is not None:
        if queue.job(other) is not None:
            result = collect(queue, blobs, other)
            index.project(record_of(result), _captions(queue, blobs, index, result), event_id)
            break
        index.forget_job(other)
    index.forget_job(job)


def _captions(queue: Queue, blobs: Blobs, index: SearchIndex, newest: JobResult) -> tuple[Caption, ...]:
    """Those of the newest job of its video that has some."""
    if newest.captions:
        return newest.captions
    for older in index.jobs_of(newest.view.job.video):
        if older != newest.view.job.id and not _is_gone(queue, older):
            captions = collect(queue, blobs, older).captions
            if captions:
                return captions
    return ()


def _is_gone(queue: Queue, job: JobId) -> bool:
    try:
        return queue.job(job) is None
    except Fatal as error:
        if error.code not in UNREADABLE:
            raise
        return False  # there is one, and others can read it


def _newer(there: VideoRecord, result: JobResult) -> bool:
    return (there.created_ms, there.job) > (result.view.submitted_ms, result.view.job.id)
