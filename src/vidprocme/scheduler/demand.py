"""What is usually asked for: how often each shape comes, and what follows from that for the nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from vidprocme.scheduler.nodes import WHOLE, NodeSpec, Shape

SCALE = 1_000_000  # parts of a whole in which shares are told, as whole numbers
TYPICAL = 95  # percent of all tasks that the typical ones make up, in the FGD study
HALVES = 64  # half cores beside a GPU that are told apart
STEP = 500  # milli cores that are not told apart, where cores stand beside whole GPUs
RAREST = 0.002  # of all GPUs: what fewer can hold is worth no more for it


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
    counts: Counter[Shape] = Counter()
    for shape, count in Counter(tasks).items():
        counts[replace(shape, memory_mib=0)] += count
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


def starved_of(demand: Demand) -> list[int]:
    """By how many half cores are beside each GPU (0, 1, ..., at the end: so many or more), how much of what is asked for wants more than
    that: in thousandths of the GPUs asked for."""
    by_half: Counter[int] = Counter()
    for shape, parts in demand.shapes.items():
        if shape.total_gpu_milli:
            most = -(-2 * shape.cpu_milli // shape.total_gpu_milli)  # it wants more than any fewer half cores
            by_half[min(most, HALVES)] += parts * shape.total_gpu_milli
    asked = more = by_half.total()
    found = []
    for half in range(HALVES):
        more -= by_half[half]
        found.append(round(1000 * more / asked) if asked else 0)
    return found


class Scarcity:
    """What whole GPUs are worth, with the cores beside them, to tasks that few nodes can hold even when they are empty."""

    def __init__(self, demand: Demand, nodes: Iterable[NodeSpec]) -> None:
        kinds = Counter((node.model, node.gpus, node.cpu_milli) for node in nodes)
        every = sum(gpus * count for (_, gpus, _), count in kinds.items())
        asked = sum(parts * shape.total_gpu_milli for shape, parts in demand.shapes.items())
        self._worth: list[tuple[Shape, float]] = []  # of a node that can hold it
        for shape, parts in demand.shapes.items():
            if shape.gpus and shape.gpu_milli >= WHOLE:
                able = sum(
                    count * (gpus // shape.gpus * shape.gpus)
                    for (model, gpus, cpu), count in kinds.items()
                    if cpu >= shape.cpu_milli and (not shape.models or model in shape.models)
                )
                if able:
                    part = max(able / every, RAREST)
                    self._worth.append((shape, parts * shape.total_gpu_milli / asked / part * shape.gpus))

    def of(self, model: str, gpus: int, cpu_milli: int) -> list[list[int]]:
        """For a node with so many GPUs and cores, by how many of its GPUs are whole and how many STEPs of its cores are free, in thousandths.

        A task with g GPUs, for which a part v of all GPUs is asked, and that nodes with a part s of them can hold, makes it worth g * v / s.
        """
        steps = cpu_milli // STEP + 1
        adds = [[0.0] * steps for _ in range(gpus + 1)]  # by the fewest GPUs and cores that will do
        for shape, worth in self._worth:
            least = -(-shape.cpu_milli // STEP)
            if shape.gpus <= gpus and least < steps and (not shape.models or model in shape.models):
                adds[shape.gpus][least] += worth
        by_cores = [list(accumulate(row)) for row in adds]
        return [[round(1000 * worth) for worth in row] for row in accumulate(by_cores, _added)]


def _added(one: list[float], other: list[float]) -> list[float]:
    return [a + b for a, b in zip(one, other, strict=True)]


def _commonest(item: tuple[Shape, int]) -> tuple[int, int, int, int, str]:
    shape, parts = item
    return -parts, shape.cpu_milli, shape.gpu_milli, shape.gpus, "|".join(sorted(shape.models))
