"""Names of the keys, for readers. The scripts build the same names (lua/_lib.lua says what each key holds)."""

from __future__ import annotations

from dataclasses import dataclass

from vidprocme.core.ids import JobId, TaskId
from vidprocme.core.job import Stage, Task

DEFAULT_PREFIX = "{vp}:"


@dataclass(frozen=True, slots=True)
class Keys:
    """Every key under one prefix, which holds the one hash tag."""

    prefix: str = DEFAULT_PREFIX

    def __post_init__(self) -> None:
        if "{" not in self.prefix or "}" not in self.prefix:
            raise ValueError(f"the prefix {self.prefix!r} needs a hash tag, such as {{vp}}:")

    def of(self, name: str) -> str:
        """A key without a parameter: `lines`, `delayed`, `leases`, `dead`, `jobs`, `active`, `ev` ..."""
        return self.prefix + name

    def job(self, job: JobId) -> str:
        return f"{self.prefix}job:{job}"

    def job_tasks(self, job: JobId) -> str:
        return f"{self.prefix}tasks:{job}"

    def task(self, task: TaskId) -> str:
        return f"{self.prefix}task:{task}"

    def attempts(self, task: TaskId) -> str:
        return f"{self.prefix}att:{task}"

    def line(self, name: str) -> str:
        return f"{self.prefix}line:{name}"

    def presence(self, pool: str) -> str:
        return f"{self.prefix}pool:{pool}"

    def minute(self, minute: int) -> str:
        return f"{self.prefix}min:{minute}"

    def records(self, kind: str) -> str:
        return f"{self.prefix}rec:{kind}"

    def due(self, kind: str, line: str) -> str:
        return f"{self.prefix}due:{kind}:{line}"


def line_name(task: Task) -> str:
    """The name of a task's line; the same as core.snapshot.Line.key."""
    return f"{task.bin}|{task.tenant}|{task.shape}"


def split_line(name: str) -> tuple[str, str, str]:
    """Bin, tenant and shape of a line's name. A tenant has no `|`; a shape may."""
    bin_, tenant, shape = name.split("|", 2)
    return bin_, tenant, shape


def stage_of(name: str) -> Stage:
    """The stage of a line's tasks: a shape begins with it (core.job.Task.shape)."""
    return Stage(split_line(name)[2].partition("/")[0])
