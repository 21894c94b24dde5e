"""How well a task would fit on a node: the policies of the FGD study, whose figures are published, and our own.

A score is a whole number, and the lowest wins; of equal ones the node whose name comes first. The study's (Weng et al., "Beware of
Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation Gradient Descent", USENIX ATC 2023) are 0..100, the highest wins; here
they have a minus.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vidprocme.scheduler.demand import Demand, pressure_of, use_of_whole
from vidprocme.scheduler.nodes import NodeSpec
from vidprocme.scheduler.states import WHOLE, Ask, PlaceState

MOST = 100  # of the study's scores
CPU_MOST, GPU_MOST = 128_000, 8_000  # milli of the largest node, by which the study measures
CORES_PER_GPU = 12  # of the nodes with eight GPUs
Fit = tuple[int, int | None]  # the score, and the GPU that would give a share; None: the fullest (places.Score)


# -- the study's -----------------------------------------------------------------------------------------------------------


def best_fit(node: PlaceState, ask: Ask) -> Fit:
    """The less is left, the better."""
    cpu = (node.cpu_milli - ask.cpu_milli) / CPU_MOST
    gpu = (node.free_gpu_milli - ask.total_gpu_milli) / GPU_MOST
    return -int((1 - (cpu + gpu) / 2) * MOST), None


def dot_product(node: PlaceState, ask: Ask) -> Fit:
    """Tetris (Grandl et al., "Multi-Resource Packing for Cluster Schedulers", SIGCOMM 2014), as the study has it: the less what is free and
    what is asked for point the same way, the better."""
    cpu = node.cpu_milli / CPU_MOST * ask.cpu_milli / CPU_MOST
    gpu = node.free_gpu_milli / GPU_MOST * ask.total_gpu_milli / GPU_MOST
    return -int((1 - (cpu + gpu) / 2) * MOST), None


def packing(node: PlaceState, ask: Ask) -> Fit:
    """GPUs in use first, then free ones of nodes in use, then free nodes."""
    if not ask.gpus:
        return 0, None
    whole = sum(free == WHOLE for free in node.gpu_milli)
    if whole == node.spec.gpus:
        return -max(MOST // 3 - whole, whole), None
    used = node.fullest(ask)
    opened = sum(node.gpu_milli[gpu] == WHOLE for gpu in used)
    if opened:
        return -max(MOST // 2 - opened, MOST // 3), None
    free = sum(node.gpu_milli[gpu] * 100 // WHOLE for gpu in used)
    return -max(MOST - free // 10, MOST // 2), None


def clustering(node: PlaceState, ask: Ask) -> Fit:
    """Tasks with as many GPUs beside each other (Xiao et al., "Gandiva", OSDI 2018, as the study has it)."""
    if not ask.gpus:
        return 0, None
    kinds = dict(node.kinds)
    with_like = (0 if ask.is_share else ask.gpus) in kinds
    level = 2 + (len(kinds) == 1) if with_like else int(not kinds)
    return -(MOST // 4 * (GPU_MOST - node.free_gpu_milli) // GPU_MOST + MOST * level // 4), None


class Fgd:
    """Fragmentation gradient descent: the fewer GPUs become useless for what usually comes, the better."""

    def __init__(self, demand: Demand) -> None:
        self._typical = demand.typical()

    def __call__(self, node: PlaceState, ask: Ask) -> Fit:
        cpu, model = node.cpu_milli, node.spec.model
        before = self._useless(cpu, node.gpu_milli, model)
        found: Fit | None = None
        for gpu, after in _after(node, ask):
            grown = self._useless(cpu - ask.cpu_milli, after, model) - before
            score = -int(MOST / (1 + math.exp(grown / 1000)))
            if found is None or score < found[0]:
                found = score, gpu
        assert found is not None, "it holds the task"
        return found

    def _useless(self, cpu_milli: int, gpus: Sequence[int], model: str) -> float:
        """Milli GPU that a task drawn from what usually comes could not use, on average."""
        whole = sum(gpus)
        if not whole:
            return 0.0
        found = 0.0
        for shape, part in self._typical:
            if not shape.gpus or shape.cpu_milli > cpu_milli or (shape.models and model not in shape.models):
                found += part * whole
                continue
            fits = small = 0
            for free in gpus:
                if free >= shape.gpu_milli:
                    fits += 1
                else:
                    small += free
            found += part * (small if fits >= shape.gpus else whole)
        return found


def _after(node: PlaceState, ask: Ask) -> Iterator[tuple[int | None, Sequence[int]]]:
    """Each way to take it, by the GPU that gives a share, and what is free then. Of GPUs that are equally free the first."""
    if ask.is_share:
        seen: set[int] = set()
        for gpu, free in enumerate(node.gpu_milli):
            if free >= ask.gpu_milli and free not in seen:
                seen.add(free)
                yield gpu, [*node.gpu_milli[:gpu], free - ask.gpu_milli, *node.gpu_milli[gpu + 1 :]]
        return
    gpus = list(node.gpu_milli)
    for gpu in node.fullest(ask):
        gpus[gpu] -= ask.gpu_milli
    yield None, gpus


# -- our own -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Weights:
    """What each thing costs, per million of the unit beside it. benchmarks/README.md says how they were found."""

    cores_left: int = 451_700  # 128 cores
    gpus_left: int = -26_900  # a GPU
    left_on_gpu: int = 1_561_000  # a GPU, on the one that gives a share
    stranded_gpus: int = 4_767_000  # of the node's GPUs, the part that is free beyond the part of its cores that is
    stranded_cores: int = 220_900  # the other way round
    uneven: int = 41_400  # a GPU, by which what is free is off twelve cores for each
    large: int = 72_000  # a GPU of the node
    pressed: int = 3_003_000  # the pressure on its GPU model (demand.pressure_of)
    broken: int = 1_101_000  # a GPU that tasks with whole ones could have used (demand.use_of_whole)
    untouched: int = -415_700  # a node all of whose GPUs are whole, for whole ones
    begun: int = 112_900  # a GPU of which a share is given, for whole ones
    plain_cores_left: int = -188_500  # as cores_left, for tasks without a GPU
    plain_gpus_left: int = 34_300  # a free GPU, for tasks without one


class Balanced:
    """What is left stays useful: GPUs have cores beside them, those of models and in numbers that few nodes have are spared, and a share
    goes where it leaves least of a GPU.

    It looks at the node alone, once: no list of what could come is gone through for each, as in Fgd.
    """

    def __init__(self, demand: Demand, nodes: Sequence[NodeSpec], weights: Weights | None = None) -> None:
        self._weights = weights or Weights()
        self._pressure = pressure_of(demand, nodes)
        self._use = use_of_whole(demand, max((node.gpus for node in nodes), default=0))

    def __call__(self, node: PlaceState, ask: Ask) -> Fit:
        w, spec = self._weights, node.spec
        cores = node.cpu_milli - ask.cpu_milli
        gpus = node.free_gpu_milli - ask.gpus * ask.gpu_milli
        if not ask.gpus:
            return w.plain_cores_left * cores // CPU_MOST + w.plain_gpus_left * gpus // WHOLE, None
        # Of a million parts of what the node has.
        stranded = gpus * 1_000 // spec.gpus - (cores * 1_000_000 // spec.cpu_milli if spec.cpu_milli else 0)
        whole = node.gpu_milli.count(WHOLE)
        score = (
            w.cores_left * cores // CPU_MOST
            + w.gpus_left * gpus // WHOLE
            + (w.stranded_gpus * stranded if stranded > 0 else -w.stranded_cores * stranded) // 1_000_000
            + w.uneven * abs(cores // CORES_PER_GPU - gpus) // WHOLE
            + w.large * spec.gpus
            + w.pressed * self._pressure.get(spec.model, 0) // 1_000
        )
        if ask.is_share:
            asked = ask.gpu_milli
            left = min([free for free in node.gpu_milli if free >= asked])
            return score + w.left_on_gpu * (left - ask.gpu_milli) // WHOLE, node.gpu_milli.index(left)
        if ask.gpu_milli >= WHOLE:
            score += w.broken * (self._use[whole] - self._use[whole - ask.gpus]) // WHOLE
        if whole == spec.gpus:
            score += w.untouched
        begun = spec.gpus - whole - node.gpu_milli.count(0)
        return score + w.begun * begun, None
