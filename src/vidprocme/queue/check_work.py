"""What can be wrong with the sums of work that is left, with sizes, and with the sums of durations (lua/_work.lua)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from vidprocme.core.job import TERMINAL, TaskState
from vidprocme.core.work import KINDS_MOST, Kind
from vidprocme.queue.check_job import Finding, JobSeen, together
from vidprocme.queue.check_keys import scan
from vidprocme.queue.check_text import whole
from vidprocme.queue.redis import RedisQueue
from vidprocme.queue.work import left_from, sums_of


def judge_work(job: JobSeen) -> Iterator[Finding]:
    """What a job is said to have left is what its tasks that have not ended are together; sizes are told of those that are ready."""
    key, tasks, sizes = f"job:{job.id}", Counter[Kind](), Counter[Kind]()
    for seen in job.tasks.values():
        size = whole(seen.row.get("size"))
        if size is None:
            yield Finding("task-size", f"task:{seen.id}", f"has size {seen.row['size']!r}, which is no number")
            return
        told = str(size) if seen.state == TaskState.READY and size else None
        if seen.size != told:
            yield Finding("size-told", f"task:{seen.id}", f"is {seen.state}, of size {size}; `sizes` has {seen.size}")
        if not seen.row or seen.state in TERMINAL or seen.row["size"] is None:
            continue
        if seen.sort is None:
            return  # its walk says so
        kind = Kind(seen.sort.stage, seen.sort.model)
        tasks[kind] += 1
        sizes[kind] += size
    left = left_from(job.left) if job.left is not None else None
    if job.left is not None and left is None:
        yield Finding("left-text", key, f"has work left that cannot be read: {job.left[:50]!r}")
        return
    counted = {kind: (n, sizes[kind]) for kind, n in tasks.items()}
    if (dict(left.kinds) if left else {}) != counted:
        words = ", ".join(f"{kind.text} {n} of size {size}" for kind, (n, size) in sorted(counted.items())[:3])
        yield Finding("left-count", key, f"has {(job.left or 'nothing')[:100]} left; there are {words or 'none'}")
    elif left and left.since_ms != job.number("submitted"):
        yield Finding(
            "left-since", key, f"is said to be there since {left.since_ms}, and is since {job.number('submitted')}"
        )


def judge_sums(queue: RedisQueue) -> Iterator[Finding]:
    """Sums of durations can be read and are not too many; nothing is said of jobs and tasks that do not exist."""
    durations = queue.command("HGETALL", queue.keys.of("durations"))
    for kind, text in durations.items():
        if sums_of(text) is None:
            yield Finding("durations", "durations", f"what it has of {kind[:50]} cannot be read: {text[:50]!r}")
    if len(durations) > KINDS_MOST + 10:
        yield Finding("durations-many", "durations", f"has {len(durations)} kinds; about {KINDS_MOST} are kept")
    for name, owners in (("left", "job"), ("sizes", "task")):
        for page in scan(queue, "HSCAN", name):
            ids = [id_ for id_, _ in page]
            exist = queue.commands([("EXISTS", queue.keys.of(f"{owners}:{id_}")) for id_ in ids])
            for id_ in [id_ for id_, there in zip(ids, exist, strict=True) if not there]:
                still, there = together(queue, ("HEXISTS", name, id_), ("EXISTS", f"{owners}:{id_}"))
                if still and not there:
                    yield Finding("work-of-nothing", name, f"has {id_}, which does not exist")
