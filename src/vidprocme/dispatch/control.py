"""What a person may ask of the house: submit, describe, cancel, retry, move, drop. Each is one call that either happened or did not."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypedDict, Unpack

from vidprocme.core import wire
from vidprocme.core.clock import Clock
from vidprocme.core.errors import BadWish, Fatal
from vidprocme.core.ids import JobId, new_job_id
from vidprocme.core.job import (
    DEFAULT_TENANT,
    TERMINAL,
    Bin,
    Job,
    JobState,
    OutcomeKind,
    Recipe,
    Source,
    Stage,
    Task,
    TaskState,
)
from vidprocme.dispatch.advance import Failpoint
from vidprocme.dispatch.pool import free_dead
from vidprocme.planner.graph import describe_tasks, first_tasks
from vidprocme.queue.base import JobView, Queue

FRAMES_NAME = "frames.zip"
UPLOADED = "blob:"
ENDED = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)


@dataclass(frozen=True, slots=True)
class Submission:
    """What became of a wish. `created` False means the same wish was known: `bin` is then the known job's, which stays."""

    job: JobId
    created: bool
    bin: Bin
    retried: int = 0


class Whose(TypedDict, total=False):
    """How urgent a wish is, and for whom."""

    bin_: Bin
    tenant: str
    deadline_ms: int


class Control:
    """The verbs, over the queue. The recipe is checked before it comes here."""

    def __init__(self, queue: Queue, clock: Clock, at: Failpoint = lambda _name: None) -> None:
        self._queue, self._clock, self._at = queue, clock, at

    def submit(
        self,
        source: Source,
        recipe: Recipe,
        *,
        bin_: Bin = Bin.NORMAL,
        tenant: str = DEFAULT_TENANT,
        deadline_ms: int = 0,
    ) -> Submission:
        """A job for this content and recipe: a new one, or the one there is.

        The same content with the same recipe is the same job of a tenant, whatever the file is called; another tenant's is another job. One
        that failed or was cancelled gets fresh tries, also when it is only about to end so; one that waits for its file reads it from where
        it is now. A known job keeps its bin; a deadline of this wish becomes the job's, unless it has succeeded.

        Args:
            deadline_ms: see Job.deadline_ms.
        """
        job = replace(self._job(source, recipe, bin_, tenant), deadline_ms=deadline_ms)
        return self._enter(job, first_tasks(job), _key(source, recipe, tenant))

    def anew(self, source: Source, recipe: Recipe, instead_of: JobId, **whose: Unpack[Whose]) -> Submission:
        """The same wish as a new job instead of that one: for a stored result whose blobs are gone.

        Has somebody else made it anew since, it is that job.
        """
        self._queue.forget_key(_key(source, recipe, whose.get("tenant", DEFAULT_TENANT)), instead_of)
        self._at("key-freed")
        return self.submit(source, recipe, **whose)

    def describe(self, job: JobId, recipe: Recipe) -> Submission:
        """A job that captions the frames an earlier job kept, with another model or prompt.

        Raises:
            BadWish: JOB_UNKNOWN, JOB_UNFINISHED, NO_MODEL; Fatal: NO_FRAMES_KEPT.
        """
        view = self._queue.job(job)
        if view is None:
            raise BadWish("JOB_UNKNOWN", f"There is no job {job}.", "`vidprocme jobs ls` shows those there are.")
        if recipe.model is None:
            raise BadWish(
                "NO_MODEL", "Describing needs a model.", "Name one with --model; `vidprocme models ls` shows them."
            )
        if view.job.reuses is not None:
            return self.describe(view.job.reuses, recipe)
        chunks = self._kept_frames(job)
        new = replace(self._job(view.job.source, recipe, view.job.bin, view.job.tenant), reuses=job)
        wish = f"{job}|{recipe.model}|{recipe.prompt}"
        key = "describe:" + hashlib.sha256(wish.encode()).hexdigest()
        return self._enter(new, describe_tasks(new, chunks), key)

    def cancel(self, job: JobId) -> bool:
        """Waiting tasks at once, running ones within 1.5 s; what was published stays. False: it had ended already.

        What a pool of this machine ran that is dead ends here, too: where no other pool lives, nobody else would see to it.
        """
        asked = self._queue.cancel(job)
        view = self._queue.job(job)
        if view is not None and view.counts.get(TaskState.RUNNING):
            free_dead(self._queue)
        return asked

    def retry(self, job: JobId) -> int:
        """Fresh tries for what failed, died or was cancelled. Returns how many tasks."""
        return self._queue.retry(job)

    def move(self, job: JobId, bin_: Bin) -> int:
        """Into another bin, each task with its place by age. Returns how many of them wait.

        Raises:
            Fatal: JOB_UNKNOWN, JOB_ENDED.
        """
        return self._queue.move(job, bin_)

    def drop(self, job: JobId, *, succeeded: bool = False) -> None:
        """Give up a job that failed or was cancelled: it is forgotten, and the same wish makes a new one.

        Args:
            succeeded: also one that succeeded; its video is then no longer found, and its blobs are free.

        Raises:
            Fatal: JOB_UNKNOWN, JOB_UNFINISHED, JOB_SUCCEEDED, JOB_IN_USE.
        """
        if not (self._queue.forget if succeeded else self._queue.drop)(job):
            raise Fatal("JOB_UNFINISHED", f"Job {job} has not ended.", f"`vidprocme jobs cancel {job}` first.")

    def _job(self, source: Source, recipe: Recipe, bin_: Bin, tenant: str) -> Job:
        now_ms = self._clock.now_ms()
        return Job(new_job_id(now_ms, os.urandom(10)), source, recipe, bin_, tenant, now_ms)

    def _enter(self, job: Job, tasks: Sequence[Task], key: str) -> Submission:
        while True:
            self._at("before-submit")
            submitted = self._queue.submit(job, tasks, key=key)
            self._at("submitted")
            if submitted.created:
                return Submission(submitted.job, True, job.bin)
            view = self._queue.job(submitted.job)
            if view is not None:
                break
            # It was forgotten since: its key is free for a new one, unless somebody else was faster.
            self._queue.forget_key(key, submitted.job)
            self._at("key-freed")
        self._rebind(view, job.source)
        self._at("rebound")
        retried = 0
        # One that is being stopped is as good as ended: joined silently, nothing of the wish would be done.
        stopping = view.state not in ENDED and (view.cancel_asked or view.doomed)
        if stopping or view.state in (JobState.FAILED, JobState.CANCELLED):
            retried = self._queue.retry(submitted.job, deadline_ms=job.deadline_ms)
            self._at("retried")
        elif job.deadline_ms:
            self._queue.set_deadline(submitted.job, job.deadline_ms)
        return Submission(submitted.job, False, view.job.bin, retried)

    def _rebind(self, view: JobView, source: Source) -> None:
        old = view.job.source
        if old.uri.startswith(UPLOADED) and not source.uri.startswith(UPLOADED):
            return  # the upload is safe here; a path is somebody's to move
        if view.state is not JobState.SUCCEEDED and (old.uri, old.mtime_ns) != (source.uri, source.mtime_ns):
            self._queue.rebind_source(view.job.id, source.uri, source.mtime_ns)

    def _kept_frames(self, job: JobId) -> list[dict[str, object]]:
        chunks: list[dict[str, object]] = []
        unfinished = False
        for view in self._queue.tasks(job):
            if view.task.stage is Stage.PROBE and view.state not in TERMINAL:
                unfinished = True  # nobody knows yet which frames there will be
            if view.task.stage not in (Stage.TRANSCODE, Stage.FRAMES):
                continue
            if view.outcome is None or view.outcome.kind is not OutcomeKind.OK:
                unfinished = True
                continue
            archive = next((a.sha256 for a in view.outcome.manifest if a.name == FRAMES_NAME), None)
            if archive is not None:
                chunks.append({"zip": archive, "frames": view.outcome.result["frames"]})
        if unfinished:
            raise BadWish(
                "JOB_UNFINISHED", f"Job {job} has not finished its frames.", "Wait for it, or retry it first."
            )
        if not chunks:
            raise Fatal(
                "NO_FRAMES_KEPT", f"Job {job} kept no frames that could be described.", "Process the video again."
            )
        return chunks


def _key(source: Source, recipe: Recipe, tenant: str) -> str:
    # Whether a missing model was wished for changes only a sentence, not the work.
    text = wire.dumps(replace(recipe, model_missing=False))
    return f"process:{source.sha256}:{hashlib.sha256(f'{tenant} {text}'.encode()).hexdigest()}"
