"""Videos come in by the mouse: three are dropped, one is broken, and each says what becomes of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.cli.served import DEADLINE_S, draw, up
from tests.web.conftest import PHONE, Opens, asked, axe, overflow_px, windows
from vidprocme.api import arriving

LONG_MS = DEADLINE_S * 1000

HAND = """() => {
    const hand = document.createElement('input')
    Object.assign(hand, { type: 'file', multiple: true, hidden: true, id: 'hand' })
    document.body.append(hand)
}"""
DROP = """() => {
    const hand = document.querySelector('#hand')
    const carried = new DataTransfer()
    for (const file of hand.files) carried.items.add(file)
    hand.remove()
    for (const kind of ['dragenter', 'dragover', 'drop'])
        document.body.dispatchEvent(new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: carried }))
}"""


def drop(page: Page, *files: Path) -> None:
    """As a hand does that lets these files go over the page: they are the disk's, with its dates, and read as they are sent."""
    page.evaluate(HAND)
    page.locator("#hand").set_input_files(list(files))
    page.evaluate(DROP)


def test_three_are_dropped_and_the_broken_one_holds_up_nobody(visits: Opens, tmp_path: Path) -> None:
    one, two, broken = (tmp_path / name for name in ("one.mp4", "two.mp4", "broken.mp4"))
    draw(one, 3, seed=11)
    said = draw(two, 3, seed=12)
    broken.write_bytes(one.read_bytes()[:2000])

    page = visits().open("/videos")
    drop(page, one, two, broken)
    tray = page.get_by_role("region", name="Uploads")
    lines = {file.name: tray.get_by_role("listitem").filter(has_text=file.name) for file in (one, two, broken)}
    for line in lines.values():
        expect(line.get_by_role("progressbar")).to_be_visible()
    assert axe(page) == []

    # The broken one says what is wrong with it, where it was dropped, and leads to its job.
    expect(lines["broken.mp4"].get_by_role("link", name="Open")).to_have_attribute(
        "href", re.compile("^/jobs/"), timeout=LONG_MS
    )
    expect(lines["broken.mp4"]).to_contain_text("broken.mp4 is an MP4 whose index (moov) is missing")
    for name in ("one.mp4", "two.mp4"):
        expect(lines[name]).to_contain_text("done", timeout=LONG_MS)
    # The page behind has heard of it all by the stream.
    videos = page.locator("main").get_by_role("listitem")
    expect(videos.filter(has_text="one.mp4")).to_contain_text("3 captions")
    expect(videos.filter(has_text="broken.mp4")).to_contain_text("failed")

    lines["two.mp4"].get_by_role("link", name="Open").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("two.mp4")
    expect(page.get_by_role("region", name="Captions")).to_contain_text(said[0])
    # The tray came along; when all is over, it is put away for good.
    tray.get_by_role("button", name="Hide").click()
    expect(tray).to_have_count(0)


def test_what_cannot_be_read_is_said_in_a_sentence_with_what_to_do(visits: Opens, tmp_path: Path) -> None:
    empty = tmp_path / "empty.mp4"
    empty.write_bytes(b"")
    page = visits(size=PHONE).open("/videos")
    drop(page, empty)
    line = page.get_by_role("region", name="Uploads").get_by_role("listitem")
    expect(line.get_by_role("alert")).to_contain_text("empty")
    assert overflow_px(page) <= 0
    assert axe(page) == []
    line.get_by_role("button", name="Remove empty.mp4 from the list").click()
    expect(line).to_have_count(0)


def test_one_that_is_refused_says_why_beside_its_name(browser: Browser, tmp_path: Path) -> None:
    good, large, text = (tmp_path / name for name in ("good.mp4", "large.mp4", "notes.mp4"))
    draw(good, 3, seed=13)
    with large.open("wb") as file:
        file.truncate(1_500_000_000)  # of nothing: it is refused before a byte of it is sent
    text.write_text("what we talked about\n" * 100)
    with (
        up(tmp_path, VIDPROCME_MODEL="demo", VIDPROCME_UPLOAD_MAX_GB="1") as server,
        windows(browser) as opens,
    ):
        watched = opens(server.url)
        watched.expect("status of 413")
        page = watched.open("/videos")
        drop(page, large, text, good)
        tray = page.get_by_role("region", name="Uploads")
        lines = {file.name: tray.get_by_role("listitem").filter(has_text=file.name) for file in (good, large, text)}
        refused = lines["large.mp4"].get_by_role("alert")
        expect(refused).to_contain_text("1.5 GB are more than one upload may have here (1 GB)")
        expect(refused).to_contain_text("Send a smaller file")
        expect(lines["notes.mp4"]).to_contain_text("notes.mp4 is text, not a video", timeout=LONG_MS)
        expect(lines["good.mp4"]).to_contain_text("done", timeout=LONG_MS)
        expect(tray.get_by_role("alert")).to_have_count(1)
        assert overflow_px(page) <= 0
        assert axe(page) == []
        names = [upload["name"] for upload in asked(server.url, "/v1/uploads")["items"]]
        assert sorted(names) == ["good.mp4", "notes.mp4"]


def test_files_that_the_server_still_checks_hold_up_nobody(
    opens: Opens, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(arriving, "SETTLE_S", 0.0)  # as of files whose reading takes long
    files = [tmp_path / f"{name}.mp4" for name in ("one", "two", "three", "four", "five")]
    for file in files:
        file.write_bytes(file.name.encode() * 100)
    watched = opens()
    watched.expect("ERR_FAILED")
    page = watched.open("/videos")
    page.route("**/v1/uploads/*", lambda route: route.abort() if route.request.method == "GET" else route.continue_())
    drop(page, *files)
    lines = page.get_by_role("region", name="Uploads").get_by_role("listitem")
    expect(lines.filter(has_text="checked by the server")).to_have_count(len(files))
    page.unroute_all()
    expect(lines.filter(has_text="is being processed")).to_have_count(len(files))
