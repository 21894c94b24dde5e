"""`vidprocme status` and `watch`: the house at one look, and one job as it goes."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.things import HOLDER, attempt, documents, fail, said, submit
from tests.queue.things import pool
from vidprocme.core.ids import JobId, task_id
from vidprocme.core.job import Bin, Next, Outcome, OutcomeKind
from vidprocme.core.resources import PlaceKind, Resources
from vidprocme.queue.base import Claim, PlaceReport, PoolReport
from vidprocme.wiring import House

Capsys = pytest.CaptureFixture[str]
pytestmark = pytest.mark.usefixtures("both_ways")


def environment() -> dict[str, str]:
    """Of a verb in a process of its own: it finds the house as this one does."""
    return {**os.environ, "PYTHONUNBUFFERED": "1"}


@contextlib.contextmanager
def started(*words: str) -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-m", "vidprocme", *words]
    pipes = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
    with pipes as process:
        late = threading.Timer(60, process.kill)  # whoever waits for a line that does not come hears that it ended
        late.start()
        try:
            yield process
        finally:
            late.cancel()
            process.kill()


def until_line(process: subprocess.Popen[str], word: str) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if word in line:
            return line
    raise AssertionError(f"it ended and never said {word!r}")


def at_a_terminal(*words: str) -> tuple[subprocess.Popen[bytes], int]:
    """The process, and the other side of its terminal."""
    ours, theirs = pty.openpty()
    argv = [sys.executable, "-m", "vidprocme", *words]
    process = subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs, env={**environment(), "TERM": "xterm"})
    os.close(theirs)
    return process, ours


def until_shown(terminal: int, word: str, timeout_s: float = 30.0) -> str:
    """All that was written until then, and the word."""
    text, deadline = "", time.monotonic() + timeout_s
    while word not in text:
        ready, _, _ = select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"{word!r} was not shown: {text!r}"
        text += os.read(terminal, 65536).decode(errors="replace")
    return text


def succeed(house: House, job: JobId) -> None:
    attempt(house, task_id(job, "probe", 0), Next.SUCCEED, Outcome(OutcomeKind.OK, {"degraded": []}))


def a_busy_pool(house: House, job: JobId) -> None:
    house.queue.join(pool(HOLDER), 60_000)
    places = (
        PlaceReport("here/cpu", "here", PlaceKind.CPU, slots=4, busy=1),
        PlaceReport("here/gpu0", "here", PlaceKind.GPU, slots=1, busy=0),
    )
    house.queue.beat(HOLDER, [], lease_ms=60_000, presence_ms=60_000, report=PoolReport(places))
    house.queue.turn(HOLDER, [], [Claim(task_id(job, "probe", 0), "here/cpu", Resources())], lease_ms=60_000)


def test_the_house_at_one_look(house: House, tmp_path: Path, capsys: Capsys) -> None:
    job = submit(house, tmp_path, "dock\x1b[2J.mp4")
    submit(house, tmp_path, "later.mp4", bin_=Bin.BULK)
    house.queue.pause(Bin.BULK)
    a_busy_pool(house, job)

    out, _ = said(capsys, "status")

    first, *_ = out.splitlines()
    assert first == "Working, with one thing to look at." and "\x1b" not in out
    rows = {line.split()[0]: line.split() for line in out.splitlines() if line}
    assert rows["BIN"] == ["BIN", "WAITING", "RUNNING", "OLDEST", "RATE", "STATE"]
    assert rows["bulk"][1:3] == ["1", "0"] and rows["bulk"][-2:] == ["0.0/min", "paused"]
    assert rows["normal"][1:4] == ["0", "1", "-"] and rows["normal"][-1] == "open"
    assert rows["here/cpu"][2:] == ["probe", "0%", "dock?[2J.mp4"]
    assert rows["here/gpu0"][1:2] == ["0%"] and len(rows["here/gpu0"]) > 4  # why it does nothing
    (document,) = documents(capsys, "status")
    assert document["overview"]["verdict"] == "attention" and document["nodes"][0]["id"] == "here"


def test_colour_is_for_those_who_want_it(
    house: House,  # noqa: ARG001
    capsys: Capsys,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "\x1b" not in said(capsys, "status")[0]  # no terminal
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert said(capsys, "status")[0].startswith("\x1b[32m\x1b[1mNothing to do.\x1b[0m")


def test_a_job_is_watched_until_it_ended(house: House, tmp_path: Path) -> None:
    good, bad = submit(house, tmp_path, "a.mp4"), submit(house, tmp_path, "b.mp4")
    with started("watch", good[-8:]) as process:
        until_line(process, "in line")
        succeed(house, good)
        until_line(process, "ended: succeeded")
        assert process.wait(20) == 0
    with started("watch", bad, "--json") as process:
        until_line(process, "task.ready")
        fail(house, bad)
        assert json.loads(until_line(process, "task.failed"))["error"]["code"] == "NOT_MEDIA"
        until_line(process, "job.ended")
        assert process.wait(20) == 1


def test_ctrl_c_leaves_the_job_running(house: House, tmp_path: Path) -> None:
    job = submit(house, tmp_path)
    with started("watch", job) as process:
        until_line(process, "in line")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130 and f"vidprocme watch {job}" in err and "Traceback" not in err
    view = house.queue.job(job)
    assert view is not None and view.state == "queued"


def test_at_a_terminal_a_job_has_a_line_that_moves(house: House, tmp_path: Path) -> None:
    job = submit(house, tmp_path)
    process, terminal = at_a_terminal("watch", job)
    try:
        until_shown(terminal, "probe 0%")
        a_busy_pool(house, job)
        shown = until_shown(terminal, "started on here/cpu")
        assert "\x1b[1A\r\x1b[J" in shown  # the line below is drawn anew
        process.send_signal(signal.SIGINT)
        until_shown(terminal, "It goes on.")
        assert process.wait(20) == 130
    finally:
        process.kill()
        process.wait()
        os.close(terminal)


def test_the_house_is_watched(house: House, tmp_path: Path) -> None:
    with started("status", "--watch", "--json") as process:
        first: Any = json.loads(until_line(process, "overview"))
        assert first["overview"]["text"] == "Nothing to do."
        submit(house, tmp_path)
        assert "no pool is at work" in until_line(process, '"stuck"')
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130 and "Traceback" not in err
    shown, terminal = at_a_terminal("watch")
    try:
        until_shown(terminal, "bulk")
        assert "\x1b[J" in until_shown(terminal, "PLACE" if house.queue.pools() else "urgent")
        shown.send_signal(signal.SIGINT)
        assert shown.wait(20) == 130
    finally:
        shown.kill()
        shown.wait()
        os.close(terminal)
