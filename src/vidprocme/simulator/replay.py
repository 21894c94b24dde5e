"""Replays a trace on a cluster in memory, by the protocol of the FGD study (simulator.workload), under the very `decide` of the live loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vidprocme.core.errors import BadWish
from vidprocme.core.ids import TaskId
from vidprocme.core.job import Bin
from vidprocme.core.resources import Need, Place, PlaceKind, Resources
from vidprocme.core.snapshot import Head, Line, Placement
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.config import PolicyConfig
from vidprocme.scheduler.demand import Demand, demand_of
from vidprocme.scheduler.nodes import WHOLE, NodeSpec, Shape
from vidprocme.scheduler.orders import FIFO
from vidprocme.scheduler.places import Score, alike
from vidprocme.scheduler.policy import decide
from vidprocme.scheduler.scores import Balanced, Fgd, best_fit, clustering, dot_product, packing
from vidprocme.simulator.chance import Chance
from vidprocme.simulator.report import MARKS, Mark, Report
from vidprocme.simulator.workload import arrivals

DICE = 0x5EED  # added to the seed, so that where something goes is not drawn with the numbers that said what comes
TRIES = 64  # draws of a node that may not hold the task, before those that do are listed
AT_ONCE = (
    64  # arrivals that one decision sees. They go in order, and what finds no place goes: as if each were decided alone
)
MIB = 1 << 20
RANDOM = "random"

_SCORES: dict[str, Callable[[Demand, Sequence[NodeSpec]], Score]] = {
    "default": Balanced,
    RANDOM: lambda *_: alike,  # it is drawn, not decided
    "dot-product": lambda *_: dot_product,
    "clustering": lambda *_: clustering,
    "packing": lambda *_: packing,
    "best-fit": lambda *_: best_fit,
    "fgd": lambda demand, _: Fgd(demand),
    "first-fit": lambda *_: alike,
}
POLICIES = tuple(_SCORES)
PROGRESS_EVERY = 128  # tasks between two calls of on_progress, about


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
    specs = sorted(nodes, key=lambda spec: spec.name)  # of equal nodes the smallest name wins, as in the study
    gpus = sum(spec.gpus for spec in specs)
    capacity_milli = gpus * WHOLE
    order = arrivals(tasks, capacity_milli, Chance(seed))
    score = _SCORES[policy](demand_of(tasks), specs)
    world = _World(specs, score, Chance(seed + DICE) if policy == RANDOM else None)
    marks: list[Mark] = []
    asked = allocated = placed = told = 0
    for begin in range(0, len(order), AT_ONCE):
        numbers = order[begin : begin + AT_ONCE]
        went = world.place([tasks[number] for number in numbers])
        for arrived, number in enumerate(numbers, begin + 1):
            task, found = tasks[number], went[arrived - begin - 1]
            if found is not None:
                allocated += task.total_gpu_milli
                placed += 1
            if on_placed is not None:
                at = "" if found is None else specs[int(found.place)].name
                on_placed(Placed(number, at, found.gpus if found is not None else ()))
            asked += task.total_gpu_milli
            while len(marks) < len(MARKS) and asked * 100 >= MARKS[len(marks)] * capacity_milli:
                unallocated = 100 * (capacity_milli - allocated) / capacity_milli
                marks.append(Mark(MARKS[len(marks)], unallocated, placed, arrived - placed))
        done = begin + len(numbers)
        if on_progress and (done - told >= PROGRESS_EVERY or done == len(order)):
            told = done
            on_progress(done, len(order))
    return Report(policy, seed, len(specs), gpus, len(order), placed, len(order) - placed, tuple(marks))


class _World:
    """A cluster: its places are called by their numbers in the order of their names."""

    def __init__(self, specs: Sequence[NodeSpec], score: Score, dice: Chance | None) -> None:
        """
        Args:
            dice: they say where a task goes; None: the policy does.
        """
        config = PolicyConfig(max_wait_ms={}, order=FIFO, score=score, warmth=False)
        self._board, self._dice = Board(config), dice
        self._ids = [f"{number:08d}" for number in range(len(specs))]
        self._lines: dict[Shape, tuple[Line, tuple[Need, ...]]] = {}
        self._arrived = 0
        for id_, spec in zip(self._ids, specs, strict=True):
            self._board.place(place_of(id_, spec))

    def place(self, shapes: Sequence[Shape]) -> list[Placement | None]:
        """Of tasks that arrive one after another, where each goes; None: it does not fit, and is gone."""
        board = self._board
        if self._dice is not None:
            return [self._draw(shape, self._dice) for shape in shapes]
        ids: list[TaskId] = []
        for shape in shapes:
            self._arrived += 1
            line, needs = self._line(shape)
            ids.append(TaskId(f"{self._arrived}:place:0"))
            board.arrived(line, Head(ids[-1], self._arrived, needs))
        plan = decide(board, self._arrived)
        board.planned(plan)
        found = {one.task: one for one in plan.placements}
        for id_ in ids:
            if id_ not in found:
                board.left(id_)
        return [found.get(id_) for id_ in ids]

    def _line(self, shape: Shape) -> tuple[Line, tuple[Need, ...]]:
        known = self._lines.get(shape)
        if known is None:
            line = Line(Bin.NORMAL, "trace", f"place/{len(self._lines)}", 1, 0, ())
            known = self._lines[shape] = line, (need_of(shape),)
        return known

    def _draw(self, shape: Shape, dice: Chance) -> Placement | None:
        """Any that holds it, each as likely; of its GPUs any that gives the share."""
        board, ids = self._board, self._ids
        seats, need = board.seats.all, self._line(shape)[1][0]
        ask = board.states.ask(need, None)
        for _ in range(TRIES):
            at = ids[dice.below(len(ids))]
            if seats[at].state.holds(ask):
                break
        else:
            able = [id_ for id_ in ids if seats[id_].state.holds(ask)]
            if not able:
                return None
            at = able[dice.below(len(able))]
        state = seats[at].state
        gpus = state.fullest(ask) if ask.gpus else ()
        if ask.is_share:
            free = [gpu for gpu, milli in enumerate(state.gpu_milli) if milli >= ask.gpu_milli]
            gpus = (free[dice.below(len(free))],)
        self._arrived += 1
        found = Placement(TaskId(f"{self._arrived}:place:0"), at, need.resources, "DRAWN", gpus=gpus)
        board.placed(found)
        return found


def place_of(id_: str, spec: NodeSpec) -> Place:
    """A trace's machine, one place with all its GPUs; its slots are no limit."""
    has = Resources(spec.cpu_milli, spec.memory_mib * MIB, WHOLE if spec.gpus else 0, 0, spec.gpus)
    return Place(id_, spec.name, PlaceKind.GPU, has, 1_000_000, gpu_type=spec.model)


def need_of(shape: Shape) -> Need:
    """What a trace's task asks of one place."""
    has = Resources(shape.cpu_milli, shape.memory_mib * MIB, shape.gpu_milli if shape.gpus else 0, 0, shape.gpus)
    return Need(PlaceKind.GPU, has, tuple(sorted(shape.models)) if shape.gpus else ())
