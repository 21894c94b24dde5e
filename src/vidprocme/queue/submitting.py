"""What `submit` and `submit_many` say to the server, and what they make of its answer."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence

from vidprocme.core.errors import Fatal
from vidprocme.core.ids import JobId
from vidprocme.core.job import Job, Task
from vidprocme.queue.base import ENQUEUE_BATCH, JOBS_BATCH, NewJob, Submitted
from vidprocme.queue.tasktext import task_args, text_of


def words(job: Job, first: Sequence[Task], key: str | None) -> list[str | int]:
    """A job as submit.lua reads it.

    Raises:
        Fatal: QUEUE_BAD_TASK, QUEUE_TOO_LARGE.
    """
    if not 1 <= len(first) <= ENQUEUE_BATCH:
        raise Fatal("QUEUE_BAD_TASK", f"A job begins with 1 to {ENQUEUE_BATCH} tasks, not {len(first)}.")
    for task in first:
        if task.job != job.id:
            raise Fatal("QUEUE_BAD_TASK", f"Task {task.id} does not belong to job {job.id}.")
    return [job.id, text_of(job, "job"), key or "", secrets.token_hex(8), len(first), *task_args(first)]


def batches(jobs: Sequence[NewJob]) -> Iterator[list[list[str | int]]]:
    """Jobs as words, cut so that no script holds the server for long."""
    batch: list[list[str | int]] = []
    tasks = 0
    for new in jobs:
        if batch and (len(batch) == JOBS_BATCH or tasks + len(new.first) > ENQUEUE_BATCH):
            yield batch
            batch, tasks = [], 0
        batch.append(words(new.job, new.first, new.key))
        tasks += len(new.first)
    if batch:
        yield batch


def answers(jobs: Sequence[NewJob], reply: Sequence[int | str]) -> tuple[Submitted, ...]:
    """What became of each job.

    Raises:
        Fatal: QUEUE_BAD_TASK, JOB_UNKNOWN: of the first one that was refused.
    """
    said: list[Submitted] = []
    for new, code, answer in zip(jobs, reply[::2], reply[1::2], strict=True):
        if code == -1:
            raise Fatal("QUEUE_BAD_TASK", f"A task of job {new.job.id} comes after {answer}, which does not exist.")
        if code == -2:
            raise Fatal("JOB_UNKNOWN", f"There is no job {answer} whose frames could be described.")
        said.append(Submitted(JobId(str(answer)), code == 1))
    return tuple(said)
