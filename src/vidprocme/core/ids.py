"""Names of things. Prefixed, sortable by time where time matters, deterministic where repetition must be harmless."""

from __future__ import annotations

import hashlib
from typing import NewType

JobId = NewType("JobId", str)
TaskId = NewType("TaskId", str)
AttemptId = NewType("AttemptId", str)
VideoId = NewType("VideoId", str)

DEFAULT_TENANT = "default"  # whose jobs are nobody's in particular

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def ulid(now_ms: int, entropy: bytes) -> str:
    """26 characters that sort by time: 48 bits of milliseconds, 80 bits of entropy (the ULID specification).

    Args:
        now_ms: milliseconds since the epoch.
        entropy: at least 10 random bytes.
    """
    if len(entropy) < 10:
        raise ValueError("a ULID needs 10 bytes of entropy")
    value = (now_ms & (2**48 - 1)) << 80 | int.from_bytes(entropy[:10])
    return "".join(_CROCKFORD[(value >> shift) & 31] for shift in range(125, -1, -5))


def new_job_id(now_ms: int, entropy: bytes) -> JobId:
    return JobId(f"job_{ulid(now_ms, entropy)}")


def video_id(sha256: str, tenant: str) -> VideoId:
    """A video is its content and whose it is: the same bytes of one tenant are the same video, of two tenants two."""
    if tenant != DEFAULT_TENANT:
        sha256 = hashlib.sha256(f"{sha256} {tenant}".encode()).hexdigest()
    return VideoId(f"vid_{sha256[:24]}")


def task_id(job: JobId, stage: str, index: int) -> TaskId:
    """Deterministic, so that planning the same thing twice enqueues it once."""
    return TaskId(f"{job}:{stage}:{index}")


def job_of(task: TaskId) -> JobId:
    """The job a task belongs to."""
    return JobId(task.rsplit(":", 2)[0])


def event_order(id_: str) -> tuple[int, int]:
    """What ids of events and journal lines, `<ms>-<n>`, are ordered by; `<ms>` alone is `<ms>-0`."""
    ms, _, number = id_.partition("-")
    return int(ms), int(number or 0)


def attempt_id(task: TaskId, token: int) -> AttemptId:
    """A task and the fencing token of one lease on it. Unique for ever: tokens only grow."""
    return AttemptId(f"{task}:t{token}")
