"""A stream of events is for whoever may still listen."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest

from tests.api.keyed import Keyed
from tests.api.test_access import OURS, signed_in
from tests.api.test_tus import until
from tests.api.tusing import create
from vidprocme.api import live


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "BEAT_S", 0.3)


class Ear:
    """What a stream said, and whether it is over."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.over = threading.Event()

    def listen(self, client: httpx.Client) -> None:
        ends = (httpx.HTTPError, httpx.StreamError)  # with the test
        with suppress(*ends), client.stream("GET", "/v1/events") as answer:
            for line in answer.iter_lines():
                self.lines.append(line)
        self.over.set()

    def heard(self, what: str) -> int:
        return sum(line.startswith(what) for line in self.lines)


@contextmanager
def listening(client: httpx.Client) -> Iterator[Ear]:
    """Its stream has an end within the test, or with the server."""
    ear = Ear()
    threading.Thread(target=ear.listen, args=(client,), daemon=True).start()
    until(lambda: ear.heard("retry:"))
    yield ear


def test_a_key_that_is_revoked_hears_no_more(asking: Keyed) -> None:
    made = asking.key("read")
    with listening(asking.holding(made["key"])) as ear, listening(asking.with_key("read")) as other:
        until(lambda: ear.heard(": beat") > 2)  # one that is good goes on
        assert asking.admin.delete(f"/v1/keys/{made['id']}").status_code == 204
        assert ear.over.wait(5)
        assert ear.lines[-3:-1] == ["event: bye", "data: {}"]

        assert create(asking.with_key("submit"), 5, b"12345").status_code == 201
        until(lambda: other.heard("event: diary"))
        assert not ear.heard("event: diary") and not other.over.is_set()


def test_nor_does_it_while_there_is_always_something_to_hear(asking: Keyed) -> None:
    made, submit, over = asking.key("read"), asking.with_key("submit"), threading.Event()

    def keep_talking() -> None:
        number = 0
        while not over.is_set():
            number += 1
            create(submit, 10, b"%10d" % number)
            time.sleep(0.02)

    with listening(asking.holding(made["key"])) as ear:
        thread = threading.Thread(target=keep_talking)
        thread.start()
        try:
            until(lambda: ear.heard("event: diary") > 5)
            asking.admin.delete(f"/v1/keys/{made['id']}")
            assert ear.over.wait(5)
        finally:
            over.set()
            thread.join()


def test_a_sign_in_that_ended_hears_no_more(asking: Keyed) -> None:
    browser = signed_in(asking, asking.key("read")["key"])
    with listening(browser) as ear:
        until(lambda: ear.heard(": beat"))
        assert browser.delete("/v1/session", headers=OURS).status_code == 204
        assert ear.over.wait(5)
        assert ear.heard("event: bye") == 1


def test_listening_does_not_use_up_the_new_cookie(asking: Keyed, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cookie is renewed once in a while by an answer that can hold it: a stream has sent its headers long ago."""
    browser = signed_in(asking, asking.key("read")["key"])
    browser.get("/v1/jobs")
    with listening(browser) as ear:
        monkeypatch.setattr("vidprocme.api.holders.RENEW_S", 0.0)
        until(lambda: ear.heard(": beat") > 2)
        monkeypatch.setattr("vidprocme.api.holders.RENEW_S", 2.0)
        time.sleep(1.5)
        assert "set-cookie" in browser.get("/v1/jobs").headers


def test_the_first_key_ends_the_streams_of_those_who_have_none(client: httpx.Client) -> None:
    with listening(client) as ear:
        until(lambda: ear.heard(": beat"))
        assert client.post("/v1/keys", json={"name": "x", "scope": "admin"}).status_code == 201
        assert ear.over.wait(5)
