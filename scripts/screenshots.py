"""Pictures of the dashboard for the README, made from a simulated house.

    python -m scripts.screenshots OUT

Needs chromium on PATH, the built UI, and playwright (requirements/dev.lock). Starts `vidprocme sim live`, waits until much goes on, and takes
each page in light and dark and on a phone. A picture of more than 150 kB is given fewer colours.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser

MOST_BYTES = 150_000
WIDE, PHONE = (1280, 800), (390, 844)
SETTLE_MS = 1500  # strips glide, posters load
LIVELY_WITHIN_S = 180
SIM = ("--nodes", "4", "--gpus", "6", "--jobs", "260", "--rate", "3", "--fail", "8%", "--speed", "4", "--seed", "11")


@dataclass(frozen=True, slots=True)
class Look:
    """How a page is looked at."""

    name: str
    size: tuple[int, int]
    dark: bool = False

    @property
    def phone(self) -> bool:
        return self.size == PHONE


LOOKS = (Look("light", WIDE), Look("dark", WIDE, dark=True), Look("phone", PHONE))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.screenshots", description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path, help="folder for the pictures")
    parser.add_argument("--url", help="of a server that runs already, instead of a simulation")
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    running = contextlib.nullcontext(options.url) if options.url else simulation()
    with running as url:
        if not has_pages(url):
            print("The server has no pages: build the UI first (web/README.md).", file=sys.stderr)
            return 1
        pages = lively(url) if not options.url else pages_of(url)
        for path in take(url, pages, options.out):
            print(f"{path}  {path.stat().st_size:,} bytes")
    return 0


@contextlib.contextmanager
def simulation() -> Iterator[str]:
    """A simulated house; its address."""
    with tempfile.TemporaryDirectory(prefix="vidprocme-pictures-") as folder:
        words = [sys.executable, "-m", "vidprocme", "sim", "live", "--port", "0", "--keep", f"{folder}/data", *SIM]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True)
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()
            process.wait(60)


def ask(url: str, path: str) -> dict[str, Any]:
    with urllib.request.urlopen(url + path, timeout=20) as answer:
        document: dict[str, Any] = json.load(answer)
    return document


def has_pages(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/", timeout=20) as answer:
            return "text/html" in answer.headers.get("content-type", "")
    except OSError:
        return False


def lively(url: str) -> dict[str, str]:
    """Wait until videos are done, some failed and much runs; then what there is to look at."""
    deadline = time.monotonic() + LIVELY_WITHIN_S
    while time.monotonic() < deadline:
        states = [one["state"] for one in ask(url, "/v1/jobs?limit=500")["items"]]
        if states.count("succeeded") >= 40 and states.count("failed") >= 4 and states.count("running") >= 8:
            break
        time.sleep(0.5)
    return pages_of(url)


def pages_of(url: str) -> dict[str, str]:
    """Paths of the pages by name: of jobs one that failed with most to see, of videos one with captions."""
    jobs = ask(url, "/v1/jobs?limit=500")["items"]
    pages = {"overview": "/", "jobs": "/jobs", "fleet": "/fleet", "alerts": "/alerts", "videos": "/videos"}
    failed = max(
        (one for one in jobs if one["state"] == "failed"), key=lambda one: sum(one["tasks"].values()), default=None
    )
    done = max(
        (one for one in jobs if one["state"] == "succeeded"), key=lambda one: sum(one["tasks"].values()), default=None
    )
    if failed is not None:
        pages["job"] = f"/jobs/{failed['id']}"
    if done is not None:
        pages["video"] = f"/videos/{done['video']}?t=7"
    return pages


def take(url: str, pages: dict[str, str], out: Path) -> Iterator[Path]:
    """Every page in every look, as `<page>-<look>.png`."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        try:
            for look in LOOKS:
                yield from _look(browser, look, url, pages, out)
        finally:
            browser.close()


def _look(browser: Browser, look: Look, url: str, pages: dict[str, str], out: Path) -> Iterator[Path]:
    width, height = look.size
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if look.dark else "light",
        is_mobile=look.phone,
        has_touch=look.phone,
        timezone_id="UTC",
    )
    page = context.new_page()
    for name, path in pages.items():
        page.goto(url + path, wait_until="load")
        page.get_by_role("heading", level=1).first.wait_for(timeout=20_000)
        page.wait_for_timeout(SETTLE_MS)
        target = out / f"{name}-{look.name}.png"
        page.screenshot(path=target)
        smaller(target)
        yield target
    context.close()


def smaller(path: Path, most_bytes: int = MOST_BYTES) -> None:
    """Fewer colours, until the picture is small enough (or has 32)."""
    from vidprocme.transcoder.ffmpeg import find

    with tempfile.TemporaryDirectory() as folder:
        program = find(cache=Path(folder)).path
        for colours in (256, 128, 64, 32):
            if path.stat().st_size <= most_bytes:
                return
            aside = Path(folder) / "smaller.png"
            chain = f"split[a][b];[a]palettegen=max_colors={colours}:stats_mode=full[p];[b][p]paletteuse=dither=none"
            words = [
                program,
                "-v",
                "error",
                "-y",
                "-i",
                str(path),
                "-vf",
                chain,
                "-compression_level",
                "100",
                str(aside),
            ]
            subprocess.run(words, check=True, stdin=subprocess.DEVNULL)
            if aside.stat().st_size < path.stat().st_size:
                shutil.copyfile(aside, path)


if __name__ == "__main__":
    sys.exit(main())
