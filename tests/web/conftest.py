"""The dashboard in a real browser: a server over a real queue, the built pages, and a page that forgives nothing.

Chromium is the system's; axe-core is read as a file from web/node_modules. All of it runs in one process, one after another.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright

from tests.api.serving import serving
from tests.cli.served import Up, await_, draw, up
from tests.simlive import Live, sim_live
from vidprocme.api.server import create_app
from vidprocme.config import Settings
from vidprocme.queue import embedded
from vidprocme.wiring import House

ROOT = Path(__file__).resolve().parent.parent.parent
HERE = Path(__file__).resolve().parent
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
DESK, PHONE = (1360, 900), (390, 844)
LIMIT_MS = 20_000
expect.set_options(timeout=LIMIT_MS)  # its own are 5 s: too few on a machine with other work


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.browser)


@dataclass
class Watched:
    """A page, and what went wrong on it: errors of its console and scripts, and requests that left for elsewhere."""

    page: Page
    url: str
    faults: list[str] = field(default_factory=list)
    expected: tuple[str, ...] = ()

    def open(self, path: str = "/") -> Page:
        """Go there, and wait until the page has its heading."""
        self.page.goto(self.url + path)
        self.page.locator("h1").first.wait_for()
        return self.page

    def expect(self, *parts: str) -> None:
        """What this test brings about on purpose: faults with these words are none."""
        self.expected += parts

    def found(self) -> list[str]:
        return [fault for fault in self.faults if not any(part in fault for part in self.expected)]

    def watch(self) -> None:
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.faults.append(f"page error: {error}"))
        self.page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.faults.append(f"console: {message.text} ({message.location.get('url', '')})")

    def _request(self, request: Request) -> None:
        asked = urlsplit(request.url)
        if asked.scheme not in ("data", "blob") and f"{asked.scheme}://{asked.netloc}" != self.url:
            self.faults.append(f"request to elsewhere: {request.url}")


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One Chromium for all. It ends with the package: while it is driven, its thread can run no other event loop."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield chromium
        chromium.close()


@pytest.fixture(scope="package")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with embedded.open(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


@pytest.fixture
def house(tmp_path: Path, redis_url: str) -> Iterator[House]:
    with House(Settings(data=tmp_path / "data", redis_url=redis_url)) as made:
        made.queue.client.flushdb()  # type: ignore[attr-defined]
        yield made


@pytest.fixture
def app(house: House) -> FastAPI:
    return create_app(house)


@pytest.fixture
def site(app: FastAPI) -> Iterator[str]:
    """The server's address."""
    with serving(app) as client:
        yield str(client.base_url).rstrip("/")


Opens = Callable[..., Watched]


@contextmanager
def windows(browser: Browser) -> Iterator[Opens]:
    """Makes watched pages of the server at `url`; when the block ends, none of them may have had a fault.

    With `beside` the new page is another tab of that page's window.
    """
    made: list[Watched] = []
    contexts: list[BrowserContext] = []

    def open_(
        url: str, *, size: tuple[int, int] = DESK, theme: str = "light", beside: Watched | None = None, **more: Any
    ) -> Watched:
        if beside is None:
            viewport = {"width": size[0], "height": size[1]}
            scheme: Any = theme
            context = browser.new_context(viewport=viewport, color_scheme=scheme, **more)  # type: ignore[arg-type]
            context.set_default_timeout(LIMIT_MS)
            contexts.append(context)
        else:
            context = beside.page.context
        watched = Watched(context.new_page(), url)
        watched.watch()
        made.append(watched)
        return watched

    try:
        yield open_
    finally:
        for context in contexts:
            context.close()
    assert [fault for watched in made for fault in watched.found()] == []


@pytest.fixture
def opens(browser: Browser, site: str) -> Iterator[Opens]:
    """Watched pages of the test's own server."""
    with windows(browser) as open_:
        yield partial(open_, site)


@dataclass(frozen=True)
class Studio:
    """A server with a pool and the demo model. `video` is ready; its captions should say `said`, one each second."""

    up: Up
    video: str
    said: list[str]
    folder: Path


@pytest.fixture(scope="package")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    folder = tmp_path_factory.mktemp("studio")
    with up(folder, VIDPROCME_MODEL="demo") as server:
        said = draw(folder / "dock.mp4", 12, seed=2026)
        job = server.ended(server.post(folder / "dock.mp4", title="Loading dock"))
        assert job["state"] == "succeeded", job
        yield Studio(server, job["video"], said, folder)


@pytest.fixture
def visits(browser: Browser, studio: Studio) -> Iterator[Opens]:
    """Watched pages of the studio."""
    with windows(browser) as open_:
        yield partial(open_, studio.up.url)


@pytest.fixture(scope="package")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A simulated house where 60 videos have come to their ends, a good many to a bad one. What a test breaks stays so."""
    options = ("--jobs", "60", "--fail", "30%", "--speed", "60")
    with sim_live(tmp_path_factory.mktemp("town") / "data", *options) as live:

        def all_ended() -> bool:
            counts = asked(live.url, "/v1/jobs?limit=1")["counts"]
            return int(counts["succeeded"] + counts["failed"]) == 60

        await_(all_ended, "the town's videos did not end")
        yield live


@pytest.fixture
def strolls(browser: Browser, town: Live) -> Iterator[Opens]:
    """Watched pages of the town."""
    with windows(browser) as open_:
        yield partial(open_, town.url)


def asked(url: str, path: str) -> dict[str, Any]:
    """What the server answers beside the page."""
    found: dict[str, Any] = httpx.get(f"{url}{path}", timeout=30, trust_env=False).json()
    return found


def axe(page: Page) -> list[str]:
    """What axe finds wrong, WCAG 2.0 to 2.2 A and AA and its best practices: `rule: element`."""
    page.evaluate(AXE.read_text(encoding="utf-8"))  # by the debugger's door: the page's policy lets no script in
    script = "tags => axe.run(document, { runOnly: { type: 'tag', values: tags } })"
    result: dict[str, Any] = page.evaluate(script, TAGS)
    return [
        f"{violation['id']}: {node['target']} {node['html'][:160]}"
        for violation in result["violations"]
        for node in violation["nodes"]
    ]


def overflow_px(page: Page) -> int:
    """By how much the page is wider than its window."""
    found: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return found
