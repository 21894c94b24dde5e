"""An API over a real queue: a server of its own, started once for the module, and a fresh data folder and prefix of keys for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.keyed import ADMIN, Keyed, keyed
from tests.api.serving import serving
from vidprocme.api.server import create_app
from vidprocme.config import Settings
from vidprocme.queue import embedded
from vidprocme.wiring import House


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with embedded.open(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


@pytest.fixture
def house(tmp_path: Path, redis_url: str) -> Iterator[House]:
    with House(Settings(data=tmp_path / "data", redis_url=redis_url)) as made:
        made.queue.client.flushdb()  # type: ignore[attr-defined]
        yield made


@pytest.fixture
def asking(tmp_path: Path, redis_url: str) -> Iterator[Keyed]:
    """A server that asks for keys."""
    with House(Settings(data=tmp_path / "data", redis_url=redis_url, admin_key=ADMIN)) as made:
        made.queue.client.flushdb()  # type: ignore[attr-defined]
        with keyed(made) as found:
            yield found


@pytest.fixture
def client(house: House) -> Iterator[httpx.Client]:
    with serving(create_app(house)) as made:
        yield made
