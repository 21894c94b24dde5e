"""The frame around every page: how it looks to machines and people, who is let in, and one stream for all tabs."""

from __future__ import annotations

import re

import httpx
import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, Locator, Page, expect

from tests.api.serving import serving
from tests.web.conftest import DESK, PHONE, Opens, Watched, axe, overflow_px
from vidprocme.core.resources import PlaceKind
from vidprocme.queue.base import PlaceReport, PoolInfo, PoolReport
from vidprocme.wiring import House

PLACES = ["/", "/videos", "/search", "/jobs", "/fleet", "/alerts", "/settings", "/settings?tab=bins", "/docs"]


@pytest.mark.parametrize(
    ("theme", "size"), [("light", DESK), ("dark", PHONE)], ids=["desk in the light", "phone in the dark"]
)
def test_every_place_can_be_used_by_everybody(opens: Opens, site: str, theme: str, size: tuple[int, int]) -> None:
    with httpx.Client(base_url=site, trust_env=False) as client:
        for tenant in ("harbour", "museum", "studio-nine"):  # rows of what is widest
            client.patch(f"/v1/tenants/{tenant}", json={"weight": 2}).raise_for_status()
    watched = opens(theme=theme, size=size)
    for place in PLACES:
        page = watched.open(place)
        expect(page.locator("html")).to_have_attribute("data-theme", theme)
        expect(page.locator("[aria-busy=true]")).to_have_count(0)
        if place.endswith("=bins"):
            expect(page.get_by_text("studio-nine")).to_be_visible()
        assert axe(page) == [], place
        assert overflow_px(page) <= 0, place


def test_axe_finds_what_is_planted(opens: Opens) -> None:
    page = opens().open("/settings")
    page.evaluate(
        """() => {
            const main = document.querySelector('main')
            const plant = (name) => main.appendChild(document.createElement(name))
            plant('img').src = '/icon.svg'
            plant('button')
            const pale = plant('p')
            pale.textContent = 'pale'
            pale.style.color = '#bbb'
            pale.style.backgroundColor = '#fff'
        }"""
    )

    rules = {found.partition(":")[0] for found in axe(page)}
    assert {"image-alt", "button-name", "color-contrast"} <= rules


def test_a_fault_on_a_page_is_noticed(opens: Opens) -> None:
    """With the page's policy off: it would refuse the request before anybody saw it."""
    watched = opens(bypass_csp=True)
    watched.expect("planted", "ERR_CONNECTION_REFUSED", "ERR_UNSAFE_PORT", "CORS")
    page = watched.open("/settings")
    page.evaluate("() => console.error('planted: said')")
    page.evaluate("() => { setTimeout(() => { throw new Error('planted: thrown') }) }")
    page.evaluate("() => fetch('http://127.0.0.1:9/planted').catch(() => {})")

    found = " ".join(watched.faults)
    assert "console: planted: said" in found
    assert "page error: planted: thrown" in found
    assert "request to elsewhere: http://127.0.0.1:9/planted" in found


def test_a_script_that_is_written_into_the_page_does_not_run(opens: Opens) -> None:
    watched = opens()
    watched.expect("Content Security Policy")
    page = watched.open("/settings")
    page.evaluate(
        "() => { const s = document.createElement('script'); s.textContent = 'window.ran = true'; document.body.append(s) }"
    )

    assert page.evaluate("() => window.ran") is None
    assert any("Content Security Policy" in fault for fault in watched.faults)


def test_by_keyboard_alone(opens: Opens) -> None:
    page = opens().open("/jobs")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()

    page.keyboard.press("g")
    page.keyboard.press("f")
    expect(page).to_have_url(re.compile("/fleet$"))
    page.keyboard.press("Control+k")
    field = page.get_by_role("dialog").get_by_role("combobox")
    expect(field).to_be_focused()
    assert axe(page) == []
    page.keyboard.type("sett")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/settings"))
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    assert axe(page) == []
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_the_theme_is_kept(opens: Opens) -> None:
    watched = opens(theme="light")
    page = watched.open("/settings")
    page.get_by_role("button", name="Dark").first.click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    # Before the first paint, and so without what draws the page: nobody who works in the dark is flashed at.
    watched.expect("ERR_FAILED")
    page.route("**/assets/*.js", lambda route: route.abort())
    page.reload()

    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_who_has_no_key_is_asked_for_one(opens: Opens, site: str) -> None:
    with httpx.Client(base_url=site, trust_env=False) as client:
        key = client.post("/v1/keys", json={"name": "ana", "scope": "admin"}).json()["key"]
    watched = opens()
    watched.expect("status of 401")  # the browser says it of every refused request
    page = watched.open("/jobs")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert axe(page) == []

    field = page.get_by_label("Key", exact=True)
    field.fill("vp_wrong")
    field.press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    field.fill(key)
    field.press("Enter")
    expect(page.get_by_role("navigation", name="Places")).to_be_visible()
    expect(page).to_have_url(re.compile("/jobs$"))
    page.reload()
    expect(page.get_by_role("navigation", name="Places")).to_be_visible()

    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_all_tabs_of_a_browser_share_one_stream(opens: Opens, app: FastAPI, house: House) -> None:
    first = opens()
    first.open("/settings")
    expect(live(first.page)).to_be_visible()
    second = opens(beside=first)
    second.open("/settings")
    expect(live(second.page)).to_be_visible()
    assert len(app.state.desk.hub.listeners) == 1

    # The other tab is told by the first: its page of the fleet shows a pool as it comes, and cannot ask for it.
    page = second.page
    page.get_by_role("link", name="Fleet").click()
    expect(page.get_by_text("vidprocme worker")).to_be_visible()
    second.expect("ERR_FAILED")
    page.route("**/v1/nodes", lambda route: route.abort())
    register(house)
    expect(page.get_by_text("node-a", exact=True)).to_be_visible()
    # And hears what happens by itself when it leads.
    first.page.close()
    register(house, "b")
    expect(page.get_by_text("node-b", exact=True)).to_be_visible()
    assert len(app.state.desk.hub.listeners) == 1


def live(page: Page) -> Locator:
    return page.get_by_role("status").filter(has_text="Live")


def register(house: House, letter: str = "a") -> None:
    """A pool comes, with nothing to do, on the machine of this letter."""
    pool, node = f"p-{letter}", f"node-{letter}"
    house.queue.join(PoolInfo(pool, node, "b", 1, 1, 1, places=1), 60_000)
    report = PoolReport((PlaceReport(f"{node}/cpu", node, PlaceKind.CPU, 4, 0),))
    house.queue.beat(pool, [], lease_ms=1000, presence_ms=60_000, report=report)


def test_the_api_is_explained_by_our_own_page(opens: Opens) -> None:
    page = opens().open("/docs")
    page.get_by_label("Find a route").fill("drain node")
    expect(page).to_have_url(re.compile(r"/docs\?q=drain\+node$"))
    page.get_by_text("/v1/nodes/{node}/drain").click()
    expect(page.get_by_role("row", name=re.compile("^node path"))).to_be_visible()

    assert axe(page) == []


def test_a_server_that_is_gone_is_told_after_ten_seconds(browser: Browser, app: FastAPI) -> None:
    with serving(app) as client:
        watched = Watched(browser.new_page(), str(client.base_url).rstrip("/"))
        page = watched.page
        page.clock.install()
        watched.open("/settings")
        expect(live(page)).to_be_visible()
    page.clock.run_for(8_000)
    page.wait_for_timeout(500)  # of a real clock: what a timer changed is drawn after it
    expect(page.get_by_text("No news from the server")).to_have_count(0)
    page.clock.run_for(4_000)

    expect(page.get_by_text("No news from the server")).to_be_visible()
    expect(page.get_by_role("heading", name="Settings")).to_be_visible()
    page.close()
