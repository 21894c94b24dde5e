"""Replays a trace on a cluster in memory, with the search that the live loop places with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vidprocme.core.errors import BadWish
from vidprocme.scheduler.place import FirstFit
from vidprocme.simulator.chance import Chance
from vidprocme.simulator.report import MARKS, Mark, Report
from vidprocme.simulator.trace import NodeSpec, Shape
from vidprocme.simulator.workload import arrivals
from vidprocme.simulator.world import World

POLICIES = ("first-fit",)
PROGRESS_EVERY = 100  # pods between two calls of on_progress


def replay(
    nodes: Sequence[NodeSpec],
    pods: Sequence[Shape],
    seed: int,
    policy: str = "first-fit",
    on_progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Let the pods arrive as in the study (simulator.workload) and count what stays unallocated.

    Args:
        policy: `first-fit`: the first node by name that holds it.
        on_progress: called now and then with (pods done, pods in all), and at the end.

    Raises:
        BadWish: NO_SUCH_POLICY; BAD_TRACE, there is no GPU or nobody asks for one.
    """
    if policy not in POLICIES:
        raise BadWish("NO_SUCH_POLICY", f'There is no policy "{policy}".', f"Choose one of: {', '.join(POLICIES)}.")
    world = World(nodes)
    order = arrivals(pods, world.capacity_milli, Chance(seed))
    search: FirstFit[Shape] = FirstFit(world.nodes)  # nothing departs, so one search lives for the whole replay
    marks: list[Mark] = []
    asked = allocated = placed = 0
    for arrived, pod in enumerate(order, start=1):
        at = search.find(pod)
        if at is not None:
            world.nodes[at].place(pod)
            allocated += pod.total_gpu_milli
            placed += 1
        asked += pod.total_gpu_milli
        while len(marks) < len(MARKS) and asked * 100 >= MARKS[len(marks)] * world.capacity_milli:
            unallocated = 100 * (world.capacity_milli - allocated) / world.capacity_milli
            marks.append(Mark(MARKS[len(marks)], unallocated, placed, arrived - placed))
        if on_progress and (arrived % PROGRESS_EVERY == 0 or arrived == len(order)):
            on_progress(arrived, len(order))
    return Report(policy, seed, len(world.nodes), world.gpus, len(order), placed, len(order) - placed, tuple(marks))
