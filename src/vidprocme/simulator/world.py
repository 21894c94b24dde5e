"""A cluster in memory: what is free on every node, down to the share of each GPU."""

from __future__ import annotations

from collections.abc import Iterable

from vidprocme.simulator.trace import NodeSpec, Shape

WHOLE = 1000  # milli of one GPU


class SimNode:
    """A node and what is left of it. A Room for the scheduler's search."""

    __slots__ = ("cpu_milli", "free_gpu_milli", "gpu_milli", "memory_mib", "spec")

    def __init__(self, spec: NodeSpec) -> None:
        self.spec = spec
        self.cpu_milli = spec.cpu_milli
        self.memory_mib = spec.memory_mib
        self.gpu_milli = [WHOLE] * spec.gpus  # free, by GPU
        self.free_gpu_milli = WHOLE * spec.gpus  # their sum

    def holds(self, ask: Shape) -> bool:
        """True when cores, memory, GPU model and each GPU share fit now."""
        if ask.cpu_milli > self.cpu_milli or ask.memory_mib > self.memory_mib:
            return False
        if not ask.gpus:
            return True
        if ask.models and self.spec.model not in ask.models:
            return False
        if ask.total_gpu_milli > self.free_gpu_milli:
            return False
        return sum(free >= ask.gpu_milli for free in self.gpu_milli) >= ask.gpus

    def place(self, ask: Shape) -> tuple[int, ...]:
        """Take what is asked; returns the GPUs that give it: the fullest that still fit, so that whole ones stay whole.

        Raises:
            ValueError: it does not fit.
        """
        if not self.holds(ask):
            raise ValueError(f"{self.spec.name} does not hold {ask}")
        fitting = [gpu for gpu, free in enumerate(self.gpu_milli) if free >= ask.gpu_milli]
        fitting.sort(key=lambda gpu: (self.gpu_milli[gpu], gpu))
        used = tuple(fitting[: ask.gpus])
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


class World:
    """The nodes in order of their names (the tie rule of the study: the smallest name wins)."""

    def __init__(self, specs: Iterable[NodeSpec]) -> None:
        self.nodes = [SimNode(spec) for spec in sorted(specs, key=lambda spec: spec.name)]
        self.capacity_milli = sum(node.spec.gpus for node in self.nodes) * WHOLE

    @property
    def gpus(self) -> int:
        return self.capacity_milli // WHOLE
