"""`vidprocme jobs cancel | retry | move | drop` of several jobs, by id and by filter; and what lists of them say."""

from __future__ import annotations

import io
import json
import sys
import time
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.things import HOLDER, attempt, documents, fail, kill, said, submit
from vidprocme.core.errors import BadWish
from vidprocme.core.ids import JobId, task_id
from vidprocme.core.job import Bin, Next, Outcome, OutcomeKind, TaskState
from vidprocme.core.resources import Resources
from vidprocme.core.when import moment_ms
from vidprocme.queue.base import Claim, Settlement
from vidprocme.queue.check import check
from vidprocme.wiring import House

Capsys = pytest.CaptureFixture[str]
pytestmark = pytest.mark.usefixtures("both_ways")


def state(house: House, job: JobId) -> str:
    view = house.queue.job(job)
    return view.state.value if view else "gone"


def succeed(house: House, job: JobId) -> None:
    attempt(house, task_id(job, "probe", 0), Next.SUCCEED, Outcome(OutcomeKind.OK, {"degraded": []}))


class Terminal(io.StringIO):
    """A person at a terminal who types this."""

    def isatty(self) -> bool:
        return True


# -- filters -----------------------------------------------------------------------------------------------------------


def test_the_list_can_be_narrowed(house: House, tmp_path: Path, capsys: Capsys) -> None:
    bulk = submit(house, tmp_path, "Holiday.MOV", bin_=Bin.BULK)
    zoo = submit(house, tmp_path, "goat.mp4", tenant="zoo")
    broken, done = submit(house, tmp_path, "broken.mp4"), submit(house, tmp_path, "done.mp4")
    fail(house, broken)
    succeed(house, done)

    def listed(*options: str) -> list[str]:
        (document,) = documents(capsys, "jobs", "ls", *options)
        return [item["id"] for item in document["items"]]

    assert listed() == [done, broken, zoo, bulk]
    assert listed("--state", "failed", "--state", "succeeded") == [done, broken]
    assert listed("--active") == listed("--state", "queued") == [zoo, bulk]
    assert listed("--bin", "bulk") == listed("--name", "*.mov") == [bulk]
    assert listed("--tenant", "zoo") == [zoo]
    assert listed("--state", "queued", "--tenant", "nobody") == []
    assert listed("--limit", "2") == [done, broken]
    assert listed("--code", "NOT_MEDIA") == listed("--stage", "probe", "--state", "failed") == [broken]
    assert listed("--active", "--state", "failed") == []
    assert said(capsys, "jobs", "ls", "--limit", "2", "-o", "ids")[0].split() == [done, broken]
    wide = said(capsys, "jobs", "ls", "-o", "wide")[0].splitlines()
    assert wide[2].split()[:2] == [broken, "failed"] and "NOT_MEDIA" in wide[2]
    assert listed("--since", "1h") == [done, broken, zoo, bulk] and listed("--until", "1h") == []
    tomorrow = (datetime.now() + timedelta(days=1)).date().isoformat()
    assert listed("--since", tomorrow) == [] and len(listed("--until", tomorrow)) == 4
    assert "No such jobs." in said(capsys, "jobs", "ls", "--tenant", "nobody")[1]
    assert "TIME_UNREADABLE" in said(capsys, "jobs", "ls", "--since", "soon", status=2)[1]


def test_words_for_times() -> None:
    now_ms = 1_000_000_000_000
    assert moment_ms("10m", now_ms) == now_ms - 600_000 == moment_ms("10 min", now_ms)
    assert moment_ms("2d", now_ms) == now_ms - 2 * 86_400_000
    assert moment_ms("2001-09-09T01:46:40Z", 0) == now_ms == moment_ms("2001-09-09T03:46:40+02:00", 0)
    for wrong in ("", "10", "10 parsecs", "2026-13-01", "-5m", "99999-01-01"):
        with pytest.raises(BadWish):
            moment_ms(wrong, now_ms)


# -- several at once ---------------------------------------------------------------------------------------------------


def test_a_filter_cancels_what_it_finds_and_nothing_else(house: House, tmp_path: Path, capsys: Capsys) -> None:
    first, second = (submit(house, tmp_path, name, bin_=Bin.BULK) for name in ("a.mp4", "b.mp4"))
    other, done = submit(house, tmp_path, "c.mp4"), submit(house, tmp_path, "d.mp4", bin_=Bin.BULK)
    succeed(house, done)

    out, err = said(capsys, "jobs", "cancel", "--all-matching", "--bin", "bulk", "--dry-run")
    assert "2 would be cancelled." in err
    assert [line.split()[0] for line in out.splitlines()] == [second[-8:], first[-8:]]
    assert [state(house, job) for job in (first, second)] == ["queued", "queued"]
    planned = documents(capsys, "jobs", "cancel", "--all-matching", "--bin", "bulk", "--dry-run")
    assert planned[0] == {"id": second, "state": "queued", "name": "b.mp4", "would": "cancel"}

    err = said(capsys, "jobs", "cancel", "--all-matching", "--bin", "bulk", status=2)[1]
    assert "CONFIRM_MISSING" in err and "cancel 2 jobs" in err  # nobody is there to be asked
    assert [state(house, job) for job in (first, second)] == ["queued", "queued"]

    (operation,) = documents(capsys, "jobs", "cancel", "--all-matching", "--bin", "bulk", "--yes")
    assert (operation["state"], operation["total"], operation["done"], operation["failed"]) == ("done", 2, 2, 0)
    assert [state(house, job) for job in (first, second)] == ["cancelled", "cancelled"]
    assert (state(house, other), state(house, done)) == ("queued", "succeeded")
    assert "pool" not in said(capsys, "jobs", "cancel", other)[1]  # who cancels waits for none
    assert "No such jobs." in said(capsys, "jobs", "cancel", "--all-matching", "--bin", "bulk")[1]


@pytest.mark.parametrize(
    "words", [("cancel",), ("retry",), ("drop",), ("drop", "--succeeded"), ("move", "--to", "high")], ids=" ".join
)
def test_a_filter_that_finds_nothing_says_so_and_is_no_error(
    house: House, tmp_path: Path, capsys: Capsys, words: tuple[str, ...]
) -> None:
    job = submit(house, tmp_path)
    for more in (("--yes",), ("--dry-run",), ()):  # where nothing is to be done, nobody needs to be asked
        out, err = said(capsys, "jobs", *words, "--all-matching", "--tenant", "nobody", *more)
        assert (out, err) == ("", "No such jobs.\n")
    out, err = said(capsys, "jobs", *words, "--all-matching", "--tenant", "nobody", "--yes", "--json")
    assert json.loads(out)["total"] == 0 and err == "No such jobs.\n"
    out, err = said(capsys, "jobs", *words, "--all-matching", "--tenant", "nobody", "--dry-run", "--json")
    assert (out, err) == ("", "No such jobs.\n")  # one line for each of none
    assert state(house, job) == "queued"


def test_several_ids_each_with_its_answer(house: House, tmp_path: Path, capsys: Capsys) -> None:
    waits, done = submit(house, tmp_path, "a.mp4"), submit(house, tmp_path, "b.mp4")
    succeed(house, done)

    out, err = said(capsys, "jobs", "cancel", waits, done, status=6)
    assert f"{waits}: cancelled" in out and "JOB_ENDED" in err and "1 cancelled, 1 refused." in err
    said(capsys, "jobs", "retry", waits, waits[-8:])  # twice the same is once
    answers = documents(capsys, "jobs", "cancel", "job_nobody", done, waits, status=1)  # 5 and 6: no one status
    assert [answer.get("error", {}).get("code") for answer in answers] == ["JOB_UNKNOWN", "JOB_ENDED", None]
    assert state(house, waits) == "cancelled"


def test_a_job_that_is_being_cancelled_can_be_retried(house: House, tmp_path: Path, capsys: Capsys) -> None:
    """Nothing of it was cancelled yet: its one attempt is told to stop, and then has its task again."""
    job = submit(house, tmp_path)
    claim = Claim(task_id(job, "probe", 0), "node/cpu", Resources())
    (claimed,) = house.queue.turn(HOLDER, [], [claim], lease_ms=60_000).claimed
    said(capsys, "jobs", "retry", job, status=6)
    said(capsys, "jobs", "cancel", job)

    assert "1 task has fresh tries." in "".join(said(capsys, "jobs", "retry", job))
    stopped = Settlement(claimed.lease, Next.CANCEL, Outcome(OutcomeKind.CANCELLED))
    house.queue.turn(HOLDER, [stopped], [], lease_ms=60_000)
    assert state(house, job) == "queued"


@pytest.mark.parametrize(
    "words", [("cancel",), ("retry", "--state", "failed"), ("drop", "job_1", "--bin", "bulk"), ("move", "--to", "high")]
)
def test_it_must_be_said_which_jobs(house: House, capsys: Capsys, words: tuple[str, ...]) -> None:  # noqa: ARG001
    assert "JOBS_NAMED_TWICE" in (err := said(capsys, "jobs", *words, status=2)[1]) or "NO_JOBS_NAMED" in err


def test_a_person_at_a_terminal_is_asked_first(
    house: House, tmp_path: Path, capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = submit(house, tmp_path)
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    _, err = said(capsys, "jobs", "cancel", "--all-matching", status=1)
    assert "Cancel 1 job?" in err and "Nothing was done." in err and state(house, job) == "queued"
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    said(capsys, "jobs", "cancel", "--all-matching")
    assert state(house, job) == "cancelled"
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    said(capsys, "jobs", "drop", job, status=1)  # it cannot be had back: asked for one job too
    said(capsys, "jobs", "retry", job)  # it can: nobody is asked
    said(capsys, "jobs", "cancel", job)
    said(capsys, "jobs", "drop", job, "--yes")
    assert state(house, job) == "gone"


def test_move(house: House, tmp_path: Path, capsys: Capsys) -> None:
    job, other = submit(house, tmp_path, "a.mp4"), submit(house, tmp_path, "b.mp4", bin_=Bin.URGENT)

    assert "moved to urgent; 1 task of it waits." in said(capsys, "jobs", "move", job, "--to", "urgent")[0]

    assert house.queue.job(job).job.bin is Bin.URGENT  # type: ignore[union-attr]
    assert "ALREADY_THERE" in said(capsys, "jobs", "move", job, "--to", "urgent", status=6)[1]
    _, err = said(capsys, "jobs", "move", "--all-matching", "--name", "b*", "--to", "bulk", "--yes")
    assert "1 moved to bulk." in err and house.queue.job(other).job.bin is Bin.BULK  # type: ignore[union-attr]
    _, err = said(capsys, "jobs", "move", "--all-matching", "--name", "b*", "--to", "bulk", "--yes", status=6)
    assert "cannot be moved to bulk" in err
    _, err = said(capsys, "jobs", "move", "--all-matching", "--name", "*", "--to", "bulk", "--yes")
    assert "1 moved to bulk, 1 had nothing to be moved to bulk" in " ".join(err.split())
    (answer,) = documents(capsys, "jobs", "move", other, "--to", "normal")
    assert answer == {"id": other, "state": "queued", "bin": "normal", "tasks": 1}
    fail(house, job)
    assert "JOB_ENDED" in said(capsys, "jobs", "move", job, "--to", "high", status=6)[1]
    said(capsys, "jobs", "move", job, status=2)
    assert check(house.queue) == []  # type: ignore[arg-type]


def test_drop_gives_up_what_failed_and_the_same_file_is_a_new_job(house: House, tmp_path: Path, capsys: Capsys) -> None:
    job, waits, done = (submit(house, tmp_path, name) for name in ("a.mp4", "b.mp4", "c.mp4"))
    kill(house, job)
    succeed(house, done)

    assert "JOB_UNFINISHED" in said(capsys, "jobs", "drop", waits, status=6)[1]
    assert "JOB_SUCCEEDED" in said(capsys, "jobs", "drop", done, status=6)[1]
    assert "CONFIRM_MISSING" in said(capsys, "jobs", "drop", "--all-matching", status=2)[1]
    assert documents(capsys, "jobs", "drop", "--all-matching", "--yes")[0]["done"] == 1 and state(house, job) == "gone"
    assert documents(capsys, "jobs", "drop", "--all-matching", "--yes")[0]["total"] == 0

    assert house.queue.dead() == () and check(house.queue) == []  # type: ignore[arg-type]
    assert "JOB_UNKNOWN" in said(capsys, "jobs", "drop", job, status=5)[1]
    assert submit(house, tmp_path, "a.mp4") != job
    assert documents(capsys, "jobs", "drop", "--all-matching", "--succeeded", "--yes") == [
        {"id": done, "state": "gone"}
    ]


# -- dead letters ------------------------------------------------------------------------------------------------------


def test_dead_letters_are_shown_with_what_broke(house: House, tmp_path: Path, capsys: Capsys) -> None:
    assert "No dead letters." in said(capsys, "jobs", "dead")[1]
    jobs = [submit(house, tmp_path, name) for name in ("a" * 90 + ".mp4", "b.mp4")]
    for job in jobs:
        kill(house, job)

    out, _ = said(capsys, "jobs", "dead")

    assert out.index(jobs[1]) < out.index(jobs[0])
    assert "FFMPEG_FAILED: ffmpeg exit 1: no room" in out and "Look at the disk." in out and "      no room" in out
    (document,) = documents(capsys, "jobs", "dead", "--limit", "1")
    (letter,) = document["items"]
    assert document["total"] == 2
    assert (letter["job"], letter["name"], letter["stage"], letter["tries"]) == (jobs[1], "b.mp4", "probe", 4)
    assert letter["error"]["evidence"]["tail"] == ["a", "no room"]
    assert "1 more" in said(capsys, "jobs", "dead", "--limit", "1")[1]
    said(capsys, "jobs", "retry", jobs[1])
    assert house.queue.tasks(jobs[1])[0].state is TaskState.READY and len(house.queue.dead()) == 1


# -- position ----------------------------------------------------------------------------------------------------------


def test_a_job_says_where_it_stands_and_that_nobody_knows_when(house: House, tmp_path: Path, capsys: Capsys) -> None:
    submit(house, tmp_path, "first.mp4")
    submit(house, tmp_path, "urgent.mp4", bin_=Bin.URGENT)
    job = submit(house, tmp_path, "mine.mp4")

    out, _ = said(capsys, "jobs", "show", job)

    assert "in line   1 ahead in bin normal, 1 in more urgent bins" in out
    assert "start     unknown (no pool is at work)" in out
    (document,) = documents(capsys, "jobs", "show", job)
    line = document["line"]
    assert (line["ahead"], line["more_urgent"], line["start_eta_s"]) == (1, 1, None)
    assert document["eta_s"] is None and document["eta_how"] == "no pool is at work"


@pytest.mark.slow
def test_with_a_pool_and_a_past_it_says_when(house: House, tmp_path: Path, capsys: Capsys) -> None:
    from tests.queue.things import pool
    from vidprocme.core.resources import PlaceKind, Resources
    from vidprocme.queue.base import Claim, PlaceReport, PoolReport

    succeed(house, submit(house, tmp_path, "done.mp4"))
    runs = task_id(submit(house, tmp_path, "runs.mp4"), "probe", 0)
    house.queue.turn(HOLDER, [], [Claim(runs, "here/cpu", Resources(cpu_milli=1000))], lease_ms=60_000)
    first = submit(house, tmp_path, "first.mp4")
    job = submit(house, tmp_path, "mine.mp4")
    queue = house.queue
    queue.join(pool("p"), 60_000)
    places = (PlaceReport("here/cpu", "here", PlaceKind.CPU, slots=4, busy=1),)
    queue.beat("p", [], lease_ms=60_000, presence_ms=60_000, report=PoolReport(places))
    client, counted = queue.client, queue.keys.of("stat")  # type: ignore[attr-defined]
    took = [name for name in client.hkeys(counted) if name.startswith("took.probe.")]  # in whatever bucket it fell
    client.hdel(counted, *took)
    client.hset(counted, mapping={"took.probe.0": 1, "took.probe.sum": 6_000})

    out, _ = said(capsys, "jobs", "show", job)

    assert "start     in about 6 s (1 ahead are 6 s of work by their mean times; 1 run at" in out
    assert (
        "start     in about 0 s (nothing is ahead of it, and a place is free)" in said(capsys, "jobs", "show", first)[0]
    )
    time.sleep(1.1)  # a server looks at its pools once a second
    busy = PoolReport((replace(places[0], busy=4),))
    queue.beat("p", [], lease_ms=60_000, presence_ms=60_000, report=busy)
    assert "start     in about 2 s (every place is busy, and one of the 4" in said(capsys, "jobs", "show", first)[0]
    queue.pause(Bin.NORMAL)
    time.sleep(1.1)
    assert "unknown (bin normal is paused)" in said(capsys, "jobs", "show", job)[0]
    json.dumps(documents(capsys, "jobs", "show", job))


def test_what_none_of_them_can_be_is_said_the_same_beforehand_and_then(
    house: House, tmp_path: Path, capsys: Capsys
) -> None:
    broken = submit(house, tmp_path, "broken.mp4")
    fail(house, broken)
    which = ("jobs", "cancel", "--all-matching", "--state", "failed")
    said(capsys, *which, "--dry-run", status=6)
    assert "The job that matches cannot be cancelled." in said(capsys, *which, status=6)[1]  # nobody is asked
    said(capsys, *which, "--yes", status=6)
    going = submit(house, tmp_path, "going.mp4")
    more = (*which, "--state", "queued")
    said(capsys, *more, "--dry-run")
    assert "cancel 1 job (1 more cannot be)" in said(capsys, *more, status=2)[1]
    assert "1 cancelled" in said(capsys, *more, "--yes")[1]
    assert (state(house, broken), state(house, going)) == ("failed", "cancelled")
