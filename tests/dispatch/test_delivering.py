"""What the deliverer asks of the queue, and whom it keeps waiting: a real queue, receivers that are functions."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import pytest

from tests.dispatch.things import new_job
from tests.queue.things import new_task
from vidprocme.core.ids import JobId
from vidprocme.core.job import Stage
from vidprocme.dispatch import delivering
from vidprocme.dispatch.delivering import Deliverer, Message, Reached, Send, Tried, Webhook
from vidprocme.queue.beside import RedisJournal
from vidprocme.queue.check import check
from vidprocme.queue.outbox import RedisOutbox
from vidprocme.queue.records import Records
from vidprocme.queue.redis import RedisQueue

NOW_MS = 1_790_000_000_000
DAY_MS = 86_400_000


class Room:
    """A deliverer, what it keeps, and what came."""

    def __init__(self, queue: RedisQueue, send: Callable[[str], int]) -> None:
        self.queue = queue
        self.hooks = Records(queue, delivering.WEBHOOKS, Webhook)
        self.box = RedisOutbox(queue, delivering.MESSAGES, Message)
        self.tries = RedisJournal(queue, delivering.TRIES, Tried)
        self.now_ms = NOW_MS
        self.came: list[tuple[str, str, float]] = []  # url, message, when
        self.lock = threading.Lock()

        def sent(url: str, headers: Mapping[str, str], _: bytes) -> int:
            with self.lock:
                self.came.append((url, headers["webhook-id"], time.monotonic()))
            return send(url)

        self.deliverer = self.another(sent)

    def another(self, send: Send) -> Deliverer:
        cursors = Records(self.queue, delivering.CURSORS, str)
        reached = Records(self.queue, delivering.REACHED, Reached)
        return Deliverer(
            self.hooks, reached, self.box, cursors, self.tries, send, random.Random(7), lambda: self.now_ms
        )

    def hook(self, name: str) -> str:
        secret = "whsec_" + "A" * 32
        return self.hooks.put(f"whk_{name}", Webhook(name, name, ("*",), secret, NOW_MS)).id

    def letters(self, hook: str, count: int, due_ms: int = NOW_MS) -> None:
        for n in range(count):
            message = Message(hook, "test", {"n": n, "padding": "x" * 500}, due_ms + n)
            self.box.put(f"msg_{hook}_{n:04}", message, hook, message.next_ms)

    def counts(self) -> Counter[str]:
        """Commands that the server has seen so far, also those of scripts."""
        stats = self.queue.command("INFO", "commandstats")
        return Counter({name.removeprefix("cmdstat_"): int(row["calls"]) for name, row in stats.items()})

    def until(self, true: Callable[[], object], meanwhile: Callable[[], None] = lambda: None) -> None:
        ends_s = time.monotonic() + 20
        while not true():
            assert time.monotonic() < ends_s
            meanwhile()
            time.sleep(0.01)

    def send_until(self, true: Callable[[], object]) -> None:
        self.until(true, self.deliverer.send_due)


@contextmanager
def room(queue: RedisQueue, send: Callable[[str], int] = lambda _: 200) -> Iterator[Room]:
    made = Room(queue, send)
    try:
        yield made
    finally:
        made.deliverer.close()


def test_of_a_thousand_that_wait_none_is_read_until_it_is_due(queue: RedisQueue) -> None:
    with room(queue) as house:
        ops, later = house.hook("ops"), house.hook("later")
        house.letters(later, 1000, NOW_MS + DAY_MS)
        house.deliverer.send_due()  # the first reads all once: an older vidprocme may have left some without a line

        sent_before = int(queue.command("INFO", "stats")["total_net_output_bytes"])
        before = house.counts()
        for _ in range(10):
            house.deliverer.send_due()
        asked = house.counts() - before
        bytes_ = int(queue.command("INFO", "stats")["total_net_output_bytes"]) - sent_before
        # Nothing is due: one reading each, of the line of lines.
        assert asked["zrangebyscore"] == asked["evalsha"] == 10 and not {"hgetall", "hget", "hscan"} & set(asked)
        assert bytes_ < 30_000  # two INFOs and ten empty answers; the messages are 700 kB

        house.letters(ops, 1)
        before = house.counts()
        house.deliverer.send_due()
        house.until(lambda: house.box.waiting(ops) == 0)
        asked = house.counts() - before
        assert asked["hgetall"] == 0 and asked["hget"] <= 6  # the message, its webhook, and what is written of both
        assert [message for _, message, _ in house.came] == ["msg_whk_ops_0000"]
        assert house.box.waiting(later) == 1000

        house.now_ms += 2 * DAY_MS
        before = house.counts()
        house.deliverer.send_due()
        house.until(lambda: len(house.came) > 10)
        house.deliverer.close()
        first = sorted(message for _, message, _ in house.came[1:11])  # two threads
        assert first[:2] == ["msg_whk_later_0000", "msg_whk_later_0001"] and first[-1] < "msg_whk_later_0020"
        assert (house.counts() - before)["hgetall"] == 0
    assert check(queue) == []


def test_who_takes_them_gets_many_in_a_second(queue: RedisQueue) -> None:
    """They come one after another, and not two in each look."""
    with room(queue) as house:
        hook = house.hook("ops")
        house.letters(hook, 60)
        house.now_ms += 60
        looks = 0
        while house.box.waiting(hook):
            house.deliverer.send_due()
            looks += 1
            time.sleep(0.5)
        assert looks < 15
        assert Counter(message for _, message, _ in house.came) == Counter(f"msg_whk_ops_{n:04}" for n in range(60))
        assert len(house.tries.page(100)) == 60


def test_slow_ones_hold_up_no_other(queue: RedisQueue) -> None:
    """Twelve that do not answer would take all 16 places; also those that failed before the server was started anew."""
    over, slow = threading.Event(), threading.Event()

    def send(url: str) -> int:
        if url.startswith("slow"):
            if slow.is_set():
                over.wait(30)
            raise TimeoutError("It did not answer within 15 s.")
        return 200

    with room(queue, send) as house:
        hooks = [house.hook(f"slow{n}") for n in range(12)]
        for hook in hooks:
            house.letters(hook, 20)
        house.now_ms += 1000
        house.send_until(lambda: len({url for url, _, _ in house.came}) == 12)
        house.until(lambda: not house.deliverer.on_its_way())
        slow.set()
        well = house.hook("well")
        for deliverer in (house.deliverer, house.another(lambda url, _, __: send(url))):
            deliverer.send_due()
            on_way = Counter(deliverer.on_its_way().values())
            assert on_way.total() == delivering.FAILING_AT_ONCE and max(on_way.values()) <= delivering.EACH_AT_ONCE
            for n in range(10):
                began_s = time.monotonic()
                house.box.put(f"msg_{n}", Message(well, "test", {}, house.now_ms), well, house.now_ms)
                deliverer.send_due()
                house.until(lambda: house.box.waiting(well) == 0)
                assert time.monotonic() - began_s < 3
            deliverer.close()
        over.set()


def test_a_message_of_a_webhook_that_is_gone_goes_too(queue: RedisQueue) -> None:
    with room(queue) as house:
        house.letters(house.hook("ops"), 3)
        house.hooks.delete("whk_ops")
        house.now_ms += 10
        house.send_until(lambda: house.box.waiting("whk_ops") == 0)
        assert house.came == [] and check(queue) == []


@pytest.mark.parametrize("left", ["no record", "no line"])
def test_what_an_older_vidprocme_did_is_gone_on_with(queue: RedisQueue, left: str) -> None:
    with room(queue) as house:
        hook = house.hook("ops")
        if left == "no line":
            Records(queue, delivering.MESSAGES, Message).put("msg_1", Message(hook, "test", {}, NOW_MS))
        else:
            house.letters(hook, 1)
            Records(queue, delivering.MESSAGES, Message).delete("msg_whk_ops_0000")
        house.deliverer.send_due()
        house.until(lambda: house.box.waiting(hook) == 0)
        house.until(lambda: len(house.came) == (left == "no line"))
        assert check(queue) == []


def ended(queue: RedisQueue, count: int) -> list[str]:
    """Jobs that were cancelled at once: one event each that webhooks are told."""
    jobs: list[str] = []
    for _ in range(count):
        job = new_job()
        queue.submit(job, [new_task(job, Stage.PROBE)])
        queue.cancel(job.id)
        jobs.append(job.id)
    return jobs


def test_the_diary_waits_for_who_takes_what_comes(queue: RedisQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    monkeypatch.setattr(delivering, "LINE_MOST", 4)
    with room(queue, lambda _: (gate.wait(20) and 200) or 500) as house:
        house.hook("ops")
        house.deliverer.follow(queue)
        jobs = ended(queue, 12)

        house.deliverer.follow(queue)
        assert house.box.waiting("whk_ops") == 4 and house.tries.page() == ()
        gate.set()

        def step() -> None:
            house.deliverer.follow(queue)
            house.deliverer.send_due()

        house.until(lambda: len(house.tries.page()) == 12, step)

        told = {house.tries.page()[n].doc.payload["data"]["job"] for n in range(12)}
        assert told == set(jobs) and not [one for one in house.tries.page() if one.doc.error]


def test_it_does_not_wait_for_ever(queue: RedisQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivering, "LINE_MOST", 4)
    monkeypatch.setattr("vidprocme.queue.outbox.LINE_MOST", 4)
    monkeypatch.setattr(delivering, "HOLD_S", 0.2)
    with room(queue) as house:
        house.hook("ops")
        house.deliverer.follow(queue)
        ended(queue, 6)
        house.until(lambda: len(house.tries.page()) == 2, lambda: house.deliverer.follow(queue))
        assert all("given up" in str(one.doc.error) for one in house.tries.page())


def test_a_job_that_was_forgotten_at_once_is_told_of(queue: RedisQueue) -> None:
    with room(queue) as house:
        house.hook("ops")
        house.deliverer.follow(queue)
        (job,) = ended(queue, 1)
        assert queue.drop(JobId(job))
        house.deliverer.follow(queue)
        house.send_until(lambda: len(house.tries.page()) == 1)
        (tried,) = house.tries.page()
        assert tried.doc.event == "job.cancelled" and tried.doc.payload["data"] == {"job": job, "state": "cancelled"}


def test_what_waits_for_one_that_is_off_waits_a_day(queue: RedisQueue) -> None:
    with room(queue) as house:
        hook = house.hook("ops")
        house.deliverer.follow(queue)
        ended(queue, 1)
        house.deliverer.follow(queue)
        on = house.hooks.get(hook)
        assert on is not None
        house.hooks.put(hook, replace(on.doc, enabled=False))
        for _ in range(3):
            house.deliverer.send_due()
            house.until(lambda: not house.deliverer.on_its_way())
            house.now_ms += delivering.OFF_LOOKS_MS
        assert house.came == [] and house.box.waiting(hook) == 1 and house.tries.page() == ()

        house.hooks.put(hook, on.doc)
        house.send_until(lambda: len(house.came) == 1)
        house.until(lambda: house.box.waiting(hook) == 0)

        ended(queue, 1)
        house.deliverer.follow(queue)
        house.hooks.put(hook, replace(on.doc, enabled=False))
        house.now_ms += delivering.OFF_KEEPS_MS
        house.send_until(lambda: len(house.tries.page()) == 2)
        assert "off for a day" in str(house.tries.page()[0].doc.error) and len(house.came) == 1
        assert house.box.waiting(hook) == 0


def test_a_delivery_is_no_change_of_the_webhook(queue: RedisQueue) -> None:
    with room(queue, lambda url: 200 if url == "ops" else 410) as house:
        ops, gone = house.hook("ops"), house.hook("gone")
        before = {one.id: one.etag for one in house.hooks.list()}
        house.letters(ops, 1)
        house.letters(gone, 1)
        house.send_until(lambda: len(house.tries.page()) == 2)
        house.until(lambda: not house.deliverer.on_its_way())

        after = {one.id: one for one in house.hooks.list()}
        assert after[ops].etag == before[ops] and after[ops].doc.enabled
        assert after[gone].etag != before[gone] and not after[gone].doc.enabled, "it wants no more"
