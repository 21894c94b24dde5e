"""What a task needs and what a place has: whole numbers, so sums are exact."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Resources:
    """What a task needs, or what a place has left."""

    cpu_milli: int = 0  # 1000 = one core
    memory_bytes: int = 0
    gpu_milli: int = 0  # share of one GPU; 1000 = a whole one
    vram_bytes: int = 0
    gpus: int = 0  # whole GPUs, for a task that needs several

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


@dataclass(frozen=True, slots=True)
class Need:
    """One way in which a task can be run: this much, on a place of this kind."""

    kind: PlaceKind
    resources: Resources


@dataclass(frozen=True, slots=True)
class Place:
    """Somewhere an attempt can run.

    `slots` bounds the attempts at once (a model place has one); `resources` bounds what they use together. `warm`
    names the models that are loaded there now, as its resident worker last reported.
    """

    id: str
    node: str
    kind: PlaceKind
    resources: Resources
    slots: int = 1
    warm: tuple[str, ...] = ()
    draining: bool = False


@dataclass(frozen=True, slots=True)
class PlaceLoad:
    """A place and what is left of it at this moment."""

    place: Place
    free: Resources
    free_slots: int

    def take(self, need: Resources) -> PlaceLoad:
        return PlaceLoad(self.place, self.free - need, self.free_slots - 1)

    def give_back(self, need: Resources) -> PlaceLoad:
        return PlaceLoad(self.place, self.free + need, self.free_slots + 1)
