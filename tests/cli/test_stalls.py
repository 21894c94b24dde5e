"""A run of which nothing starts says why, soon, and then now and then."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.served import draw, environment
from tests.cli.things import HOLDER, submit
from tests.queue.things import pool
from vidprocme.cli.stalls import AGAIN_S, FIRST_S, Stalls
from vidprocme.core.ids import JobId, task_id
from vidprocme.core.job import Bin
from vidprocme.core.resources import PlaceKind, Resources
from vidprocme.dispatch.pool import this_pool
from vidprocme.queue.base import Claim, JobView, PlaceReport, PoolReport
from vidprocme.wiring import House


class Watch:
    """A clock that a test moves, and what was said by it."""

    def __init__(self, house: House) -> None:
        self.house, self.at_s, self.said = house, 0.0, [""]
        self.stalls = Stalls(house.queue, self.said.append, lambda: self.at_s)

    def until(self, at_s: float, job: JobId) -> int:
        """Look every half second; how often something was said."""
        before = len(self.said)
        while self.at_s < at_s:
            self.at_s += 0.5
            self.stalls.look([self.view(job)])
        return len(self.said) - before

    def view(self, job: JobId) -> JobView:
        view = self.house.queue.job(job)
        assert view is not None
        return view


def test_it_is_said_soon_and_then_now_and_then(house: House, tmp_path: Path) -> None:
    watch, job = Watch(house), submit(house, tmp_path)
    house.queue.pause(Bin.NORMAL)

    assert watch.until(FIRST_S, job) == 0 and watch.until(10.0, job) == 1
    assert watch.said[-1] == (
        "Nothing runs. The normal bin is paused; 1 waits in it. `vidprocme bins resume normal` lets them start."
    )
    assert watch.until(9.0 + AGAIN_S, job) <= 1 and watch.until(10.0 + 3 * AGAIN_S, job) >= 2
    assert len(watch.said) - 1 <= 5
    house.queue.resume(Bin.NORMAL)
    assert watch.until(watch.at_s + FIRST_S + 1, job) == 1, "another reason is said without waiting"
    assert watch.said[-1].startswith("Nothing runs. No pool is at work.")


def test_while_anything_runs_there_is_nothing_to_say(house: House, tmp_path: Path) -> None:
    watch, job = Watch(house), submit(house, tmp_path)
    watch.until(FIRST_S - 1, job)
    house.queue.turn(HOLDER, [], [Claim(task_id(job, "probe", 0), "a/cpu", Resources())], lease_ms=600_000)

    assert watch.until(FIRST_S + 2 * AGAIN_S, job) == 0
    house.queue.free_dead(HOLDER)
    assert watch.until(watch.at_s + FIRST_S - 1, job) == 0 and watch.until(watch.at_s + 2, job) == 1


def test_its_own_pool_counts_for_it_and_others_do_not(house: House, tmp_path: Path) -> None:
    watch, job = Watch(house), submit(house, tmp_path)
    house.queue.join(pool("p", own_jobs_only=True), 60_000)
    watch.until(FIRST_S + 1, job)
    assert "Only pools for jobs of their own are at work." in watch.said[-1]

    house.queue.join(this_pool(1, own_jobs_only=True), 60_000)
    watch.until(2 * FIRST_S + 3, job)
    assert watch.said[-1].startswith("Nothing runs. In line: 1 wait in bin normal; 1 pool")


# -- as a process ------------------------------------------------------------------------------------------------------


@contextmanager
def processing(house: House, folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """A run over a drawn clip, and what it says on stderr so far."""
    clip = folder / "goat.mp4"
    draw(clip, 1)
    argv = [sys.executable, "-m", "vidprocme", "process", str(clip), "--out", str(folder / "out")]
    process = subprocess.Popen(
        [*argv, "--model", "none", "--renditions", "240p", *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(VIDPROCME_DATA=str(house.data), VIDPROCME_REDIS_URL=house.settings.redis_url),
    )
    said: list[str] = []
    assert process.stderr is not None
    reader = threading.Thread(target=lambda stream: said.extend(stream), args=(process.stderr,))
    reader.start()
    try:
        yield process, said
    finally:
        process.kill()
        process.wait()
        reader.join()
        process.stderr.close()


def within(said: list[str], word: str, limit_s: float) -> str:
    deadline = time.monotonic() + limit_s
    while not (found := [line for line in said if word in line]):
        assert time.monotonic() < deadline, said
        time.sleep(0.05)
    return found[0]


@pytest.mark.parametrize("options", [(), pytest.param(("--quiet",), marks=pytest.mark.slow)])
def test_a_run_on_a_paused_bin_says_so_and_goes_on_when_it_is_resumed(
    house: House, tmp_path: Path, options: tuple[str, ...]
) -> None:
    house.queue.pause(Bin.NORMAL)
    with processing(house, tmp_path, *options) as (process, said):
        assert "The normal bin is paused" in within(
            said, "`vidprocme bins resume normal`", 10 + 5
        )  # 5 s to start python
        house.queue.resume(Bin.NORMAL)
        assert process.wait(60) == 0, said


def test_a_run_that_no_place_could_take_says_so(house: House, tmp_path: Path) -> None:
    house.queue.join(pool("p"), 60_000)
    model = PlaceReport("a/cpu-model", "a", PlaceKind.CPU_MODEL, slots=1, busy=0)
    house.queue.beat("p", [], lease_ms=60_000, presence_ms=60_000, report=PoolReport((model,)))

    with processing(house, tmp_path) as (_, said):
        line = within(said, "No pool has a place for it", 10 + 5)

    assert "it needs 1 core on a CPU place; there is 1 CPU model place" in line
