"""Machines with several GPUs, and what tasks ask of one: shares of a GPU, whole ones, some models only. Whole numbers."""

from __future__ import annotations

from dataclasses import dataclass

WHOLE = 1000  # milli of one GPU


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """A machine: cores, memory and some equal GPUs."""

    name: str
    cpu_milli: int
    memory_mib: int
    gpus: int
    model: str  # of its GPUs; empty without


@dataclass(frozen=True, slots=True)
class Shape:
    """What one task asks for, all of it on one node.

    `gpus` GPUs, of each a share of `gpu_milli` (1000 = whole), of one of `models` (empty = any).
    """

    cpu_milli: int
    memory_mib: int
    gpus: int = 0
    gpu_milli: int = 0
    models: frozenset[str] = frozenset()

    @property
    def total_gpu_milli(self) -> int:
        return self.gpus * self.gpu_milli

    @property
    def is_share(self) -> bool:
        """Of a single GPU, and not all of it: which GPU that is makes a difference."""
        return self.gpus == 1 and self.gpu_milli < WHOLE


class Node:
    """A machine and what is left of it. A Room for choose.FirstFit."""

    __slots__ = ("cpu_milli", "free_gpu_milli", "gpu_milli", "kinds", "memory_mib", "spec")

    def __init__(self, spec: NodeSpec) -> None:
        self.spec = spec
        self.cpu_milli = spec.cpu_milli
        self.memory_mib = spec.memory_mib
        self.gpu_milli = [WHOLE] * spec.gpus  # free, by GPU
        self.free_gpu_milli = WHOLE * spec.gpus  # their sum
        self.kinds: dict[int, int] = {}  # how many tasks run here, by how many GPUs they have; 0: those with a share

    def state(self) -> tuple[object, ...]:
        """All but its name: equal ones are worth the same to everybody."""
        spec, kinds = self.spec, tuple(sorted(self.kinds.items()))
        what = (spec.cpu_milli, spec.memory_mib, spec.gpus, spec.model)
        return (*what, self.cpu_milli, self.memory_mib, tuple(self.gpu_milli), kinds)

    def holds(self, ask: Shape) -> bool:
        """True when cores, memory, GPU model and each GPU share fit now."""
        if ask.cpu_milli > self.cpu_milli or ask.memory_mib > self.memory_mib:
            return False
        if not ask.gpus:
            return True
        if ask.models and self.spec.model not in ask.models:
            return False
        if ask.gpus * ask.gpu_milli > self.free_gpu_milli:
            return False
        if ask.gpus == 1:
            return max(self.gpu_milli) >= ask.gpu_milli
        return sum(free >= ask.gpu_milli for free in self.gpu_milli) >= ask.gpus

    def fullest(self, ask: Shape) -> tuple[int, ...]:
        """The GPUs that would give what is asked: the fullest that still fit, so that whole ones stay whole.

        Raises:
            ValueError: it does not fit.
        """
        if not self.holds(ask):
            raise ValueError(f"{self.spec.name} does not hold {ask}")
        fitting = [gpu for gpu, free in enumerate(self.gpu_milli) if free >= ask.gpu_milli]
        fitting.sort(key=lambda gpu: (self.gpu_milli[gpu], gpu))
        return tuple(fitting[: ask.gpus])

    def place(self, ask: Shape, gpu: int | None = None) -> tuple[int, ...]:
        """Take what is asked; returns the GPUs that give it.

        Args:
            gpu: the one that gives a share; None: `fullest`.

        Raises:
            ValueError: it does not fit.
        """
        used = self.fullest(ask) if gpu is None else (gpu,)
        if gpu is not None and (not self.holds(ask) or self.gpu_milli[gpu] < ask.gpu_milli):
            raise ValueError(f"{self.spec.name} does not hold {ask} on its GPU {gpu}")
        self._move(ask, used, -1)
        return used

    def release(self, ask: Shape, used: tuple[int, ...]) -> None:
        """Give back what `place` took on these GPUs."""
        self._move(ask, used, 1)

    def _move(self, ask: Shape, used: tuple[int, ...], sign: int) -> None:
        self.cpu_milli += sign * ask.cpu_milli
        self.memory_mib += sign * ask.memory_mib
        for gpu in used:
            self.gpu_milli[gpu] += sign * ask.gpu_milli
        self.free_gpu_milli += sign * ask.gpu_milli * len(used)
        if used:
            kind = 0 if ask.is_share else ask.gpus
            count = self.kinds.get(kind, 0) - sign
            if count:
                self.kinds[kind] = count
            else:
                del self.kinds[kind]
