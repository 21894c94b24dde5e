"""`vidprocme logs`: a job's events with the last words of its attempts, once or followed to the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.things import HOLDER, attempt, documents, fail, kill, late, made_house, said, submit
from tests.servers import RedisServer
from vidprocme.core.errors import ErrorInfo, Fate
from vidprocme.core.ids import JobId, task_id
from vidprocme.core.job import Bin, Next, Outcome, OutcomeKind
from vidprocme.core.resources import Resources
from vidprocme.queue.base import Claim
from vidprocme.wiring import House

Capsys = pytest.CaptureFixture[str]
BOTH_WAYS = pytest.mark.usefixtures("both_ways")


@BOTH_WAYS
def test_what_happened_in_order_with_the_last_words(house: House, tmp_path: Path, capsys: Capsys) -> None:
    other, job = submit(house, tmp_path, "other.mp4"), submit(house, tmp_path)
    kill(house, job)
    house.control.retry(job)
    house.control.move(job, Bin.HIGH)
    house.control.cancel(job)
    fail(house, other)

    out, _ = said(capsys, "logs", job[-8:])

    lines = out.splitlines()
    told = [line[8:].strip() for line in lines if line[:1].isdigit()]
    assert told[0] == "submitted" and told[-1] == "ended: cancelled"
    assert [word for word in told if "started" in word] == ["probe:0         started on node/cpu"] * 4
    assert told.index("probe:0         dead: all 4 tries are used up") < told.index("moved to bin high")
    assert out.count("FFMPEG_FAILED: ffmpeg exit 1: no room") == 4 and out.count("            no room") == 4
    assert "NOT_MEDIA" not in out  # another job's


def told(out: str) -> list[str]:
    """What happened, an event a line, without the time of day."""
    return [line[8:].strip() for line in out.splitlines() if line[:1].isdigit()]


@BOTH_WAYS
def test_what_was_set_aside_or_given_up_says_why(house: House, tmp_path: Path, capsys: Capsys) -> None:
    poison, often = submit(house, tmp_path, "poison.mp4"), submit(house, tmp_path, "often.mp4")
    error = ErrorInfo("PROCESS_CRASHED", "It crashed.", "It is tried again.")
    for _ in range(2):
        attempt(
            house, task_id(poison, "probe", 0), Next.RETRY, Outcome(OutcomeKind.FAILED, error=error), 0, crashed=True
        )
    for _ in range(21):
        lost = Outcome(OutcomeKind.LOST, error=ErrorInfo("PROCESS_KILLED", "Killed from outside."))
        attempt(house, task_id(often, "probe", 0), Next.LOST, lost, 0)

    first, second = said(capsys, "logs", poison)[0], said(capsys, "logs", often)[0]

    assert "probe:0         set aside: it crashed its own process twice" in told(first)
    assert "Look at this video first" in first and f"jobs retry {poison}" in " ".join(first.split())
    assert "probe:0         given up: lost 21 times" in told(second) and "logs and memory" in " ".join(second.split())
    dead = " ".join(said(capsys, "jobs", "dead")[0].split())
    assert "Set aside: it crashed its own process twice. It crashed." in dead and "Given up: lost 21 times." in dead


@BOTH_WAYS
def test_what_is_handed_back_and_what_is_lost_are_told_apart(house: House, tmp_path: Path, capsys: Capsys) -> None:
    job = submit(house, tmp_path)
    probe = task_id(job, "probe", 0)
    stopped = Outcome(OutcomeKind.CANCELLED)
    killed = Outcome(OutcomeKind.LOST, error=ErrorInfo("PROCESS_KILLED", "Killed from outside."))
    attempt(house, probe, Next.HAND_BACK, stopped, 0)
    attempt(house, probe, Next.HAND_BACK, killed, 0)  # its pool was told to hand back, and its process died of that
    attempt(house, probe, Next.LOST, killed, 0)
    house.queue.turn(HOLDER, [], [Claim(probe, "node/cpu", Resources())], lease_ms=60_000)
    house.queue.free_dead(HOLDER)  # the pool was killed

    lines = [line.removeprefix("probe:0         ") for line in told(said(capsys, "logs", job)[0]) if "again" in line]

    assert lines == [
        "handed back by its pool, in line again",
        "handed back by its pool, in line again",
        "lost, in line again",
        "lost: its pool is gone, in line again",
    ]


@BOTH_WAYS
def test_a_missed_deadline_is_told_as_one(house: House, tmp_path: Path, capsys: Capsys) -> None:
    job = late(house, tmp_path)

    lines = told(said(capsys, "logs", job)[0])

    assert lines[-3:] == [
        "its deadline passed: what has not ended is cancelled",
        "probe:0         cancelled: its job's deadline passed",
        "ended: cancelled",
    ]
    page = " ".join(said(capsys, "jobs", "show", job)[0].split())
    assert "goat.mp4: cancelled, its deadline passed, 0%" in page and "cancel asked" not in page
    assert "error DEADLINE: The job did not end by its deadline" in page and "goes on with it" in page


@BOTH_WAYS
def test_for_a_script_each_event_is_a_document(house: House, tmp_path: Path, capsys: Capsys) -> None:
    job = submit(house, tmp_path)
    fail(house, job)

    events = documents(capsys, "logs", job)

    assert [event["kind"] for event in events] == [
        "job.submitted",
        "task.ready",
        "task.running",
        "task.failed",
        "job.ended",
    ]
    assert events[3]["error"]["code"] == "NOT_MEDIA" and "error" not in events[2]
    assert documents(capsys, "logs", job, "--after", events[3]["id"]) == events[4:]
    assert "EVENT_UNREADABLE" in said(capsys, "logs", job, "--after", "yesterday", status=2)[1]
    assert "JOB_UNKNOWN" in said(capsys, "logs", "job_no", status=5)[1]


@BOTH_WAYS
def test_more_events_than_one_look(house: House, tmp_path: Path, capsys: Capsys) -> None:
    job = submit(house, tmp_path)
    for _ in range(150):
        house.control.cancel(job)
        house.control.retry(job)
    fail(house, job)
    assert len(documents(capsys, "logs", job)) == 2 + 150 * 5 + 3


@BOTH_WAYS
def test_when_the_beginning_is_no_longer_kept_that_is_said(house: House, tmp_path: Path, capsys: Capsys) -> None:
    job = submit(house, tmp_path)
    time.sleep(0.01)
    fail(house, job)
    stream = house.queue.keys.of("ev")  # type: ignore[attr-defined]
    house.queue.client.hset(house.queue.keys.job(job), "submitted", 1)  # type: ignore[attr-defined]
    house.queue.client.xtrim(stream, maxlen=2, approximate=False)  # type: ignore[attr-defined]

    out, err = said(capsys, "logs", job)

    assert "no longer kept" in err and len([line for line in out.splitlines() if line[:1].isdigit()]) == 2


# -- followed, as a process --------------------------------------------------------------------------------------------


def following(house: House, *words: str) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VIDPROCME_")}
    environment |= {"VIDPROCME_DATA": str(house.data), "VIDPROCME_REDIS_URL": house.settings.redis_url}
    return subprocess.Popen(
        [sys.executable, "-m", "vidprocme", "logs", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def until_line(process: subprocess.Popen[str], word: str) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if word in line:
            return line
    raise AssertionError(f"it ended and never said {word!r}")


def succeed(house: House, job: JobId) -> None:
    attempt(house, task_id(job, "probe", 0), Next.SUCCEED, Outcome(OutcomeKind.OK, {"degraded": []}))


@pytest.mark.parametrize("good", [True, False])
def test_it_follows_until_the_job_has_ended(house: House, tmp_path: Path, good: bool) -> None:
    job = submit(house, tmp_path)
    with following(house, job, "-f") as process:
        until_line(process, "in line")
        succeed(house, job) if good else fail(house, job)
        until_line(process, f"ended: {'succeeded' if good else 'failed'}")
        assert process.wait(20) == (0 if good else 1)


def test_ctrl_c_is_clean_and_it_goes_on_after_the_last_event(house: House, tmp_path: Path, capsys: Capsys) -> None:
    job = submit(house, tmp_path)
    with following(house, job, "-f") as process:
        until_line(process, "in line")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130 and "Traceback" not in err
    words: list[Any] = err.split()
    assert words[:3] == ["Go", "on", "with:"] and words[-2] == "--after"
    fail(house, job, Next.RETRY, Fate.RETRY)

    kinds = [event["kind"] for event in documents(capsys, "logs", job, "--after", words[-1])]

    # Stopped between showing an event and remembering it, that one comes again: rather twice than never.
    assert kinds[-2:] == ["task.running", "task.delayed"] and kinds[:-2] in ([], ["task.ready"])


def test_it_goes_on_when_redis_was_killed_and_came_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = RedisServer(tmp_path / "redis")
    server.start()
    try:
        for house in made_house(tmp_path / "data", server.url, monkeypatch):
            job = submit(house, tmp_path)
            with following(house, job, "-f") as process:
                until_line(process, "in line")
                time.sleep(0.5)  # by now it waits for news
                server.kill()
                time.sleep(0.3)  # it asks again, and nobody answers
                server.start()
                succeed(house, job)
                until_line(process, "ended: succeeded")
                assert process.wait(20) == 0
    finally:
        server.close()
