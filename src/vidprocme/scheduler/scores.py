"""How well a task would fit on a node: the policies of the FGD study, whose figures are published, and our own.

A score is a whole number, and the lowest wins; of equal ones the node whose name comes first. The study's (Weng et al., "Beware of
Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation Gradient Descent", USENIX ATC 2023) are 0..100, the highest wins; here
they have a minus.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from vidprocme.scheduler.demand import HALVES, STEP, Demand, Scarcity, pressure_of, starved_of, use_of_whole
from vidprocme.scheduler.nodes import NodeSpec
from vidprocme.scheduler.states import WHOLE, Ask, PlaceState, Sort

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
    """What each thing costs a task of one kind. benchmarks/README.md says how they were found."""

    cores_left: int = 0  # a milli core
    gpus_left: int = 0  # a milli GPU
    stranded_gpus: int = 0  # a millionth of the node's GPUs, by which more of them is free than of its cores
    stranded_cores: int = 0  # the other way round
    uneven: int = 0  # a milli GPU, by which what is free is off twelve cores for each
    large: int = 0  # a GPU of the node
    pressed: int = 0  # a thousandth of the pressure on its GPU model (demand.pressure_of)
    left_on_gpu: int = 0  # a milli GPU, on the one that gives a share
    broken: int = 0  # a milli GPU that tasks with whole ones could have used (demand.use_of_whole)
    scarce: int = 0  # a thousandth of what the node was worth to those of them that few can hold (demand.Scarcity)
    untouched: int = 0  # a node all of whose GPUs are whole
    begun: int = 0  # a GPU of which a share is given
    starved: int = 0  # a milli GPU that is free now with too few cores beside it (demand.starved_of)


# Of shares of a GPU, of one whole, of several, of none.
SHARE = Weights(
    cores_left=3_310,
    gpus_left=-24_400,
    stranded_gpus=4_990,
    uneven=45_000,
    large=-44_200_000,
    pressed=3_030_000,
    left_on_gpu=3_560_000,
)
ONE = Weights(
    cores_left=3_890,
    gpus_left=-13_800,
    stranded_gpus=34_200,
    stranded_cores=160,
    large=70_300_000,
    pressed=2_940_000,
    broken=1_280_000,
    scarce=1_930_000,
    untouched=-482_000_000,
    begun=476_000_000,
    starved=-152_000,
)
SEVERAL = Weights(
    cores_left=2_740,
    gpus_left=-25_700,
    stranded_gpus=8_980,
    stranded_cores=601,
    uneven=31_100,
    large=3_700_000,
    pressed=3_540,
    scarce=212_000,
    untouched=-139_000_000,
)
PLAIN = Weights(cores_left=-742, gpus_left=58_600, pressed=-661_000)
KEPT_MOST = 100_000  # states of which is kept what all asks have in common


class Balanced:
    """What is left stays useful: GPUs have cores beside them, nodes are spared that hold what few others can, and a share goes where it
    leaves least of a GPU.

    It looks at the node alone: no list of what could come is gone through for each, as in Fgd. What all asks of a kind have in common is
    worked out once for a state.
    """

    def __init__(self, demand: Demand, nodes: Sequence[NodeSpec], weights: Sequence[Weights] | None = None) -> None:
        """
        Args:
            weights: of shares, of one whole GPU, of several, of none.
        """
        self._weights = weights or (SHARE, ONE, SEVERAL, PLAIN)
        self._share, self._one, self._several, self._plain = self._weights
        self._pressure = pressure_of(demand, nodes)
        self._use = use_of_whole(demand, max((node.gpus for node in nodes), default=0))
        self._starved = starved_of(demand)
        self._scarcity = Scarcity(demand, nodes)
        self._kinds: dict[tuple[str, int, int], _Kind] = {}
        self._known: dict[PlaceState, _Known] = {}

    def __call__(self, node: PlaceState, ask: Ask) -> Fit:
        known = self._known.get(node) or self._look(node)
        cores = node.cpu_milli - ask.cpu_milli
        gpus = node.free_gpu_milli - ask.total_gpu_milli
        gpu: int | None = None
        if not ask.gpus:
            w = self._plain
            return known.plain + w.cores_left * cores + w.gpus_left * gpus, None
        if ask.is_share:
            w, asked = self._share, ask.gpu_milli
            left = min([free for free in node.gpu_milli if free >= asked])
            gpu = node.gpu_milli.index(left)
            score = known.share + w.left_on_gpu * (left - asked)
        else:
            w, score = (self._one, known.one) if ask.gpus == 1 else (self._several, known.several)
            whole = known.whole - ask.gpus if ask.gpu_milli >= WHOLE else known.whole
            score -= w.broken * self._use[whole] + w.scarce * known.scarce[whole][cores // STEP]
        stranded = (gpus * known.gpu_part - cores * known.core_part) // 1_000
        return (
            score
            + w.cores_left * cores
            + w.gpus_left * gpus
            + (w.stranded_gpus * stranded if stranded > 0 else -w.stranded_cores * stranded)
            + w.uneven * abs(cores // CORES_PER_GPU - gpus)
        ), gpu

    def _look(self, node: PlaceState) -> _Known:
        """What is known of a state before anything is asked of it."""
        if len(self._known) >= KEPT_MOST:
            self._known.clear()
        spec, cpu = node.spec, node.cpu_milli
        whole = node.gpu_milli.count(WHOLE)
        untouched, begun = whole == spec.gpus, spec.gpus - whole - node.gpu_milli.count(0)
        use, free = self._use[whole], node.free_gpu_milli
        starving = self._starved[min(2 * cpu // free, HALVES - 1)] * free // 1_000 if free else 0
        kind = self._kind(spec)
        worth = kind.scarce[whole][cpu // STEP]
        costs = [
            w.broken * use
            + w.scarce * worth
            + w.begun * begun
            + w.starved * starving
            + (fixed + w.untouched if untouched else fixed)
            for w, fixed in zip(self._weights, kind.fixed, strict=True)
        ]
        found = self._known[node] = _Known(kind.gpu_part, kind.core_part, kind.scarce, whole, *costs)
        return found

    def _kind(self, spec: Sort) -> _Kind:
        key = spec.model, spec.gpus, spec.cpu_milli
        found = self._kinds.get(key)
        if found is None:
            pressure = self._pressure.get(spec.model, 0)
            found = self._kinds[key] = _Kind(
                1_000_000 // spec.gpus if spec.gpus else 0,
                1_000_000_000 // spec.cpu_milli if spec.cpu_milli else 0,
                self._scarcity.of(*key),
                [w.large * spec.gpus + w.pressed * pressure for w in self._weights],
            )
        return found


class _Kind(NamedTuple):
    """What is known of a node by its GPU model, GPUs and cores."""

    gpu_part: int  # a milli GPU, in billionths of all its GPUs
    core_part: int  # a milli core, of all its cores
    scarce: list[list[int]]  # Scarcity.of
    fixed: list[int]  # what is to be paid whatever is free there, by the kind of ask


class _Known(NamedTuple):
    """What is known of a state."""

    gpu_part: int
    core_part: int
    scarce: list[list[int]]
    whole: int  # GPUs
    share: int  # what is to be paid, by the kind of ask
    one: int
    several: int
    plain: int
