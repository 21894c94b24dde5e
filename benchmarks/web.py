"""`python -m benchmarks web`: is the dashboard quick beside a hundred thousand jobs?

A data folder of its own with the embedded Redis, the server, and the jobs of `lists`; then a headless Chromium. Every try has a window of its own
with an empty cache. First paints of four pages; from a key or click in the table of jobs to the frame that shows it; the times of frames while
the table is scrolled, also while jobs come in and change; one walk to the end of the list; the scripts of a first visit.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import httpx
from playwright.sync_api import Browser, Page

from benchmarks import lists, running, visits
from benchmarks.ground import until
from benchmarks.running import Services, listening
from vidprocme.api.ui import BUILT
from vidprocme.config import load
from vidprocme.core.ids import JobId
from vidprocme.core.job import Bin
from vidprocme.wiring import House

DESCRIBED = 200  # of the jobs, so many have a video with captions
LONG_MS = 50.0  # a frame that can be seen to be late
WHEEL_PX = 500  # a turn of the wheel, every 30 ms
SHOWN = 150  # rows that change beside the scroll, from the top
STEPS = 10  # of the walk
WALK_S = 600.0  # no walk is longer
GOALS = {"paints": 1000.0, "inputs": 100.0, "frames": LONG_MS}
BESIDE = "filter typed to rows shown"  # has the server's answer in it, and 250 ms in which somebody may type on


def main(argv: Sequence[str]) -> int:
    options = _parser().parse_args(argv)
    if options.short:
        options.jobs, options.tries, options.seconds = 2_000, 3, 2.0
    if not (BUILT / "index.html").is_file():
        print("error: there is no dashboard to measure. Build it first: make web", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="vidprocme-web-", ignore_cleanup_errors=True) as made, listening() as door:
        folder = options.folder or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        data, fd = folder / "data", door.fileno()
        services = Services(data, folder / "log.txt")
        services.add("server", "vidprocme.api.server", "--fd", str(fd), fds=(fd,))
        os.environ.update(running.environment(data))  # of the embedded Redis too, so that all can be ended
        try:
            with House(load({"data": data}, {})) as house:
                url = f"http://127.0.0.1:{door.getsockname()[1]}"
                _fill(house, services, url, options.jobs)
                told = _measured(options, house, url)
        finally:
            services.stop()
    told["load_average"] = round(os.getloadavg()[1], 1)
    print(json.dumps({"web": {**vars(options), **told}}, default=str) if options.json else table(told))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks web", description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--tries", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each scroll")
    parser.add_argument("--events", type=int, default=40, help="a second, in the scroll beside changes")
    parser.add_argument("--short", action="store_true", help="2,000 jobs, three tries")
    parser.add_argument("--folder", type=Path, help="kept, and not filled again when it is there")
    parser.add_argument("--json", action="store_true")
    return parser


def _fill(house: House, services: Services, url: str, count: int) -> None:
    """A server with so many jobs in its lists."""
    house.queue.pause(Bin.BULK)
    there = house.queue.job(JobId(lists.job_of(count - 1).id)) is not None
    if not there:
        lists.seed(house, count)
    services.start()
    until(lambda: _answers(url), "the server", 60)
    until(lambda: running.follows(house), "the lists", 3600, every_s=0.5)
    if not there:
        lists.describe(house, min(DESCRIBED, count))


def _answers(url: str) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(f"{url}/readyz", timeout=5, trust_env=False).status_code == 200
    return False


def _measured(options: argparse.Namespace, house: House, url: str) -> dict[str, Any]:
    with visits.browsing() as browser:
        visits.paints(
            browser, url, "/jobs", visits.ROW
        )  # the browser's and the server's own first time is not a visitor's
        return {
            "paints": _paints(browser, url, options.tries),
            "inputs": _inputs(browser, url, options),
            "frames": _frames(browser, url, house, options),
            "walk": _walk(browser, url, options.jobs),
            "script_bytes": script_bytes(BUILT),
        }


# -- first paints --------------------------------------------------------------------------------------------------------
def _paints(browser: Browser, url: str, tries: int) -> dict[str, Any]:
    video = lists.job_of(1).video
    pages = {"/": ".bins", "/jobs": visits.ROW, "/search": "main [data-find]", f"/videos/{video}": "main h1"}
    told = {}
    for path, selector in pages.items():
        _say(f"first paints of {path}")
        found = [visits.paints(browser, url, path, selector) for _ in range(tries)]
        name = "/videos/ID" if path.endswith(video) else path
        told[f"{name} first paint"] = spread([one.first_ms for one in found])
        told[f"{name} content"] = spread([one.shown_ms for one in found])
    return told


# -- keys and clicks -----------------------------------------------------------------------------------------------------
def _inputs(browser: Browser, url: str, options: argparse.Namespace) -> dict[str, Any]:
    took: dict[str, list[float]] = {}
    for number in range(options.tries):
        _say(f"keys and clicks {number + 1} of {options.tries}")
        with visits.window(browser, url) as page:
            visits.open_jobs(page)
            for name, value in _one_by_one(page, 17 * (number + 3) % options.jobs).items():
                took.setdefault(name, []).append(value)
    return {name: spread(values) for name, values in took.items()}


def _one_by_one(page: Page, wanted: int) -> dict[str, float]:
    """Each input once. The filter is typed for the name of job `wanted`."""
    press = page.keyboard.press
    told: dict[str, float] = {}
    page.locator(".job-body").focus()
    told["key j"] = visits.latency_ms(page, lambda: press("j"))
    told["key k"] = visits.latency_ms(page, lambda: press("k"))
    told["checkbox of a row"] = visits.latency_ms(page, page.locator(".job-body .job-row input").nth(2).click)
    told["select all"] = visits.latency_ms(page, page.locator(".job-head input").click)
    told["clear selection"] = visits.latency_ms(page, page.locator(".job-head input").click)
    told["palette shown, its first time"] = visits.shown_ms(page, lambda: press("Control+k"), ".palette input")
    page.wait_for_timeout(visits.SETTLE_MS)
    visits.latency_ms(page, lambda: press("Escape"))  # at rest again
    told["palette"] = visits.latency_ms(page, lambda: press("Control+k"))
    press("Escape")
    name = lists.job_of(wanted).source.name
    field = page.locator("main [data-find]").first
    field.focus()

    def type_() -> None:
        page.keyboard.type(name, delay=40)

    told["typing a filter"] = visits.latency_ms(page, type_)
    page.locator(visits.ROW, has_text=name).first.wait_for()
    field.fill("")
    page.wait_for_timeout(2 * visits.SETTLE_MS)
    page.locator(visits.ROW).nth(5).wait_for()
    field.focus()
    told[BESIDE] = visits.shown_ms(page, type_, visits.ROW, name)
    field.fill("")
    page.wait_for_timeout(2 * visits.SETTLE_MS)
    told["click on a state"] = visits.latency_ms(page, page.get_by_role("button", name=re.compile("^cancelled")).click)
    return told


# -- scrolling -------------------------------------------------------------------------------------------------------------
def _frames(browser: Browser, url: str, house: House, options: argparse.Namespace) -> dict[str, Any]:
    told = {}
    for name, busy in (("wheel", False), ("End key", False), ("wheel beside events", True)):
        times, reached, work = list[float](), list[int](), list[float]()
        for number in range(options.tries):
            _say(f"{name}, {number + 1} of {options.tries}")
            with visits.window(browser, url) as page, changing(house, options.events if busy else 0, options.jobs):
                visits.open_jobs(page)
                page.mouse.move(700, 600)
                page.locator(".job-body").focus()
                act = (
                    partial(page.keyboard.press, "End") if name == "End key" else partial(page.mouse.wheel, 0, WHEEL_PX)
                )
                found = visits.scrolled(page, act, 0.03, options.seconds)
                times += found.frames
                work.append(found.work)
                reached.append(visits.last_row(page))
        told[name] = frame_spread(times) | {"row": int(median(reached)), "work": round(median(work))}
    return told


class changing:  # noqa: N801 - read as a word: `with changing(house, 40, 1000):`
    """Beside the block so many events a second: a job comes in, and one at the top of the list is moved."""

    def __init__(self, house: House, per_s: int, jobs: int) -> None:
        self._house, self._per_s, self._jobs = house, per_s, jobs
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> None:
        if self._per_s:
            self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._per_s:
            self._thread.join()

    def _write(self) -> None:
        """Three events a turn: submitted and ready, and moved."""
        began_s, first = time.monotonic(), time.time_ns()
        for number in range(1_000_000):
            job = replace(lists.job_of(first + number, "late"), created_ms=time.time_ns() // 1_000_000)
            self._house.queue.submit(job, [lists.task_of(job)])
            shown = self._jobs - 1 - number % SHOWN
            if shown % lists.CANCELLED:  # those are cancelled: nothing of them can be moved
                self._house.control.move(lists.job_of(shown).id, Bin.HIGH if number // SHOWN % 2 == 0 else Bin.BULK)
            if self._over.wait(max(0.0, began_s + 3 * (number + 1) / self._per_s - time.monotonic())):
                return


# -- to the end of the list --------------------------------------------------------------------------------------------------
def _walk(browser: Browser, url: str, jobs: int) -> list[dict[str, Any]]:
    """End again and again, until the oldest job is there; told for each tenth of the way."""
    told, until_s = [], time.monotonic() + WALK_S
    with visits.window(browser, url) as page:
        visits.open_jobs(page)
        page.locator(".job-body").focus()
        for step in range(1, STEPS + 1):
            goal = max(1, jobs * step // STEPS - 1)
            page.evaluate("told.watch()")
            began_s = time.monotonic()
            while (row := visits.last_row(page)) < goal and time.monotonic() < until_s:
                page.keyboard.press("End")
                page.wait_for_timeout(30)
            took_s = time.monotonic() - began_s
            frames = frame_spread(page.evaluate("told.rest()"))
            _say(f"row {row} after {took_s:.1f} s more")
            key = visits.latency_ms(page, partial(page.keyboard.press, "k"))
            box = visits.latency_ms(page, page.locator(".job-body .job-row input").nth(-3).click)
            heap = visits.heap_mb(page)
            told.append({"row": row, "s": round(took_s, 1), "key": key, "checkbox": box, "heap_mb": heap} | frames)
            if time.monotonic() > until_s:
                break
    return told


# -- telling -----------------------------------------------------------------------------------------------------------------
def script_bytes(ui: Path) -> int:
    """Gzipped JavaScript of a first visit: the entry and all that it imports at once."""
    manifest = json.loads((ui / ".vite" / "manifest.json").read_text(encoding="utf-8"))
    seen: set[str] = set()
    waits = ["index.html"]
    while waits:
        key = waits.pop()
        if key not in seen:
            seen.add(key)
            waits += manifest[key].get("imports", [])
    files = {manifest[key]["file"] for key in seen}
    return sum(len(gzip.compress((ui / file).read_bytes(), 9)) for file in files if file.endswith(".js"))


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, p95 (the nearest rank) and worst of at least one value."""
    ordered = sorted(values)
    at = {name: -(-len(ordered) * p // 100) - 1 for name, p in (("median", 50), ("p95", 95), ("worst", 100))}
    return {name: round(ordered[rank], 1) for name, rank in at.items()}


def frame_spread(times: Sequence[float]) -> dict[str, float]:
    """spread of at least one frame, p99, how many frames, and how many were long."""
    ordered = sorted(times) or [0.0]
    p99 = ordered[-(-len(ordered) * 99 // 100) - 1]
    long = sum(one > LONG_MS for one in ordered)
    return spread(ordered) | {"p99": round(p99, 1), "frames": len(ordered), "long": long}


def table(told: dict[str, Any]) -> str:
    rows = [f"{'ms':<34}{'median':>9}{'p95':>9}{'p99':>9}{'worst':>9}{'goal':>9}"]
    for part, goal in GOALS.items():
        for name, one in told[part].items():
            p99 = f"{one['p99']:>9}" if "p99" in one else " " * 9
            aim = "" if name == BESIDE or name.endswith("content") else f"{goal:.0f}"
            rows.append(f"{name:<34}{one['median']:>9}{one['p95']:>9}{p99}{one['worst']:>9}{aim:>9}")
            if "long" in one:
                rows.append(
                    f"  {one['long']} of {one['frames']} frames over {LONG_MS:.0f} ms; row {one['row']}; {one['work']} ms of CPU a second"
                )
    rows += [
        "",
        f"{'to the end, until row':<22}{'s':>7}{'p95':>8}{'worst':>8}{'long':>7}{'key':>7}{'box':>7}{'heap MB':>9}",
    ]
    rows += [
        f"{one['row']:<22}{one['s']:>7}{one['p95']:>8}{one['worst']:>8}{one['long']:>7}{one['key']:>7}{one['checkbox']:>7}{one['heap_mb']:>9}"
        for one in told["walk"]
    ]
    rows += [
        "",
        f"scripts of a first visit: {told['script_bytes'] / 1000:.1f} kB gzipped; load average {told['load_average']}",
    ]
    return "\n".join(rows)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
