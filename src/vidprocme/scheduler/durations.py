"""How long tasks will take, predicted from how long those like them took.

Of each kind (stage and model) the queue keeps sums over its last attempts (core/work.py). Through them goes the line of least squares
`ms = base + rate * size`, neither of which is ever negative. It passes through the mean, so that no prediction lies outside what two
simple beliefs say: that every task takes the same, and that it takes by its size alone. Where all sizes were the same, or none was
known, no line can be told from another: then it has the slope of the written default, scaled to the mean. A kind of which nothing
ended yet is predicted as its stage is, whatever the model; such a stage by its default.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vidprocme.core.ids import JobId, TaskId, job_of
from vidprocme.core.job import Stage
from vidprocme.core.shape import read
from vidprocme.core.snapshot import Head, Line
from vidprocme.core.work import Kind, Left, Sums

NO_SUMS, NOTHING_LEFT = Sums(), Left()
SPREAD_LEAST = (
    0.01  # variance of the sizes to the square of their mean, from where on a line is fitted: sizes 10 % apart
)


@dataclass(frozen=True, slots=True)
class Fit:
    """base_ms: what every task takes; ms_per_size: more for each millisecond of video, or thousandth of a frame; mean_ms: of a
    task whose size is not known. None of them is negative."""

    base_ms: float
    ms_per_size: float
    mean_ms: float

    def of(self, tasks: int, size: int) -> int:
        """How long so many tasks take together, whole milliseconds, at least 1 each. size: their sum; 0: not known."""
        ms = round(tasks * self.base_ms + self.ms_per_size * size if size > 0 else tasks * self.mean_ms)
        return ms if ms > tasks else tasks


# Before anything was seen: about what the stages take on one core of a small server; of captions, by a model of 2 GB without a GPU.
# They are wrong everywhere, and only for as long as nothing of a stage has ended.
DEFAULTS: Mapping[Stage, Fit] = {
    Stage.PROBE: Fit(300, 0.0, 300),
    Stage.TRANSCODE: Fit(500, 0.5, 10_000),
    Stage.FRAMES: Fit(500, 0.05, 5_000),
    Stage.JOIN: Fit(500, 0.01, 2_000),
    Stage.DESCRIBE: Fit(2_000, 3.0, 60_000),
    Stage.INDEX: Fit(200, 0.0, 200),
}


def fit(sums: Sums, default: Fit) -> Fit:
    """The line through what was seen; the default's slope, scaled, where the sizes do not tell one; the default where nothing ended."""
    if sums.count <= 0:
        return default
    mean_ms, mean_size = sums.ms / sums.count, sums.size / sums.count
    if mean_size <= 0:
        return Fit(mean_ms, 0.0, mean_ms)
    spread = sums.count * sums.size_size - sums.size**2  # whole numbers: exact, however close the two are
    if spread > SPREAD_LEAST * sums.size**2:
        rate = (sums.count * sums.size_ms - sums.size * sums.ms) / spread
    else:
        expected_ms = default.base_ms + default.ms_per_size * mean_size
        rate = default.ms_per_size * mean_ms / expected_ms if expected_ms > 0 else 0.0
    rate = min(max(rate, 0.0), mean_ms / mean_size)
    return Fit(max(0.0, mean_ms - rate * mean_size), rate, mean_ms)


class Durations:
    """Predictions from these sums. A value: it never changes."""

    def __init__(self, sums: Mapping[Kind, Sums] | None = None) -> None:
        self._sums = dict(sums or {})
        self._stages: dict[Stage, Sums] = {}
        for kind, seen in self._sums.items():
            self._stages[kind.stage] = self._stages.get(kind.stage, NO_SUMS) + seen
        self._fits: dict[tuple[Stage, str | None], Fit] = {}

    def predict(self, stage: Stage, model: str | None = None, size: int = 0) -> int:
        """How long an attempt will take from its claim to its end, in whole milliseconds, at least 1.

        Args:
            size: core.job.Task.size; 0: not known.
        """
        return self.fit_of(stage, model).of(1, size)

    def left(self, left: Left) -> int:
        """How long everything that a job has left takes, one after another, in whole milliseconds."""
        ms = 0
        for kind, (tasks, size) in left.kinds.items():
            ms += self.fit_of(*kind).of(tasks, size)
        return ms

    def error(self, stage: Stage, model: str | None = None) -> tuple[float, float] | None:
        """How far off the predictions of this kind were, and their bias (core.work.Sums); None: none was compared yet."""
        sums = self._sums.get(Kind(stage, model), NO_SUMS)
        return None if sums.error is None or sums.bias is None else (sums.error, sums.bias)

    def fit_of(self, stage: Stage, model: str | None = None) -> Fit:
        """What tasks of this kind are predicted by."""
        known = self._fits.get((stage, model))
        if known is None:
            by_stage = fit(self._stages.get(stage, NO_SUMS), DEFAULTS[stage])
            known = self._fits[stage, model] = fit(self._sums.get(Kind(stage, model), NO_SUMS), by_stage)
        return known


def with_work(
    lines: Iterable[Line], sizes: Mapping[TaskId, int], left: Mapping[JobId, Left], durations: Durations
) -> tuple[Line, ...]:
    """The lines, each head with how long it and all that its job has left are predicted to take.

    Args:
        sizes: of the heads' tasks; one that is not there is not known.
        left: of their jobs. Tasks that are not planned yet are not in it.
    """
    jobs: dict[JobId, tuple[int, int]] = {}
    return tuple(_with_work(line, sizes, left, durations, jobs) for line in lines)


def _with_work(
    line: Line,
    sizes: Mapping[TaskId, int],
    left: Mapping[JobId, Left],
    durations: Durations,
    jobs: dict[JobId, tuple[int, int]],
) -> Line:
    """jobs: what jobs have left, and since when they are there, as far as it was looked up."""
    try:
        stage, model, *_ = read(line.shape)
        its = durations.fit_of(Stage(stage), model)
    except ValueError:  # of a newer vidprocme; the queue leaves such lines out
        return line
    heads = []
    for head in line.heads:
        job = job_of(head.task)
        known = jobs.get(job)
        if known is None:
            mine = left.get(job, NOTHING_LEFT)
            known = jobs[job] = durations.left(mine), mine.since_ms
        work_ms = its.of(1, sizes.get(head.task, 0))
        left_ms = max(known[0], work_ms)
        heads.append(Head(head.task, head.ready_ms, head.needs, head.model, head.avoid, work_ms, left_ms, known[1]))
    return Line(line.bin, line.tenant, line.shape, line.length, line.oldest_ms, tuple(heads))
