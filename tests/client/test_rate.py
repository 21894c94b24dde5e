"""A client that asks more often than its key may: it waits for its turn."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.keyed import ADMIN, keyed
from tests.client.test_contract import refused
from vidprocme.client import web
from vidprocme.client.http import HttpClient
from vidprocme.config import Settings
from vidprocme.queue import embedded
from vidprocme.wiring import House

PER_S, BURST = 1, 3


@pytest.fixture
def hurried(tmp_path: Path) -> Iterator[HttpClient]:
    """A client whose key may ask PER_S times a second."""
    with embedded.open(tmp_path / "redis") as redis:
        settings = Settings(
            data=tmp_path / "data", redis_url=redis.url, admin_key=ADMIN, rate_per_s=PER_S, rate_burst=BURST
        )
        with House(settings) as house, keyed(house) as server:
            client = HttpClient(str(server.anonymous.base_url), server.key("read")["key"])
            yield client
            client.close()


def test_a_client_that_asks_too_often_waits_for_its_turn(hurried: HttpClient) -> None:
    began_s = time.monotonic()
    found = [hurried.ask("GET", "/v1/session")["scope"] for _ in range(BURST + 2)]
    assert len(found) == BURST + 2
    assert time.monotonic() - began_s >= 1.0  # a second is the least that the server asks for
    pieces: list[bytes] = []
    for _ in range(2):
        hurried.fetch("/v1/session", pieces.append)
    assert len(pieces) == 2, "what was refused was taken for the text"


def test_it_waits_no_longer_than_is_bearable(hurried: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "RATE_PATIENCE_S", 0.5)
    error = refused(lambda: [hurried.ask("GET", "/v1/session") for _ in range(3 * BURST)])
    assert error.code == "RATE_LIMITED"
