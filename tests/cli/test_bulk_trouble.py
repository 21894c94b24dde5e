"""`vidprocme jobs cancel --all-matching` where the list is being made, or the server dies: never `No such jobs`, never for ever."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.api.served import served
from tests.api.serving import serving
from tests.cli.things import said, submit
from vidprocme.api import operations
from vidprocme.api.operations import Operation
from vidprocme.api.server import create_app
from vidprocme.cli.operation import follow
from vidprocme.client.http import HttpClient
from vidprocme.core.ids import JobId
from vidprocme.wiring import House

Capsys = pytest.CaptureFixture[str]


@contextmanager
def being_made(house: House) -> Iterator[Callable[[], None]]:
    """Another process of this machine makes the list, until the function is called."""
    house.follower_lock.parent.mkdir(parents=True, exist_ok=True)
    with house.follower_lock.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lambda: fcntl.flock(lock, fcntl.LOCK_UN)


@pytest.fixture(params=["here", "there"])
def unready(
    request: pytest.FixtureRequest, house: House, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], None]]:
    """The verbs reach the house in their own process, and then over HTTP; the list is being made until this is called."""
    with being_made(house) as made:
        if request.param == "here":
            yield made
            return
        with serving(create_app(house)) as client:
            monkeypatch.setenv("VIDPROCME_SERVER", str(client.base_url))
            yield made


def state(house: House, job: JobId) -> str:
    view = house.queue.job(job)
    return view.state.value if view else "gone"


@pytest.mark.parametrize("words", [("--yes",), ("--dry-run",)])
def test_a_list_that_is_being_made_is_waited_for(
    house: House, unready: Callable[[], None], tmp_path: Path, capsys: Capsys, words: tuple[str, ...]
) -> None:
    job = submit(house, tmp_path)

    def soon() -> None:
        time.sleep(2)
        unready()

    with ThreadPoolExecutor(1) as workers:
        making = workers.submit(soon)
        _, err = said(capsys, "jobs", "cancel", "--all-matching", *words)
        making.result(0)

    assert err.count("is being made") == 1 and "No such jobs." not in err
    assert "1 cancelled." in err or "1 would be cancelled." in err
    assert state(house, job) == ("cancelled" if "--yes" in words else "queued")


@pytest.mark.parametrize("words", [("cancel", "--yes"), ("cancel", "--dry-run"), ("drop", "--succeeded", "--yes")])
def test_a_list_that_is_not_made_in_time_is_no_empty_one(
    house: House,
    unready: Callable[[], None],
    tmp_path: Path,
    capsys: Capsys,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
) -> None:
    monkeypatch.setattr("vidprocme.client.patience.Patience.__init__.__defaults__", ((0.1,),))
    submit(house, tmp_path)
    _, err = said(capsys, "jobs", words[0], "--all-matching", *words[1:], status=3)
    assert "LIST_NOT_READY" in err and "No such jobs." not in err
    unready()


def test_an_operation_whose_server_died_ends_the_command_with_what_to_do(
    house: House, tmp_path: Path, capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says nothing any more: after the first of three jobs it rests, as one that was killed."""
    monkeypatch.setattr(operations, "SILENT_S", 1.0)
    for name in ("BEAT_S", "SAY_EVERY_S", "REST_S"):
        monkeypatch.setattr(operations, name, 3600.0)
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        submit(house, tmp_path, name)
    with serving(create_app(house)) as client:
        monkeypatch.setenv("VIDPROCME_SERVER", str(client.base_url))
        _, err = said(capsys, "jobs", "cancel", "--all-matching", "--yes", status=1)
        assert "Its server ended before it was through. The same command goes on" in err.replace("\n", " ")
    monkeypatch.undo()


def test_an_operation_is_followed_through_an_outage(house: House, redis_url: str) -> None:
    records, now_ms = house.records("operation", Operation), house.queue.now_ms()
    running = Operation("cancel", "running", 5, now_ms, now_ms + 60_000, done=2)
    records.put("op_1", running)
    with ThreadPoolExecutor(1) as workers, served(house.data, redis_url) as server:
        server.start()

        def happen() -> None:
            time.sleep(0.5)
            server.vanish()
            time.sleep(2.0)
            records.put("op_1", replace(running, state="done", done=5))
            server.start()

        happening = workers.submit(happen)
        client = HttpClient(server.url)
        ended = follow(client, "op_1", "cancelled")
        client.close()
        happening.result(60)
        assert (ended["state"], ended["done"]) == ("done", 5)
