"""`vidprocme nodes`: which machines there are, and draining them."""

from __future__ import annotations

import pytest

from tests.api.fleets import join
from tests.cli.things import documents, said
from vidprocme.wiring import House

Capsys = pytest.CaptureFixture[str]


def test_machines_are_listed_drained_and_undrained(house: House, capsys: Capsys) -> None:
    join(house, "pool_1", busy=1)
    join(house, "pool_2", busy=1)
    join(house, "pool_3", "node-b")

    assert said(capsys, "nodes", "drain", "node-a")[0] == "node-a: draining (by command line).\n"
    assert said(capsys, "nodes", "drain", "node-a")[0] == "node-a: draining (by command line).\n"
    head, *rows = said(capsys, "nodes", "ls")[0].splitlines()
    assert head.split() == ["POOLS", "BUSY", "SLOTS", "UP", "STATE", "NODE"]
    assert [(row.split()[:3], row.split()[-2:]) for row in rows] == [
        (["2", "2", "4"], ["draining", "node-a"]),
        (["1", "0", "2"], ["working", "node-b"]),
    ]
    assert said(capsys, "nodes", "undrain", "node-a")[0] == "node-a: working.\n"
    assert {row["state"] for row in documents(capsys, "nodes", "ls")[0]["items"]} == {"working"}


def test_a_machine_that_nobody_knows_is_refused(house: House, capsys: Capsys) -> None:
    assert "NODE_UNKNOWN" in said(capsys, "nodes", "drain", "moon", status=5)[1]
    assert not house.queue.drained_nodes()
