"""Something that happened. Append-only, numbered by the queue, written by the script that made it happen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from vidprocme.core.ids import JobId, TaskId


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the house's diary.

    kind: `job.submitted`, `job.ended`, `job.cancelled`, `job.retried`, `job.moved` (`bin`), `job.forgotten` (`why`:
        asked, dropped, age, count), `dead.warning` (dead letters will soon be given up; of the oldest one's job), `task.<state>` (`task.ready`, `task.running` ...), or
        `bin.paused`, `bin.resumed`: these are of no job (`job` is ""), and `data` says which `bin`; nor is `stray.removed`: the id of
        a task that does not belong there was taken out of a `place`.
    id: the stream's id (`<ms>-<n>`); resume with it. `data` holds what a reader needs without asking: `stage`, `holder`,
    `token`, `place`, `model`, `outcome`, `code`.
    """

    id: str
    at_ms: int
    kind: str
    job: JobId
    task: TaskId | None = None
    data: dict[str, Any] = field(default_factory=dict)
