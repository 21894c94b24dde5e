"""What was free each minute is kept beside the queue, and no restart forgets it."""

from __future__ import annotations

from pathlib import Path

from vidprocme.dispatch.disk_book import DISKS, DiskBook
from vidprocme.monitor.trend import EVERY_MS, MOST, WINDOW_MS, Sample, pace
from vidprocme.queue.beside import RedisNotes
from vidprocme.queue.check import check
from vidprocme.queue.redis import RedisQueue

AT_MS = 1_790_000_000_000
LOOK_MS = 5_000


def book(queue: RedisQueue, host: str = "a", folder: str = "/data") -> DiskBook:
    return DiskBook(lambda: RedisNotes(queue, DISKS), host, Path(folder))


def keys(queue: RedisQueue) -> list[str]:
    return list(queue.client.scan_iter(queue.keys.of("note:disk:*")))


def test_one_sample_a_minute_and_an_hour_of_them(queue: RedisQueue) -> None:
    mine = book(queue)
    for look in range(2 * WINDOW_MS // LOOK_MS):
        samples = mine.look(AT_MS + look * LOOK_MS, 10**12 - look)
        assert len(samples) <= MOST
    assert len(samples) == MOST and samples[-1].at_ms - samples[0].at_ms == WINDOW_MS
    (key,) = keys(queue)
    assert 0 < int(queue.command("TTL", key)) <= WINDOW_MS // 1000
    assert len(queue.command("GET", key)) < 4_000 and check(queue) == []


def test_a_restart_goes_on_where_it_was(queue: RedisQueue) -> None:
    for minute in range(8):
        book(queue).look(AT_MS + minute * EVERY_MS, 10**12 - minute * 10**9)
    again = book(queue)
    assert len(again.look(AT_MS + 7 * EVERY_MS + 1, 0)) == 8  # the last is not a minute old
    for minute in range(8, 12):
        samples = again.look(AT_MS + minute * EVERY_MS, 10**12 - minute * 10**9)
    found = pace(samples)
    assert [sample.free_bytes // 10**9 for sample in samples] == list(range(1000, 988, -1))
    assert found is not None and round(found.lost_per_s * 60) == 10**9


def test_two_servers_of_a_folder_share_it_and_other_disks_do_not(queue: RedisQueue) -> None:
    one, two = book(queue), book(queue)
    for minute in range(10):
        (one if minute % 2 else two).look(AT_MS + minute * EVERY_MS, minute)
    assert len(one.look(AT_MS + 10 * EVERY_MS, 10)) == 11
    assert len(book(queue, "b").look(AT_MS, 1)) == len(book(queue, "a", "/else\udcff").look(AT_MS, 1)) == 1
    assert len(keys(queue)) == 3


def test_what_cannot_be_read_and_a_clock_set_back_begin_anew(queue: RedisQueue) -> None:
    mine = book(queue)
    mine.look(AT_MS, 5)
    assert list(mine.look(AT_MS - 1, 6)) == [Sample(AT_MS - 1, 6)]
    (key,) = keys(queue)
    queue.command("SET", key, "no note", "EX", 60)
    assert list(book(queue).look(AT_MS, 7)) == [Sample(AT_MS, 7)]
