"""What is counted over time: what the totals are called, and the one place for the bounds of what is measured.

The queue's scripts get the bounds from here (queue/scripts.py), pools count their decisions with them, and
monitor/metrics.py reads the totals back. Totals are whole numbers by name:

    task.<stage>.<outcome>    attempts that ended so
    took.<stage>.*            how long attempts took that ended by themselves (ok, failed, timeout), see Measure
    error.<stage>.<code>      attempts that ended with this error, lost ones too; see OTHER
    errors                    how many names `error.*` there are
    retry.<stage>             attempts that failed and are tried again
    wait.<bin>.*              how long tasks stood in line, from ready to running
    job.submitted, job.<end>  jobs, and how they ended; job.forgotten: those that were dropped, deleted or trimmed
    stray                     ids that a turn met in a line, among the leases ... where no such task is, and took out; always a fault
    dead.given_up             dead letters that were too old or too many
    dead.warned               how often it was said that some soon would be
    decide.*                  how long pools took to decide
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate

# Codes are words of our own code. A label of a metric must stay bounded all the same: what is no such word, and whatever
# comes after the first ERRORS_MOST of them, is counted as OTHER.
OTHER = "OTHER"
CODE_PATTERN = "^[A-Z][A-Z0-9_]*$"  # the same in Python's and in Lua's patterns
CODE_LENGTH_MOST = 40
ERRORS_MOST = 300


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts up to each bound (inclusive, seconds), summed up as Prometheus wants them; `count` is that of the last, +Inf."""

    upto: tuple[tuple[float, int], ...]
    count: int
    sum_s: float


@dataclass(frozen=True, slots=True)
class Measure:
    """A histogram as totals: `<name>.0` ... `<name>.<len(bounds)>` for the buckets, each by itself, and `<name>.sum`.

    bounds: inclusive upper bounds, ascending, in parts of a second; the last bucket has none.
    per_s: how many of these parts a second has.
    """

    bounds: tuple[int, ...]
    per_s: int

    def bucket(self, value: int) -> int:
        return bisect_left(self.bounds, value)

    def names(self, name: str) -> Iterator[str]:
        yield from (f"{name}.{bucket}" for bucket in range(len(self.bounds) + 1))
        yield f"{name}.sum"

    def read(self, totals: Mapping[str, int], name: str) -> Histogram:
        *buckets, total = (totals.get(field, 0) for field in self.names(name))
        upto = list(accumulate(buckets))
        edges = tuple((bound / self.per_s, n) for bound, n in zip(self.bounds, upto, strict=False))
        return Histogram(edges, upto[-1], total / self.per_s)


# From a probe's tenth of a second to the quarter of an hour that a long chunk's captions take on a slow machine.
TOOK = Measure((50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000, 900_000), 1_000)
# The bounds at which monitoring/rules.yml calls a wait too long are among these, so that shares within it are exact.
WAIT = Measure((50, 250, 1_000, 5_000, 15_000, 60_000, 300_000, 1_800_000, 7_200_000, 86_400_000), 1_000)
# A decision over 64 lines takes about a millisecond.
DECIDE = Measure((100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000, 1_000_000), 1_000_000)
