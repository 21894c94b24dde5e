"""A cluster in memory."""

from __future__ import annotations

from collections.abc import Iterable

from vidprocme.scheduler.nodes import WHOLE, Node, NodeSpec


class World:
    """The nodes in order of their names (the tie rule of the study: the smallest name wins)."""

    def __init__(self, specs: Iterable[NodeSpec]) -> None:
        self.nodes = [Node(spec) for spec in sorted(specs, key=lambda spec: spec.name)]
        self.capacity_milli = sum(node.spec.gpus for node in self.nodes) * WHOLE

    @property
    def gpus(self) -> int:
        return self.capacity_milli // WHOLE
