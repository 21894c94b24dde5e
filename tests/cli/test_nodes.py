"""`vidprocme nodes`: which machines there are, and draining them."""

from __future__ import annotations

import pytest

from tests.cli.things import documents, said
from vidprocme.cli.main import main
from vidprocme.core.resources import PlaceKind
from vidprocme.queue.base import PlaceReport, PoolInfo, PoolReport
from vidprocme.wiring import House

Capsys = pytest.CaptureFixture[str]


def present(house: House, name: str, node: str) -> None:
    house.queue.join(PoolInfo(name, node, "boot", 1, 1, house.queue.now_ms() - 60_000), 60_000)
    report = PoolReport((PlaceReport(f"{node}/cpu", node, PlaceKind.CPU, slots=4, busy=1),))
    house.queue.beat(name, [], lease_ms=60_000, presence_ms=60_000, report=report)


def test_machines_are_listed_drained_and_undrained(house: House, capsys: Capsys) -> None:
    present(house, "pool_1", "node-a")
    present(house, "pool_2", "node-a")
    present(house, "pool_3", "node-b")

    assert said(capsys, "nodes", "drain", "node-a")[0] == "node-a: draining.\n"
    assert said(capsys, "nodes", "drain", "node-a")[0] == "node-a: draining already.\n"
    head, *rows = said(capsys, "nodes", "ls")[0].splitlines()
    assert head.split() == ["POOLS", "BUSY", "SLOTS", "UP", "STATE", "NODE"]
    assert [(row.split()[:3], row.split()[-2:]) for row in rows] == [
        (["2", "2", "8"], ["draining", "node-a"]),
        (["1", "1", "4"], ["working", "node-b"]),
    ]
    assert said(capsys, "nodes", "undrain", "node-a")[0] == "node-a: not drained.\n"
    assert {row["state"] for row in documents(capsys, "nodes", "ls")[0]["items"]} == {"working"}


def test_a_machine_that_nobody_knows_is_refused(house: House, capsys: Capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["nodes", "drain", "moon"])
    assert ended.value.code == 5 and "NODE_UNKNOWN" in capsys.readouterr().err
    assert not house.queue.drained_nodes()
