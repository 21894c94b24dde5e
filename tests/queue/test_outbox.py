"""Records that are due some time: found by their line and time, never without both, and bounded."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vidprocme.core.errors import Fatal
from vidprocme.queue import outbox
from vidprocme.queue.check import check
from vidprocme.queue.outbox import RedisOutbox
from vidprocme.queue.records import Records
from vidprocme.queue.redis import RedisQueue


@dataclass(frozen=True, slots=True)
class Letter:
    to: str
    due_ms: int


def box_of(queue: RedisQueue) -> RedisOutbox[Letter]:
    return RedisOutbox(queue, "message", Letter)


def put(box: RedisOutbox[Letter], id_: str, to: str, due_ms: int, *, new: bool = False) -> bool:
    return box.put(id_, Letter(to, due_ms), to, due_ms, new=new)


def test_what_is_due_is_found_by_line_the_longest_waiting_first(queue: RedisQueue) -> None:
    box = box_of(queue)
    for id_, to, due_ms in [("a3", "a", 300), ("a1", "a", 100), ("b2", "b", 200), ("c9", "c", 900), ("b1", "b", 50)]:
        assert put(box, id_, to, due_ms)
    assert list(box.due(49, 9, 9).items()) == []
    assert list(box.due(300, 9, 9).items()) == [("b", ["b1", "b2"]), ("a", ["a1", "a3"])]
    assert list(box.due(1000, 2, 1).items()) == [("b", ["b1"]), ("a", ["a1"])]
    assert box.due_of("a", 299, 9) == ["a1"] and box.due_of("none", 999, 9) == []
    # Told twice it is one; written anew it has another time.
    assert not put(box, "b1", "b", 7, new=True) and box.get("b1") == Letter("b", 50)
    assert put(box, "b1", "b", 800)
    assert list(box.due(300, 9, 9).items()) == [("a", ["a1", "a3"]), ("b", ["b2"])]
    for id_, to in [("b1", "b"), ("b2", "b"), ("b2", "b"), ("never", "d")]:
        box.delete(id_, to)
    assert box.get("b1") is None and list(box.due(999, 9, 9)) == ["a", "c"] and box.waiting("b") == 0
    assert check(queue) == [] and not queue.command("EXISTS", queue.keys.due("message", "b"))


def test_a_full_line_takes_no_new_ones_and_leaves_room_for_others(
    queue: RedisQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "LINE_MOST", 2)
    monkeypatch.setattr(outbox, "RECORDS_MOST", 3)
    box = box_of(queue)
    put(box, "a1", "a", 1)
    put(box, "a2", "a", 2)
    with pytest.raises(Fatal, match="2 messages wait for this webhook") as caught:
        put(box, "a3", "a", 3)
    assert caught.value.code == "OUTBOX_FULL"
    assert put(box, "a2", "a", 9) and not put(box, "a1", "a", 9, new=True)  # those that are there may be written
    assert put(box, "b1", "b", 1)
    with pytest.raises(Fatal, match="3 messages wait already"):
        put(box, "c1", "c", 1)
    assert box.waiting("a") == 2 and box.get("a3") is None and check(queue) == []


def test_what_an_older_vidprocme_wrote_gets_its_line(queue: RedisQueue) -> None:
    box, old = box_of(queue), Records(queue, "message", Letter)
    for n in range(600):
        old.put(f"old-{n:03}", Letter("a" if n % 2 else "b", n))
    queue.command("HSET", queue.keys.records("message"), "newer", '7 {"v":99,"d":{}}')
    put(box, "mine", "a", 5)
    put(box, "mine", "a", 1_000)  # its record says otherwise, and what has a line keeps its time
    assert box.mend(lambda letter: (letter.to, letter.due_ms)) == 600
    assert box.due(3, 9, 9) == {"b": ["old-000", "old-002"], "a": ["old-001", "old-003"]}
    assert box.mend(lambda letter: (letter.to, 0)) == 0
    # And what an older one deletes goes with the next that is looked at.
    old.delete("old-001")
    (found,) = check(queue)
    assert "lists old-001, which is not there" in found
    box.delete("old-001", "a")
    assert box.due(3, 9, 9)["a"] == ["old-003"]


LETTERS = st.tuples(st.sampled_from("abcd"), st.sampled_from("xyz"), st.integers(0, 20), st.booleans())


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(LETTERS, max_size=25), st.integers(0, 20))
def test_it_says_what_a_plain_list_would(queue: RedisQueue, story: list[tuple[str, str, int, bool]], now: int) -> None:
    """A letter keeps its line: its id says whom it is for."""
    box = box_of(queue)
    there: dict[str, Letter] = {}
    for name, to, due_ms, stays in story:
        if stays:
            put(box, name + to, to, due_ms)
            there[name + to] = Letter(to, due_ms)
        else:
            box.delete(name + to, to)
            there.pop(name + to, None)
    due = sorted((letter.due_ms, id_) for id_, letter in there.items() if letter.due_ms <= now)
    found = box.due(now, 99, 99)
    assert {line: set(ids) for line, ids in found.items()} == {
        line: {id_ for _, id_ in due if there[id_].to == line} for line in {there[id_].to for _, id_ in due}
    }
    for line, ids in found.items():
        assert ids == [id_ for _, id_ in due if there[id_].to == line] == box.due_of(line, now, 99)
    firsts = [there[ids[0]].due_ms for ids in found.values()]
    assert firsts == sorted(firsts)
    assert check(queue) == []
    for id_, letter in there.items():
        box.delete(id_, letter.to)
    assert not [*queue.client.scan_iter(queue.keys.of("due:*"))]
