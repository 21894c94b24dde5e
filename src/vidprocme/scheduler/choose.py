"""Which node: the first that holds a task, the best one by a score, or any. What is known of the others is not looked up again."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from heapq import heapify, heappop, heappush
from typing import Generic, Protocol, TypeVar

from vidprocme.scheduler.nodes import Node, Shape
from vidprocme.scheduler.scores import Score

Choice = tuple[int, int | None]  # a node's position, and the GPU that gives a share; None: the fullest that holds it
Entry = tuple[int, int, int, int | None]  # a score, the node's position, its version, the GPU
LOG_MOST = 8  # changes that are remembered for each node: whoever asks later than that looks at all nodes again
TRIES = 64
Ask = TypeVar("Ask", bound=Hashable)
AskIn = TypeVar("AskIn", contravariant=True)


class Chooser(Protocol):
    def find(self, ask: Shape) -> Choice | None:
        """A node that holds it now; None: there is none."""
        ...

    def changed(self, position: int) -> None:
        """Something was placed there."""
        ...


class Room(Protocol[AskIn]):
    """Something that holds asks until it is full."""

    def holds(self, ask: AskIn) -> bool:
        """True when the ask fits into what is free now."""
        ...


class FirstFit(Generic[Ask]):
    """Finds the first of some rooms, in their order, that holds an ask.

    Rooms may only get fuller while a FirstFit lives (nothing is given back during one decision): what did not fit
    is never tried again for an equal ask, so the whole search for one kind of ask costs one walk over the rooms.
    """

    __slots__ = ("_passed", "_rooms")

    def __init__(self, rooms: Sequence[Room[Ask]]) -> None:
        self._rooms = rooms
        self._passed: dict[Ask, int] = {}  # by ask: how many rooms at the front no longer hold it

    def find(self, ask: Ask) -> int | None:
        """The position of the first room that holds the ask now; None when none does."""
        rooms = self._rooms
        end = len(rooms)
        begin = at = self._passed.get(ask, 0)
        while at < end and not rooms[at].holds(ask):
            at += 1
        if at != begin:
            self._passed[ask] = at
        return at if at < end else None


class First:
    """The first in order. Nodes may only get fuller."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._search: FirstFit[Shape] = FirstFit(nodes)

    def find(self, ask: Shape) -> Choice | None:
        at = self._search.find(ask)
        return None if at is None else (at, None)

    def changed(self, position: int) -> None:
        pass


class _Known:
    """The nodes that hold one shape, best first, as they were when `seen` changes were known. Old entries are dropped as they come up."""

    __slots__ = ("heap", "seen")

    def __init__(self, heap: list[Entry], seen: int) -> None:
        self.heap, self.seen = heap, seen


class Best:
    """The one with the lowest score; of equals the first in order.

    Of a shape that was asked for before only the nodes that have changed since are scored again.
    """

    def __init__(self, nodes: Sequence[Node], score: Score) -> None:
        self._nodes, self._score = nodes, score
        self._versions = [0] * len(nodes)
        kinds: dict[object, int] = {}
        self._alike = [kinds.setdefault(node.state(), len(kinds)) for node in nodes]  # equal while nothing has changed
        self._changes: list[int] = []  # positions, the newest last
        self._known: dict[Shape, _Known] = {}

    def find(self, ask: Shape) -> Choice | None:
        known = self._known.get(ask)
        if known is None:
            known = self._known[ask] = _Known(self._entries(ask), len(self._changes))
        else:
            for at in set(self._changes[known.seen :]):
                entry = self._entry(at, ask)
                if entry is not None:
                    heappush(known.heap, entry)
            known.seen = len(self._changes)
        heap, versions = known.heap, self._versions
        while heap and heap[0][2] != versions[heap[0][1]]:
            heappop(heap)
        return (heap[0][1], heap[0][3]) if heap else None

    def changed(self, position: int) -> None:
        self._versions[position] += 1
        self._changes.append(position)
        if len(self._changes) > LOG_MOST * len(self._nodes):
            self._changes.clear()
            self._known.clear()

    def _entries(self, ask: Shape) -> list[Entry]:
        """Of all nodes, as a heap. Of those that have not changed one of each kind is scored."""
        first: dict[int, Entry | None] = {}
        found: list[Entry] = []
        for at, version in enumerate(self._versions):
            if version:
                entry = self._entry(at, ask)
            else:
                kind = self._alike[at]
                if kind not in first:
                    first[kind] = self._entry(at, ask)
                like = first[kind]
                entry = None if like is None else (like[0], at, 0, like[3])
            if entry is not None:
                found.append(entry)
        heapify(found)
        return found

    def _entry(self, at: int, ask: Shape) -> Entry | None:
        node = self._nodes[at]
        if not node.holds(ask):
            return None
        score, gpu = self._score(node, ask)
        return score, at, self._versions[at], gpu


class Dice(Protocol):
    def below(self, count: int) -> int:
        """Uniform in [0, count)."""
        ...


class Anyone:
    """Any that holds it, each as likely; of its GPUs any that gives the share."""

    def __init__(self, nodes: Sequence[Node], dice: Dice) -> None:
        self._nodes, self._dice = nodes, dice

    def find(self, ask: Shape) -> Choice | None:
        nodes, dice = self._nodes, self._dice
        for _ in range(TRIES):
            at = dice.below(len(nodes))
            if nodes[at].holds(ask):
                return at, self._gpu(nodes[at], ask)
        able = [at for at, node in enumerate(nodes) if node.holds(ask)]
        if not able:
            return None
        at = able[dice.below(len(able))]
        return at, self._gpu(nodes[at], ask)

    def changed(self, position: int) -> None:
        pass

    def _gpu(self, node: Node, ask: Shape) -> int | None:
        if not ask.is_share:
            return None
        able = [gpu for gpu, free in enumerate(node.gpu_milli) if free >= ask.gpu_milli]
        return able[self._dice.below(len(able))]
