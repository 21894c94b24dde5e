"""A cluster and what was asked of it: read from the openb tables, or made up from a seed.

openb is Alibaba's GPU cluster trace of 2023 as republished with the FGD study (Weng et al., "Beware of Fragmentation",
USENIX ATC 2023). Two CSV tables, found by their header:

    nodes   sn, cpu_milli, memory_mib, gpu, model
    pods    name, cpu_milli, memory_mib, num_gpu, gpu_milli, gpu_spec, ...   (without gpu_spec: any model; further columns are not needed)
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vidprocme.core.errors import BadWish
from vidprocme.scheduler.nodes import NodeSpec, Shape
from vidprocme.simulator.chance import Chance

NODE_COLUMNS = ("sn", "cpu_milli", "memory_mib", "gpu", "model")
TASK_COLUMNS = ("name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli")  # gpu_spec too, but some tables have none

Trace = tuple[list[NodeSpec], list[Shape]]  # the nodes, and the tasks in the order of their table


def parse_nodes(lines: Iterable[str]) -> list[NodeSpec]:
    """The nodes of an openb node table.

    Raises:
        BadWish: BAD_TRACE, a line that cannot be read, with its number.
    """
    return [
        NodeSpec(row.text("sn"), row.whole("cpu_milli"), row.whole("memory_mib"), row.whole("gpu"), row.text("model"))
        for row in _rows(lines, "node", NODE_COLUMNS)
    ]


def parse_tasks(lines: Iterable[str]) -> list[Shape]:
    """What the tasks of an openb pod table ask for, in the table's order. Raises BadWish like parse_nodes."""
    shapes: dict[Shape, Shape] = {}  # thousands of pods, about 150 shapes: equal ones are the same object
    pods = []
    for row in _rows(lines, "task", TASK_COLUMNS):
        gpus = row.whole("num_gpu")
        models = frozenset(part for part in row.text("gpu_spec").split("|") if part) if gpus else frozenset[str]()
        milli = row.whole("gpu_milli") if gpus else 0
        shape = Shape(row.whole("cpu_milli"), row.whole("memory_mib"), gpus, milli, models)
        pods.append(shapes.setdefault(shape, shape))
    return pods


@dataclass(frozen=True, slots=True)
class _Row:
    table: str
    number: int
    fields: Mapping[str, str | None]

    def text(self, column: str) -> str:
        return (self.fields.get(column) or "").strip()

    def whole(self, column: str) -> int:
        text = self.text(column)
        try:
            value = int(text)
        except ValueError:
            value = -1
        if value < 0:
            raise BadWish(
                "BAD_TRACE",
                f'Line {self.number} of the {self.table} table has "{text}" as {column}.',
                "It must be a whole number, 0 or more.",
                {"line": self.number, "column": column, "found": text[:200]},
            )
        return value


def _rows(lines: Iterable[str], table: str, columns: tuple[str, ...]) -> list[_Row]:
    reader = csv.DictReader(lines)
    try:
        missing = [column for column in columns if column not in (reader.fieldnames or ())]
        if missing:
            raise BadWish(
                "BAD_TRACE",
                f"This is not a {table} table of the openb trace: its first line lacks {', '.join(missing)}.",
                f"The first line must name the columns {', '.join(columns)}.",
                {"missing": missing, "found": list(reader.fieldnames or ())[:50]},
            )
        rows = [_Row(table, reader.line_num, fields) for fields in reader]
    except csv.Error as error:
        raise BadWish(
            "BAD_TRACE",
            f"Line {reader.line_num} of the {table} table cannot be read: {error}.",
            "Give a CSV file of the openb trace.",
            {"line": reader.line_num},
        ) from error
    if not rows:
        raise BadWish("BAD_TRACE", f"The {table} table has no lines under its header.", "Give a table with entries.")
    return rows


# The synthetic trace: node classes and shares as in a mixed cluster of shared inference and training. The weights
# follow openb's proportions (13 % CPU only, 38 % shares of a GPU, 48 % whole GPUs, 1 % several); the sizes are ours.
_NODE_CLASSES = (  # weight, cores, GiB, GPUs, model
    (40, 96, 512, 8, "G2"),
    (35, 64, 256, 2, "T4"),
    (15, 64, 256, 2, "P100"),
    (10, 96, 384, 8, "V100M32"),
)
_POD_CLASSES = (  # weight, cores, GiB, GPUs, share in milli
    (13, 8, 16, 0, 0),
    (14, 4, 12, 1, 460),
    (10, 6, 16, 1, 810),
    (8, 2, 8, 1, 220),
    (6, 1, 4, 1, 100),
    (30, 8, 32, 1, 1000),
    (18, 12, 48, 1, 1000),
    (1, 48, 192, 4, 1000),
)


def synthetic(seed: int, nodes: int = 48, pods: int = 600) -> Trace:
    """A small made-up cluster and its pods, the same for the same seed. For a first look without files, and for tests."""
    chance = Chance(seed)
    cluster = []
    for number in range(nodes):
        _, cores, gib, gpus, model = _NODE_CLASSES[_weighted([entry[0] for entry in _NODE_CLASSES], chance)]
        cluster.append(NodeSpec(f"node-{number:04d}", cores * 1000, gib * 1024, gpus, model))
    asked = []
    for _ in range(pods):
        _, cores, gib, gpus, milli = _POD_CLASSES[_weighted([entry[0] for entry in _POD_CLASSES], chance)]
        models = frozenset({"G2"}) if gpus and chance.random() < 0.1 else frozenset[str]()
        asked.append(Shape(cores * 1000, gib * 1024, gpus, milli, models))
    return cluster, asked


def _weighted(weights: list[int], chance: Chance) -> int:
    at = chance.below(sum(weights))
    for position, weight in enumerate(weights):
        at -= weight
        if at < 0:
            return position
    raise AssertionError("a number below the sum lies in one of the parts")
