"""The house itself: alerts are taken on, bins held and let go, commands typed, a server that went is missed and found again."""

from __future__ import annotations

import re
import socket
from datetime import UTC, datetime, timedelta

from playwright.sync_api import Browser, expect

from tests.api.serving import serving
from tests.simlive import Live
from tests.web.conftest import PHONE, Opens, Watched, asked, axe, overflow_px
from tests.web.test_shell import live
from vidprocme.api.server import create_app
from vidprocme.core.job import Bin
from vidprocme.wiring import House


def test_an_alert_is_taken_on_and_opened_again(strolls: Opens, town: Live) -> None:
    page = strolls(size=PHONE).open("/alerts")
    alert = page.locator("main").get_by_role("listitem").filter(has_text="dead letters")
    expect(alert).to_be_visible(timeout=60_000)  # rules are looked at every few seconds
    alert.get_by_role("button", name="Acknowledge").click()
    dialog = page.get_by_role("dialog")
    assert axe(page) == []
    dialog.get_by_label("Note (optional)").fill("I look at it")
    dialog.get_by_role("button", name="Acknowledge").click()
    expect(alert).to_have_count(0)

    page.get_by_role("tab", name="Acknowledged").click()
    expect(page).to_have_url(re.compile("tab=acknowledged"))
    expect(alert).to_contain_text("I look at it")
    assert overflow_px(page) <= 0
    states = {one["rule"]: one["state"] for one in asked(town.url, "/v1/alerts")["items"]}
    assert states["dead-letters"] == "acknowledged"
    alert.get_by_role("button", name="Open again").click()
    expect(alert).to_have_count(0)
    page.get_by_role("tab", name=re.compile("^Open")).click()
    expect(alert).to_be_visible()


def test_an_alert_leads_to_what_it_is_about(strolls: Opens) -> None:
    page = strolls().open("/alerts")
    alert = page.locator("main").get_by_role("listitem").filter(has_text="failed in transcode")
    alert.get_by_role("link", name=re.compile("^Show")).click(timeout=60_000)
    expect(page).to_have_url(re.compile(r"/jobs\?.*code=FFMPEG_FAILED"))
    expect(page.get_by_role("button", name=re.compile("^failed"))).to_have_attribute("aria-pressed", "true")


def test_an_alert_of_failed_jobs_leads_to_the_newest_of_them(strolls: Opens, town: Live) -> None:
    page = strolls(size=PHONE).open("/alerts")
    alert = page.locator("main").get_by_role("listitem").filter(has_text="failed in transcode")
    newest = alert.get_by_role("link", name=re.compile("^job_"))
    expect(newest).to_be_visible(timeout=60_000)
    job = newest.inner_text()
    assert overflow_px(page) <= 0
    newest.click()
    expect(page).to_have_url(re.compile(rf"/jobs/{job}$"))
    assert asked(town.url, f"/v1/jobs/{job}")["state"] == "failed"


def test_a_bin_is_held_and_let_go(opens: Opens, site: str) -> None:
    page = opens().open("/settings?tab=bins")
    page.get_by_role("button", name="Pause bulk").click()
    expect(page.get_by_role("button", name="Resume bulk")).to_be_visible()
    assert asked(site, "/v1/bins/bulk")["paused"] is True
    page.get_by_role("button", name="Resume bulk").click()
    expect(page.get_by_role("button", name="Pause bulk")).to_be_visible()
    assert asked(site, "/v1/bins/bulk")["paused"] is False

    limit = page.get_by_label("high: Tasks at once, at most")
    limit.fill("3")
    limit.press("Tab")
    expect(page.get_by_text("Saved")).to_have_count(3)
    assert asked(site, "/v1/bins/high")["limit"] == 3


def test_commands_are_typed(opens: Opens) -> None:
    page = opens().open("/")
    page.keyboard.press("Control+k")
    expect(page.get_by_role("dialog").get_by_role("combobox")).to_be_focused()
    page.keyboard.type("dead")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/jobs\?state=dead$"))
    page.keyboard.press("Control+k")
    expect(page.get_by_role("dialog").get_by_role("combobox")).to_be_focused()
    page.keyboard.type("a red door")
    page.get_by_role("option", name="Search captions for", exact=False).click()
    expect(page).to_have_url(re.compile(r"/search\?q=a\+red\+door$"))
    page.keyboard.press("Control+k")
    expect(page.get_by_role("dialog").get_by_role("combobox")).to_be_focused()
    page.keyboard.type("job_01ABC")
    expect(page.get_by_role("option", name="Open job job_01ABC")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_rows_and_times_are_as_one_likes_them(strolls: Opens) -> None:
    page = strolls(timezone_id="Asia/Tokyo").open("/settings")
    page.get_by_label("Rows").select_option("compact")
    page.get_by_label("Times").select_option("utc")
    page.reload()
    expect(page.get_by_label("Rows")).to_have_value("compact")
    expect(page.get_by_label("Times")).to_have_value("utc")
    page.get_by_role("link", name="Jobs", exact=True).click()
    row = page.get_by_role("row").filter(has=page.get_by_role("cell")).first
    expect(row).to_be_visible()
    box = row.bounding_box()
    assert box is not None and box["height"] == 32

    row.get_by_role("link").click()
    made = page.locator(".head time")
    moment = datetime.fromisoformat(made.get_attribute("datetime") or "")
    expect(made).to_have_text(re.compile(rf"{moment.astimezone(UTC):%H:%M:%S} UTC$"))
    page.get_by_role("link", name="Settings", exact=True).click()
    page.get_by_label("Times").select_option("local")
    page.go_back()
    expect(made).to_have_text(re.compile(rf"{moment.astimezone(UTC) + timedelta(hours=9):%H:%M:%S}$"))  # Tokyo's


def test_a_server_that_comes_back_is_found_again(browser: Browser, house: House) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    page = browser.new_page()
    with serving(create_app(house), port=port) as client:
        watched = Watched(page, str(client.base_url).rstrip("/"))
        page.clock.install()
        watched.open("/settings?tab=bins")
        expect(live(page)).to_be_visible()
    page.clock.run_for(12_000)
    expect(page.get_by_text("No news from the server")).to_be_visible()

    house.queue.pause(Bin.BULK)
    house.queue.set_tenant("museum", 7, None)
    with serving(create_app(house), port=port):
        page.clock.run_for(3_000)
        expect(live(page)).to_be_visible()
        expect(page.get_by_text("No news from the server")).to_have_count(0)
        # What happened meanwhile is on the page, also what it never asks for by itself.
        page.clock.run_for(3_000)
        expect(page.get_by_label("museum: Weight")).to_have_value("7")
        expect(page.get_by_role("button", name="Resume bulk")).to_be_visible()
        page.close()


def test_settings_say_what_their_numbers_are(opens: Opens) -> None:
    watched = opens()
    page = watched.open("/settings?tab=bins")
    heads = page.get_by_role("group", name="Bins").get_by_role("columnheader")
    expect(heads).to_have_text(["Bin", "Tasks at once, at most"])
    page = watched.open("/settings?tab=retention")
    kept = page.get_by_role("region", name="How long things are kept").get_by_role("row", name="Jobs that succeeded")
    expect(kept).to_contain_text("for ever")
    taken = page.get_by_role("region", name="What is taken in at most").get_by_role("row", name="One upload, GB")
    expect(taken).to_contain_text("no limit")


def test_when_a_key_was_used_is_told_to_the_minute(opens: Opens) -> None:
    page = opens().open("/settings?tab=keys")
    page.route(
        "**/v1/keys",
        lambda route: route.fulfill(
            json={
                "items": [
                    {
                        "id": "key_1",
                        "name": "laptop",
                        "prefix": "vp_1234",
                        "scope": "read",
                        "tenant": None,
                        "created_at": "2026-11-01T10:00:00.000Z",
                        "expires_at": None,
                        "last_used_at": "2026-11-02T10:07:00.000Z",
                    }
                ]
            }
        ),
    )
    page.reload()
    used = page.get_by_role("row", name="laptop").locator("time")
    expect(used).to_have_text(re.compile(r"\d\d:07$"))


def test_on_a_phone_what_is_chosen_is_in_view(opens: Opens) -> None:
    page = opens(size=PHONE).open("/settings?tab=audit")
    expect(page.get_by_role("tab", name="Audit log")).to_be_in_viewport(ratio=0.95)
    expect(page.get_by_role("navigation", name="Places").get_by_role("link", name="Settings")).to_be_in_viewport(
        ratio=0.95
    )


def test_the_palette_fits_a_phone(opens: Opens) -> None:
    page = opens(size=PHONE).open("/jobs")
    page.keyboard.press("Control+k")
    expect(page.get_by_role("dialog")).to_be_in_viewport(ratio=1)
    page.get_by_role("dialog").get_by_role("combobox").fill("zebra " * 30)
    expect(page.get_by_role("dialog").get_by_role("option")).to_have_count(1)
    expect(page.get_by_role("dialog")).to_be_in_viewport(ratio=1)
    assert page.get_by_role("dialog").evaluate("one => one.scrollWidth <= one.clientWidth")


def test_an_address_without_a_page_leads_on(opens: Opens) -> None:
    watched = opens()
    page = watched.open("/nowhere")
    assert axe(page) == []
    page.get_by_role("link", name="Go to Overview").click()
    expect(page).to_have_url(re.compile(r"/$"))
