"""What is usually asked for: how often each shape comes, and what follows from that for the nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from vidprocme.scheduler.nodes import WHOLE, NodeSpec, Shape

SCALE = 1_000_000  # parts of a whole in which shares are told, as whole numbers
TYPICAL = 95  # percent of all tasks that the typical ones make up, in the FGD study


@dataclass(frozen=True, slots=True)
class Demand:
    """The shapes that come, without their memory (it is nowhere scarce), each with how many of SCALE tasks are of it."""

    shapes: Mapping[Shape, int]

    def typical(self, percent: int = TYPICAL) -> Sequence[tuple[Shape, float]]:
        """The commonest ones that together make up so much, with their shares among themselves."""
        chosen: list[tuple[Shape, int]] = []
        sum_ = 0
        whole = sum(self.shapes.values())
        for shape, parts in sorted(self.shapes.items(), key=_commonest):
            if sum_ * 100 >= percent * whole:
                break
            chosen.append((shape, parts))
            sum_ += parts
        return [(shape, parts / sum_) for shape, parts in chosen]


def demand_of(tasks: Iterable[Shape]) -> Demand:
    """As they came in the past, or stand in a trace."""
    counts = Counter(replace(shape, memory_mib=0) for shape in tasks)
    whole = counts.total()
    return Demand({shape: round(SCALE * count / whole) for shape, count in counts.items()})


def pressure_of(demand: Demand, nodes: Iterable[NodeSpec]) -> dict[str, int]:
    """By GPU model, what tasks that want certain models ask of it, in milli of what it has its share of.

    A task that wants one of several models asks it of all their GPUs alike. 1000: as much as if all GPUs were asked for evenly.
    """
    have: Counter[str] = Counter()
    for node in nodes:
        have[node.model] += node.gpus
    every = sum(have.values())
    asked = sum(parts * shape.total_gpu_milli for shape, parts in demand.shapes.items())
    found = dict.fromkeys(have, 0.0)
    for shape, parts in demand.shapes.items():
        among = sum(have[model] for model in shape.models)
        for model in shape.models if among and asked else ():
            if model in found:
                found[model] += parts * shape.total_gpu_milli / asked * every / among
    return {model: round(1000 * load) for model, load in found.items()}


def use_of_whole(demand: Demand, most: int) -> list[int]:
    """By how many GPUs of a node are whole (0..most), how much of them tasks with whole GPUs can use: a share in milli GPU.

    Tasks with c GPUs can use c * floor(n / c) of n; each counts as much as its part of all GPUs asked for.
    """
    asked = sum(parts * shape.total_gpu_milli for shape, parts in demand.shapes.items())
    by_count: Counter[int] = Counter()
    for shape, parts in demand.shapes.items():
        if shape.gpu_milli >= WHOLE:
            by_count[shape.gpus] += parts * shape.total_gpu_milli
    return [
        round(sum(WHOLE * parts / asked * count * (n // count) for count, parts in by_count.items())) if asked else 0
        for n in range(most + 1)
    ]


def _commonest(item: tuple[Shape, int]) -> tuple[int, int, int, int, str]:
    shape, parts = item
    return -parts, shape.cpu_milli, shape.gpu_milli, shape.gpus, "|".join(sorted(shape.models))
