"""Jobs over HTTP, against a real queue that is moved as a pool would move it."""

from __future__ import annotations

import os

from httpx import Client

from tests.api.test_videos import assert_problem, post
from vidprocme.core.errors import ErrorInfo, Fate
from vidprocme.core.ids import JobId, TaskId, task_id
from vidprocme.core.job import Next, Outcome, OutcomeKind
from vidprocme.core.resources import Resources
from vidprocme.dispatch.pool import this_pool
from vidprocme.queue.base import Claim, Claimed, Settlement
from vidprocme.wiring import House

POOL = "pool_test"


def claim(house: House, task: TaskId) -> Claimed:
    turn = house.queue.turn(POOL, [], [Claim(task, "here/cpu", Resources())], lease_ms=60_000)
    (claimed,) = turn.claimed
    return claimed


def join(house: House) -> None:
    pool = this_pool(house.clock.now_ms())
    house.queue.join(pool, 60_000)


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


def test_a_job_says_why_it_waits(client: Client, house: House) -> None:
    job = post(client).json()["id"]

    without_pool = client.get(f"/v1/jobs/{job}").json()["waiting"]
    join(house)
    with_pool = client.get(f"/v1/jobs/{job}").json()["waiting"]

    assert [(item["stage"], item["state"], item["code"]) for item in without_pool] == [("probe", "ready", "NO_POOL")]
    assert [item["code"] for item in with_pool] == ["IN_LINE"]


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


def test_a_wrong_method_names_the_right_ones(client: Client) -> None:
    answer = client.get("/v1/videos")

    assert_problem(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "POST"


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
