"""One server for the room's tests, and a house on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.serving import serving
from tests.cli.things import made_house
from vidprocme.api.server import create_app
from vidprocme.queue import embedded
from vidprocme.wiring import House


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with embedded.open(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


@pytest.fixture
def house(tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    yield from made_house(tmp_path / "data", redis_url, monkeypatch)


@pytest.fixture(params=["here", "there"])
def both_ways(request: pytest.FixtureRequest, house: House, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The verbs of a test reach the house in their own process, and then over HTTP."""
    if request.param == "here":
        yield "here"
        return
    with serving(create_app(house)) as client:
        monkeypatch.setenv("VIDPROCME_SERVER", str(client.base_url))
        yield "there"
