"""A job that waits beside several pools: its page shows what each of them says."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.api.fleets import LEASE_MS, join, submit
from tests.web.conftest import DESK, PHONE, Opens, axe, overflow_px
from vidprocme.core.resources import PlaceKind
from vidprocme.core.snapshot import Line, Reason
from vidprocme.queue.base import LineReport, PlaceReport, PoolReport
from vidprocme.wiring import House


@pytest.mark.parametrize(
    ("theme", "size"), [("light", DESK), ("dark", PHONE)], ids=["desk in the light", "phone in the dark"]
)
def test_what_each_pool_says(opens: Opens, house: House, theme: str, size: tuple[int, int]) -> None:
    job = submit(house, 1)
    join(house, "pool_1", "node-a", busy=2)
    join(house, "pool_2", "node-b", kind=PlaceKind.CPU_MODEL)
    (probe,) = house.queue.tasks(job)
    line = Line(probe.task.bin, probe.task.tenant, probe.task.shape, 0, 0, ()).key
    full = Reason("NO_PLACE_FREE", "The only CPU place that could hold it is busy: none has 1 core free.")
    place = PlaceReport("node-a/cpu", "node-a", PlaceKind.CPU, slots=2, busy=2)
    report = PoolReport((place,), {}, (full,), {line: LineReport(1, 0)})
    house.queue.beat("pool_1", [], lease_ms=LEASE_MS, presence_ms=LEASE_MS, report=report)

    page = opens(theme=theme, size=size).open(f"/jobs/{job}")

    pools = page.get_by_role("list", name="What each pool says").get_by_role("listitem")
    expect(pools).to_have_count(2)
    expect(pools.nth(0)).to_have_text(f"node-a {full.text}")
    expect(pools.nth(1)).to_contain_text("node-b It has no place for it, which needs 1 core on a CPU place.")
    assert axe(page) == [] and overflow_px(page) <= 0
