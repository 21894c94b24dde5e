"""Tasks that this pool was given and cannot read, since a newer vidprocme made them: it leaves them to others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from vidprocme.core.ids import TaskId
from vidprocme.core.snapshot import Line

MOST = 10_000  # of the newest that are remembered; an older one is claimed and handed back once more


class Unread:
    """What is not to be claimed again."""

    def __init__(self) -> None:
        self._tasks: dict[TaskId, None] = {}

    def add(self, task: TaskId) -> None:
        self._tasks[task] = None
        if len(self._tasks) > MOST:
            del self._tasks[next(iter(self._tasks))]

    def without(self, lines: Iterable[Line]) -> tuple[Line, ...]:
        """The lines without these tasks; one of which nothing else is shown is left out."""
        if not self._tasks:
            return tuple(lines)
        return tuple(left for line in lines if (left := self._left(line)).heads)

    def _left(self, line: Line) -> Line:
        heads = tuple(head for head in line.heads if head.task not in self._tasks)
        return line if len(heads) == len(line.heads) else replace(line, heads=heads)
