"""A file on its way to a server that dies, forgets, or asks to go on: what is sent is whole, and is one job."""

from __future__ import annotations

import hashlib
import random
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.api.served import Served, served
from tests.api.serving import serving
from tests.client.test_contract import refused
from tests.proxies import rationed
from vidprocme.api import appending
from vidprocme.api.server import create_app
from vidprocme.client import uploading
from vidprocme.client.base import Document
from vidprocme.client.http import HttpClient
from vidprocme.client.web import Refused
from vidprocme.config import Settings
from vidprocme.core.errors import Retryable
from vidprocme.core.ids import JobId
from vidprocme.queue import embedded
from vidprocme.wiring import House

PIECE = 1 << 20
SIZE = 4 * PIECE + 17
Later = Callable[[float, Callable[[], object]], object]


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with embedded.open(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


@pytest.fixture
def house(tmp_path: Path, redis_url: str) -> Iterator[House]:
    with House(Settings(data=tmp_path / "data", redis_url=redis_url)) as made:
        made.queue.client.flushdb()  # type: ignore[attr-defined]
        yield made


@pytest.fixture
def later() -> Iterator[Later]:
    """Does something after so many seconds, on a thread that stays until the test's end: a server ends with the thread that began it."""

    def wait_and(pause_s: float, act: Callable[[], object]) -> None:
        time.sleep(pause_s)
        act()

    with ThreadPoolExecutor(1) as workers:
        yield lambda pause_s, act: workers.submit(wait_and, pause_s, act)


@pytest.fixture
def server(later: Later, house: House, redis_url: str) -> Iterator[Served]:  # noqa: ARG001 - `later` ends after it
    with served(house.data, redis_url) as made:
        made.start()
        yield made


@pytest.fixture
def clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(uploading, "PIECE_BYTES", PIECE)
    path = tmp_path / "goat.mp4"
    path.write_bytes(random.Random(5).randbytes(SIZE))
    return path


class Once:
    """Does something when so many bytes were sent, and not again. Keeps where it was called."""

    def __init__(self, at: int, act: Callable[[], object]) -> None:
        self._at, self._act, self.done = at, act, False
        self.offsets: list[int] = []

    def __call__(self, done: int, _total: int) -> None:
        self.offsets.append(done)
        if not self.done and done >= self._at:
            self.done = True
            self._act()


def sent(url: str, clip: Path, once: Once, state: Path) -> Document:
    client = HttpClient(url, state=state)
    try:
        return client.submit(clip, {"model": "none"}, once)
    finally:
        client.close()


def assert_is_whole(house: House, accepted: Document, clip: Path) -> None:
    view = house.queue.job(JobId(accepted["id"]))
    assert view is not None
    assert view.job.source.sha256 == hashlib.sha256(clip.read_bytes()).hexdigest()
    assert [job.job.id for job in house.queue.jobs()] == [view.job.id]


def test_a_server_that_is_killed_and_comes_back_gets_the_rest(
    house: House, server: Served, clip: Path, tmp_path: Path, later: Later
) -> None:
    away_s = 2.0  # the first look after the cut, half a second later, finds nobody

    def cut() -> None:
        server.vanish()
        later(away_s, server.start)

    once = Once(2 * PIECE + 5, cut)
    began_s = time.monotonic()

    accepted = sent(server.url, clip, once, tmp_path / "state")

    assert once.done and time.monotonic() - began_s > away_s
    assert_is_whole(house, accepted, clip)
    assert once.offsets.count(2 * PIECE) == 1  # what was there already was not sent again


def test_a_link_that_carries_no_long_piece_gets_shorter_ones(
    house: House, server: Served, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a piece that is cut nothing counts: its checksum was promised for the whole."""
    monkeypatch.setattr(uploading, "PIECE_LEAST_BYTES", PIECE // 8)
    clip.write_bytes(clip.read_bytes()[: PIECE + 17])
    with rationed(httpx.URL(server.url).port or 0, PIECE // 3) as port:
        accepted = sent(f"http://127.0.0.1:{port}", clip, Once(SIZE, lambda: None), tmp_path / "state")

    assert_is_whole(house, accepted, clip)


def test_a_server_that_stays_away_is_given_up_after_the_pauses_and_the_next_call_goes_on(
    house: House, server: Served, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidprocme.client.patience.Patience.__init__.__defaults__", ((0.1, 0.1),))
    error = refused(lambda: sent(server.url, clip, Once(2 * PIECE + 5, server.vanish), tmp_path / "state"))
    assert error.code == "SERVER_UNREACHABLE"
    server.start()
    again = Once(SIZE + 1, lambda: None)

    accepted = sent(server.url, clip, again, tmp_path / "state")

    assert min(again.offsets) > 2 * PIECE
    assert_is_whole(house, accepted, clip)


def test_an_upload_that_the_server_lost_begins_anew(
    house: House, server: Served, clip: Path, tmp_path: Path, later: Later
) -> None:
    def lose() -> None:
        server.kill()
        shutil.rmtree(house.data / "uploads")
        later(0.2, server.start)

    once = Once(2 * PIECE + 5, lose)

    accepted = sent(server.url, clip, once, tmp_path / "state")

    assert once.done and once.offsets.count(PIECE) == 2
    assert_is_whole(house, accepted, clip)


def test_one_that_paused_too_long_is_told_so_and_goes_on(
    house: House, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appending, "IDLE_S", 0.3)
    told: list[str] = []
    real = uploading.Uploading._go_on_after

    def listen(one: uploading.Uploading, error: Retryable | Refused) -> None:
        told.append(error.code)
        real(one, error)

    monkeypatch.setattr(uploading.Uploading, "_go_on_after", listen)
    with serving(create_app(house)) as http:
        once = Once(2 * PIECE + 5, lambda: time.sleep(1.5))

        accepted = sent(str(http.base_url), clip, once, tmp_path / "state")

    assert told[0] == "UPLOAD_IDLE"
    assert_is_whole(house, accepted, clip)


@pytest.mark.parametrize("at", [PIECE + 5, SIZE])
def test_a_file_that_is_written_to_meanwhile_is_no_job(house: House, clip: Path, tmp_path: Path, at: int) -> None:
    """When all of it is under way already, it is the job of what it was."""

    def change() -> None:
        with clip.open("r+b") as file:
            file.write(b"another beginning")
            file.seek(-9, 2)
            file.write(b"and end" if at < SIZE else b"")

    with serving(create_app(house)) as http:
        client = HttpClient(str(http.base_url), state=tmp_path / "state")
        once = Once(at, change)
        if at == SIZE:  # every byte of what it was is under way already
            accepted = client.submit(clip, {"model": "none"}, once)
            view = house.queue.job(JobId(accepted["id"]))
            was = hashlib.sha256(random.Random(5).randbytes(SIZE)).hexdigest()
            assert view is not None and view.job.source.sha256 == was
        else:
            error = refused(lambda: client.submit(clip, {"model": "none"}, once))
            assert error.code == "FILE_CHANGED" and house.queue.jobs() == ()
            assert http.get("/v1/uploads").json()["items"] == []
            accepted = client.submit(clip, {"model": "none"})
            view = house.queue.job(JobId(accepted["id"]))
            assert view is not None and view.job.source.sha256 == hashlib.sha256(clip.read_bytes()).hexdigest()
        client.close()
