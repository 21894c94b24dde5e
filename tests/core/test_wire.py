"""What is written comes back equal and exact; what is not ours is refused with a code."""

from __future__ import annotations

import json
import os
from array import array
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.core.strategies import NOUNS, json_values, values
from vidprocme.core.errors import Fatal
from vidprocme.core.job import Limits, Recipe, Source, Task
from vidprocme.core.media import FrameIndex, Span
from vidprocme.core.wire import VERSION, dumps, from_wire, index_from_bytes, index_to_bytes, loads, to_wire

int64 = st.integers(-(2**63), 2**63 - 1)
indexes = st.builds(
    FrameIndex,
    st.fractions(min_value=Fraction(1, 10**6)),
    st.lists(int64, max_size=20).map(lambda pts: array("q", sorted(pts))),
    st.lists(st.integers(0, 19), max_size=5).map(lambda keys: array("q", sorted(keys))),
    int64,
)


def test_the_nouns_are_all_there() -> None:
    names = {kind.__name__ for kind in NOUNS}
    assert {
        "Task",
        "Job",
        "Attempt",
        "Outcome",
        "MediaInfo",
        "Chunk",
        "Snapshot",
        "Plan",
        "Event",
        "ErrorInfo",
    } <= names


@pytest.mark.parametrize("kind", NOUNS, ids=lambda kind: kind.__name__)
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_every_noun_comes_back_equal(kind: type, data: st.DataObject) -> None:
    value = data.draw(values(kind))

    assert loads(kind, dumps(value)) == value
    assert loads(kind, dumps(value).encode()) == value
    # The encoder in C goes level by level: it must say what to_wire says.
    assert json.loads(dumps(value))["d"] == json.loads(json.dumps(to_wire(value)))


@given(st.fractions(), st.fractions())
def test_fractions_are_exact(start: Fraction, end: Fraction) -> None:
    span = Span(start, end)

    back = loads(Span, dumps(span))
    assert (back.start, back.end) == (start, end)
    assert type(back.start) is Fraction


def test_a_file_name_that_is_not_utf8_can_be_stored() -> None:
    source = Source("file:///x", os.fsdecode(b"caf\xe9.mp4"), "", 1)

    assert loads(Source, dumps(source).encode("utf-8")) == source


def test_words_of_other_scripts_stay_readable() -> None:
    assert "山羊" in dumps(Source("", "山羊", "", 1))


def test_fields_of_a_newer_writer_are_dropped_and_missing_ones_have_their_defaults() -> None:
    assert from_wire(Limits, {"tries": 2, "new_field": [1]}) == Limits(tries=2)


def test_a_newer_version_is_refused() -> None:
    with pytest.raises(Fatal) as caught:
        loads(Limits, json.dumps({"v": VERSION + 1, "d": {}}))
    assert caught.value.code == "WIRE_VERSION" and "Update" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "1", "null", '"v"', "{}", '{"v":1}', '{"d":{}}', '{"v":"1","d":{}}', '{"v":null,"d":{}}',
        '{"v":true,"d":{}}', b"\xff\xfe",
    ],
)  # fmt: skip
def test_an_envelope_that_is_not_ours_is_refused(text: str | bytes) -> None:
    with pytest.raises(Fatal) as caught:
        loads(Limits, text)
    assert caught.value.code == "WIRE_MALFORMED"


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (Limits, "limits"),  # every field has a default, and `in` works on a str: must not become Limits()
        (Limits, []),
        (Limits, None),
        (Limits, {"tries": "4"}),
        (Limits, {"tries": 4.0}),
        (Limits, {"tries": True}),
        (Limits, {"wall_s": True}),
        (Span, {"start": "0/1"}),
        (Span, {"start": "0/1", "end": "1/0"}),
        (Span, {"start": "0/1", "end": 0.1}),
        (Span, {"start": "0/1", "end": "soon"}),
        (Recipe, {"renditions": "720p"}),
        (Recipe, {"renditions": [720]}),
        (Recipe, {"model": 7}),
        (Task, {"id": "t", "job": "j", "stage": "probing", "index": 0, "payload": {}, "needs": []}),
        (Task, {"id": "t", "job": "j", "stage": "probe", "index": 0, "payload": [], "needs": []}),
        (Task, {"id": "t", "job": "j", "stage": [], "index": 0, "payload": {}, "needs": []}),
    ],
)
def test_data_of_another_shape_is_refused(kind: type, data: Any) -> None:
    with pytest.raises(Fatal) as caught:
        from_wire(kind, data)
    assert caught.value.code == "WIRE_MALFORMED"
    assert kind.__name__ in caught.value.message


@given(st.sampled_from(NOUNS), json_values)
def test_no_json_does_more_than_be_refused(kind: type, data: Any) -> None:
    try:
        noun: Any = from_wire(kind, data)
    except Fatal as error:
        assert error.code == "WIRE_MALFORMED"
    else:
        assert from_wire(kind, to_wire(noun)) == noun


@given(indexes)
def test_an_index_comes_back_equal(index: FrameIndex) -> None:
    back = index_from_bytes(index_to_bytes(index))

    assert back == index


def test_an_index_is_little_endian_after_one_line() -> None:
    data = index_to_bytes(FrameIndex(Fraction(1, 90_000), [0, 3003], [0], 6006))

    head, _, body = data.partition(b"\n")
    assert json.loads(head)["time_base"] == "1/90000"
    assert body == bytes(8) + (3003).to_bytes(8, "little") + bytes(8)


@given(indexes, st.data())
def test_a_cut_index_is_refused(index: FrameIndex, data: st.DataObject) -> None:
    whole = index_to_bytes(index)
    line = whole.index(b"\n")
    # All of the line without its end is a whole index when there are no pictures.
    cut = data.draw(st.integers(0, len(whole) - 1).filter(lambda at: at != line or len(whole) > line + 1))

    with pytest.raises(Fatal) as caught:
        index_from_bytes(whole[:cut])
    assert caught.value.code == "WIRE_MALFORMED"


def test_an_index_of_a_newer_version_is_refused() -> None:
    data = index_to_bytes(FrameIndex(Fraction(1), [], [], 0)).replace(b'"v": 1', b'"v": 2')

    with pytest.raises(Fatal) as caught:
        index_from_bytes(data)
    assert caught.value.code == "WIRE_VERSION"
