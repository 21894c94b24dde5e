"""Recorded days: a table that is written is read as it was, and what cannot be played is answered with its line."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidprocme.core.errors import BadWish
from vidprocme.core.job import Bin, Stage
from vidprocme.simulator.films import Ran, Recorded, films_of, parse, rows
from vidprocme.simulator.queueing import replay
from vidprocme.simulator.scenario import SCENARIOS, VP1, Film, films
from vidprocme.simulator.video import video_of

HEADER = "at_ms,tenant,bin,model,video_s,segments_ms,chunks_ms,others_ms,guess"


def test_the_least_and_the_most_that_a_line_may_say() -> None:
    least = parse(["at_ms,video_s\n", "5,12.5\n"])
    text = f"\ufeff{HEADER}\n".lstrip("\ufeff") + '7,"Bob, & sons",urgent,qwen,, 500 700 ,10 20,5,2\n\n3,,,,4,,,,\n'

    assert least == [Film(0, 5, Bin.NORMAL, "default", "", 12_500, 1.0)]
    assert parse(text.splitlines(keepends=True)) == [
        Film(0, 3, Bin.NORMAL, "default", "", 4_000, 1.0),
        Film(1, 7, Bin.URGENT, "Bob, & sons", "qwen", 1, 2.0, (500, 700), (10, 20), (5,)),
    ]


TIMES = st.lists(st.integers(1, 10**6), max_size=4).map(tuple)


@given(
    st.lists(
        st.builds(
            Film,
            st.just(0),
            st.integers(0, 10**12),
            st.sampled_from(Bin),
            st.text(st.characters(categories=("L", "N", "P", "S"), exclude_characters="|"), min_size=1, max_size=20),
            st.sampled_from(["demo", "qwen, large", 'a"b']),
            st.integers(1, 10**7),
            st.sampled_from([1.0, 0.5, 2.25]),
            TIMES,
            TIMES,
            TIMES,
        ),
        min_size=1,
        max_size=5,
    )
)
def test_what_is_written_is_read(some: list[Film]) -> None:
    read = parse(list(rows(some)))

    assert len(read) == len(some) and all(one.at_ms <= other.at_ms for one, other in pairwise(read))
    for film, again in zip(sorted(some, key=lambda one: one.at_ms), read, strict=True):
        told = (film.segments_ms, film.chunks_ms, film.others_ms)
        assert (again.at_ms, again.bin, again.tenant, again.model, again.guess) == (
            film.at_ms,
            film.bin,
            film.tenant.strip(),
            film.model,
            film.guess,
        )
        assert (again.segments_ms, again.chunks_ms, again.others_ms) == told
        assert any(told) or again.long_ms == film.long_ms


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", 1, "no video"),
        (HEADER, 1, "no video"),
        ("at_ms,bin\n0,high", 1, "lacks columns"),
        ("video_s\n5", 1, "lacks columns"),
        ("at_ms,video_s,colour\n0,5,red", 1, 'the column "colour"'),
        ("at_ms,video_s,at_ms\n0,5,1", 1, "at_ms twice"),
        ("at_ms,video_s\n0,5\nnow,5", 3, '"now" as at_ms'),
        ("at_ms,video_s\n-1,5", 2, '"-1" as at_ms'),
        ("at_ms,video_s\n1,5,6", 2, "has 3 fields"),
        ("at_ms,video_s\n1,long", 2, '"long" as video_s'),
        ("at_ms,video_s\n1,nan", 2, '"nan" as video_s'),
        ("at_ms,video_s\n1,0", 2, "no work"),
        ("at_ms,video_s\n1", 2, "no work"),
        ("at_ms,video_s,bin\n1,5,fast", 2, '"fast" as bin'),
        ("at_ms,video_s,tenant\n1,5,a|b", 2, "a tenant that cannot be"),
        ("at_ms,video_s,guess\n1,5,0", 2, '"0" as guess'),
        ("at_ms,chunks_ms\n1,5", 2, "chunks_ms and no model"),
        ("at_ms,segments_ms\n1,5 6.5", 2, '"5 6.5" as segments_ms'),
        ("at_ms,segments_ms\n\n1,5 0", 3, '"5 0" as segments_ms'),
    ],
)
def test_what_cannot_be_played_is_answered_with_its_line(text: str, line: int, says: str) -> None:
    with pytest.raises(BadWish) as caught:
        parse(text.splitlines(keepends=True))

    assert caught.value.code == "BAD_FILMS" and caught.value.evidence["line"] == line
    assert f"Line {line} " in caught.value.message and says in caught.value.message and caught.value.hint


def test_a_scenario_as_a_table_is_played_as_itself() -> None:
    """The films of VP-1, written with lengths, come to what they come to: but for weights, which no table tells."""
    some = [film for film in films(VP1, 85, 42) if film.at_ms < 600_000]
    again = parse(list(rows(some)))

    for policy in ("default", "strict+warm"):
        one, run = replay(some, VP1, policy)
        other, run_again = replay(again, VP1, policy)
        assert one.figures["mean_s"] == pytest.approx(other.figures["mean_s"], rel=0.02)
        assert run.work_ms == run_again.work_ms and len(run.videos) == len(run_again.videos) == len(some)
    assert replay(some, VP1, "fifo")[0].figures != one.figures


def test_machines_fail_for_as_long_as_a_trace_goes_on() -> None:
    far = 3 * 24 * 3_600_000
    some = [Film(n, far + n, Bin.HIGH, "a", "A", 1, 1.0, (), (600_000,) * 40) for n in range(40)]

    assert replay(some, SCENARIOS["vp1-failures"])[1].lost_ms > 0


def ran(
    stage: Stage, index: int, place: str, started_ms: int, took_ms: int, model: str | None = None, size: int = 0
) -> Ran:
    return Ran(stage, index, model, size, place, started_ms, started_ms + took_ms)


def test_a_job_becomes_a_film_of_what_its_tasks_took() -> None:
    early = Recorded(
        1_000,
        Bin.HIGH,
        "bob",
        [
            ran(Stage.TRANSCODE, 1, "a/cpu", 3_000, 700),
            ran(Stage.PROBE, 0, "a/cpu", 1_000, 50),
            ran(Stage.TRANSCODE, 0, "a/cpu", 2_000, 600),
            ran(Stage.JOIN, 0, "a/cpu", 5_000, 80),
            ran(Stage.DESCRIBE, 0, "a/gpu:0", 4_000, 9_000, "A", 16_000),  # 4,000 of these are of loading
            ran(Stage.DESCRIBE, 1, "a/gpu:0", 13_000, 2_500, "A", 8_000),
            ran(Stage.INDEX, 0, "a/cpu", 16_000, 20),
        ],
    )
    late = Recorded(9_000, Bin.BULK, "eve", [ran(Stage.FRAMES, 0, "a/cpu", 9_000, 400)])
    other = Recorded(9_500, Bin.BULK, "eve", [ran(Stage.DESCRIBE, 0, "a/gpu:0", 20_000, 7_000, "B", 16_000)])

    assert films_of([late, early, Recorded(9_100, Bin.BULK, "eve", []), other]) == [
        Film(0, 0, Bin.HIGH, "bob", "A", 1, 1.0, (600, 700), (5_000, 2_500), (50, 80, 20)),
        Film(1, 8_000, Bin.BULK, "eve", "", 1, 1.0, (400,), (), ()),
        # Nothing tells how long B takes where it is loaded.
        Film(3, 8_500, Bin.BULK, "eve", "B", 1, 1.0, (), (7_000,), ()),
    ]
    assert video_of(VP1, films_of([early])[0]).waits_for == [1, 2]
    assert films_of([]) == []
