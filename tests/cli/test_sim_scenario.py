"""`vidprocme sim live --scenario`: a scenario through the real queue and loop does what the simulator says of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest

from tests.cli.things import said
from vidprocme.cli import sim_scenario
from vidprocme.cli.sim_scenario import Told, played
from vidprocme.core.errors import VidprocmeError
from vidprocme.core.job import Bin
from vidprocme.queue.base import ENQUEUE_BATCH
from vidprocme.scheduler.journal import replay
from vidprocme.simulator.live import scaled
from vidprocme.simulator.queueing import POLICIES
from vidprocme.simulator.scenario import HOUR_MS, SCENARIOS, VP1, Film, films

SPEED, MINUTES = 40.0, 6.0
# One machine, so that there is a line: what is urgent has to be seen to go first.
SMALL = replace(VP1, name="small", nodes=1, longest_ms=240_000, dump_at_ms=2 * HOUR_MS)
BREAKING = replace(SMALL, nodes=2, longest_ms=90_000, fails_every_ms=100_000, away_ms=20_000, slow_every_ms=60_000)


@pytest.fixture(scope="module", autouse=True)
def _worlds() -> Iterator[None]:
    with mock.patch.dict(SCENARIOS, {"small": SMALL, "breaking": BREAKING}):
        yield


@pytest.fixture(scope="module")
def log() -> list[str]:
    return []


@pytest.fixture(scope="module")
def told(log: list[str]) -> Told:
    return played("small", 1.1, 3, MINUTES, SPEED, lambda _done, _all: None, log.append)


def test_every_task_is_done_once_and_in_order(told: Told) -> None:
    play = told.play

    assert told.complete and told.active == 0
    assert play.tasks == play.ended > 200 and (play.doubled, play.disordered) == (0, 0)
    for video in play.run.videos:
        ends = [segment.end_ms for segment in video.segments]
        for chunk, waits_for in zip(video.chunks, video.waits_for, strict=True):
            assert chunk.start_ms >= max(ends[:waits_for])


@pytest.mark.slow
def test_a_gpu_does_one_thing_at_a_time_and_loads_what_it_does_not_have(told: Told) -> None:
    strips = told.play.run.strips

    places = {strip[0] for strip in strips}
    assert len(places) == SMALL.gpus
    for place in places:
        model, end_ms = "", 0
        for _, start_ms, stop_ms, other, load_ms in sorted(strip for strip in strips if strip[0] == place):
            assert start_ms >= end_ms and load_ms == (0 if other == model else SMALL.load_ms)
            model, end_ms = other, stop_ms


@pytest.mark.slow
def test_bins_go_in_order(told: Told) -> None:
    """Most urgent first: their tasks wait less, on average. A few less urgent ones have turns, so that none waits for ever."""
    waits: dict[Bin, list[int]] = {}
    for video in told.play.run.videos:
        waits.setdefault(video.film.bin, []).extend(one.start_ms - one.ready_ms for one in video.chunks)

    means = [sum(waits[bin_]) / len(waits[bin_]) for bin_ in (Bin.URGENT, Bin.HIGH, Bin.NORMAL)]
    assert means == sorted(means) and means[0] * 2 < means[2]


@pytest.mark.slow
def test_it_takes_about_as_long_as_predicted(told: Told) -> None:
    """Wide enough for a busy machine; a model that is loaded at each chunk, or a chunk that waits for its whole film, is far outside."""
    rows = {row.name: row for row in told.rows}

    assert 0.5 < (rows["mean_s"].ratio or 0) < 2
    assert 0.5 < (rows["reloads"].ratio or 0) < 2
    assert abs(rows["useful_percent"].live - rows["useful_percent"].predicted) < 15


@pytest.mark.slow
def test_what_its_pool_decided_is_decided_again(told: Told, log: list[str]) -> None:
    found = list(replay(log, scaled(POLICIES["default"], told.speed)))

    assert sum(len(one.recorded["placements"]) for one in found) >= told.play.tasks
    assert all(one.again == one.recorded for one in found)


def test_a_stopped_one_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "vidprocme", "sim", "live", "--scenario", "vp1", "--minutes", "5", "--speed", "1"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        end_s = time.monotonic() + 60
        while not any(tmp_path.glob("vidprocme-sim-*/*")):  # it is playing
            assert process.poll() is None and time.monotonic() < end_s
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and not out
    assert "Stopped before the end" in err and "Traceback" not in err
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
def test_machines_fail_and_nothing_is_lost() -> None:
    told = played("breaking", 0.6, 3, 3, SPEED, lambda _done, _all: None)

    assert told.complete and told.play.run.lost_ms > 0


@pytest.mark.slow
def test_a_film_of_more_tasks_than_can_be_sent_at_once() -> None:
    long = Film(0, 0, Bin.HIGH, "tenant-0", "A", 1, 1.0, (600,) * (ENQUEUE_BATCH + 10), (600,) * (ENQUEUE_BATCH + 50))
    with mock.patch.object(sim_scenario, "films", return_value=[long]):
        told = played("small", 0.5, 3, 5, SPEED, lambda _done, _all: None)

    assert told.complete and told.play.tasks == 2 * ENQUEUE_BATCH + 60


def test_a_film_that_cannot_be_sent_is_told_and_not_waited_for() -> None:
    one = films(SMALL, 85, 3)[0]
    twice = [replace(one, at_ms=0), replace(one, number=1, at_ms=1, tenant="a|b")]
    with mock.patch.object(sim_scenario, "films", return_value=twice), pytest.raises(VidprocmeError):
        played("small", 0.5, 3, 5, SPEED, lambda _done, _all: None)


def test_the_command_tells_live_and_predicted(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["sim", "live", "--scenario", "vp1", "--load", "0.2", "--minutes", "2", "--speed", "60"]

    out, err = said(capsys, *words)
    assert "predicted" in out and "within 1.25 times" in out and max(map(len, out.splitlines())) <= 80 and err == ""
    document = json.loads(said(capsys, *words, "--json")[0])
    assert document["complete"] and document["ended"] == document["tasks"] > 0
    assert set(document["figures"]["mean_s"]) == {"live", "predicted", "ratio", "within"}


@pytest.mark.slow
def test_what_is_not_complete_is_told_by_the_status(capsys: pytest.CaptureFixture[str], told: Told) -> None:
    with mock.patch.object(sim_scenario, "played", return_value=replace(told, active=1)):
        out, _ = said(capsys, "sim", "live", "--scenario", "vp1", status=1)

    assert "NOT COMPLETE" in out and "1 jobs active" in out


def test_wrong_words_are_answered(capsys: pytest.CaptureFixture[str]) -> None:
    assert "OPTIONS_APART" in said(capsys, "sim", "live", "--scenario", "vp1", "--nodes", "2", status=2)[1]
    assert "OPTIONS_APART" in said(capsys, "sim", "live", "--json", status=2)[1]
    assert (
        "NO_FILMS"
        in said(capsys, "sim", "live", "--scenario", "vp1", "--minutes", "0.1", "--load", "0.01", status=2)[1]
    )
