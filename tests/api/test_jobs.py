"""Jobs over HTTP, against a real queue that is moved as a pool would move it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from httpx import Client

from tests.api.test_videos import assert_problem, post
from tests.dispatch.things import live, new_job, plan_by_hand, waiting
from vidprocme.core.errors import ErrorInfo, Fate
from vidprocme.core.ids import JobId, TaskId, task_id
from vidprocme.core.job import Bin, Next, Outcome, OutcomeKind, Recipe, Stage
from vidprocme.core.resources import PlaceKind, Resources
from vidprocme.core.snapshot import Line, Reason
from vidprocme.dispatch.pool import this_pool
from vidprocme.dispatch.waiting import standing
from vidprocme.planner.graph import first_tasks
from vidprocme.queue.base import Claim, Claimed, LineReport, PlaceReport, PoolReport, Settlement
from vidprocme.wiring import House

POOL = "pool_test"


def claim(house: House, task: TaskId) -> Claimed:
    turn = house.queue.turn(POOL, [], [Claim(task, "here/cpu", Resources())], lease_ms=60_000)
    (claimed,) = turn.claimed
    return claimed


def join(house: House, *places: PlaceReport) -> str:
    """A pool that says this of its places."""
    pool = this_pool(house.clock.now_ms())
    house.queue.join(pool, 60_000)
    if places:
        house.queue.beat(pool.id, [], lease_ms=60_000, presence_ms=60_000, report=PoolReport(places))
    return pool.id


def fail_probe(house: House, job: str) -> None:
    claimed = claim(house, task_id(JobId(job), "probe", 0))
    error = ErrorInfo("NO_VIDEO", "This file is text.", "Send a video.", {"tail": ["x"]}, Fate.NEVER)
    outcome = Outcome(OutcomeKind.FAILED, error=error)
    house.queue.turn(POOL, [Settlement(claimed.lease, Next.FAIL, outcome)], [], lease_ms=60_000)


def test_jobs_are_listed_newest_first(client: Client) -> None:
    ids = [post(client, {"crf": str(crf)}).json()["id"] for crf in (20, 21, 22)]

    listed = client.get("/v1/jobs").json()

    assert [item["id"] for item in listed["items"]] == ids[::-1]
    assert listed["next_cursor"] is None
    assert [item["id"] for item in client.get("/v1/jobs?limit=1").json()["items"]] == ids[-1:]
    assert listed["items"][0]["tasks"] == {"ready": 1}
    assert listed["items"][0]["name"] == "goat.mp4"
    assert listed["items"][0]["created_at"].endswith("Z")


def test_a_job_says_why_it_waits(client: Client, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    # Otherwise one look at the house serves all who ask within a second.
    monkeypatch.setattr("vidprocme.api.jobs.standing_of", lambda desk: standing(desk.queue))
    job = post(client).json()["id"]

    def seen() -> tuple[str, str, float | None, str]:
        shown = client.get(f"/v1/jobs/{job}").json()
        (item,) = shown["waiting"]
        assert (item["stage"], item["state"], item["count"]) == ("probe", "ready", 1)
        return item["code"], item["text"], shown["line"]["start_eta_s"], shown["line"]["how"]

    assert seen()[::2] == ("NO_POOL", None)
    model = PlaceReport("a/cpu-model", "a", PlaceKind.CPU_MODEL, slots=1, busy=0)
    other = join(house, model)
    code, text, eta_s, how = seen()
    assert (code, eta_s, how) == ("NO_SUCH_PLACE", None, "no pool has a place for it")
    assert "1 core on a CPU place; there is 1 CPU model place" in text
    house.queue.leave(other)
    join(house, model, PlaceReport("a/cpu", "a", PlaceKind.CPU, slots=2, busy=1))
    assert seen()[::2] == ("IN_LINE", 0.0)
    house.queue.limit_bin(Bin.NORMAL, 1)
    other_job = task_id(JobId(post(client, {"crf": "40"}).json()["id"]), "probe", 0)
    claim(house, other_job)
    assert seen()[::2] == ("QUOTA", None)
    house.queue.pause(Bin.NORMAL)
    code, text, eta_s, how = seen()
    assert (code, eta_s, how) == ("BIN_PAUSED", None, "bin normal is paused") and "bins resume normal" in text


def test_each_of_several_pools_says_why(client: Client, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidprocme.api.jobs.standing_of", lambda desk: standing(desk.queue))
    job = post(client).json()["id"]
    cpu, model = (PlaceReport(f"a/{kind}", "a", kind, slots=1, busy=1) for kind in (PlaceKind.CPU, PlaceKind.CPU_MODEL))
    one = join(house, cpu)

    (item,) = client.get(f"/v1/jobs/{job}").json()["waiting"]
    assert (item["code"], item["pools"]) == ("IN_LINE", []), "of one pool it has been said"

    two = join(house, model)
    (probe,) = house.queue.tasks(JobId(job))
    line = Line(probe.task.bin, probe.task.tenant, probe.task.shape, 0, 0, ()).key
    full = PoolReport((cpu,), {}, (Reason("NO_PLACE_FREE", "The only CPU place is busy."),), {line: LineReport(1, 0)})
    house.queue.beat(one, [], lease_ms=60_000, presence_ms=60_000, report=full)
    (item,) = client.get(f"/v1/jobs/{job}").json()["waiting"]

    assert (item["code"], item["text"]) == ("NO_PLACE_FREE", "The only CPU place is busy.")
    assert [(pool["pool"], pool["code"]) for pool in item["pools"]] == [(one, "NO_PLACE_FREE"), (two, "NO_SUCH_PLACE")]
    assert item["pools"][1]["text"] == "It has no place for it, which needs 1 core on a CPU place."
    assert all(pool["host"] for pool in item["pools"])


def test_a_describe_that_no_place_could_take_has_no_guess_of_its_end(
    client: Client, house: House, tmp_path: Path
) -> None:
    job = new_job(recipe=Recipe(model="lab", model_on_server=True))
    house.queue.submit(job, first_tasks(job))
    tasks = plan_by_hand(house.queue, house.blobs, job, house.queue.tasks(job.id)[0].task)
    live(house.queue, house.blobs, tmp_path, job, tasks, upto=Stage.JOIN)
    join(house, PlaceReport("a/cpu", "a", PlaceKind.CPU, slots=2, busy=0))

    shown = client.get(f"/v1/jobs/{job.id}").json()

    assert {(item["stage"], item["code"]) for item in shown["waiting"]} == {
        ("describe", "NO_SUCH_PLACE"),
        ("index", "WAITS_FOR_OTHERS"),
    }
    assert (shown["line"]["start_eta_s"], shown["line"]["how"]) == (None, "no pool has a place for it")
    assert (shown["eta_s"], shown["eta_how"]) == (None, "no pool has a place for it")


def test_a_failed_job_says_what_broke(client: Client, house: House) -> None:
    job = post(client).json()["id"]
    fail_probe(house, job)

    shown = client.get(f"/v1/jobs/{job}").json()

    assert shown["state"] == "failed"
    assert (shown["error"]["code"], shown["error"]["message"]) == ("NO_VIDEO", "This file is text.")
    assert shown["error"]["evidence"]["stage"] == "probe"
    assert shown["stages"] == [
        {"name": "probe", "done": 0, "total": 1, "running": 0, "failed": 1, "cancelled": 0, "fraction": 0.0}
    ]
    assert shown["ended_at"] is not None


def settled(house: House, task: TaskId, next_: Next, kind: OutcomeKind, delay_ms: int = 0) -> None:
    error = None if kind is OutcomeKind.OK else ErrorInfo("FFMPEG_FAILED", "ffmpeg exit 1")
    outcome = Outcome(kind, {"frames": []} if error is None else {}, error=error)
    settlement = Settlement(claim(house, task).lease, next_, outcome, delay_ms)
    house.queue.turn(POOL, [settlement], [], lease_ms=60_000)


def long_job(house: House, chunks: int) -> tuple[JobId, list[TaskId]]:
    job = new_job()
    tasks = waiting(job, chunks)
    house.queue.submit(job, tasks)
    return job.id, [task.id for task in tasks]


def test_of_many_tasks_those_in_trouble_are_shown(client: Client, house: House) -> None:
    job, (first, flaky, *others) = long_job(house, 40)
    settled(house, first, Next.RETRY, OutcomeKind.FAILED, delay_ms=60_000)
    for _ in range(3):
        settled(house, flaky, Next.LOST, OutcomeKind.LOST)
    for task in (flaky, *others):
        settled(house, task, Next.SUCCEED, OutcomeKind.OK)

    troubles = client.get(f"/v1/jobs/{job}").json()["troubles"]

    assert [(attempt["task"], attempt["outcome"]) for attempt in troubles] == [
        (first, "failed"),
        *[(flaky, "lost")] * 3,
    ]


def test_what_somebody_stopped_is_no_trouble(client: Client, house: House) -> None:
    job, (first, second) = long_job(house, 2)
    settled(house, first, Next.HAND_BACK, OutcomeKind.CANCELLED)
    settled(house, first, Next.HAND_BACK, OutcomeKind.LOST)  # handed back, and its process died of that
    settled(house, second, Next.LOST, OutcomeKind.LOST)

    troubles = client.get(f"/v1/jobs/{job}").json()["troubles"]

    assert [attempt["task"] for attempt in troubles] == [second]


def test_one_task_that_is_lost_again_and_again_hides_no_other(client: Client, house: House) -> None:
    job, (first, second, *_) = long_job(house, 3)
    settled(house, first, Next.RETRY, OutcomeKind.FAILED, delay_ms=60_000)
    for _ in range(21):
        settled(house, second, Next.LOST, OutcomeKind.LOST)

    troubles = client.get(f"/v1/jobs/{job}").json()["troubles"]

    assert len(troubles) == 20 and [t["task"] for t in troubles].count(first) == 1
    assert [(t["number"], t["try_number"]) for t in troubles if t["task"] == second] == [
        (n, None) for n in range(3, 22)
    ]


def test_attempts_are_numbered_on_after_a_retry_and_tries_anew(client: Client, house: House) -> None:
    job = post(client).json()["id"]
    probe = task_id(JobId(job), "probe", 0)
    settled(house, probe, Next.LOST, OutcomeKind.LOST)
    settled(house, probe, Next.RETRY, OutcomeKind.FAILED)
    settled(house, probe, Next.FAIL, OutcomeKind.FAILED)
    house.control.retry(JobId(job))
    settled(house, probe, Next.RETRY, OutcomeKind.FAILED)

    troubles = client.get(f"/v1/jobs/{job}").json()["troubles"]

    assert [(t["number"], t["try_number"]) for t in troubles] == [(1, None), (2, 1), (3, 2), (4, 1)]


def test_cancel_and_retry(client: Client) -> None:
    job = post(client).json()["id"]

    cancelled = client.post(f"/v1/jobs/{job}/cancel")
    again = client.post(f"/v1/jobs/{job}/cancel")
    retried = client.post(f"/v1/jobs/{job}/retry")
    nothing = client.post(f"/v1/jobs/{job}/retry")

    assert (cancelled.status_code, cancelled.json()["state"]) == (202, "cancelled")
    assert_problem(again, 409, "JOB_ENDED")
    assert (retried.status_code, retried.json()) == (202, {"id": job, "state": "queued", "tasks": 1})
    assert_problem(nothing, 409, "NOTHING_TO_RETRY")


def test_what_does_not_exist(client: Client) -> None:
    job = post(client).json()["id"]

    assert_problem(client.get("/v1/jobs/job_no"), 404, "JOB_UNKNOWN")
    assert_problem(client.post("/v1/jobs/job_no/cancel"), 404, "JOB_UNKNOWN")
    assert_problem(client.post("/v1/jobs/job_no/retry"), 404, "JOB_UNKNOWN")
    assert_problem(client.get("/v1/jobs/job_no/captions.vtt"), 404, "JOB_UNKNOWN")
    assert_problem(client.get(f"/v1/jobs/{job}/captions.vtt"), 404, "CAPTIONS_NONE")
    assert_problem(client.get(f"/v1/jobs/{job}/renditions/360p.mp4"), 404, "RENDITION_UNKNOWN")
    assert_problem(client.get("/v1/nothing"), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("model", "why", "what_to_do"), [("auto", "no model", "model=demo"), ("none", "model=none", "vidprocme describe")]
)
def test_why_there_are_no_captions_is_said(client: Client, house: House, model: str, why: str, what_to_do: str) -> None:
    made = post(client, {"model": model}).json()
    assert house.queue.jobs()[0].job.recipe.model is None
    for path in (f"/v1/jobs/{made['id']}/captions.vtt", f"/v1/videos/{made['video']}/captions"):
        problem = assert_problem(client.get(path), 404, "CAPTIONS_NONE")
        assert why in str(problem["detail"]) and what_to_do in str(problem["hint"])


def test_a_wrong_method_names_the_right_ones(client: Client) -> None:
    answer = client.post("/v1/search")

    assert_problem(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "GET"


def test_a_wrong_argument_is_named(client: Client) -> None:
    problem = assert_problem(client.get("/v1/jobs?limit=0"), 422, "REQUEST_INVALID")

    assert problem["errors"] == [{"pointer": "/query/limit", "detail": "Input should be greater than or equal to 1"}]


def test_search_of_an_empty_index(client: Client) -> None:
    assert client.get("/v1/search?q=goat").json() == {"items": [], "next_cursor": None}
    assert_problem(client.get("/v1/search?q=!"), 422, "EMPTY_QUERY")
    assert_problem(client.get("/v1/search"), 422, "REQUEST_INVALID")


def test_a_file_name_that_is_no_utf8_is_shown(client: Client, house: House) -> None:
    path = house.data / os.fsdecode(b"caf\xe9.mp4")
    path.write_bytes(b"x")
    house.control.submit(house.source_of(path), house.recipe({"model": "none"}))

    assert client.get("/v1/jobs").json()["items"][0]["name"] == "caf?.mp4"
