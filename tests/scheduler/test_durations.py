"""What is predicted of durations: true where the past is plain, and never beyond what the past allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidprocme.core.ids import JobId, TaskId
from vidprocme.core.job import Bin, Stage
from vidprocme.core.resources import Need, PlaceKind, Resources
from vidprocme.core.shape import shape_of
from vidprocme.core.snapshot import Head, Line
from vidprocme.core.work import Kind, Left, Sums
from vidprocme.scheduler.durations import DEFAULTS, Durations, with_work

CHUNK, DEMO = Kind(Stage.TRANSCODE), Kind(Stage.DESCRIBE, "demo")
NEEDS = (Need(PlaceKind.CPU, Resources(cpu_milli=1000)),)


def sums(attempts: Sequence[tuple[int, int]]) -> Sums:
    """Of attempts: size, ms."""
    sizes, took = [size for size, _ in attempts], [ms for _, ms in attempts]
    return Sums(len(attempts), sum(sizes), sum(took), sum(s * s for s in sizes), sum(s * ms for s, ms in attempts))


sizes = st.integers(1, 10**8)
attempts = st.lists(st.tuples(st.integers(0, 10**8), st.integers(0, 10**8)), max_size=20)


@given(attempts, sizes, sizes, st.sampled_from(Stage))
def test_what_is_larger_never_takes_less_and_nothing_takes_no_time(
    seen: list[tuple[int, int]], one: int, other: int, stage: Stage
) -> None:
    durations = Durations({Kind(stage): sums(seen)})
    less, more = (durations.predict(stage, size=size) for size in sorted((one, other)))

    assert 1 <= less <= more and durations.predict(stage) >= 1


@given(st.integers(0, 10**5), st.integers(1, 5), st.lists(st.integers(1, 1000), min_size=2, max_size=20), sizes)
def test_a_line_is_found_again(base_ms: int, rate: int, lengths_s: list[int], size: int) -> None:
    lengths_s = [*lengths_s, 2 * max(lengths_s)]  # of different lengths
    seen = [(1000 * length, base_ms + rate * 1000 * length) for length in lengths_s]

    said = Durations({CHUNK: sums(seen)}).predict(Stage.TRANSCODE, size=size)

    assert said == pytest.approx(base_ms + rate * size, rel=1e-6, abs=2)


@given(attempts.filter(lambda seen: any(size for size, _ in seen)), sizes)
def test_no_prediction_leaves_what_the_mean_allows(seen: list[tuple[int, int]], size: int) -> None:
    """Between "all take the same" and "it takes by its size alone", however wild the past was."""
    mean_ms = sum(ms for _, ms in seen) / len(seen)
    by_size_ms = mean_ms * size / (sum(size for size, _ in seen) / len(seen))

    said = Durations({CHUNK: sums(seen)}).predict(Stage.TRANSCODE, size=size)

    assert min(mean_ms, by_size_ms) * 0.999999 - 1 <= said <= max(mean_ms, by_size_ms) * 1.000001 + 1


@given(sizes, st.integers(1, 10**8), sizes)
def test_one_attempt_is_enough_to_be_right_about_another_like_it(size: int, ms: int, other: int) -> None:
    durations = Durations({CHUNK: sums([(size, ms)])})

    assert durations.predict(Stage.TRANSCODE, size=size) == pytest.approx(ms, rel=1e-6, abs=1)
    assert durations.predict(Stage.TRANSCODE) == ms
    ratio = durations.predict(Stage.TRANSCODE, size=other) / ms
    assert min(1, other / size) * 0.99 - 1 / ms <= ratio <= max(1, other / size) * 1.01 + 1 / ms


def test_a_kind_falls_back_to_its_stage_and_a_stage_to_its_default() -> None:
    durations = Durations({DEMO: sums([(1000, 700), (5000, 3500)]), Kind(Stage.DESCRIBE, "OTHER"): sums([(1000, 700)])})

    assert durations.predict(Stage.DESCRIBE, "demo", 2000) == durations.predict(Stage.DESCRIBE, "new", 2000) == 1400
    nothing = Durations()
    for stage, default in DEFAULTS.items():
        assert nothing.predict(stage, size=10_000) == default.base_ms + default.ms_per_size * 10_000
        assert nothing.predict(stage) == default.mean_ms
    assert set(DEFAULTS) == set(Stage)


def test_sizes_that_are_not_known_are_means() -> None:
    durations = Durations({Kind(Stage.PROBE): sums([(0, 100), (0, 300)])})

    assert durations.predict(Stage.PROBE) == durations.predict(Stage.PROBE, size=10**6) == 200


def test_how_far_off_it_was_is_told_as_ratios() -> None:
    """Twice as long, and half as long: twice off, and no bias."""
    seen = replace(sums([(1, 1)] * 4), predicted=2, off_milli=2000, bias_milli=0)
    durations = Durations({CHUNK: seen, DEMO: replace(seen, bias_milli=2000), Kind(Stage.JOIN): sums([(1, 1)])})

    assert durations.error(Stage.TRANSCODE) == (2.0, 1.0)
    assert durations.error(Stage.DESCRIBE, "demo") == (2.0, 2.0)
    assert durations.error(Stage.JOIN) is None and durations.error(Stage.INDEX) is None


def line(stage: Stage, model: str | None, *tasks: str) -> Line:
    heads = tuple(Head(TaskId(task), 5, NEEDS, model) for task in tasks)
    return Line(Bin.NORMAL, "ann", shape_of(stage, model, NEEDS), len(tasks), 5, heads)


def test_heads_are_told_their_own_work_and_their_jobs() -> None:
    durations = Durations({CHUNK: sums([(1000, 500), (2000, 1000)]), DEMO: sums([(1000, 3000), (2000, 6000)])})
    left = {JobId("a"): Left(77, {CHUNK: (3, 4000), DEMO: (2, 5000)})}
    lines = (line(Stage.TRANSCODE, None, "a:transcode:0", "a:transcode:1", "b:transcode:0"),)

    (shown,) = with_work(lines, {TaskId("a:transcode:0"): 1000, TaskId("b:transcode:0"): 3000}, left, durations)

    assert [(head.work_ms, head.left_ms, head.since_ms) for head in shown.heads] == [
        (500, 2000 + 15_000, 77),
        (750, 2000 + 15_000, 77),  # its size is not known
        (1500, 1500, 0),  # nor what its job has left, which is never less than this task
    ]
    plain = tuple(replace(head, work_ms=0, left_ms=0, since_ms=0) for head in shown.heads)
    assert replace(shown, heads=plain) == lines[0]


def test_a_line_that_cannot_be_read_stays_as_it_is() -> None:
    strange = replace(line(Stage.JOIN, None, "a:join:0"), shape="not a shape")

    assert with_work((strange,), {}, {}, Durations()) == (strange,)
