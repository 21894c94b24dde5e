"""Machines with several GPUs, and what tasks ask of one, as traces tell it: shares of a GPU, whole ones, some models only. Whole numbers."""

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
