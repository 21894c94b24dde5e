"""`vidprocme bins`: what waits and runs where, and pausing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.things import HOLDER, documents, said, submit
from vidprocme.core.ids import task_id
from vidprocme.core.job import Bin
from vidprocme.core.resources import Resources
from vidprocme.queue.base import Claim
from vidprocme.wiring import House

Capsys = pytest.CaptureFixture[str]
pytestmark = pytest.mark.usefixtures("both_ways")


def test_what_waits_and_runs_in_each_bin(house: House, tmp_path: Path, capsys: Capsys) -> None:
    jobs = [submit(house, tmp_path, f"{n}.mp4", bin_=Bin.BULK) for n in range(3)]
    claim = Claim(task_id(jobs[0], "probe", 0), "node/cpu", Resources())
    house.queue.turn(HOLDER, [], [claim], lease_ms=60_000)

    head, *rows = said(capsys, "bins", "ls")[0].splitlines()

    assert head.split()[:3] == ["BIN", "WAITING", "OLDEST"] and len(rows) == 4
    assert rows[0].split() == ["urgent", "0", "-", "0", "s", "0", "-", "open"]
    assert rows[3].split()[:2] == ["bulk", "2"] and rows[3].split()[-5:] == ["4", "h", "1", "-", "open"]
    (document,) = documents(capsys, "bins", "ls")
    bulk = document["items"][3]
    assert (bulk["waiting"], bulk["running"], bulk["paused"], bulk["overdue_after_s"]) == (2, 1, False, 14400) and bulk[
        "oldest_wait_s"
    ] >= 0


def test_pause_and_resume(house: House, capsys: Capsys) -> None:
    assert said(capsys, "bins", "pause", "bulk", "normal")[0] == "bulk: paused.\nnormal: paused.\n"
    assert said(capsys, "bins", "pause", "bulk")[0] == "bulk: paused already.\n"
    assert house.queue.paused() == {Bin.BULK, Bin.NORMAL}
    assert [row.split()[-1] for row in said(capsys, "bins", "ls")[0].splitlines()[1:]] == [
        "open",
        "open",
        "paused",
        "paused",
    ]
    (document,) = documents(capsys, "bins", "resume", "bulk")
    assert [(one["name"], one["paused"]) for one in document["items"]] == [("bulk", False)]
    assert house.queue.paused() == {Bin.NORMAL}
    assert "BIN_UNKNOWN" in said(capsys, "bins", "pause", "nosuch", status=2)[1]


def test_a_bin_has_a_limit_until_it_has_none(house: House, capsys: Capsys) -> None:
    assert said(capsys, "bins", "limit", "bulk", "2")[0] == "bulk: at most 2 at once.\n"
    assert house.queue.bins()[Bin.BULK].limit == 2
    (document,) = documents(capsys, "bins", "limit", "bulk", "none")
    assert (document["name"], document["limit"]) == ("bulk", None)
    assert house.queue.bins()[Bin.BULK].limit is None
    for wrong in ("0", "-1", "many"):
        assert "LIMIT_BAD" in said(capsys, "bins", "limit", "--", "bulk", wrong, status=2)[1]
    assert "BIN_UNKNOWN" in said(capsys, "bins", "limit", "nosuch", "2", status=2)[1]
