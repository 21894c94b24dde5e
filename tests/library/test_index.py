"""The index: how words are read, what is kept, and a brute-force search that it must agree with."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.library.fill import captions, texts, video
from vidprocme.core.errors import BadWish
from vidprocme.core.ids import JobId, VideoId
from vidprocme.core.media import Caption
from vidprocme.library.base import JobRow, JobSort, JobWant, Note, SearchIndex, SearchWant, VideoWant
from vidprocme.library.index import RANKED_MOST, SqliteIndex, merge

# -- what is kept ------------------------------------------------------------------------------------------------------


def test_it_is_a_search_index(index: SqliteIndex) -> None:
    seam: SearchIndex = index
    assert seam.last_event() == "0" and seam.videos() == [] and seam.search("anything") == []


def test_a_video_comes_back_as_it_was(index: SqliteIndex) -> None:
    first = video(1, duration=Fraction(1001, 30), width_px=1280, height_px=720, document={"renditions": [{"n": "ü"}]})
    index.project(first, None, "5-1")
    index.project(video(2, state="failed"), [], "5-2")

    assert index.videos() == [video(2, state="failed"), first]
    assert index.videos(limit=1) == [video(2, state="failed")] and index.videos(limit=-1) == []
    assert index.video(VideoId("vid_1")) == first and index.video(VideoId("vid_9")) is None
    assert index.last_event() == "5-2"


def test_projecting_again_replaces(index: SqliteIndex) -> None:
    index.project(video(1, state="running"), captions("a goat"), "1-0")
    index.project(video(1), None, "2-0")
    assert [v.state for v in index.videos()] == ["succeeded"] and texts(index.search("goat")) == ["a goat"]

    index.project(video(1), captions("a goat", "a sheep"), "3-0")
    index.project(video(1), captions("a cow", "a sheep"), "4-0")
    assert index.search("goat") == [] and texts(index.search("cow")) == ["a cow"]
    assert texts(index.search("sheep")) == ["a sheep"]

    index.project(video(1), [], "5-0")
    assert index.search("sheep") == [] and index.last_event() == "5-0"


def test_forgetting_and_clearing(index: SqliteIndex) -> None:
    for number in (1, 2):
        index.project(video(number), captions("a goat"), f"{number}-0")

    assert index.forget(VideoId("vid_1"), "3-0") and not index.forget(VideoId("vid_1"))
    assert [hit.video for hit in index.search("goat")] == ["vid_2"] and index.last_event() == "3-0"

    index.clear()
    assert index.videos() == [] and index.search("goat") == [] and index.last_event() == "0"
    index.project(video(3), captions("a goat"), "9-0")
    assert [hit.video for hit in index.search("goat")] == ["vid_3"]


def test_it_outlives_its_process(path: Path) -> None:
    first = SqliteIndex(path)
    first.project(video(1), captions("a goat"), "7-0")
    first.close()
    first.close()

    again = SqliteIndex(path)
    assert texts(again.search("goat")) == ["a goat"] and again.last_event() == "7-0"
    again.close()
    with pytest.raises(ValueError, match="closed"):
        again.search("goat")


# -- how words are read ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("goat roof", True),
        ("roof goat", True),
        ("GOAT", True),
        ("go", True),  # the last word may be unfinished
        ("go roof", False),  # the others may not
        ("goat horse", False),
        ('"goat on"', True),
        ('"on goat"', False),
        ('"goat o"', False),  # a phrase that was closed is meant
        ('"goat o', True),  # one that is still typed may go on
        ("cafe", True),
        ("CAFÉ", True),
        ("red-haired", True),
        ("haired-red", False),
        ("3.5", True),
        ("5.3", False),
        ("NOT", False),
        ("goat NOT roof", False),  # an operator is a word
        ("goat*", True),
        ("text:goat", False),  # a column is a word
        ("(goat", True),
        ("goat -- '; DROP TABLE videos", False),
        ("日本", True),
        ("привет", True),
    ],
)
def test_words_are_words(index: SqliteIndex, words: str, found: bool) -> None:
    text = "A red-haired goat on a roof, 3.5 m above the café; 日本語 Привет"
    index.project(video(1), captions(text), "1-0")

    assert texts(index.search(words)) == ([text] if found else [])


@pytest.mark.parametrize("words", ["", "   ", '"', '""""', "?!", "***", "-- ( ) :", "\0", "\u0301", "\ud800"])
def test_nothing_to_search_for(index: SqliteIndex, words: str) -> None:
    with pytest.raises(BadWish) as caught:
        index.search(words)
    assert caught.value.code == "EMPTY_QUERY" and caught.value.hint


_SPITE = st.one_of(
    st.text(),
    st.text(alphabet="\"*^:(){}+-NOTANDOR NEAR,.\\\0'goat;"),
    st.lists(st.sampled_from(['"', "goat", "*", "AND", "NEAR(", ")", "text :", "\0", "é", "\ud800", "ᾳ"])).map(
        " ".join
    ),
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=_SPITE)
def test_no_text_breaks_a_search(index: SqliteIndex, words: str) -> None:
    try:
        index.search(words)
    except BadWish as error:
        assert error.code == "EMPTY_QUERY"


@pytest.mark.parametrize("words", ["goat " * 10_000, "g" * 1_000_000, '"goat" ' * 5000, "goat-" * 5000])
def test_endless_queries_are_answered(index: SqliteIndex, words: str) -> None:
    index.project(video(1), captions("goat"), "1-0")
    assert len(index.search(words)) <= 1


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet=st.characters(max_codepoint=0x4FF, categories=["L", "N", "Z", "P", "S"]), min_size=1))
def test_a_caption_is_found_by_its_own_words(index: SqliteIndex, text: str) -> None:
    index.project(video(1), captions(text), "1-0")
    try:
        hits = index.search(text)
    except BadWish:
        return
    assert texts(hits) == [text.strip()]


def test_snippets_mark_what_was_found(index: SqliteIndex) -> None:
    index.project(video(1), captions("A goat stands on a roof"), "1-0")

    assert index.search("sta goat")[0:] == []
    assert index.search("goat sta")[0].snippet == "A [goat] [stands] on a roof"
    assert index.search('"on a roof"')[0].snippet == "A goat stands [on a roof]"


# -- moments and order -------------------------------------------------------------------------------------------------


def test_the_same_words_in_a_row_are_one_moment(index: SqliteIndex) -> None:
    index.project(video(1), captions("goat", "goat", "goat", "sheep", "goat"), "1-0")

    assert [(h.start, h.end) for h in index.search("goat")] == [(Fraction(0), Fraction(3)), (Fraction(4), Fraction(5))]


def test_a_gap_parts_moments() -> None:
    third = Fraction(1, 3)
    row = [Caption(i * third, (i + 1) * third, "goat", i * third, "m") for i in (3, 0, 1)]  # 2 was not described
    assert merge(row) == [(Fraction(0), 2 * third, "goat"), (Fraction(1), 4 * third, "goat")]
    assert merge(captions("", "  ", "x")) == [(Fraction(2), Fraction(3), "x")]


def test_times_stay_exact(index: SqliteIndex) -> None:
    step = Fraction(1001, 30_000)
    index.project(video(1), captions("one", "two", step=step), "1-0")
    (hit,) = index.search("two")
    assert (hit.start, hit.end) == (step, 2 * step)


def test_the_better_match_comes_first_and_a_video_can_be_searched_alone(index: SqliteIndex) -> None:
    index.project(video(1), captions("a dog, a cat, a cow, a pig and somewhere behind them also a goat"), "1-0")
    index.project(video(2), captions("a goat"), "2-0")

    hits = index.search("goat")
    assert [hit.video for hit in hits] == ["vid_2", "vid_1"] and hits[0].score > hits[1].score > 0
    assert [hit.video for hit in index.search("goat", want=SearchWant(VideoId("vid_1")))] == ["vid_1"]
    assert len(index.search("goat", limit=1)) == 1 and index.search("goat", limit=0) == index.search("goat", limit=-5)


def test_of_a_word_that_stands_everywhere_the_newest_moments_are_ranked(index: SqliteIndex) -> None:
    index.project(video(0), captions("goat", *(f"a goat and word {i}" for i in range(RANKED_MOST // 2 - 1))), "1-0")
    for number in (1, 2):
        index.project(video(number), captions(*(f"goat {i}" for i in range(RANKED_MOST // 2))), "2-0")

    hits = index.search("goat", limit=9_999)

    assert len(hits) == RANKED_MOST and {hit.video for hit in hits} == {"vid_1", "vid_2"}, (
        "not the best of all, the oldest"
    )
    assert index.search("goat", 1, SearchWant(VideoId("vid_0")))[0].text == "goat"
    assert len(index.search("goat", 9_999, skip=RANKED_MOST - 1)) == 1


def test_ten_thousand_captions_against_brute_force(index: SqliteIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidprocme.library.index.RANKED_MOST", 10_000)
    rng = random.Random(7)
    stems = ["goat", "roof", "red", "car", "carpet", "green", "tree", "street", "house", "horse", "run", "runner"]
    said: dict[tuple[str, Fraction], set[str]] = {}
    for number in range(20):
        row = captions(*(" ".join(rng.choices(stems, k=6)) + f" n{i}" for i in range(500)))
        said.update({(f"vid_{number}", c.start): set(c.text.split()) for c in row})
        index.project(video(number), row, f"{number}-0")
    assert len(said) == 10_000

    for _ in range(60):
        *whole, last = rng.sample(stems, k=rng.randint(1, 4))
        last = last[: rng.randint(1, len(last))]
        expected = {
            key
            for key, words in said.items()
            if words.issuperset(whole) and any(word.startswith(last) for word in words)
        }
        hits = index.search(" ".join([*whole, last]), limit=20_000)
        assert len(hits) == len(expected) and {(h.video, h.start) for h in hits} == expected
        assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)


def test_videos_are_found_by_the_state_of_their_jobs_as_every_event_tells_it(index: SqliteIndex) -> None:
    for number in range(5):
        index.project(video(number, state="failed", tenant="zoo" if number == 4 else "default"), None, "1-0")
    index.write_jobs([row(number, "running" if number in (1, 2, 4) else "queued") for number in range(5)], [], "2-0")
    index.note(VideoId("vid_2"), Note("Loading bay", ("Night", "Cam 2")))
    running = VideoWant(states=frozenset({"running"}))

    assert [one.id for one in index.videos(9, running)] == ["vid_4", "vid_2", "vid_1"] and index.count_videos(
        running
    ) == 3
    assert [one.id for one in index.videos(9, VideoWant(states=frozenset({"queued"})))] == ["vid_3", "vid_0"]
    assert [one.id for one in index.videos(9, replace(running, tenants=frozenset({"default"})))] == ["vid_2", "vid_1"]
    assert [one.id for one in index.videos(9, replace(running, hidden=frozenset({"job_2"})))] == ["vid_4", "vid_1"]
    assert [one.id for one in index.videos(9, VideoWant(tags=frozenset({"night", "CAM 2"})))] == ["vid_2"]
    assert index.videos(9, VideoWant(tags=frozenset({"night", "cam"}))) == []
    assert [one.id for one in index.videos(9, VideoWant("LOADING"))] == ["vid_2"]
    assert [one.id for one in index.videos(2, running, after=(4, "vid_4"))] == ["vid_2", "vid_1"]


def row(number: int, state: str) -> JobRow:
    return JobRow(JobId(f"job_{number}"), VideoId(f"vid_{number}"), "x.mp4", 1, "default", number, "normal", state)


def test_jobs_are_counted_as_they_are_listed(index: SqliteIndex) -> None:
    rng = random.Random(3)
    states, bins, tenants = (
        ("queued", "running", "failed", "succeeded"),
        ("urgent", "normal"),
        ("default", "zoo", "ä|'"),
    )
    wants = [JobWant(bins=frozenset({bin_}), tenants=frozenset({who})) for bin_ in bins for who in tenants]
    wants += [JobWant(), JobWant(states=frozenset({"failed"})), JobWant(states=frozenset({"failed"}), dead=True)]
    there: dict[str, JobRow] = {}

    def agree() -> None:
        for want in wants:
            rows = index.jobs(want, JobSort.CREATED, limit=999)
            counts = index.count_jobs(want)
            assert {state: count for state, count in counts.items() if count and state != "dead"} == Counter(
                one.state for one in rows
            )
            assert counts["dead"] == sum(one.dead > 0 for one in rows)
        assert len(index.jobs(JobWant(), JobSort.CREATED, limit=999)) == len(there)

    agree()
    for turn in range(30):
        changed = [
            replace(
                row(rng.randrange(40), rng.choice(states)),
                bin=rng.choice(bins),
                dead=rng.choice((0, 0, 1, 3)),
                tenant=who,
            )
            for who in [rng.choice(tenants)]
            for _ in range(rng.randrange(5))
        ]
        gone = [JobId(one) for one in rng.sample(sorted(there), min(len(there), rng.randrange(3)))]
        changed = [replace(one, tenant=there[one.id].tenant if one.id in there else one.tenant) for one in changed]
        index.write_jobs(changed, gone, f"{turn}-0")
        there |= {one.id: one for one in changed}
        for id_ in gone:
            del there[id_]
        agree()
    index.rewrite_jobs([replace(one, state="failed", dead=2) for one in list(there.values())[:7]], "next")
    agree()
    index.end_rewrite("next", "99-0")
    there = dict(list(there.items())[:7])
    agree()
    index.clear()
    there.clear()
    agree()
