"""Notes that expire, and journals."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from vidprocme.core.errors import Fatal
from vidprocme.queue.beside import NOTE_MOST, RedisJournal, RedisNotes
from vidprocme.queue.check import check
from vidprocme.queue.redis import RedisQueue


@dataclass(frozen=True, slots=True)
class Line:
    who: str


def test_a_note_is_written_once_where_none_may_be_and_ends(queue: RedisQueue) -> None:
    notes = RedisNotes(queue, "answer")
    assert notes.get("a") is None and notes.put("a", "one", 60, new=True)
    assert not notes.put("a", "two", 60, new=True) and notes.get("a") == "one"
    assert notes.put("a", "three", 100) and notes.get("a") == "three"
    assert 60 < int(queue.command("TTL", queue.keys.of("note:answer:a"))) <= 100
    assert RedisNotes(queue, "other").get("a") is None
    assert not check(queue)
    assert notes.renew("a", 500) and 400 < int(queue.command("TTL", queue.keys.of("note:answer:a"))) <= 500
    assert not notes.renew("none", 500) and notes.get("none") is None
    assert notes.delete("a") and not notes.delete("a")
    with pytest.raises(Fatal) as caught:
        notes.put("b", "x" * (NOTE_MOST + 1), 60)
    assert caught.value.code == "NOTE_TOO_LARGE"


def test_a_counter_keeps_the_end_it_began_with(queue: RedisQueue) -> None:
    notes = RedisNotes(queue, "count")
    assert [notes.add("a", 2, 50), notes.add("a", 3, 5000)] == [2, 5]
    assert int(queue.command("TTL", queue.keys.of("note:count:a"))) <= 50


def test_a_journal_is_read_from_its_end_in_pages(queue: RedisQueue) -> None:
    journal = RedisJournal(queue, "audit", Line)
    assert journal.page() == ()
    lines = [journal.append(Line(f"w{n}")) for n in range(5)]
    assert journal.page(2) == (lines[4], lines[3])
    assert journal.page(10, before=lines[3].id) == (lines[2], lines[1], lines[0])
    assert lines[0].at_ms > 0 and not check(queue)
