"""Replays a trace on a cluster in memory, by the protocol of the FGD study (simulator.workload)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vidprocme.core.errors import BadWish
from vidprocme.scheduler.choose import Anyone, Best, Chooser, First
from vidprocme.scheduler.demand import Demand, demand_of
from vidprocme.scheduler.nodes import NodeSpec, Shape
from vidprocme.scheduler.scores import Balanced, Fgd, best_fit, clustering, dot_product, packing
from vidprocme.simulator.chance import Chance
from vidprocme.simulator.report import MARKS, Mark, Report
from vidprocme.simulator.workload import arrivals
from vidprocme.simulator.world import World

DICE = 0x5EED  # added to the seed, so that where something goes is not drawn with the numbers that said what comes

_MAKE: dict[str, Callable[[World, Demand, int], Chooser]] = {
    "default": lambda world, demand, _: Best(world.nodes, Balanced(demand, [node.spec for node in world.nodes])),
    "random": lambda world, _, seed: Anyone(world.nodes, Chance(seed + DICE)),
    "dot-product": lambda world, *_: Best(world.nodes, dot_product),
    "clustering": lambda world, *_: Best(world.nodes, clustering),
    "packing": lambda world, *_: Best(world.nodes, packing),
    "best-fit": lambda world, *_: Best(world.nodes, best_fit),
    "fgd": lambda world, demand, _: Best(world.nodes, Fgd(demand)),
    "first-fit": lambda world, *_: First(world.nodes),
}
POLICIES = tuple(_MAKE)
PROGRESS_EVERY = 100  # tasks between two calls of on_progress


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a task went: its number in the table (from 0), the node, and the GPUs that give it what it asks of one. node "": nowhere."""

    task: int
    node: str
    gpus: tuple[int, ...]


def replay(
    nodes: Sequence[NodeSpec],
    tasks: Sequence[Shape],
    seed: int,
    policy: str = "default",
    on_progress: Callable[[int, int], None] | None = None,
    on_placed: Callable[[Placed], None] | None = None,
) -> Report:
    """Let the tasks arrive as in the study and count what stays unallocated.

    Args:
        policy: one of POLICIES: scheduler/scores.py says what each goes by.
        on_progress: called now and then with (tasks done, tasks in all), and at the end.
        on_placed: called with each task in order of arrival.

    Raises:
        BadWish: NO_SUCH_POLICY; BAD_TRACE, there is no GPU or nobody asks for one.
    """
    if policy not in POLICIES:
        raise BadWish("NO_SUCH_POLICY", f'There is no policy "{policy}".', f"Choose one of: {', '.join(POLICIES)}.")
    world = World(nodes)
    order = arrivals(tasks, world.capacity_milli, Chance(seed))
    chooser = _MAKE[policy](world, demand_of(tasks), seed)
    marks: list[Mark] = []
    asked = allocated = placed = 0
    for arrived, number in enumerate(order, start=1):
        task = tasks[number]
        found = chooser.find(task)
        used: tuple[int, ...] = ()
        if found is not None:
            used = world.nodes[found[0]].place(task, found[1])
            chooser.changed(found[0])
            allocated += task.total_gpu_milli
            placed += 1
        if on_placed is not None:
            on_placed(Placed(number, world.nodes[found[0]].spec.name if found is not None else "", used))
        asked += task.total_gpu_milli
        while len(marks) < len(MARKS) and asked * 100 >= MARKS[len(marks)] * world.capacity_milli:
            unallocated = 100 * (world.capacity_milli - allocated) / world.capacity_milli
            marks.append(Mark(MARKS[len(marks)], unallocated, placed, arrived - placed))
        if on_progress and (arrived % PROGRESS_EVERY == 0 or arrived == len(order)):
            on_progress(arrived, len(order))
    return Report(policy, seed, len(world.nodes), world.gpus, len(order), placed, len(order) - placed, tuple(marks))
