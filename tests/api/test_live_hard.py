"""The stream of events when things go wrong: a killed server, a trimmed diary, a listener that does not read, many streams at the end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest
from fastapi import FastAPI

from tests.api.fleets import await_read_back, join, key_of, submit
from tests.api.serving import serving
from tests.api.test_live import heard
from vidprocme.api import hub
from vidprocme.api.server import create_app
from vidprocme.client.base import Said
from vidprocme.client.http import HttpClient
from vidprocme.core.ids import JobId
from vidprocme.queue.redis import RedisQueue
from vidprocme.wiring import House

STREAMS = 50


def until(true: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


class Process:
    """A server on a port that outlives it."""

    def __init__(self, house: House) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        mine = {name: value for name, value in os.environ.items() if not name.startswith("VIDPROCME_")}
        settings = house.settings
        self._environment = {**mine, "VIDPROCME_DATA": str(house.data), "VIDPROCME_REDIS_URL": settings.redis_url}
        self.child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        fd = self._listener.fileno()
        words = [sys.executable, "-m", "vidprocme.api.server", "--fd", str(fd), "--parent", str(os.getpid())]
        self.child = subprocess.Popen(words, env=self._environment, pass_fds=(fd,))
        until(self._answers, "the server never answered")

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz", timeout=5, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def kill(self) -> None:
        assert self.child is not None
        self.child.kill()
        self.child.wait()

    def close(self) -> None:
        if self.child is not None and self.child.poll() is None:
            self.kill()
        self._listener.close()


@pytest.fixture
def process(house: House) -> Iterator[Process]:
    made = Process(house)
    try:
        made.start()
        yield made
    finally:
        made.close()


def hear(found: list[Said], url: str, count: int, after: str, key: str = "") -> None:
    """`heard`, told as it comes."""
    client = HttpClient(url, key)
    for said in client.events("jobs", after):
        found.append(said)
        if len(found) == count:
            break
    client.close()


def diary(house: House) -> list[str]:
    return [event.id for event in house.queue.events("0", 10_000)]


def test_a_server_is_killed_and_its_listener_hears_everything_once(house: House, process: Process) -> None:
    submit(house, 1)
    first, *_ = diary(house)
    found: list[Said] = []
    client = HttpClient(process.url)

    def listen() -> None:
        for said in client.events("jobs", first):
            found.append(said)
            if said.data["job"] == "the last":
                return

    thread = threading.Thread(target=listen)
    thread.start()
    for number in range(2, 12):
        submit(house, number)
    until(lambda: len(found) >= 10, "nothing was heard")
    process.kill()
    for number in range(12, 22):
        submit(house, number)
    process.start()
    for number in range(22, 32):
        submit(house, number)
    add(house, {"kind": "job.moved", "job": "the last", "at": 0})
    thread.join(30)
    client.close()

    assert not thread.is_alive()
    assert [said.id for said in found] == diary(house)[1:]


def test_fifty_streams_end_with_a_farewell_and_the_server_with_them(process: Process) -> None:
    limits = httpx.Limits(max_connections=STREAMS)
    with httpx.Client(timeout=30, limits=limits, trust_env=False) as client, ExitStack() as streams:
        lines = []
        for _ in range(STREAMS):
            answer = streams.enter_context(client.stream("GET", f"{process.url}/v1/events?topics=jobs"))
            assert answer.headers["x-accel-buffering"] == "no" and answer.headers["cache-control"] == "no-store"
            lines.append(answer.iter_lines())
            assert next(lines[-1]) == "retry: 1000"
        assert process.child is not None
        process.child.send_signal(signal.SIGTERM)
        assert process.child.wait(5) in (0, -signal.SIGTERM)
        assert all("event: bye" in list(one) for one in lines)


def add(house: House, event: dict[str, object]) -> str:
    """An event as a script would write it."""
    queue = house.queue
    assert isinstance(queue, RedisQueue)
    return str(queue.command("XADD", queue.keys.of("ev"), "*", "e", json.dumps(event)))


def test_events_that_are_no_longer_kept_are_told_as_a_gap(house: House, client: httpx.Client) -> None:
    for number in range(3):
        submit(house, number)
    before = diary(house)
    queue = house.queue
    assert isinstance(queue, RedisQueue)
    queue.command("XTRIM", queue.keys.of("ev"), "MAXLEN", 2)
    url = str(client.base_url)

    (gap,) = heard(url, 1, after=before[0])
    assert (gap.event, gap.data) == ("gap", {"oldest": before[-2]})
    (told,) = heard(url, 1, after=before[-2])
    assert (told.event, told.id) == ("diary", before[-1]), "what is kept is told"
    (unknown,) = heard(url, 1, after="9999999999999-0")
    assert unknown.event == "gap", "an id that this queue never gave"


@contextmanager
def deaf(app: FastAPI, url: str, after: str) -> Iterator[socket.socket]:
    """A client that asks and does not read."""
    parts = httpx.URL(url)
    with socket.socket() as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        made.settimeout(20)
        made.connect((parts.host, parts.port))
        made.sendall(f"GET /v1/events HTTP/1.1\r\nHost: {parts.host}\r\nLast-Event-ID: {after}\r\n\r\n".encode())
        until(lambda: len(app.state.desk.hub.listeners) == 1, "it is not heard")
        yield made


@pytest.mark.slow
def test_a_listener_that_does_not_read_is_cut_off_and_goes_on_from_its_id(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "HELD_MOST", 5)
    submit(house, 1)
    first = diary(house)[-1]
    app, fat = create_app(house), "x" * 1_000_000
    with serving(app) as client:
        url = str(client.base_url)
        await_read_back(app)
        with deaf(app, url, first) as slow:
            others: list[Said] = []
            thread = threading.Thread(target=hear, args=(others, url, 20, first))
            thread.start()
            until(lambda: len(app.state.desk.hub.listeners) == 2, "the other is not heard")
            for number in range(20):
                add(house, {"kind": "job.moved", "job": f"job_{number}", "at": 0, "fat": fat})
                until(lambda n=number: len(others) > n, "the other one had to wait")  # type: ignore[misc]
            thread.join(20)
            assert [said.id for said in others] == diary(house)[-20:]
            until(lambda: all(one.lost for one in app.state.desk.hub.listeners), "it was not cut off")
            got = b""
            while piece := slow.recv(1 << 20):
                got += piece
        seen = [line.removeprefix(b"id: ").decode() for line in got.split(b"\n") if line.startswith(b"id: ")]
        assert 0 < len(seen) < 20
        rest = heard(url, 20 - len(seen), after=seen[-1])
        assert [*seen, *(said.id for said in rest)] == diary(house)[-20:]


def test_a_key_of_one_tenant_hears_of_that_tenant_alone(house: House) -> None:
    first = submit(house, 1, "farm")
    own = submit(house, 2, "zoo")
    submit(house, 3, "farm")
    app = create_app(house)
    with serving(app) as client:
        url = str(client.base_url)
        key = key_of(client, "zoo")
        told: list[Said] = []
        hear(told, url, 2, diary(house)[0], key)
        assert {said.data["job"] for said in told} == {own} and first != own
        listeners, later = app.state.desk.hub.listeners, list[Said]()
        before = set(listeners)
        thread = threading.Thread(target=hear, args=(later, url, 1, "", key))
        thread.start()
        until(lambda: set(listeners) - before, "it is not heard")
        submit(house, 4, "farm")
        mine = submit(house, 5, "zoo")
        thread.join(20)
        assert {JobId(said.data["job"]) for said in later} == {mine}


def test_the_overview_and_the_fleet_are_told_when_they_changed(house: House, client: httpx.Client) -> None:
    join(house, "pool_1")
    told = {said.event: said for said in heard(str(client.base_url), 2, "overview,fleet")}
    assert set(told) == {"overview", "fleet"} and all(not said.id for said in told.values())
    assert told["fleet"].data["items"][0]["id"] == "node-a"
    assert told["overview"].data["verdict"] == "idle"
