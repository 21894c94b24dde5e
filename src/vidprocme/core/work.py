"""How much work tasks are, and what was seen of how long it takes.

The queue adds both up (queue/lua/_work.lua), scheduler/durations.py predicts by them, monitor/metrics.py shows how far off that was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import NamedTuple

from vidprocme.core.job import Stage

SIZE_MOST = 10**10  # of one task: 115 days of video; a larger one counts as this, so that sums stay exact
# Once so many attempts of a kind are in its sums, these are halved: they tell of the last 256 to 512.
ATTEMPTS_MOST = 512
KINDS_MOST = 100  # kinds with sums of their own; whatever comes later is counted under the model OTHER (core/counts.py)


class Kind(NamedTuple):
    """Tasks whose durations are predicted alike."""

    stage: Stage
    model: str | None = None

    @property
    def text(self) -> str:
        """As the queue writes it: `describe|demo`, `join|`."""
        return f"{self.stage}|{self.model or ''}"


def kind_from(text: str) -> Kind:
    """Raises: ValueError: a stage that this version does not know."""
    stage, _, model = text.partition("|")
    return Kind(Stage(stage), model or None)


@dataclass(frozen=True, slots=True)
class Sums:
    """Over the attempts of one kind that ended well, lately (ATTEMPTS_MOST).

    An attempt lasts from its claim to its end, by the queue's clock, in milliseconds (ms). Sizes are those of core.job.Task.
    Of those that a duration was predicted for (predicted), the ratio r of what it took to that: sums of |log2 r| and log2 r, in thousandths.
    """

    count: int = 0
    size: int = 0
    ms: int = 0
    size_size: int = 0
    size_ms: int = 0
    predicted: int = 0
    off_milli: int = 0
    bias_milli: int = 0

    def __add__(self, other: Sums) -> Sums:
        return Sums(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(Sums)))

    @property
    def error(self) -> float | None:
        """How far off predictions were: the geometric mean of the ratio, whichever way it went. 1: exact; 2: half, or twice as long."""
        return 2 ** (self.off_milli / 1000 / self.predicted) if self.predicted else None

    @property
    def bias(self) -> float | None:
        """The geometric mean of what attempts took to what was predicted; over 1: they took longer."""
        return 2 ** (self.bias_milli / 1000 / self.predicted) if self.predicted else None


@dataclass(frozen=True, slots=True)
class Left:
    """What a job has still to do: of its tasks that are planned and have not ended, by kind, how many and the sum of their sizes."""

    since_ms: int = 0  # when it was submitted
    kinds: Mapping[Kind, tuple[int, int]] = field(default_factory=dict)
