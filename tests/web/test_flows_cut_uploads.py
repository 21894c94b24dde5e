"""Uploads that are cut: by a server that dies, by the button, by a reload. Each goes on from where it was, and says so."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, CDPSession, Dialog, Page, Request, Route, expect

from tests.cli.served import Up, await_, draw, up
from tests.processes import left
from tests.web.conftest import asked, axe, windows
from tests.web.test_flows_upload import LONG_MS, drop
from vidprocme.core.ids import video_id
from vidprocme.library.blobs import hash_file

MB = 1_000_000
SIZE_BYTES = 48 * MB
SLOW_BYTES_PER_S, CRAWL_BYTES_PER_S = 4 * MB, MB // 5


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short video that is long to send: what fills it up is a box that players skip."""
    path = tmp_path_factory.mktemp("film") / "long way.mp4"
    draw(path, 3, seed=31)
    filler = SIZE_BYTES - path.stat().st_size
    with path.open("ab") as file:
        file.write(filler.to_bytes(4, "big") + b"free" + bytes(filler - 8))
    return path


@dataclass
class Wire:
    """What of uploads a page sends, and how fast it may."""

    page: Page
    begun: int = 0
    pieces: list[int] = field(default_factory=list)  # Upload-Offset of each request that brings bytes
    _session: CDPSession | None = None

    def watch(self) -> Wire:
        self.page.on("request", self._request)
        self._session = self.page.context.new_cdp_session(self.page)
        return self

    def limit(self, bytes_per_s: int) -> None:
        """-1: as fast as it goes."""
        assert self._session is not None
        shape = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": bytes_per_s}
        self._session.send("Network.enable")
        self._session.send("Network.emulateNetworkConditions", shape)

    def _request(self, request: Request) -> None:
        if not urlsplit(request.url).path.startswith("/v1/uploads"):
            return
        self.begun += request.method == "POST"
        if request.method == "PATCH":
            self.pieces.append(int(request.headers["upload-offset"]))


class Sending:
    """The film on its way from a page to its server, some of it sent, and nearly standing still."""

    def __init__(self, page: Page, url: str, film: Path) -> None:
        self.page, self.url, self.film = page, url, film
        self.line = page.get_by_role("region", name="Uploads").get_by_role("listitem").filter(has_text=film.name)
        self.wire = Wire(page).watch()
        self.wire.limit(SLOW_BYTES_PER_S)
        drop(page, film)
        self.amid()

    def amid(self) -> None:
        bar = self.line.get_by_role("progressbar")
        expect(bar).to_have_attribute("aria-valuenow", re.compile(r"^[4-9]\d$"), timeout=LONG_MS)
        self.wire.limit(CRAWL_BYTES_PER_S)

    def cut(self, kept: Callable[[], int]) -> int:
        """How many bytes the server has, now that nothing is sent: from here on what is sent is watched."""
        first, *_ = self.wire.pieces
        assert first == 0
        self.wire.pieces.clear()
        found: int = await_(lambda: (got := kept()) >= MB and got, "nothing came")
        return found

    def offset(self) -> int:
        return int(self.upload()["offset_bytes"])

    def upload(self) -> dict[str, Any]:
        """The one upload that the server knows: it was never begun a second time."""
        (found,) = asked(self.url, "/v1/uploads")["items"]
        return dict(found)

    def goes_on(self, kept: int) -> None:
        """What comes now begins at `kept` or, if nobody had counted yet what was under way, after it; and the whole is the film."""
        self.wire.limit(-1)
        expect(self.line).to_contain_text("is being processed", timeout=LONG_MS)
        assert self.wire.begun == 1
        assert self.wire.pieces
        assert min(self.wire.pieces) >= kept
        upload = self.upload()
        assert upload["video"] == video_id(hash_file(self.film)[0], "default")
        expect(self.line.get_by_role("link", name="Open")).to_have_attribute("href", f"/videos/{upload['video']}")
        assert asked(self.url, f"/v1/jobs/{upload['job']}")["state"] == "queued"


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Up]:
    """A server with no pool: what it takes in stays queued."""
    with up(tmp_path, "--no-pool") as server:
        yield server


@pytest.fixture
def sending(browser: Browser, alone: Up, film: Path) -> Iterator[Sending]:
    with windows(browser) as opens:
        watched = opens(alone.url)
        watched.page.clock.install()
        yield Sending(watched.open("/videos"), alone.url, film)


def test_it_outlives_the_server(browser: Browser, film: Path, tmp_path: Path) -> None:
    with windows(browser) as opens, ExitStack() as servers:
        first = servers.enter_context(up(tmp_path, "--no-pool"))
        watched = opens(first.url)
        watched.expect("ERR_")  # the browser says it of every request that finds no server
        sending = Sending(watched.open("/videos"), first.url, film)
        end_hard(first)
        expect(sending.line.get_by_role("status")).to_contain_text(re.compile("lost connection, waits for the server"))
        assert axe(sending.page) == []

        kept = sending.cut(lambda: part_bytes(first))
        servers.enter_context(up(tmp_path, "--no-pool", "--port", str(urlsplit(first.url).port)))
        sending.goes_on(kept)


def test_it_is_paused_and_goes_on(sending: Sending) -> None:
    # At once, and not only at the end of the piece that is under way.
    with sending.page.expect_event("requestfailed", lambda request: request.method == "PATCH"):
        sending.line.get_by_role("button", name="Pause long way.mp4").click()
    expect(sending.line.get_by_role("status")).to_have_text(re.compile(r"paused, \d+%"))
    said = sending.line.inner_text()
    kept = sending.cut(sending.offset)
    assert axe(sending.page) == []
    assert sending.line.inner_text() == said
    assert sending.wire.pieces == []

    sending.line.get_by_role("button", name="Resume long way.mp4").click()
    expect(sending.line).to_contain_text("/s, ")
    sending.goes_on(kept)


def test_it_outlives_the_page(sending: Sending) -> None:
    asked_for: list[str] = []

    def leave(dialog: Dialog) -> None:
        asked_for.append(dialog.type)
        dialog.accept()

    page = sending.page
    page.on("dialog", leave)
    page.locator("h1").click()  # nobody is asked who has not touched the page
    page.reload()
    assert asked_for == ["beforeunload"]
    tray = page.get_by_role("region", name="Uploads")
    expect(tray).to_contain_text("Choose the file again to go on")
    expect(tray.get_by_role("button", name="Choose files long way.mp4")).to_be_visible()
    assert axe(page) == []

    kept = sending.cut(sending.offset)
    drop(page, sending.film)
    sending.goes_on(kept)
    expect(tray).not_to_contain_text("Choose the file again")
    page.reload()
    expect(page.locator("h1")).to_be_visible()
    assert asked_for == ["beforeunload"]


def test_a_proxy_that_finds_no_server_does_not_make_it_begin_anew(browser: Browser, alone: Up, film: Path) -> None:
    with windows(browser) as opens:
        watched = opens(alone.url)
        watched.expect("status of 502")
        sending = Sending(watched.open("/videos"), alone.url, film)
        answers = iter([502, 502])

        def proxy(route: Route) -> None:
            status = next(answers, 0) if route.request.method == "HEAD" else 0
            if status:
                route.fulfill(status=status, body="<h1>Bad gateway</h1>")
            else:
                route.continue_()

        sending.page.route("**/v1/uploads/*", proxy)
        sending.line.get_by_role("button", name="Pause long way.mp4").click()
        expect(sending.line.get_by_role("status")).to_contain_text("paused")
        kept = sending.cut(sending.offset)
        sending.line.get_by_role("button", name="Resume long way.mp4").click()
        sending.goes_on(kept)
        assert next(answers, 0) == 0


def test_it_outlives_a_connection_that_died_without_a_word(sending: Sending, alone: Up) -> None:
    page = sending.page
    server = alone.server()
    server.suspend()
    try:
        sending.wire.limit(-1)
        await_(lambda: stands_still(sending), "it is still sent")  # what lies between page and server is full
        page.clock.run_for(50_000)
        expect(sending.line.get_by_role("status")).to_have_count(0)
        page.clock.run_for(20_000)
        expect(sending.line.get_by_role("status")).to_contain_text("lost connection")
        kept = sending.cut(lambda: part_bytes(alone))
    finally:
        server.resume()
    sending.goes_on(kept)


def test_a_file_that_changes_under_way_is_told(browser: Browser, alone: Up, tmp_path: Path) -> None:
    """As a recording does that still runs."""
    film = tmp_path / "recording.mp4"
    film.write_bytes(bytes(SIZE_BYTES))
    with windows(browser) as opens:
        watched = opens(alone.url)
        watched.expect("ERR_")
        sending = Sending(watched.open("/videos"), alone.url, film)
        with film.open("ab") as file:
            file.write(b"more")
        sending.line.get_by_role("button", name="Pause recording.mp4").click()
        sending.line.get_by_role("button", name="Resume recording.mp4").click()
        expect(sending.line.get_by_role("alert")).to_contain_text("recording.mp4 has changed", timeout=LONG_MS)


def test_what_is_dropped_twice_is_sent_once_and_what_is_removed_is_gone(sending: Sending) -> None:
    drop(sending.page, sending.film)
    sending.page.get_by_role("button", name="Hide").click()
    expect(sending.line).to_have_count(0)
    expect(sending.page.get_by_role("heading", name=re.compile(r"^Uploads 1 under way, [2-9]\d%$"))).to_be_visible()
    sending.page.get_by_role("button", name="Show").click()
    expect(sending.line).to_have_count(1)
    assert sending.upload()["state"] == "receiving"
    assert sending.wire.begun == 1
    assert sending.wire.pieces.count(0) == 1

    sending.line.get_by_role("button", name="Remove long way.mp4 from the list").click()
    expect(sending.page.get_by_role("region", name="Uploads")).to_have_count(0)
    await_(lambda: asked(sending.url, "/v1/uploads")["items"] == [], "it is still there")


def stands_still(sending: Sending) -> bool:
    before = sending.line.inner_text()
    sending.page.wait_for_timeout(1000)
    return "lost" not in before and before == sending.line.inner_text()


def part_bytes(server: Up) -> int:
    (part,) = (server.data / "uploads").rglob("*.part")
    return part.stat().st_size


def end_hard(server: Up) -> None:
    """As kill -9 does, and nobody is left who would start it again."""
    running = server.all()
    child = server.server()
    server.process.kill()
    child.kill()
    server.process.wait()
    assert left(running) == []


def test_what_others_began_is_not_offered_here(browser: Browser, alone: Up) -> None:
    names = ("mine.mp4", "theirs.mp4")
    with httpx.Client(base_url=alone.url, trust_env=False) as client:
        ids = []
        for name in names:
            wish = {"Tus-Resumable": "1.0.0", "Upload-Length": str(SIZE_BYTES)}
            wish["Upload-Metadata"] = f"filename {b64encode(name.encode()).decode()}"
            ids.append(
                client.post("/v1/uploads", headers=wish).raise_for_status().headers["Location"].rsplit("/", 1)[1]
            )
    with windows(browser) as opens:
        page = opens(alone.url).open("/videos")
        kept = {"size": SIZE_BYTES, "metadata": {}, "uploadUrl": f"{alone.url}/v1/uploads/{ids[0]}"}
        page.evaluate("kept => localStorage.setItem('tus::print::1', JSON.stringify(kept))", kept)
        page.reload()
        tray = page.get_by_role("region", name="Uploads")
        expect(tray).to_contain_text("mine.mp4")
        expect(tray).not_to_contain_text("theirs.mp4")
