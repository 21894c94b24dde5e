"""Histograms kept as totals."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from vidprocme.core.counts import DECIDE, TOOK, WAIT, Measure

MEASURES = st.sampled_from([TOOK, WAIT, DECIDE])


@given(MEASURES, st.lists(st.integers(0, 100_000_000), max_size=30))
def test_what_was_counted_is_read_back(measure: Measure, values: list[int]) -> None:
    totals = Counter(f"x.{measure.bucket(value)}" for value in values)
    totals["x.sum"] = sum(values)

    found = measure.read(totals, "x")

    assert (found.count, found.sum_s) == (len(values), sum(values) / measure.per_s)
    for bound_s, n in found.upto:
        assert n == sum(value / measure.per_s <= bound_s for value in values)
    assert set(totals) <= set(measure.names("x"))


def test_bounds_rise() -> None:
    for measure in (TOOK, WAIT, DECIDE):
        assert list(measure.bounds) == sorted(set(measure.bounds))
        assert [bisect_left(measure.bounds, bound) for bound in measure.bounds] == list(range(len(measure.bounds)))
