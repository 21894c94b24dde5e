"""`submit --watch` over HTTP: through a server that is started anew, a refusal that passes, and a second run."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.api.served import Served, served
from tests.cli.served import environment
from vidprocme.cli import watching as watching_module
from vidprocme.cli.bringing import Run
from vidprocme.client.local import LocalClient
from vidprocme.wiring import House


@pytest.fixture
def server(house: House, redis_url: str) -> Iterator[Served]:
    with served(house.data, redis_url) as made:
        made.start()
        yield made


@contextmanager
def watching(
    server: Served, folder: Path, state: Path, *more: str
) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """The process, and what it says on stderr."""
    env = environment(VIDPROCME_SERVER=server.url, XDG_STATE_HOME=str(state))
    argv = [sys.executable, "-m", "vidprocme", "submit", str(folder), "--watch", "--model", "none", *more]
    said: list[str] = []
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=env) as process:
        assert process.stderr is not None
        reading = threading.Thread(target=said.extend, args=(process.stderr,))
        reading.start()
        try:
            yield process, said
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)
            reading.join()


def until(found: Callable[[], object]) -> None:
    end_s = time.monotonic() + 60
    while not found():
        assert time.monotonic() < end_s
        time.sleep(0.05)


def names(house: House) -> list[str]:
    return sorted(view.job.source.name for view in house.queue.jobs())


def test_a_server_that_is_away_ends_no_watch(house: House, server: Served, tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    with watching(server, folder, tmp_path / "state") as (process, said):
        (folder / "first.mp4").write_text("first")
        until(lambda: len(list((tmp_path / "state").rglob("sent/*/*"))) == 1)
        server.vanish()
        (folder / "second.mp4").write_text("second")
        until(lambda: any("cannot be reached" in line for line in said))
        server.start()
        until(lambda: names(house) == ["first.mp4", "second.mp4"])
        until(lambda: "It answers again.\n" in said)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        server.vanish()
    assert said[-1] == "2 submitted.\n", said


def test_what_was_sent_is_not_sent_again(house: House, server: Served, tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    for name in ("first.mp4", "second.mp4"):
        (folder / name).write_text(name)
    with watching(server, folder, tmp_path / "state"):
        until(lambda: len(names(house)) == 2)
        time.sleep(1)
    jobs = {view.job.source.name: view.job.id for view in house.queue.jobs()}
    house.control.cancel(jobs["second.mp4"])
    house.control.drop(jobs["second.mp4"])
    kept = tuple((tmp_path / "state").rglob("sent/*/*"))
    assert len(kept) == 2
    with watching(server, folder, tmp_path / "state") as (_, said):
        until(lambda: len(names(house)) == 2)  # a job that is gone is made anew
        time.sleep(2)
    assert said[-1] == "1 submitted, 1 known already.\n"
    assert not any("first.mp4" in line for line in said), "the server was sent it, and said that it knows it"


def test_a_refusal_is_said_once_and_tried_again(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(watching_module, "SETTLED_S", 0.0)
    path = tmp_path / "goat.mp4"
    path.write_text("goat")
    client = LocalClient(house)
    run = Run(client, {"model": "nothing"}, quiet=False, as_json=False)
    watch = watching_module._Watching(run)

    def look(times: int) -> None:
        for _ in range(times):
            watch._seen[path].next_s = 0.0
            watch.look(path)

    watch.look(path)
    look(3)
    assert names(house) == [] and capsys.readouterr().err.count("goat.mp4: MODEL_UNKNOWN") == 1
    run.form["model"] = "none"
    look(2)
    run.summary()
    assert names(house) == ["goat.mp4"] and capsys.readouterr().err == "1 submitted.\n"
    client.close()
