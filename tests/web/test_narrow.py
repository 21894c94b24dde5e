"""On a phone of 390 px no page is wider than the window, and nothing leaves the card it stands in."""

from __future__ import annotations

from pathlib import Path

import httpx
from playwright.sync_api import Locator, expect

from tests.cli.served import draw
from tests.simlive import Live
from tests.web.conftest import PHONE, Opens, Studio, Watched, asked, overflow_px
from tests.web.test_flows_upload import drop

TABS = {
    "/alerts": ["open", "acknowledged", "silenced", "resolved", "rules", "webhooks"],
    "/settings": ["look", "keys", "bins", "retention", "audit"],
}
# Further right than the window, and in no box that scrolls or cuts by itself.
ESCAPED = """() => [...document.querySelectorAll('main *, .tray *')].filter((one) => {
    const box = one.getBoundingClientRect()
    if (box.width === 0 || box.right <= innerWidth - 16) return false
    return !one.closest('.scroll, .tabs, .cut, pre, .strip')
}).map((one) => `${one.tagName} ${one.className} ${one.textContent.slice(0, 40)}`)"""


def right_px(one: Locator) -> float:
    box = one.bounding_box()
    assert box is not None
    return box["x"] + box["width"]


def test_no_page_is_wider_than_a_phone(strolls: Opens, town: Live) -> None:
    jobs = [
        asked(town.url, f"/v1/jobs?limit=1&{wish}")["items"][0]
        for wish in ("state=failed&code=NOT_A_VIDEO", "state=failed&code=FFMPEG_FAILED", "state=succeeded")
    ]
    places = ["/", "/videos", "/videos?state=failed", "/search?q=the", "/jobs", "/jobs?state=failed", "/fleet", "/docs"]
    places += [f"{page}?tab={tab}" for page, tabs in TABS.items() for tab in tabs]
    places += [f"/jobs/{job['id']}?tab={tab}" for job in jobs for tab in ("attempts", "log", "payload", "events")]
    places += [f"/videos/{job['video']}" for job in jobs]
    watched = strolls(size=PHONE)
    for place in places:
        assert_fits(watched, place)


def assert_fits(watched: Watched, place: str) -> None:
    """With all of its details open nothing of the page is wider than its window, or out of its card."""
    page = watched.open(place)
    expect(page.locator("[aria-busy=true], .skeleton")).to_have_count(0)
    page.evaluate("() => document.querySelectorAll('details').forEach((one) => { one.open = true })")
    assert overflow_px(page) <= 0, place
    assert page.evaluate(ESCAPED) == [], place


def test_what_fails_and_what_waits_under_a_long_name(visits: Opens, studio: Studio, tmp_path: Path) -> None:
    name = "Recording_2026-11-26_of_the_camera_over_the_northern_gate_" * 3
    broken, film = (tmp_path / f"{name}{end}.mp4" for end in ("broken", "film"))
    draw(film, 3, seed=41)
    broken.write_bytes(film.read_bytes()[:3000])
    failed = studio.up.ended(studio.up.post(broken))
    assert failed["state"] == "failed"
    httpx.patch(f"{studio.up.url}/v1/bins/bulk", json={"paused": True}, trust_env=False).raise_for_status()
    waits = studio.up.get(f"/v1/jobs/{studio.up.post(film, bin='bulk')}")
    places = [f"/jobs/{failed['id']}?tab={tab}" for tab in ("attempts", "log", "payload", "events")]
    places += [
        f"/videos/{failed['video']}",
        f"/jobs/{waits['id']}",
        f"/videos/{waits['video']}",
        "/videos",
        "/jobs",
        "/",
    ]
    try:
        watched = visits(size=PHONE)
        for place in places:
            assert_fits(watched, place)
    finally:
        httpx.patch(f"{studio.up.url}/v1/bins/bulk", json={"paused": False}, trust_env=False).raise_for_status()


def test_a_bin_is_paused_with_a_thumb(strolls: Opens) -> None:
    page = strolls(size=PHONE).open("/settings?tab=bins")
    bins = page.get_by_role("group", name="Bins")
    bins.get_by_role("button", name="Pause normal").click()
    expect(bins.get_by_text("paused")).to_be_visible()
    for verb in ("Pause urgent", "Pause high", "Resume normal", "Pause bulk"):
        assert right_px(bins.get_by_role("button", name=verb)) <= right_px(bins)
    bins.get_by_role("button", name="Resume normal").click()
    expect(bins.get_by_text("paused")).to_have_count(0)


def test_a_long_name_leaves_the_tray_as_wide_as_it_is(strolls: Opens, tmp_path: Path) -> None:
    film = tmp_path / f"{'from the camera over the northern gate ' * 3}.mp4"
    film.write_bytes(b"")
    page = strolls(size=PHONE).open("/videos")
    drop(page, film)
    tray = page.get_by_role("region", name="Uploads")
    expect(tray.get_by_role("alert")).to_contain_text("is empty")
    assert right_px(tray.get_by_role("progressbar")) < right_px(tray)
    assert page.evaluate(ESCAPED) == []
