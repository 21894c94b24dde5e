"""A task as the queue keeps it: what it shares with others of its sort as one text, and what is its own.

Most tasks differ from others by their payload alone: of a thousand chunks of a thousand videos the sort is the same few texts, which
are coded and read once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from vidprocme.core import wire
from vidprocme.core.errors import Fatal
from vidprocme.core.ids import JobId, TaskId, task_id
from vidprocme.core.job import AfterRule, Bin, Limits, Stage, Task
from vidprocme.core.resources import Need
from vidprocme.core.shape import shape_of
from vidprocme.core.work import SIZE_MOST
from vidprocme.queue.base import TEXT_MOST
from vidprocme.queue.keys import split_line

TASK_WORDS = 5  # arguments of a task, as the scripts' `task_at` reads them


@dataclass(frozen=True, slots=True)
class Sort:
    """What many tasks have in common. `line` holds bin, tenant and shape."""

    stage: Stage
    line: str
    model: str | None
    needs: tuple[Need, ...]
    after_rule: AfterRule
    limits: Limits
    fatal_to_job: bool


def task_args(tasks: Sequence[Task]) -> list[str]:
    """Five arguments a task: id, payload, what it comes after, its sort, and its size.

    Raises:
        Fatal: QUEUE_BAD_TASK, the same id twice, an id that is not made of job, stage and index, or a name that a line cannot
            carry; QUEUE_TOO_LARGE.
    """
    if len({task.id for task in tasks}) != len(tasks):
        raise Fatal("QUEUE_BAD_TASK", "Two tasks of one batch have the same id.", evidence={"tasks": len(tasks)})
    args: list[str] = []
    for task in tasks:
        if task.id != task_id(task.job, task.stage, task.index) or '"' in task.id:
            raise Fatal("QUEUE_BAD_TASK", f"The id of a task is its job, stage and index, and not {task.id!r}.")
        size = str(min(max(0, task.size), SIZE_MOST))
        args += [task.id, text_of(task.payload, "task"), _list(task.after), sort_text(task), size]
    return args


def text_of(noun: Any, what: str) -> str:
    """A noun, or JSON, as it is stored.

    Raises:
        Fatal: QUEUE_TOO_LARGE.
    """
    text = wire.dumps(noun)
    if len(text) > TEXT_MOST:
        raise Fatal(
            "QUEUE_TOO_LARGE",
            f"This {what} has {len(text)} bytes; the queue takes up to {TEXT_MOST}.",
            "Large results belong into the attempt's files, not into its result.",
            {"bytes": len(text)},
        )
    return text


def sort_text(task: Task) -> str:
    return _sort_text(
        task.stage, task.bin, task.tenant, task.model, task.needs, task.after_rule, task.limits, task.fatal_to_job
    )


@lru_cache(maxsize=1024)
def _sort_text(
    stage: Stage,
    bin_: Bin,
    tenant: str,
    model: str | None,
    needs: tuple[Need, ...],
    rule: AfterRule,
    limits: Limits,
    fatal: bool,
) -> str:
    if "|" in tenant:
        raise Fatal("QUEUE_BAD_TASK", f"A tenant's name cannot have a '|': {tenant!r}.")
    line = f"{bin_}|{tenant}|{shape_of(stage, model, needs)}"
    return wire.dumps(Sort(stage, line, model, needs, rule, limits, fatal))


@lru_cache(maxsize=1024)
def sort_from(text: str) -> Sort:
    """Raises: Fatal: WIRE_MALFORMED, WIRE_VERSION."""
    return wire.loads(Sort, text)


@lru_cache(maxsize=1024)
def _names(line: str) -> tuple[Bin, str]:
    bin_, tenant, _ = split_line(line)
    return Bin(bin_), tenant


def task_from(
    id_: TaskId, job: JobId, payload: str, sort: str, after: Sequence[TaskId], line: str | None, size: str | None
) -> Task:
    """The task, in the bin where it is now.

    Args:
        payload, sort, line, size: fields of its hash; `line` is None where it is its sort's, `size` where nobody said.
    """
    its = sort_from(sort)
    bin_, tenant = _names(line or its.line)
    return Task(
        id_,
        job,
        its.stage,
        int(id_.rpartition(":")[2]),
        wire.opened_json(payload),
        its.needs,
        tuple(after),
        its.after_rule,
        its.limits,
        its.fatal_to_job,
        its.model,
        bin_,
        tenant,
        int(size or 0),
    )


def task_of(id_: TaskId, row: Mapping[str, str | None]) -> Task | None:
    """The task from fields of its hash: payload, job, sort, after, line, size. None when there is none."""
    payload, job, sort = row["payload"], row["job"], row["sort"]
    if payload is None or job is None or sort is None:
        return None
    return task_from(id_, JobId(job), payload, sort, json.loads(row["after"] or "[]"), row["line"], row["size"])


def line_of(sort: str, line: str | None) -> str:
    """The line of a task, from two fields of its hash: its own, or that of all of its sort."""
    return line or sort_from(sort).line


def _list(ids: Sequence[TaskId]) -> str:
    return json.dumps(list(dict.fromkeys(ids)), separators=(",", ":")) if ids else ""
