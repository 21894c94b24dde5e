"""Sizes, what jobs have left, and sums of durations, from the scripts' replies (lua/_work.lua)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from vidprocme.core.ids import JobId, TaskId
from vidprocme.core.work import Kind, Left, Sums, kind_from
from vidprocme.queue.codec import rows

SUMS = len(Sums.__dataclass_fields__)


def sizes_from(lines: Iterable[Sequence[Any]], sizes: Sequence[str | None]) -> dict[TaskId, int]:
    """Of the lines of a turn's reply, and the sizes of their tasks in that order; one that is not known is left out."""
    tasks = (task for line in lines for task in line[2][::2])
    return {TaskId(task): int(size) for task, size in zip(tasks, sizes, strict=True) if size}


def lefts_from(jobs: Sequence[str], texts: Sequence[str | None]) -> dict[JobId, Left]:
    found = {JobId(job): left_from(text) for job, text in zip(jobs, texts, strict=True) if text}
    return {job: left for job, left in found.items() if left is not None}


@lru_cache(maxsize=1024)
def left_from(text: str) -> Left | None:
    """One field of the hash `left`; None when it cannot be read: it is damaged, or a newer vidprocme has other stages."""
    submitted, _, kinds = text.partition(" ")
    try:
        read = {kind_from(kind): (int(tasks), int(size)) for kind, (tasks, size) in json.loads(kinds).items()}
        return Left(int(submitted), read)
    except (ValueError, TypeError, AttributeError):
        return None


def sums_from(reply: Mapping[str, str] | Sequence[str]) -> dict[Kind, Sums]:
    """The hash `durations`; without what cannot be read."""
    pairs = reply.items() if isinstance(reply, Mapping) else rows(reply, 2)
    found = {}
    for kind, text in pairs:
        sums = sums_of(text)
        try:
            if sums is not None:
                found[kind_from(kind)] = sums
        except ValueError:
            continue  # a stage of a newer vidprocme
    return found


def sums_of(text: str) -> Sums | None:
    """One field of it; None when it cannot be read."""
    try:
        numbers = [int(word) for word in text.split(" ")]
    except ValueError:
        return None
    return Sums(*numbers) if len(numbers) == SUMS and min(numbers[:-1]) >= 0 else None
