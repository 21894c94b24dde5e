"""What a replay found, for people (a table of at most 80 columns) and for scripts (JSON values)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MARKS = (92, 95, 100, 110, 120, 130)  # percent of the GPUs' capacity that has been asked for


@dataclass(frozen=True, slots=True)
class Mark:
    """The cluster at the moment when the requests that arrived first reached `arrived_percent` of its GPUs."""

    arrived_percent: int
    unallocated_percent: float  # of all GPUs, given to nobody
    placed: int
    dropped: int


@dataclass(frozen=True, slots=True)
class Report:
    """One replay. The same trace, seed and policy give an equal report on every machine."""

    policy: str
    seed: int
    nodes: int
    gpus: int
    tasks: int  # that arrived
    placed: int
    dropped: int
    marks: tuple[Mark, ...]

    def json(self, decisions_per_s: int | None = None) -> dict[str, Any]:
        """JSON values; percents to the thousandth.

        Args:
            decisions_per_s: of CPU time, as whoever ran it has measured; None: nobody has.
        """
        return {
            "policy": self.policy,
            "seed": self.seed,
            "nodes": self.nodes,
            "gpus": self.gpus,
            "tasks": self.tasks,
            "placed": self.placed,
            "dropped": self.dropped,
            "unallocated_gpu_percent": {
                str(mark.arrived_percent): round(mark.unallocated_percent, 3) for mark in self.marks
            },
            "decisions_per_s": decisions_per_s,
        }

    def table(self) -> str:
        """Lines of at most 80 columns, without a newline at the end."""
        lines = [
            f"{self.policy}, seed {self.seed}: {self.nodes} nodes, {self.gpus} GPUs, {self.tasks} tasks arrived",
            "",
            "  arrived   unallocated      placed     dropped",
        ]
        lines += [
            f"  {mark.arrived_percent:>5} %   {mark.unallocated_percent:>9.2f} %  {mark.placed:>10}  {mark.dropped:>10}"
            for mark in self.marks
        ]
        return "\n".join(lines)
