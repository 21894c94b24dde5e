"""A job that waits: its page asks the pools, and shows what they say as soon as they have said it."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.api.fleets import join, probe, submit
from tests.web.conftest import DESK, PHONE, Opens, axe, overflow_px
from vidprocme.core.snapshot import Reason
from vidprocme.core.why import Candidate, Change, Start, Why
from vidprocme.queue.base import PoolReport, TaskWhy
from vidprocme.wiring import House

COMMAND = "vidprocme tenants set default --limit 3"


@pytest.mark.parametrize(
    ("theme", "size"), [("light", DESK), ("dark", PHONE)], ids=["desk in the light", "phone in the dark"]
)
def test_what_would_start_it_now(opens: Opens, house: House, theme: str, size: tuple[int, int]) -> None:
    job = submit(house, 1)
    join(house, "pool_1")
    page = opens(theme=theme, size=size).open(f"/jobs/{job}")
    card = page.locator("section", has_text="Why it waits").or_(page.locator(".card", has_text="Why it waits")).first
    expect(card).to_contain_text("In line: 1 wait")
    said = page.get_by_role("region", name="What a pool says of probe")
    expect(said).to_have_count(0)

    why = Why(
        Reason("QUOTA", "Tenant default runs 2 tasks; its limit is 2."),
        Start(2, True, house.queue.now_ms() + 300_000, "2 tasks start before it, when attempts end as predicted"),
        (Change("RAISE_TENANT_LIMIT", "Raise the limit of tenant default from 2 to 3.", COMMAND, 3),),
        (Candidate("node-a/gpu:1", "warm", 0, 1), Candidate("node-a/gpu:0", "empty", 0, 1)),
        "node-a/gpu:1 has demo loaded, and node-a/gpu:0 has nothing loaded.",
    )
    report = PoolReport(whys=(TaskWhy(probe(job), why),))
    assert house.queue.beat("pool_1", [], lease_ms=60_000, presence_ms=60_000, report=report).asked == (job,)

    expect(said).to_be_visible()
    expect(said).to_contain_text("its limit is 2. Starts in about 5 min: 2 tasks start before it")
    expect(said).to_contain_text("What would start it now: Raise the limit of tenant default from 2 to 3.")
    expect(said.locator("code")).to_have_text(COMMAND)
    expect(said).to_contain_text("Best places then: node-a/gpu:1 (loaded), node-a/gpu:0 (empty).")
    expect(card).not_to_contain_text("In line: 1 wait")
    assert axe(page) == [] and overflow_px(page) <= 0
