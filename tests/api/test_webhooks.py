"""Webhooks through HTTP, to a receiver that is really there."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from tests.api.receiving import Receiver, receiving
from tests.api.test_alerts import until, watched
from tests.cli.things import fail, submit
from vidprocme.config import Settings
from vidprocme.dispatch import delivering
from vidprocme.queue import outbox
from vidprocme.queue.kept import Record
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


def made(client: httpx.Client, receiver: Receiver, *events: str) -> tuple[str, str]:
    wish = {"name": "ops", "url": receiver.url, "events": list(events)}
    answer = client.post("/v1/webhooks", json=wish)
    assert answer.status_code == 201, answer.text
    # The watch has to see it first: what happened before is nobody's to be told.
    return answer.json()["id"], answer.json()["secret"]


def test_what_happens_arrives_signed_and_once(house: House, receiver: Receiver, tmp_path: Path) -> None:
    with watched(house) as client:
        id_, secret = made(client, receiver, "job.failed", "alert.opened")
        assert secret.startswith("whsec_") and "secret" not in client.get(f"/v1/webhooks/{id_}").json()
        followed(house)
        job = submit(house, tmp_path)
        fail(house, job)
        came = {json.loads(body)["type"]: (told, body) for told, body in receiver.wait(2)}
        told, body = came["job.failed"]
        assert Webhook(secret).verify(body, told)["data"]["job"] == job
        opened = json.loads(came["alert.opened"][1])["data"]
        assert opened["rule"] == "job-failed" and opened["link"].startswith("/jobs?state=failed")
        assert (opened["job"], opened["job_link"]) == (job, f"/jobs/{job}")
        items = until(lambda: deliveries(client, id_, 2))
        assert {(one["status"], one["attempt"], one["next_at"]) for one in items} == {(200, 1, None)}
        assert client.get(f"/v1/webhooks/{id_}").json()["last_status"] == 200
        again = client.post(f"/v1/deliveries/{items[0]['id']}/resend")
        assert again.status_code == 202
        assert receiver.wait(3)[2][0]["webhook-id"] == items[0]["message_id"]
    assert len(receiver.came) == 3


def test_what_did_not_arrive_is_sent_again_also_by_the_next_server(
    house: House, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivering, "PAUSES_S", (0.2, 3600))
    with watched(house) as client:
        id_, _ = made(client, receiver, "job.failed")
        followed(house)
        receiver.status = 500
        fail(house, submit(house, tmp_path))
        receiver.wait(2)
        tries = until(lambda: deliveries(client, id_, 2))
        assert [one["attempt"] for one in tries] == [2, 1] and tries[0]["error"] == "It answered 500."
        assert client.get(f"/v1/webhooks/{id_}").json()["failing_since"]
    (left,) = messages(house)
    box = house.outbox(delivering.MESSAGES, delivering.Message)
    box.put(left.id, replace(left.doc, next_ms=0), id_, 0)
    receiver.status = 200
    with watched(house) as client:
        assert receiver.wait(3)[2][0]["webhook-id"] == receiver.came[0][0]["webhook-id"]
        until(lambda: not messages(house))
        assert client.get(f"/v1/webhooks/{id_}").json()["failing_since"] is None


def test_what_happened_while_no_server_ran_is_told(house: House, receiver: Receiver, tmp_path: Path) -> None:
    with watched(house) as client:
        made(client, receiver, "job.failed")
        followed(house)
    fail(house, submit(house, tmp_path))
    with watched(house):
        receiver.wait(1)


def test_who_is_gone_is_told_nothing_more(house: House, receiver: Receiver, tmp_path: Path) -> None:
    with watched(house) as client:
        id_, _ = made(client, receiver, "*")
        followed(house)
        receiver.status = 410
        fail(house, submit(house, tmp_path))
        receiver.wait(1)
        until(lambda: client.get(f"/v1/webhooks/{id_}").json()["enabled"] is False)
        until(lambda: not messages(house))


def test_a_test_says_what_became_of_it(house: House, receiver: Receiver) -> None:
    with watched(house) as client:
        id_, secret = made(client, receiver, "*")
        tried = client.post(f"/v1/webhooks/{id_}/test").json()
        assert (tried["event"], tried["status"], tried["error"]) == ("test", 200, None)
        told, body = receiver.came[0]
        assert Webhook(secret).verify(body, told)["type"] == "test"
        rotated = client.post(f"/v1/webhooks/{id_}/rotate").json()["secret"]
        client.post(f"/v1/webhooks/{id_}/test")
        told, body = receiver.came[1]
        assert Webhook(secret).verify(body, told) and Webhook(rotated).verify(body, told)
        receiver.status, receiver.location = 302, receiver.url
        tried = client.post(f"/v1/webhooks/{id_}/test").json()
        assert (tried["status"], tried["error"]) == (302, "It answered 302.") and len(receiver.came) == 3
        assert client.delete(f"/v1/webhooks/{id_}").status_code == 204
        assert client.post(f"/v1/webhooks/{id_}/test").json()["code"] == "WEBHOOK_UNKNOWN"


@pytest.mark.parametrize("url", ["http://10.0.0.1/x", "http://169.254.169.254/latest", "http://[::1]:9/"])
def test_addresses_inside_are_not_reached(house: House, url: str) -> None:
    with watched(house) as client:
        answer = client.post("/v1/webhooks", json={"name": "inside", "url": url})
        tried = client.post(f"/v1/webhooks/{answer.json()['id']}/test").json()
        assert tried["status"] is None and "not a public address" in tried["error"]


def test_what_is_asked_wrongly_is_said(house: House) -> None:
    with watched(house) as client:
        assert client.post("/v1/webhooks", json={"name": "x", "url": "ftp://x"}).status_code == 422
        wrong = client.post("/v1/webhooks", json={"name": "x", "url": "https://x.example", "events": ["weather"]})
        assert wrong.json()["code"] == "EVENT_UNKNOWN"


def messages(house: House) -> tuple[Record[delivering.Message], ...]:
    return house.records(delivering.MESSAGES, delivering.Message).list()


def followed(house: House) -> None:
    """The watch has begun to follow the diary: from here on what happens is told."""
    newest = house.queue.newest_event() or "0"
    cursors = house.records(delivering.CURSORS, str)
    until(lambda: (found := cursors.get(delivering.WEBHOOKS)) is not None and found.doc == newest)


def deliveries(client: httpx.Client, id_: str, count: int) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = client.get(f"/v1/webhooks/{id_}/deliveries").json()["items"]
    return items if len(items) >= count else []


def test_a_tenants_webhook_hears_of_its_own_jobs_alone(house: House, receiver: Receiver, tmp_path: Path) -> None:
    with watched(house) as client:
        admin = client.post("/v1/keys", json={"name": "root", "scope": "admin"}).json()["key"]
        client.headers["Authorization"] = f"Bearer {admin}"
        zoo = client.post("/v1/keys", json={"name": "zoo", "scope": "admin", "tenant": "zoo"}).json()["key"]
        theirs, _ = made(client, receiver, "alert.opened")
        client.headers["Authorization"] = f"Bearer {zoo}"
        own, _ = made(client, receiver, "*")
        assert [one["id"] for one in client.get("/v1/webhooks").json()["items"]] == [own]
        assert client.get(f"/v1/webhooks/{theirs}").status_code == 404
        assert client.post(f"/v1/webhooks/{theirs}/test").status_code == 404
        assert client.get("/v1/alerts").status_code == 403  # they tell of everybody's work
        followed(house)
        fail(house, submit(house, tmp_path, "other.mp4"))
        job = submit(house, tmp_path, "mine.mp4", tenant="zoo")
        fail(house, job)
        told = [json.loads(body) for _, body in receiver.wait(2)]
        assert [one["data"]["job"] for one in told if one["type"].startswith("job.")] == [job]
        assert len([one for one in told if one["type"] == "alert.opened"]) == 1


def test_a_delivery_changes_no_etag_and_nothing_is_sent_again_to_one_that_is_off(
    house: House, receiver: Receiver
) -> None:
    with watched(house) as client:
        hook, _ = made(client, receiver, "job.failed")
        etag = client.get(f"/v1/webhooks/{hook}").headers["etag"]
        test = client.post(f"/v1/webhooks/{hook}/test").json()
        assert test["status"] == 200
        told = client.get(f"/v1/webhooks/{hook}")
        assert (told.json()["last_status"], told.headers["etag"]) == (200, etag)
        off = client.patch(f"/v1/webhooks/{hook}", json={"enabled": False}, headers={"if-match": etag})
        assert off.status_code == 200 and off.json()["last_status"] == 200

        (sent,) = deliveries(client, hook, 1)
        again = client.post(f"/v1/deliveries/{sent['id']}/resend")

        assert (again.status_code, again.json()["code"]) == (409, "WEBHOOK_OFF")


def test_a_dead_address_leaves_room_for_the_others(
    house: House, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "LINE_MOST", 2)
    with receiving() as well, watched(house) as client:
        dead, _ = made(client, receiver, "job.failed")
        made(client, well, "job.failed")
        followed(house)
        receiver.status = 500
        for number in range(5):
            fail(house, submit(house, tmp_path, f"{number}.mp4"))
            well.wait(number + 1)
        given_up = until(
            lambda: [
                one for one in deliveries(client, dead, 3) if one["next_at"] is None and "given up" in str(one["error"])
            ]
        )
        assert len(given_up) == 3  # the other two are tried again
        full = client.post(f"/v1/deliveries/{given_up[0]['id']}/resend")
        assert (full.status_code, full.json()["code"]) == (409, "OUTBOX_FULL")


def test_an_answer_that_never_ends_is_not_read(house: House) -> None:
    """Only its status counts; the rest would fill the memory."""

    with socket.create_server(("127.0.0.1", 0)) as listener, watched(house) as client:

        def drip() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\nx")
                connection.recv(1)  # until the other side goes

        thread = threading.Thread(target=drip)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        id_ = client.post("/v1/webhooks", json={"name": "drip", "url": url}).json()["id"]
        tried = client.post(f"/v1/webhooks/{id_}/test").json()
        thread.join(10)
        assert tried["status"] == 200 and not thread.is_alive()
