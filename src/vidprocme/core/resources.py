"""What a task needs and what a place has: whole numbers, so sums are exact."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from vidprocme.core.ids import TaskId


@dataclass(frozen=True, slots=True)
class Resources:
    """What a task needs, or what a place has left."""

    cpu_milli: int = 0  # 1000 = one core
    memory_bytes: int = 0
    gpu_milli: int = 0  # share of one GPU; 1000 = a whole one
    vram_bytes: int = 0
    gpus: int = 0  # whole GPUs, for a task that needs several

    def beside(self, kept: Resources) -> Resources:
        """What of this may be used when `kept` is to stay free; nothing of what there is too little of already."""
        return Resources(
            max(0, self.cpu_milli - kept.cpu_milli),
            max(0, self.memory_bytes - kept.memory_bytes),
            max(0, self.gpu_milli - kept.gpu_milli),
            max(0, self.vram_bytes - kept.vram_bytes),
            max(0, self.gpus - kept.gpus),
        )

    def fits(self, free: Resources) -> bool:
        return (
            self.cpu_milli <= free.cpu_milli
            and self.memory_bytes <= free.memory_bytes
            and self.gpu_milli <= free.gpu_milli
            and self.vram_bytes <= free.vram_bytes
            and self.gpus <= free.gpus
        )

    def __add__(self, other: Resources) -> Resources:
        return Resources(
            self.cpu_milli + other.cpu_milli,
            self.memory_bytes + other.memory_bytes,
            self.gpu_milli + other.gpu_milli,
            self.vram_bytes + other.vram_bytes,
            self.gpus + other.gpus,
        )

    def __sub__(self, other: Resources) -> Resources:
        return Resources(
            self.cpu_milli - other.cpu_milli,
            self.memory_bytes - other.memory_bytes,
            self.gpu_milli - other.gpu_milli,
            self.vram_bytes - other.vram_bytes,
            self.gpus - other.gpus,
        )


class PlaceKind(StrEnum):
    """What sort of work a place takes."""

    CPU = "cpu"  # ffmpeg and files: as many attempts as its resources hold
    GPU = "gpu"  # one model at a time on a GPU (or a share of it)
    SERVER = "server"  # a slot of an OpenAI-style server somebody runs
    CPU_MODEL = "cpu_model"  # one model at a time on the CPU

    __hash__ = str.__hash__  # an Enum's own is written in Python, and sorts of places are looked up by it


@dataclass(frozen=True, slots=True)
class Need:
    """One way in which a task can be run: this much, on a place of this kind.

    With `gpus` of 2 or more it asks for so many GPUs of one place, of each for `gpu_milli` (0: all of it) and `vram_bytes`.
    """

    kind: PlaceKind
    resources: Resources
    gpu_types: tuple[str, ...] = ()  # that would do, sorted; empty: any


@dataclass(frozen=True, slots=True)
class Place:
    """Somewhere an attempt can run.

    `slots` bounds the attempts at once (a model place has one); `resources` bounds what they use together, where `gpu_milli`
    and `vram_bytes` are what each of its `gpus` has. `warm` names the models that are loaded there now, as its resident worker
    last reported. A slice of a GPU (MIG) is a place of its own, whose `gpu_type` is the slice's.
    """

    id: str
    node: str
    kind: PlaceKind
    resources: Resources
    slots: int = 1
    warm: tuple[str, ...] = ()
    draining: bool = False
    gpu_type: str = ""  # of its GPUs; empty: not told


@dataclass(frozen=True, slots=True)
class PlaceLoad:
    """A place and what is left of it at this moment.

    `starts` counts what was started here, but for what fitted in beside a reservation: whose turn the next start is follows
    from it (scheduler/turns.py). `held_for` names the task that the place is held for.
    """

    place: Place
    free: Resources
    free_slots: int
    starts: int = 0
    held_for: TaskId | None = None

    def take(self, need: Resources, *, counted: bool = True) -> PlaceLoad:
        # Written out: `replace` takes three times as long, and this is called for every start.
        return PlaceLoad(self.place, self.free - need, self.free_slots - 1, self.starts + counted, self.held_for)

    def give_back(self, need: Resources) -> PlaceLoad:
        return PlaceLoad(self.place, self.free + need, self.free_slots + 1, self.starts, self.held_for)

    def take_back(self, need: Resources, *, counted: bool = True) -> PlaceLoad:
        """As if it had never been taken."""
        return replace(self.give_back(need), starts=max(0, self.starts - counted))
