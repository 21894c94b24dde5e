"""`vidprocme jobs` over a real queue, as a person and as a script reads it."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from tests.cli.things import fail, said, submit
from tests.dispatch.things import new_job, plan_by_hand, settle, transcoded
from vidprocme.cli.words import age_text, clipped, printable
from vidprocme.core.errors import Fate
from vidprocme.core.ids import JobId, task_id
from vidprocme.core.job import Job, Next
from vidprocme.core.resources import PlaceKind
from vidprocme.core.snapshot import Line, Reason
from vidprocme.core.why import Candidate, Change, Start, Why
from vidprocme.planner.graph import first_tasks
from vidprocme.queue.base import LineReport, NewJob, PlaceReport, PoolInfo, PoolReport, TaskWhy
from vidprocme.wiring import House

BOTH_WAYS = pytest.mark.usefixtures("both_ways")


@BOTH_WAYS
def test_the_list(house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = submit(house, tmp_path, "a.mp4"), submit(house, tmp_path, "b" * 100 + ".mp4")

    out, _ = said(capsys, "jobs", "ls")

    head, *rows = out.splitlines()
    assert head.split() == ["ID", "STATE", "BIN", "TASKS", "AGE", "NAME"]
    assert [row.split()[0] for row in rows] == [second[-8:], first[-8:]]
    assert rows[0].endswith("bbb...")
    *before, age_s, unit, name = rows[1].split()[1:]
    assert (before, unit, name) == (["queued", "normal", "0/1"], "s", "a.mp4") and 0 <= int(age_s) < 60


@BOTH_WAYS
def test_the_list_for_a_script(house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job = submit(house, tmp_path)

    (item,) = json.loads(said(capsys, "jobs", "ls", "--json")[0])["items"]

    assert (item["id"], item["state"], item["name"], item["tasks"]) == (job, "queued", "goat.mp4", {"ready": 1})


@BOTH_WAYS
def test_no_jobs(house: House, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: ARG001
    out, err = said(capsys, "jobs", "ls")

    assert out == ""
    assert "vidprocme process" in err


@BOTH_WAYS
def test_a_job_that_failed_is_explained(house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job = submit(house, tmp_path)
    fail(house, job, Next.FAIL, Fate.NEVER)

    out, _ = said(capsys, "jobs", "show", job)

    assert "goat.mp4: failed" in out
    assert "error     NOT_MEDIA: This file is text." in out
    assert "Send a video." in out
    assert "moov?[2J" in out  # what ffmpeg said may not steer the terminal
    assert "probe      0/1, 1 failed  0%" in out


@BOTH_WAYS
def test_a_job_that_waits_is_told_what_each_pool_says(
    house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = submit(house, tmp_path)
    (probe,) = house.queue.tasks(job)
    line = Line(probe.task.bin, probe.task.tenant, probe.task.shape, 0, 0, ()).key
    reason = Reason("NO_PLACE_FREE", "The only CPU place is busy.")
    for name, kind in (("pool_a", PlaceKind.CPU_MODEL), ("pool_b", PlaceKind.CPU)):
        place = PlaceReport(f"{name}/place", name, kind, slots=1, busy=1)
        told = (
            PoolReport((place,), {}, (reason,), {line: LineReport(1, 0)}) if name == "pool_b" else PoolReport((place,))
        )
        house.queue.join(PoolInfo(name, f"host-{name}", "boot", 1, 1, 0), 60_000)
        house.queue.beat(name, [], lease_ms=60_000, presence_ms=60_000, report=told)

    out, _ = said(capsys, "jobs", "show", job)

    lines = [text.strip() for text in out.splitlines()]
    at = lines.index("waiting   probe ready: The only CPU place is busy.")
    assert lines[at + 1] == "host-pool_b pool_b: The only CPU place is busy."
    assert lines[at + 2].startswith("host-pool_a pool_a: It has no place for it, which needs")


@BOTH_WAYS
def test_a_job_that_waits_says_for_what(house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job = submit(house, tmp_path)
    in_line, _ = said(capsys, "jobs", "show", job)
    fail(house, job, Next.RETRY, Fate.RETRY)

    delayed, _ = said(capsys, "jobs", "show", job)

    assert "waiting   probe ready: No pool is at work." in in_line
    assert "waiting   probe delayed: No pool is at work." in delayed and "Is tried again in" in delayed
    assert "attempt   probe:0 attempt 1 on node/cpu: failed (try 1)." in delayed


@BOTH_WAYS
def test_of_a_job_that_runs_it_is_its_next_task_that_starts(
    house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = new_job()
    house.queue.submit(job, first_tasks(job))
    tasks = plan_by_hand(house.queue, house.blobs, job, house.queue.tasks(job.id)[0].task)
    settle(house.queue, tasks[0], transcoded(house.blobs, tasks[0], tmp_path))

    out, _ = said(capsys, "jobs", "show", job.id)

    assert "in line   transcode:1: 0 ahead in bin normal" in out
    assert "next      transcode:1: unknown (no pool is at work)" in out and "  start  " not in out


@BOTH_WAYS
def test_ids_may_be_shortened(house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job, _ = submit(house, tmp_path, "a.mp4"), submit(house, tmp_path, "b.mp4")

    for given in (job, job[-8:], job[-8:].lower(), job.removeprefix("job_")):
        assert f"job       {job}" in said(capsys, "jobs", "show", given)[0]
    _, err = said(capsys, "jobs", "show", job[:7], status=2)
    assert "JOB_AMBIGUOUS" in err
    for given in ("zzz", "job_", "", "\udcff"):
        assert "JOB_UNKNOWN" in said(capsys, "jobs", "show", given, status=5)[1]


@BOTH_WAYS
def test_a_shortened_id_is_looked_for_among_all_jobs(
    house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, path = house.recipe({"model": "none"}), tmp_path / "goat.mp4"
    path.write_text("goat")
    source = house.source_of(path)
    ids = [JobId("job_OLD7777"), *(JobId(f"job_{n:06d}XYZ") for n in range(10_500)), JobId("job_NEW7777")]
    jobs = [Job(id_, source, recipe) for id_ in ids]
    house.queue.submit_many([NewJob(job, first_tasks(job)) for job in jobs])

    assert "job       job_OLD7777" in said(capsys, "jobs", "show", "old7")[0]
    ambiguous = said(capsys, "jobs", "cancel", "7777", status=2)[1]
    assert "'7777' stands for 2 jobs: job_OLD7777, job_NEW7777" in " ".join(ambiguous.split())
    assert "stands for 10500 jobs" in said(capsys, "jobs", "show", "xyz", status=2)[1]
    assert "JOB_UNKNOWN" in said(capsys, "jobs", "show", "*", status=5)[1]
    house.control.cancel(JobId("job_NEW7777"))
    assert "job_NEW7777: dropped." in said(capsys, "jobs", "drop", "NEW7777")[0]
    assert "job       job_OLD7777" in said(capsys, "jobs", "show", "7777")[0]


@BOTH_WAYS
def test_cancel_and_retry(house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job = submit(house, tmp_path)

    assert "cancelled" in said(capsys, "jobs", "cancel", job[-8:])[0]
    assert "JOB_ENDED" in said(capsys, "jobs", "cancel", job, status=6)[1]
    out, err = said(capsys, "jobs", "retry", job)
    assert "1 task has fresh tries" in out
    assert "No pool is at work" in err
    assert "NOTHING_TO_RETRY" in said(capsys, "jobs", "retry", job, status=6)[1]
    assert json.loads(said(capsys, "jobs", "cancel", job, "--json")[0]) == {"id": job, "state": "cancelled", "tasks": 1}
    assert "JOB_UNKNOWN" in said(capsys, "jobs", "retry", "job_no", status=5)[1]


def test_without_a_queue(
    house: House,  # noqa: ARG001
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VIDPROCME_REDIS_URL", "unix:///nowhere/nobody.sock")

    _, err = said(capsys, "jobs", "ls", status=3)

    assert "QUEUE_UNREACHABLE" in err


def test_words_for_a_terminal() -> None:
    assert [age_text(s) for s in (-1, 0, 59, 60, 3600, 86_400)] == ["0 s", "0 s", "59 s", "1 min", "1 h", "1 d"]
    assert printable("a\x1b[31m\nb\udce9") == "a?[31m?b?"
    assert clipped("short", 8) == "short"
    assert clipped("a long name.mp4", 8) == "a lon..."
    assert clipped("山羊山羊山羊", 8) == "山..."


@BOTH_WAYS
def test_a_job_that_waits_is_told_what_the_pool_says(
    house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = submit(house, tmp_path)
    now_ms = house.queue.now_ms()
    house.queue.join(PoolInfo("pool_1", "n", "b", 1, 1, now_ms), 60_000)
    why = Why(
        Reason("QUOTA", "Tenant default runs 2 tasks; its limit is 2."),
        Start(1, True, now_ms + 130_000, "1 task starts before it, when attempts end as predicted"),
        (Change("RAISE_TENANT_LIMIT", "Raise it.", "vidprocme tenants set default --limit 3", 3), Change("X", "Wait.")),
        (Candidate("n/gpu:1", "warm", 0, 1), Candidate("n/gpu:0", "empty", 0, 1)),
        "n/gpu:1 has demo loaded, and n/gpu:0 has nothing loaded.",
    )
    answer = TaskWhy(task_id(job, "probe", 0), why)
    house.queue.beat("pool_1", [], lease_ms=60_000, presence_ms=60_000, report=PoolReport(whys=(answer,)))

    lines = said(capsys, "jobs", "show", job)[0].splitlines()

    text = " ".join(" ".join(lines[[line[:12] for line in lines].index("  reason    ") :]).split())
    assert text.startswith(
        "reason probe:0: Tenant default runs 2 tasks; its limit is 2. In about 2 min: 1 task starts before it,"
    )
    assert "What would start it now: Raise it. `vidprocme tenants set default --limit 3` And: Wait." in text
    assert text.endswith(
        "Best places then: n/gpu:1 (loaded), n/gpu:0 (empty). n/gpu:1 has demo loaded, and n/gpu:0 has nothing loaded."
    )


@BOTH_WAYS
def test_a_pool_that_is_asked_only_now_is_waited_for(
    house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It answers with the beat that comes after the first look."""
    job = submit(house, tmp_path)
    house.queue.join(PoolInfo("pool_1", "n", "b", 1, 1, house.queue.now_ms()), 60_000)
    places = (PlaceReport("n/cpu", "n", PlaceKind.CPU, 1, 1),)
    answer = TaskWhy(
        task_id(job, "probe", 0), Why(Reason("NO_PLACE_FREE", "All are busy."), Start(4, False, None, "?"))
    )

    def beats() -> None:
        whys: tuple[TaskWhy, ...] = ()
        for _ in range(100):
            report = PoolReport(places, whys=whys)
            heard = house.queue.beat("pool_1", [], lease_ms=60_000, presence_ms=60_000, report=report).asked
            if whys:
                return
            whys = (answer,) if heard == (job,) else ()
            time.sleep(0.05)

    pool = threading.Thread(target=beats)
    pool.start()
    try:
        out, _ = said(capsys, "jobs", "show", job)
    finally:
        pool.join(10)
    assert "reason    probe:0: All are busy." in out
    assert "4 before it by bin and age; when it starts cannot be told: ?." in out
    assert "Nothing small would start it now." in out
