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
from vidprocme.core.resources import Place, PlaceKind, Resources
from vidprocme.core.shares import Shares
from vidprocme.core.snapshot import Placement
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


def test_what_runs_where_a_journal_begins_has_its_place() -> None:
    lines: list[str] = []
    journal = Journal(Board(), lines.append)
    journal.settings()
    journal.lines([], complete=True)
    journal.shares(Shares())
    journal.places([Place("node/cpu", "node", PlaceKind.CPU, CORE)])
    runs = [Placement(TaskId("job_1:transcode:0"), place, CORE, "") for place in ("node/cpu", "gone/cpu")]
    journal.running(
        runs, {"node/cpu": 15, "gone/cpu": 3}, {"gone/cpu": TaskId("job_2:join:0"), "node/cpu": TaskId("job_3:join:0")}
    )

    assert journal.board.seats.free_slots == 0
    seat = journal.board.seats.all["node/cpu"]
    assert (seat.starts, seat.held_for) == (15, "job_3:join:0")
    assert list(replay(lines)) == []
    with pytest.raises(BadWish) as caught:
        list(replay(lines[1:]))
    assert caught.value.code == "JOURNAL_UNREADABLE" and caught.value.evidence["line"] == 1
