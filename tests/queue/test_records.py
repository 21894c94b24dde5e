"""Records with versions, and counts per minute."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import pytest

from tests.queue.conftest import Connect
from tests.queue.things import BROKEN, lease_of, run, submitted
from vidprocme.core.errors import Fatal
from vidprocme.core.job import Bin, Next, OutcomeKind, Stage
from vidprocme.queue import series
from vidprocme.queue.kept import NEW
from vidprocme.queue.records import Records
from vidprocme.queue.redis import RedisQueue


@dataclass(frozen=True, slots=True)
class Title:
    text: str
    likes: int = 0


def test_a_record_is_written_read_listed_and_deleted(queue: RedisQueue) -> None:
    titles = Records(queue, "title", Title)
    assert titles.get("b") is None and titles.list() == () and not titles.delete("b")
    b, a = titles.put("b", Title("Zwei \n 2", 1)), titles.put("a", Title("Eins"))
    assert titles.get("b") == b and titles.list() == (a, b)
    assert Records(queue, "other", Title).list() == ()
    assert titles.delete("b", if_match=b.etag) and titles.list() == (a,)


def test_a_record_changed_meanwhile_is_not_overwritten(queue: RedisQueue) -> None:
    titles = Records(queue, "title", Title)
    first = titles.put("a", Title("one"), if_match=NEW)
    second = titles.put("a", Title("two"), if_match=first.etag)
    for attempt in (
        lambda: titles.put("a", Title("three"), if_match=first.etag),
        lambda: titles.put("a", Title("three"), if_match=NEW),
        lambda: titles.put("b", Title("three"), if_match=first.etag),
        lambda: titles.delete("a", if_match=first.etag),
    ):
        with pytest.raises(Fatal) as caught:
            attempt()
        assert caught.value.code == "RECORD_CHANGED"
    assert titles.list() == (second,)
    # Deleted and made anew is another record: an old version never fits again.
    titles.delete("a")
    assert titles.put("a", Title("one"), if_match=NEW).etag not in (first.etag, second.etag)


def test_many_writers_lose_no_change(connect: Connect) -> None:
    def like() -> None:
        titles = Records(connect(), "title", Title)
        for _ in range(20):
            while True:
                found = titles.get("a")
                assert found
                try:
                    titles.put("a", Title("x", found.doc.likes + 1), if_match=found.etag)
                    break
                except Fatal as error:
                    assert error.code == "RECORD_CHANGED"

    titles = Records(connect(), "title", Title)
    titles.put("a", Title("x"))
    threads = [threading.Thread(target=like) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = titles.get("a")
    assert found and found.doc.likes == 60


def test_a_record_has_a_size_that_it_may_have(queue: RedisQueue) -> None:
    with pytest.raises(Fatal) as caught:
        Records(queue, "title", Title).put("a", Title("x" * 100_000))
    assert caught.value.code == "RECORD_TOO_LARGE"


def test_ended_attempts_are_counted_in_their_minute(queue: RedisQueue) -> None:
    from_ms = int(queue.client.time()[0]) * 1000 // 60_000 * 60_000  # type: ignore[index]
    for next_, outcome in ((Next.RETRY, BROKEN), (Next.FAIL, BROKEN)):
        run(queue, submitted(queue)[1], next_, outcome)
    lease = lease_of(queue, submitted(queue)[1])
    queue.free_dead(lease.holder)

    counts = series.read(queue, from_ms, from_ms + 3 * series.MINUTE_MS)

    total: dict[tuple[OutcomeKind, str], int] = {}
    for count in counts:
        assert (count.bin, count.stage) == (Bin.NORMAL, Stage.PROBE) and count.minute_ms >= from_ms
        total[count.kind, count.code] = total.get((count.kind, count.code), 0) + count.count
    assert total == {(OutcomeKind.FAILED, "FFMPEG_FAILED"): 2, (OutcomeKind.LOST, "POOL_LOST"): 1}
    key = queue.keys.minute(counts[0].minute_ms // series.MINUTE_MS)
    assert 0 < int(queue.command("TTL", key)) <= 48 * 3600
