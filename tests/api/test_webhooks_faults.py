"""Webhooks when a server is killed between two tries, and when a receiver is slow."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest
from standardwebhooks import Webhook

from tests.api.dripping import slow
from tests.api.receiving import Receiver, receiving
from tests.api.served import Served, served
from tests.api.test_alerts import until, watched
from tests.api.test_webhooks import deliveries, followed, made, messages
from tests.cli.things import fail, submit
from vidprocme.api import alarming
from vidprocme.config import Settings
from vidprocme.wiring import House


@pytest.fixture
def house(tmp_path: Path, redis_url: str) -> Iterator[House]:
    with House(Settings(data=tmp_path / "data", redis_url=redis_url, outbound_allow="127.0.0.1")) as made:
        made.queue.client.flushdb()  # type: ignore[attr-defined]
        yield made


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture
def server(house: House, redis_url: str) -> Iterator[Served]:
    with served(house.data, redis_url) as made:
        yield made


@pytest.mark.slow
def test_a_server_killed_between_two_tries_and_the_next_one_sends_the_same_message(
    house: House, receiver: Receiver, server: Served, tmp_path: Path
) -> None:
    """The next one waits until it is sure that the first is gone: LOCK_S."""
    server.start(outbound_allow="127.0.0.1")
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        id_, secret = made(client, receiver, "job.failed")
        followed(house)
        receiver.status = 500
        job = submit(house, tmp_path)
        fail(house, job)
        receiver.wait(1)
        (first,) = until(lambda: deliveries(client, id_, 1))
        assert (first["attempt"], first["status"]) == (1, 500) and first["next_at"]
        server.kill()
        receiver.status = 200
        server.start(outbound_allow="127.0.0.1")
        (told, body), (told_again, body_again) = receiver.wait(2, 60)
        assert told_again["webhook-id"] == told["webhook-id"] == first["message_id"] and body_again == body
        assert Webhook(secret).verify(body_again, told_again)["data"]["job"] == job
        tries = until(lambda: deliveries(client, id_, 2))
        assert [(one["attempt"], one["status"], one["message_id"]) for one in tries] == [
            (2, 200, first["message_id"]),
            (1, 500, first["message_id"]),
        ]
        assert tries[0]["next_at"] is None and json.loads(body) == tries[0]["payload"]
        time.sleep(3)  # it looks each second
        assert len(receiver.came) == 2 and len(deliveries(client, id_, 2)) == 2


@pytest.mark.slow
def test_a_server_killed_before_it_heard_the_answer_and_the_next_one_sends_it_again(
    house: House, receiver: Receiver, server: Served, tmp_path: Path
) -> None:
    """Whether it arrived nobody knows: it comes twice under one id, by which its receiver knows it."""
    server.start(outbound_allow="127.0.0.1")
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        id_, _ = made(client, receiver, "job.failed")
        followed(house)
        receiver.answers.clear()
        fail(house, submit(house, tmp_path))
        receiver.wait(1)
        server.kill()
        receiver.answers.set()
        server.start(outbound_allow="127.0.0.1")
        (told, body), (told_again, body_again) = receiver.wait(2, 60)
        assert told_again["webhook-id"] == told["webhook-id"] and body_again == body
        (tried,) = until(lambda: deliveries(client, id_, 1))
        assert (tried["attempt"], tried["status"], tried["message_id"]) == (1, 200, told["webhook-id"])
        assert until(lambda: not messages(house))


def test_a_slow_receiver_ends_with_its_time_and_a_healthy_one_beside_is_not_kept_waiting(
    house: House, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One says a byte a second, one nothing: each has two messages on their way all the time."""
    monkeypatch.setattr(alarming, "TIMEOUT_S", 4.0)
    with slow(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 100) as dripping, slow() as silent, watched(house) as client:
        slow_ids = [
            client.post("/v1/webhooks", json={"name": "slow", "url": one.url, "events": ["job.failed"]}).json()["id"]
            for one in (dripping, silent)
        ]
        well, _ = made(client, receiver, "job.failed")
        followed(house)
        took_s = []
        for number in range(8):
            job = submit(house, tmp_path, f"{number}.mp4")
            began_s = time.monotonic()
            fail(house, job)
            told = receiver.wait(number + 1)
            took_s.append(time.monotonic() - began_s)
            assert json.loads(told[number][1])["data"]["job"] == job
        assert sum(took_s) < 12, took_s  # one slow try alone takes 4 s, and there are two receivers
        assert dripping.came >= 2 and silent.came >= 2
        for id_ in slow_ids:
            tries = until(partial(deliveries, client, id_, 4))
            assert {one["error"] for one in tries} == {"It did not answer within 4 s."}
            assert all(3.9 < one["took_s"] < 7 and one["next_at"] for one in tries)
        assert {one["status"] for one in deliveries(client, well, 8)} == {200}
