"""A video's page: it plays, captions follow, moments are found, shared and exported."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.web.conftest import DESK, PHONE, Opens, Studio, axe, overflow_px


def caption(page: Page, text: str) -> Locator:
    return page.get_by_role("region", name="Captions").get_by_role("button").filter(has_text=text)


def seconds(page: Page) -> float:
    found: float = page.locator("video").evaluate("video => video.currentTime")
    return found


def settled(page: Page, at_s: float) -> None:
    """Wait until the player stands there and has that picture."""
    page.wait_for_function(
        "at => { const v = document.querySelector('video'); return v && !v.seeking && v.readyState >= 2 && Math.abs(v.currentTime - at) < 0.3 }",
        arg=at_s,
    )


@pytest.mark.parametrize(
    ("theme", "size"), [("light", DESK), ("dark", PHONE)], ids=["desk in the light", "phone in the dark"]
)
def test_it_can_be_used_by_everybody(visits: Opens, studio: Studio, theme: str, size: tuple[int, int]) -> None:
    watched = visits(theme=theme, size=size)
    for place in (f"/videos/{studio.video}?q=circle", "/videos", "/search?q=red"):
        page = watched.open(place)
        expect(page.locator("[aria-busy=true]")).to_have_count(0)
        assert axe(page) == [], place
        assert overflow_px(page) <= 0, place


FOLLOWS = """() => {
    const now = document.querySelector('[aria-label=Captions] [aria-current=true]')
    return !document.querySelector('video').paused && now && /0:0[1-9]/.test(now.textContent)
}"""


def test_captions_follow_what_plays(visits: Opens, studio: Studio) -> None:
    page = visits().open(f"/videos/{studio.video}")
    expect(page).to_have_title(re.compile("Loading dock"))
    expect(page.get_by_role("region", name="Captions").get_by_role("button")).to_have_count(12)
    page.locator("main").press(" ")
    page.wait_for_function(FOLLOWS)
    page.locator("main").press(" ")
    assert page.locator("video").evaluate("video => video.paused")

    at = seconds(page)
    now = page.get_by_role("region", name="Captions").locator("[aria-current=true]")
    expect(now).to_have_count(1)
    expect(now).to_contain_text(f"0:{int(at):02}")

    # A click on a caption leads there, and brackets to its neighbours.
    caption(page, "0:07").click()
    settled(page, 7)
    expect(caption(page, "0:07")).to_have_attribute("aria-current", "true")
    page.keyboard.press("]")
    settled(page, 8)
    page.keyboard.press("[")
    page.keyboard.press("[")
    settled(page, 6)
    expect(caption(page, "0:06")).to_have_attribute("aria-current", "true")


def test_the_strip_is_one_stop_and_arrows_move_in_it(visits: Opens, studio: Studio) -> None:
    page = visits().open(f"/videos/{studio.video}")
    strip = page.get_by_role("group", name="Captions over time").or_(page.get_by_label("Captions over time")).first
    spans = strip.get_by_role("button")
    expect(spans).to_have_count(12)
    assert strip.locator("[tabindex='0']").count() <= 1
    spans.first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(spans.nth(2)).to_be_focused()
    page.keyboard.press("Enter")
    settled(page, 2)
    page.keyboard.press("End")
    expect(spans.nth(11)).to_be_focused()


def test_a_link_to_a_moment_is_copied_and_opens_there(visits: Opens, studio: Studio) -> None:
    watched = visits(permissions=["clipboard-read", "clipboard-write"])
    page = watched.open(f"/videos/{studio.video}")
    caption(page, "0:05").click()
    page.get_by_role("button", name="Copy link to 0:05").click()
    expect(page.get_by_text("Copied")).to_be_visible()
    link = page.evaluate("navigator.clipboard.readText()")
    assert re.search(rf"/videos/{studio.video}\?t=5(\.0)?$", link)

    other = visits()
    page = other.open(link.removeprefix(other.url))
    settled(page, 5)
    expect(caption(page, "0:05")).to_have_attribute("aria-current", "true")


COLOURS = ("red", "green", "blue", "orange", "purple", "yellow")


def having(studio: Studio, word: str) -> list[int]:
    """When captions with this word begin, in seconds."""
    return [n for n, text in enumerate(studio.said) if word in text.rstrip(".").split()]


def test_words_are_found_in_it_and_kept_in_the_address(visits: Opens, studio: Studio) -> None:
    page = visits().open(f"/videos/{studio.video}")
    text = page.get_by_role("region", name="Captions").get_by_role("button").nth(4).inner_text().split("\n")[-1]
    page.get_by_label("Search this video").fill(text)
    expect(page).to_have_url(re.compile(r"[?&]q="))
    status = page.get_by_role("region", name="Captions").get_by_role("status")
    expect(status).to_contain_text("of")
    page.get_by_role("button", name="Next hit").click()
    expect(page.get_by_role("region", name="Captions").locator("[aria-current=true] mark")).to_have_text(text)
    page.reload()
    expect(page.get_by_label("Search this video")).to_have_value(text)
    expect(status).to_contain_text("of")

    # From hit to hit: of a word that more captions have.
    colour, hits = next((word, at) for word in COLOURS if len(at := having(studio, word)) in range(3, 10))
    page.get_by_label("Search this video").fill(colour)
    expect(status).to_have_text(re.compile(rf"of {len(hits)}$"))
    caption(page, f"0:{hits[0]:02}").click()
    expect(status).to_have_text(f"1 of {len(hits)}")
    page.get_by_role("button", name="Next hit").click()
    expect(status).to_have_text(f"2 of {len(hits)}")
    settled(page, hits[1])
    page.get_by_role("button", name="Previous hit").click()
    page.get_by_role("button", name="Previous hit").click()
    expect(status).to_have_text(f"{len(hits)} of {len(hits)}")
    settled(page, hits[-1])


def test_captions_are_taken_along(visits: Opens, studio: Studio, tmp_path: Path) -> None:
    page = visits().open(f"/videos/{studio.video}")
    page.get_by_role("button", name="Export").click()
    assert axe(page) == []
    with page.expect_download() as waits:
        page.get_by_role("menuitem", name="SubRip (SRT)").click()
    waits.value.save_as(tmp_path / "captions.srt")
    assert waits.value.suggested_filename.endswith(".srt")
    text = (tmp_path / "captions.srt").read_text()
    assert text.count("-->") == 12
    page.get_by_role("button", name="Export").press("Enter")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    with page.expect_download() as waits:
        page.keyboard.press("Enter")
    waits.value.save_as(tmp_path / "captions.json")
    assert len(json.loads((tmp_path / "captions.json").read_text())["items"]) == 12


def test_its_title_and_tags_are_written_and_found(visits: Opens, studio: Studio) -> None:
    page = visits().open(f"/videos/{studio.video}")
    page.get_by_label("Add a tag").fill("harbour")
    page.get_by_label("Add a tag").press("Enter")
    expect(page.get_by_role("button", name="Remove tag harbour")).to_be_visible()
    page.get_by_role("button", name="Change the title").click()
    field = page.get_by_role("dialog").get_by_label("Title")
    field.fill("Loading dock, north")
    field.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Loading dock, north")

    page.goto(f"{studio.up.url}/videos?tag=harbour")
    expect(page.locator("main").get_by_role("listitem").filter(has_text="Loading dock, north")).to_be_visible()


def test_who_opens_a_moment_while_typing_gets_there(visits: Opens, studio: Studio) -> None:
    page = visits().open("/search?q=bright")
    page.route("**/assets/Video-*.js", slowly)
    moment = page.locator("main").get_by_role("link").filter(has_text="0:09")
    expect(moment).to_be_visible()
    page.get_by_role("searchbox").press_sequentially(" ")
    moment.click()
    expect(page).to_have_url(re.compile(rf"/videos/{studio.video}\?.*t=9"))
    expect(page.get_by_role("region", name="Captions")).to_be_visible()


def slowly(route: Route) -> None:
    """Longer than what is typed takes to become part of the address."""
    time.sleep(0.7)
    route.continue_()


def test_from_words_to_the_moment(visits: Opens, studio: Studio) -> None:
    with_frame = studio.up.get(f"/v1/videos/{studio.video}/captions?format=json")["items"][9]
    page = visits().open("/")
    page.keyboard.press("g")
    page.keyboard.press("s")
    expect(page.get_by_role("heading", level=1)).to_have_text("Search")
    page.keyboard.press("/")
    page.keyboard.type(f'"{with_frame["text"].rstrip(".")}"')
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/search\?q="))
    moment = page.locator("main").get_by_role("link").filter(has_text="0:09")
    expect(moment.locator("mark").first).to_be_visible()
    expect(moment.get_by_role("presentation").or_(moment.locator("img")).first).to_be_visible()
    # Those that are not in sight are loaded when they come into it.
    picture = moment.locator("img").first.element_handle()
    page.wait_for_function("(image) => image.complete && image.naturalWidth > 0", arg=picture)
    moment.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(rf"/videos/{studio.video}\?.*t=9"))
    settled(page, 9)
    expect(caption(page, "0:09")).to_have_attribute("aria-current", "true")
    expect(page.get_by_label("Search this video")).to_have_value(re.compile(r"\w+"))
    page.go_back()
    expect(page).to_have_url(re.compile(r"/search\?q="))
