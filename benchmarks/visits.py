"""What a visitor of the dashboard waits for, as the browser itself clocks it: a headless Chromium and the marks that it makes."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

DESK = {"width": 1360, "height": 900}
PATIENCE_MS = 30_000
SETTLE_MS = 300  # after an input: entries of Event Timing come with the frame that shows it, and a little later
UNDER_MS = 16.0  # what Event Timing does not report took less than this
ROW = ".job-body .job-row a"

# In every page, before its own scripts. Times are ms of the page's own clock.
MARKS = """
(() => {
  const told = { events: [], frames: [], keyMs: 0, on: false };
  window.told = told;
  const INPUTS = ["keydown", "keypress", "keyup", "beforeinput", "input", "pointerdown", "mousedown", "pointerup", "mouseup", "click"];
  new PerformanceObserver((list) => {
    for (const one of list.getEntries()) if (INPUTS.includes(one.name)) told.events.push([one.startTime, one.duration]);
  }).observe({ type: "event", durationThreshold: 16 });
  addEventListener("keydown", (event) => { told.keyMs = event.timeStamp }, true);
  let last = 0;
  const frame = (now) => {
    if (last) told.frames.push(now - last);
    last = now;
    if (told.on) requestAnimationFrame(frame);
  };
  told.watch = () => { told.on = true; told.frames = []; last = 0; requestAnimationFrame(frame) };
  told.rest = () => { told.on = false; return told.frames };
  told.shown = (selector, text) => new Promise((done, fail) => {
    const last = performance.now() + PATIENCE_MS;
    const look = () => {
      if (performance.now() > last) fail(new Error(`not shown: ${selector} ${text ?? ""}`));
      const found = document.querySelector(selector);
      if (found && (!text || found.textContent.includes(text))) done(performance.now());
      else requestAnimationFrame(look);
    };
    look();
  });
  told.until = (selector, text) => { told.found = told.shown(selector, text).then((now) => now - told.keyMs) };
})()
""".replace("PATIENCE_MS", str(PATIENCE_MS))


@dataclass(frozen=True)
class Paints:
    """Of one load with nothing in the cache, ms since it began."""

    first_ms: float  # the first contentful paint
    shown_ms: float  # what the page is for is there


@contextmanager
def browsing() -> Iterator[Browser]:
    """The system's Chromium, or Playwright's own where that is installed."""
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-dev-shm-usage"]
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
        try:
            yield chromium
        finally:
            chromium.close()


@contextmanager
def window(browser: Browser, url: str) -> Iterator[Page]:
    """A page of a window of its own, which has nothing in its cache."""
    context = browser.new_context(viewport={"width": DESK["width"], "height": DESK["height"]}, base_url=url)
    context.set_default_timeout(PATIENCE_MS)
    context.add_init_script(MARKS)
    try:
        yield context.new_page()
    finally:
        context.close()


def paints(browser: Browser, url: str, path: str, selector: str) -> Paints:
    with window(browser, url) as page:
        page.goto(path, wait_until="commit")
        shown_ms = page.evaluate("(selector) => told.shown(selector)", selector)
        first = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while (first_ms := page.evaluate(first)) is None:  # a paint is told after the frame that shows it
            if time.monotonic() > deadline:
                raise TimeoutError(f"{path} painted nothing")
            page.wait_for_timeout(20)
        return Paints(first_ms, shown_ms)


def open_jobs(page: Page, path: str = "/jobs") -> None:
    """The table with its first rows, at rest."""
    page.goto(path)
    page.locator(ROW).first.wait_for()
    page.wait_for_timeout(SETTLE_MS)


def latency_ms(page: Page, act: Callable[[], object]) -> float:
    """From an input to the next frame that shows it: the longest event of what `act` does. In steps of 8 ms, as the browser rounds."""
    page.evaluate("told.events = []")
    act()
    page.wait_for_timeout(SETTLE_MS)
    return max((took for _, took in page.evaluate("told.events")), default=UNDER_MS)


def shown_ms(page: Page, act: Callable[[], object], selector: str, text: str = "") -> float:
    """From the last key of `act` until `selector` (with `text`) is there."""
    page.evaluate("([selector, text]) => told.until(selector, text)", [selector, text])
    act()
    found: float = page.evaluate("told.found")
    return found


@dataclass(frozen=True)
class Scrolled:
    """frames: the times between frames, ms. work: of the page's main thread, CPU ms a second."""

    frames: list[float]
    work: float


def scrolled(page: Page, act: Callable[[], object], every_s: float, seconds: float) -> Scrolled:
    """What it is like while `act` is done again and again."""
    session: Any = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    before_s, began_s = _tasks_s(session), time.monotonic()
    page.evaluate("told.watch()")
    while time.monotonic() < began_s + seconds:
        act()
        page.wait_for_timeout(every_s * 1000)
    frames = page.evaluate("told.rest()")
    work = (_tasks_s(session) - before_s) * 1000 / (time.monotonic() - began_s)
    session.detach()
    return Scrolled(frames, work)


def _tasks_s(session: Any) -> float:
    found = session.send("Performance.getMetrics")["metrics"]
    return float(next(one["value"] for one in found if one["name"] == "TaskDuration"))


def last_row(page: Page) -> int:
    """The place in the list of the lowest row that is drawn."""
    rows = "[...document.querySelectorAll('.job-body .job-row')].map((row) => Number(row.ariaRowIndex) - 1)"
    found: int = page.evaluate(f"Math.max(0, ...{rows})")
    return found


def heap_mb(page: Page) -> float:
    """What the page's scripts keep, after the collector."""
    session: Any = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    used: float = session.send("Runtime.getHeapUsage")["usedSize"]
    session.detach()
    return round(used / 1e6, 1)
