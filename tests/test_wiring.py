"""What a house does when a pool of it starts: it clears away what killed ones left."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.dispatch.things import new_job, places, state, step_until, waiting
from vidprocme.config import Settings
from vidprocme.core.job import JobState
from vidprocme.executor.timed import TimedExecutor
from vidprocme.library.blobs import ASIDE
from vidprocme.queue import embedded
from vidprocme.scheduler.config import PolicyConfig
from vidprocme.scheduler.journal import replay
from vidprocme.wiring import House


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setenv(embedded.LINGER_VARIABLE, "0.2")
    return House(Settings(data=tmp_path / "data", cores=1))


HOLD = """
import sys, time
from pathlib import Path
from vidprocme.processes import hold
hold(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


def test_what_killed_pools_left_is_cleared_away_and_nothing_else(house: House) -> None:
    """Whose lock is held lives, wherever it is: in another container its process cannot be seen."""
    with house:
        scratch = house.data / "scratch"
        for name in ("pool_KILLED", "pool_LIVING", "precious"):
            (scratch / name / "attempt").mkdir(parents=True)
        old, new = (Path(house.blobs_url) / ASIDE / name for name in ("old", "new"))
        old.parent.mkdir(parents=True)
        for path in (old, new):
            path.write_bytes(b"half a blob")
        os.utime(old, (0, 0))
        with contextlib.ExitStack() as exits:
            for name in ("pool_KILLED", "pool_LIVING"):
                words = [sys.executable, "-c", HOLD, str(scratch / f"{name}.lock")]
                process = exits.enter_context(subprocess.Popen(words, stdout=subprocess.PIPE))
                exits.callback(process.kill)
                assert process.stdout is not None and process.stdout.readline() == b"held\n"
                if name == "pool_KILLED":
                    process.kill()
                    process.wait()

            with house.pool():
                (mine,) = house.queue.pools()
                left = {path.name for path in scratch.iterdir()}
                assert left == {"pool_LIVING", "pool_LIVING.lock", "precious", mine.id, f"{mine.id}.lock"}
                assert new.exists() and not old.exists()
            assert {path.name for path in scratch.iterdir()} == {"pool_LIVING", "pool_LIVING.lock", "precious"}


def test_a_pool_starts_also_where_nothing_can_be_swept(house: House, caplog: pytest.LogCaptureFixture) -> None:
    with house:
        aside = Path(house.blobs_url) / ASIDE
        _ = house.blobs
        aside.rmdir()
        with house.pool():
            assert house.queue.pools()
    assert "could not be swept" in caplog.text


def test_a_pool_writes_its_journal_where_the_setting_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(embedded.LINGER_VARIABLE, "0.2")
    settings = Settings(data=tmp_path / "data", journal=str(tmp_path / "journal"), journal_mb=1, overdue_high_s=7)
    with House(settings) as house, house.pool(executor=TimedExecutor(places())) as pool:
        job = new_job()
        house.queue.submit(job, waiting(job, 5))
        step_until(pool, lambda: state(house.queue, job) is JobState.SUCCEEDED)

    (part,) = (tmp_path / "journal").iterdir()
    lines = part.read_text().splitlines()
    assert json.loads(lines[0])["settings"]["max_wait_ms"]["high"] == 7_000
    found = list(replay(lines))
    assert sum(len(one.recorded["placements"]) for one in found) >= 5
    assert all(one.again == one.recorded for one in found)


def test_pools_decide_by_the_policy_that_the_simulator_plays(tmp_path: Path) -> None:
    """Whoever sets nothing has the defaults that were measured."""
    with House(Settings(data=tmp_path)) as house:
        usual = PolicyConfig()  # but for a pace: a job goes on no slower than what it waits to be begun
        assert replace(house.policy, pace_ms=usual.pace_ms) == usual
