"""`vidprocme tenants`: who used how much; weights and limits."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.things import documents, said, submit
from vidprocme.core.ids import task_id
from vidprocme.core.job import Bin
from vidprocme.core.resources import Resources
from vidprocme.queue.base import Claim
from vidprocme.wiring import House

Capsys = pytest.CaptureFixture[str]


@pytest.mark.usefixtures("both_ways")
def test_nobody_yet(house: House, capsys: Capsys) -> None:  # noqa: ARG001
    assert said(capsys, "tenants", "ls")[1].startswith("No tenants yet.")
    assert documents(capsys, "tenants", "ls")[0]["items"] == []


@pytest.mark.usefixtures("both_ways")
def test_who_runs_something_is_there(house: House, tmp_path: Path, capsys: Capsys) -> None:
    job = submit(house, tmp_path, "goat.mp4", tenant="zoo")
    house.queue.turn("pool", [], [Claim(task_id(job, "probe", 0), "p", Resources(cpu_milli=2000))], lease_ms=60_000)

    head, row = said(capsys, "tenants", "ls")[0].splitlines()
    assert head.split() == ["USED", "WEIGHT", "RUNNING", "LIMIT", "TENANT"]
    used, *rest = row.split()
    assert float(used) >= 2.0 and rest == ["1", "1", "-", "zoo"], "a start costs what a second costs"


@pytest.mark.usefixtures("both_ways")
def test_weight_and_limit_are_set_each_by_itself(house: House, capsys: Capsys) -> None:
    assert said(capsys, "tenants", "set", "zoo", "--weight", "3")[0] == "zoo: weight 3, no limit.\n"
    assert said(capsys, "tenants", "set", "zoo", "--limit", "2")[0] == "zoo: weight 3, at most 2 at once.\n"
    (document,) = documents(capsys, "tenants", "set", "zoo", "--limit", "none")
    assert document.pop("etag")
    assert document == {"name": "zoo", "used_core_s": 0.0, "weight": 3, "running": 0, "limit": None}
    assert house.queue.tenants()["zoo"].weight == 3


@pytest.mark.parametrize("name", ["", "a|b", "x" * 101, "bell\a"])
def test_what_no_tenant_can_be_called(house: House, capsys: Capsys, name: str) -> None:  # noqa: ARG001
    assert "TENANT_BAD" in said(capsys, "tenants", "set", name, status=2)[1]


def test_a_run_says_how_urgent_it_is_and_for_whom(house: House, tmp_path: Path, capsys: Capsys) -> None:
    """The file is none that can be processed: the job is there all the same."""
    clip = tmp_path / "goat.mp4"
    clip.write_text("no video\n" * 50)
    words = ["--bin", "bulk", "--tenant", "zoo", "--quiet", "--json"]
    said(capsys, "process", str(clip), "--out", str(tmp_path / "out"), *words, status=1)

    (view,) = house.queue.jobs()
    assert (view.job.bin, view.job.tenant) == (Bin.BULK, "zoo")
