"""Overview and Fleet: what runs where, in sentences and strips, of a cluster whose attempts only wait."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from playwright.sync_api import expect

from tests.cli.things import fail, submit
from tests.web.conftest import Opens, axe
from tests.web.test_shell import register
from vidprocme.wiring import House

SUBMITTED = {"file": ("goat.mp4", b"\0" * 64, "video/mp4")}


@pytest.fixture
def waits(house: House, site: str) -> str:
    """A job that waits on a machine with nothing that would run it; its id."""
    register(house)
    with httpx.Client(base_url=site, trust_env=False) as client:
        job: str = client.post("/v1/videos", files=SUBMITTED, data={"bin": "bulk"}).json()["id"]
        return job


@pytest.mark.usefixtures("waits")
def test_the_overview_says_how_it_is_and_what_waits(opens: Opens, site: str) -> None:
    watched = opens()
    page = watched.open("/")
    bulk = page.get_by_role("list", name="Bins").get_by_role("listitem").filter(has_text="bulk")
    expect(bulk).to_contain_text("1")
    expect(page.get_by_text("1 waiting", exact=False).first).to_be_visible()
    expect(page).to_have_title(re.compile(r"\w+.* · vidprocme$"))

    # What another person does comes by the stream, without a reload and without being asked for.
    watched.expect("ERR_FAILED")
    page.route("**/v1/overview", lambda route: route.abort())
    with httpx.Client(base_url=site, trust_env=False) as client:
        client.patch("/v1/bins/bulk", json={"paused": True}).raise_for_status()
    page.get_by_role("button", name="Resume bulk").click()
    expect(page.get_by_role("button", name="Resume bulk")).to_have_count(0)
    with httpx.Client(base_url=site, trust_env=False) as client:
        assert client.get("/v1/bins/bulk").json()["paused"] is False
    assert axe(page) == []


def test_a_machine_is_drained_and_taken_back(opens: Opens, house: House) -> None:
    register(house)
    page = opens().open("/fleet")
    page.get_by_role("button", name="Drain node-a").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("takes nothing new")
    assert axe(page) == []
    dialog.get_by_role("button", name="Drain node-a").click()
    expect(dialog).to_have_count(0)
    expect(page.get_by_text("drained by")).to_be_visible()
    assert list(house.queue.drained_nodes()) == ["node-a"]

    page.get_by_role("button", name="Take node-a back").click()
    dialog.get_by_role("button", name="Take node-a back").click()
    expect(dialog).to_have_count(0)
    expect(page.get_by_text("drained by")).to_have_count(0)
    assert list(house.queue.drained_nodes()) == []


def test_the_time_span_is_part_of_the_address(opens: Opens, house: House) -> None:
    register(house)
    page = opens().open("/fleet")
    page.get_by_label("Time span").select_option("900")
    expect(page).to_have_url(re.compile(r"/fleet\?window=900$"))
    page.reload()

    expect(page.get_by_label("Time span")).to_have_value("900")
    expect(page.get_by_text("15 min", exact=True)).to_be_visible()


def test_what_an_address_should_not_say_is_left_out(opens: Opens, house: House) -> None:
    """A link that somebody mistyped, or that a mailer added to, opens all the same."""
    register(house)
    watched = opens()
    page = watched.open("/fleet?window=7&utm_source=mail")
    expect(page.get_by_label("Time span")).to_have_value("300")
    page = watched.open("/jobs?state=failed&utm_source=mail")
    expect(page.get_by_role("button", name="failed", exact=False).first).to_have_attribute("aria-pressed", "true")


def test_an_alert_is_told_and_acknowledged_where_it_is_read(
    opens: Opens, app: FastAPI, house: House, tmp_path: Path
) -> None:
    app.state.desk.alarm.every_s = app.state.desk.alarm.step_s = 0.05
    watched = opens()
    page = watched.open("/")
    fail(house, submit(house, tmp_path))

    expect(page.get_by_role("button", name="Acknowledge: 1 job failed in probe")).to_be_visible(timeout=15_000)
    expect(page.get_by_text("This file is text.").first).to_be_visible()
    tally = page.get_by_role("navigation", name="Places").get_by_label("open alert")
    expect(tally).to_be_visible()
    assert axe(page) == []
    page.get_by_role("link", name="Show: 1 job failed in probe").click()
    expect(page).to_have_url(re.compile(r"/jobs\?state=failed&stage=probe&code=NOT_MEDIA$"))
    page.go_back()
    page.get_by_role("button", name="Acknowledge: 1 job failed in probe").click()
    expect(page.get_by_role("button", name="Acknowledge: 1 job failed in probe")).to_have_count(0)
    expect(page.get_by_role("status").filter(has_text="Acknowledged: 1 job failed in probe")).to_be_visible()
    expect(tally).to_have_count(0)
