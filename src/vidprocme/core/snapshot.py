"""What the scheduler sees and what it answers. Plain data on both sides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vidprocme.core.ids import TaskId
from vidprocme.core.job import Bin
from vidprocme.core.resources import Need, PlaceLoad, Resources
from vidprocme.core.shares import Shares


@dataclass(slots=True, unsafe_hash=True)  # not frozen: very many are made, and that costs four times as much
class Head:
    """A task near the front of its line. Nobody changes one."""

    task: TaskId
    ready_ms: int  # since when it could run
    needs: tuple[Need, ...]
    model: str | None = None
    avoid: tuple[str, ...] = ()  # places that failed it: it had better go elsewhere
    work_ms: int = 0  # how long it will take, as is predicted; 0: nobody has
    left_ms: int = 0  # so of all of its job that is planned and has not ended, this task too, one after another
    since_ms: int = 0  # when its job was submitted; 0: not known, taken to be when it was ready


@dataclass(frozen=True, slots=True)
class Line:
    """Tasks that can stand for each other: same bin, tenant and shape. `heads` are the oldest, at most 8."""

    bin: Bin
    tenant: str
    shape: str
    length: int
    oldest_ms: int
    heads: tuple[Head, ...]

    @property
    def key(self) -> str:
        return f"{self.bin}|{self.tenant}|{self.shape}"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The waiting lines and what is free, as one pool sees it."""

    lines: Mapping[str, Line] = field(default_factory=dict)  # by Line.key
    places: Mapping[str, PlaceLoad] = field(default_factory=dict)  # by Place.id
    shares: Shares = field(default_factory=Shares)


@dataclass(slots=True, unsafe_hash=True)  # as Head
class Placement:
    """This task, on this place, now. Nobody changes one. `reason` is a code with its terms, for people.

    `counted` is False for what fitted in beside a reservation: that was not the place's turn (PlaceLoad.starts). `gpus` are the place's
    GPUs that give what it asks of one, by number.
    """

    task: TaskId
    place: str
    resources: Resources
    reason: str
    counted: bool = True
    gpus: tuple[int, ...] = ()
    work_ms: int = 0  # Head.work_ms, for whoever compares it with what it took


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a task waits: a stable code, and a sentence with the numbers."""

    code: str  # BIN_BEHIND, NO_PLACE_FREE, NO_SUCH_PLACE ...: scheduler/explain.py
    text: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now. Every head that was not placed has a reason.

    `reserved` says which place is held for which waiting task, by Place.id: nothing that this task lacks is given away there.
    """

    placements: tuple[Placement, ...] = ()
    reasons: Mapping[TaskId, Reason] = field(default_factory=dict)
    reserved: Mapping[str, TaskId] = field(default_factory=dict)
