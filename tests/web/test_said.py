"""What a page says of a video that came to nothing, and in whose words."""

from __future__ import annotations

import re

import httpx
import pytest
from playwright.sync_api import Route, expect

from tests.simlive import Live
from tests.web.conftest import Opens, asked, axe
from vidprocme.core.ids import JobId
from vidprocme.wiring import House


def send(site: str, **wish: str) -> dict[str, str]:
    with httpx.Client(base_url=site, trust_env=False) as client:
        file = {"file": ("dock.mp4", b"1" * 64, "video/mp4")}
        found: dict[str, str] = client.post("/v1/videos", files=file, data=wish).raise_for_status().json()
        return found


def test_a_failed_video_says_why_and_is_tried_again(strolls: Opens, town: Live) -> None:
    job = asked(town.url, "/v1/jobs?state=failed&code=FFMPEG_FAILED&limit=1")["items"][0]
    page = strolls().open(f"/videos/{job['video']}")
    main = page.locator("main")
    expect(main.get_by_role("alert")).to_contain_text("ffmpeg ended")
    expect(main.get_by_role("alert")).not_to_contain_text("`")
    expect(main.get_by_text("It failed before there was anything to play.")).to_be_visible()
    expect(main.get_by_text("It failed before it had captions.")).to_be_visible()
    expect(main).not_to_contain_text(re.compile(r"\byet\b"))
    expect(main.get_by_role("button", name="Describe")).to_have_count(0)
    expect(main.get_by_role("link", name="Open job")).to_have_attribute("href", f"/jobs/{job['id']}")
    assert axe(page) == []
    with page.expect_response(lambda answer: answer.url.endswith(f"/v1/jobs/{job['id']}/retry")) as answer:
        main.get_by_role("button", name="Retry this video").click()
    assert answer.value.ok


def test_a_cancelled_video_says_so(opens: Opens, site: str, house: House) -> None:
    sent = send(site, model="none")
    page = opens().open(f"/videos/{sent['video']}")
    expect(page.get_by_text("There is nothing to play yet.")).to_be_visible()
    expect(page.get_by_text("No captions: no model was asked for.")).to_be_visible()
    house.control.cancel(JobId(sent["id"]))
    expect(page.get_by_text("It was cancelled before there was anything to play.")).to_be_visible()
    expect(page.get_by_role("button", name="Retry this video")).to_be_visible()


def test_a_missing_model_is_told_in_words(opens: Opens, site: str) -> None:
    sent = send(site)
    for place in (f"/videos/{sent['video']}", f"/jobs/{sent['id']}"):
        page = opens().open(place)
        expect(page.get_by_text("No captions: there was no model when it was sent.")).to_be_visible()
        expect(page.locator("main")).not_to_contain_text("captions: no model")


def test_a_command_stands_as_one_and_a_route_is_a_page(opens: Opens, site: str) -> None:
    with httpx.Client(base_url=site, trust_env=False) as client:
        client.patch("/v1/bins/bulk", json={"paused": True}).raise_for_status()
    sent = send(site, bin="bulk")
    watched = opens()
    watched.expect("status of 404")
    page = watched.open(f"/jobs/{sent['id']}")
    waits = page.get_by_role("region", name="Why it waits")
    expect(waits.locator("code")).to_have_text("vidprocme bins resume bulk")
    expect(waits).not_to_contain_text("`")

    page = watched.open("/jobs/job_01KB000000000000000000000")
    said = page.get_by_role("alert")
    expect(said).to_contain_text("Jobs lists those there are.")
    expect(said).not_to_contain_text("/v1/")
    said.get_by_role("link", name="Jobs").click()
    expect(page).to_have_url(re.compile("/jobs$"))


@pytest.mark.parametrize("tab", ["Log", "Error"])
def test_a_log_has_a_column_of_its_own(strolls: Opens, town: Live, tab: str) -> None:
    job = asked(town.url, "/v1/jobs?state=failed&code=FFMPEG_FAILED&limit=1")["items"][0]
    page = strolls().open(f"/jobs/{job['id']}")
    expect(page.get_by_role("columnheader", name=tab)).to_be_visible()
    page.get_by_role("button", name="Open log").first.click()
    expect(page).to_have_url(re.compile("tab=log"))


def test_a_list_of_videos_says_how_far_each_is(strolls: Opens, town: Live) -> None:
    page = strolls().open("/videos")
    found = asked(town.url, "/v1/videos?limit=2")

    def running(route: Route) -> None:
        found["items"][0] |= {"state": "running", "progress": 0.12}
        found["items"][1] |= {"state": "queued", "progress": 0.0}
        route.fulfill(json=found)

    page.route("**/v1/videos?*", running)
    page.reload()
    cards = page.locator("main").get_by_role("listitem")
    expect(cards.nth(0)).to_contain_text("running, 12%")
    expect(cards.nth(1)).to_contain_text("waiting")
    expect(cards.nth(1)).not_to_contain_text("0%")
    page.get_by_role("button", name="cancelled").click()
    expect(page).to_have_url(re.compile(r"/videos\?state=cancelled$"))
