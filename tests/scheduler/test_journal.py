"""What a journal's lines say, whatever was told: settings as they were, and lists of which most is as it was."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidprocme.core.errors import BadWish
from vidprocme.core.ids import TaskId
from vidprocme.core.job import Bin
from vidprocme.core.resources import Need, Place, PlaceKind, Resources
from vidprocme.core.snapshot import Head, Line
from vidprocme.scheduler import orders
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.config import PolicyConfig
from vidprocme.scheduler.journal import Journal, Same, replay
from vidprocme.scheduler.journal_settings import VERSION, settings_told, told_settings

CORE = Resources(cpu_milli=1000)
PLACES = st.builds(
    lambda id_, slots, warm: Place(id_, "node", PlaceKind.CPU, CORE, slots, warm),
    st.sampled_from("abcd"),
    st.integers(1, 2),
    st.sampled_from([(), ("demo",)]),
)


@given(st.lists(st.lists(PLACES, max_size=5, unique_by=lambda place: place.id), max_size=6))
def test_a_list_is_heard_as_it_was_told(lists: list[list[Place]]) -> None:
    told, heard = (Same(Place, lambda place: place.id) for _ in range(2))

    for places in lists:
        assert heard.heard(json.loads(json.dumps(told.told(places)))) == places


def test_what_has_not_changed_is_a_number() -> None:
    same = Same(Place, lambda place: place.id)
    places = [Place(id_, "node", PlaceKind.CPU, CORE) for id_ in "abc"]
    same.told(places)

    first, second, third = same.told([places[2], replace(places[0], warm=("demo",)), places[1]])
    assert (first, third) == (2, 1) and second["warm"] == ["demo"]


@pytest.mark.parametrize(
    "config",
    [
        PolicyConfig(),
        PolicyConfig(max_wait_ms={}, order=orders.SRPT, lag_ms={Bin.HIGH: 7}, lag_times=0, cold_last=True, most=3),
        PolicyConfig(
            bins=(Bin.BULK, Bin.URGENT),
            spread=frozenset({Bin.BULK, Bin.HIGH}),
            order=replace(orders.STRICT, even_ms=5),
            warmth=False,
        ),
    ],
)
def test_settings_are_read_as_they_were(config: PolicyConfig) -> None:
    line = json.loads(json.dumps({"told": "settings", "version": VERSION, "settings": told_settings(config)}))

    assert settings_told(line) == config


def test_settings_of_another_version_are_refused() -> None:
    told = told_settings(PolicyConfig())
    for line in (
        {"told": "settings", "version": VERSION + 1, "settings": told},
        {"told": "settings", "version": VERSION, "settings": {**told, "mood": 1}},
        {"told": "settings", "version": VERSION, "settings": {**told, "score": "by-luck"}},
        {"told": "lines", "version": VERSION, "settings": told},
    ):
        with pytest.raises(ValueError, match=r"another version|no settings"):
            settings_told(line)


def test_what_runs_where_a_part_begins_has_its_place() -> None:
    lines: list[str] = []
    journal = Journal(Board(), lines.append)
    head = Head(TaskId("job_1:transcode:0"), 0, (Need(PlaceKind.CPU, CORE),))
    journal.lines([Line(Bin.NORMAL, "ann", "transcode", 1, 0, (head,))], complete=True)
    journal.places([Place("node/cpu", "node", PlaceKind.CPU, CORE)])
    journal.planned(journal.decide(10))
    before = len(lines)
    journal.begin()
    journal.lines(
        [Line(Bin.NORMAL, "ann", "transcode", 1, 0, (replace(head, task=TaskId("job_2:probe:0")),))], complete=True
    )
    journal.planned(journal.decide(20))

    part = lines[before:]
    (one,) = replay(part)
    assert one.again == one.recorded and one.again["reasons"] == {"job_2:probe:0": "NO_PLACE_FREE"}
    (other,) = replay([line for line in part if '"told": "seat"' not in line])
    assert other.again["reasons"] == {"job_2:probe:0": "NO_SUCH_PLACE"}
    with pytest.raises(BadWish) as caught:
        list(replay(part[1:]))
    assert caught.value.code == "JOURNAL_UNREADABLE" and caught.value.evidence["line"] == 1


def test_what_no_board_knows_is_answered_with_its_line() -> None:
    lines: list[str] = []
    Journal(Board(), lines.append).begin()
    for bad in (
        {"told": "seat"},
        {"told": "known", "line": ["no bin", "ann", "t", 0, 0]},
        {"told": "begins", "now_ms": 1},
    ):
        with pytest.raises(BadWish) as caught:
            list(replay([*lines, json.dumps(bad)]))
        assert caught.value.code == "JOURNAL_UNREADABLE" and caught.value.evidence["line"] == len(lines) + 1
