"""`vidprocme logs JOB --task T`: an attempt's log, in this process and over HTTP."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.cli.things import said, submit
from vidprocme.core.errors import ErrorInfo
from vidprocme.core.ids import JobId, task_id
from vidprocme.core.job import Lease, Next, Outcome, OutcomeKind
from vidprocme.core.resources import Resources
from vidprocme.library.logs import LogWriter, path_of
from vidprocme.queue.base import Claim, Settlement
from vidprocme.wiring import House

Capsys = pytest.CaptureFixture[str]


def start(house: House, job: str) -> Lease:
    claim = Claim(task_id(JobId(job), "probe", 0), "node/cpu", Resources())
    (claimed,) = house.queue.turn("pool_hand", [], [claim], lease_ms=60_000).claimed
    return claimed.lease


def end(house: House, lease: Lease, next_: Next) -> None:
    error = ErrorInfo("FFMPEG_FAILED", "It failed.")
    outcome = Outcome(OutcomeKind.OK) if next_ is Next.SUCCEED else Outcome(OutcomeKind.FAILED, error=error)
    house.queue.turn("pool_hand", [Settlement(lease, next_, outcome)], [], lease_ms=60_000)


def write(house: House, lease: Lease, text: str) -> None:
    LogWriter(path_of(house.data, lease.task, lease.token)).lines(text)


def words(out: str) -> list[str]:
    return [line[14:] for line in out.splitlines()]


def test_the_last_attempt_of_a_task_or_the_one_that_was_named(
    house: House, both_ways: str, tmp_path: Path, capsys: Capsys
) -> None:
    job = submit(house, tmp_path)
    for text, next_ in (("first try", Next.RETRY), ("second try", Next.RETRY)):
        lease = start(house, job)
        write(house, lease, text)
        end(house, lease, next_)
    name = job[-8:] if both_ways == "here" else job

    out, err = said(capsys, "logs", name, "--task", "probe:0")
    assert words(out) == ["second try"] and "probe:0, attempt 2, on node/cpu" in err
    assert words(said(capsys, "logs", name, "--attempt", "1")[0]) == ["first try"]
    _, err = said(capsys, "logs", name, "--task", "join:0", status=2)
    assert "no attempt of join:0" in " ".join(err.split()) and "probe:0" in err


def test_followed_until_the_attempt_ends(house: House, tmp_path: Path, capsys: Capsys) -> None:
    job = submit(house, tmp_path)
    lease = start(house, job)
    write(house, lease, "begins")

    def go_on() -> None:
        write(house, lease, "goes on")
        end(house, lease, Next.SUCCEED)

    later = threading.Timer(0.3, go_on)
    later.start()
    out, _ = said(capsys, "logs", job, "--task", "probe:0", "-f")
    later.join()

    assert words(out) == ["begins", "goes on"]
