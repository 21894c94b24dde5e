"""Lists of jobs over HTTP: filters, orders, pages while jobs come and go, and what a caller may see."""

from __future__ import annotations

import base64
import time
from typing import Any

import httpx
import pytest

from tests.api.test_jobs import fail_probe
from tests.api.test_videos import assert_problem
from tests.dispatch.things import new_job
from vidprocme.core.ids import JobId
from vidprocme.core.job import Bin, Job, Source
from vidprocme.dispatch.control import Control
from vidprocme.planner.graph import first_tasks
from vidprocme.wiring import House


def made(house: House, name: str, number: int, bin_: Bin = Bin.NORMAL, tenant: str = "default") -> Job:
    job = new_job(f"{number:064x}", bin=bin_, tenant=tenant)
    source = Source("file:///videos/x.mp4", name, job.source.sha256, 1000 + number, 5)
    job = Job(job.id, source, job.recipe, bin_, tenant, job.created_ms)
    house.queue.submit(job, first_tasks(job))
    return job


@pytest.fixture
def jobs(house: House) -> list[JobId]:
    """Five: waiting, urgent, another tenant's, failed, cancelled."""
    found = [
        made(house, "Goat.mp4", 1),
        made(house, "sheep.MOV", 2, Bin.URGENT),
        made(house, "cow[1].mp4", 3, tenant="farm"),
        made(house, "pig.mp4", 4),
        made(house, "hen.mov", 5),
    ]
    fail_probe(house, found[3].id)
    house.queue.cancel(found[4].id)
    return [job.id for job in found]


@pytest.mark.parametrize(
    ("query", "places"),
    [
        ("state=queued", [0, 1, 2]),
        ("state=failed&state=cancelled", [3, 4]),
        ("state=dead", []),
        ("bin=urgent", [1]),
        ("tenant=farm", [2]),
        ("stage=probe&state=failed", [3]),
        ("code=NO_VIDEO", [3]),
        ("code=CANCELLED", [4]),
        ("name=*.mov", [1, 4]),
        ("name=cow[1].mp4", [2]),
        ("q=GOAT", [0]),
        ("q=p", [0, 1, 2, 3]),
        ("since=1h", [0, 1, 2, 3, 4]),
        ("until=1h", []),
    ],
)
def test_a_filter_finds_what_it_says(client: httpx.Client, jobs: list[JobId], query: str, places: list[int]) -> None:
    found = client.get(f"/v1/jobs?sort=created_at&{query}").json()
    wanted = [jobs[place] for place in places]
    if query != "q=p":
        assert [item["id"] for item in found["items"]] == wanted and found["total_estimate"] == len(wanted)
    else:
        assert set(wanted) <= {item["id"] for item in found["items"]}
    assert found["as_of"] is not None and found["next_cursor"] is None


def test_some_are_asked_for_by_their_ids(client: httpx.Client, jobs: list[JobId]) -> None:
    named = f"id={jobs[3]}&id={jobs[2]}&id=job_nowhere"
    found = client.get(f"/v1/jobs?sort=created_at&{named}").json()
    assert [item["id"] for item in found["items"]] == [jobs[2], jobs[3]]
    assert found["total_estimate"] == 2
    assert [item["id"] for item in client.get(f"/v1/jobs?{named}&tenant=farm").json()["items"]] == [jobs[2]]
    assert client.get("/v1/jobs?id=job_nowhere").json()["items"] == []
    assert_problem(client.get("/v1/jobs?" + "id=job_1&" * 101), 422, "REQUEST_INVALID")


def test_counts_are_of_the_filter_without_its_states(client: httpx.Client, jobs: list[JobId]) -> None:
    found = client.get("/v1/jobs?state=failed&bin=normal").json()
    assert found["counts"] == {"queued": 2, "running": 0, "succeeded": 0, "failed": 1, "cancelled": 1, "dead": 0}
    (item,) = found["items"]
    assert (item["stage"], item["code"], item["message"]) == ("probe", "NO_VIDEO", "This file is text.")
    assert found["total_estimate"] == 1 and item["id"] == jobs[3]


@pytest.mark.parametrize(
    "sort", ["created_at", "-created_at", "ended_at", "-ended_at", "name", "-name", "size", "-size", "duration"]
)
def test_pages_lose_and_double_nothing_while_jobs_come_and_go(
    client: httpx.Client, house: House, jobs: list[JobId], sort: str
) -> None:
    whole = [item["id"] for item in client.get(f"/v1/jobs?sort={sort}").json()["items"]]
    seen: list[str] = []
    cursor = ""
    for turn in range(20):
        page = client.get(f"/v1/jobs?sort={sort}&limit=1{cursor}").json()
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
        if turn == 0:  # the one that was seen goes, if it has ended; another comes
            made(house, "new.mp4", 99)
            Control(house.queue, house.clock).drop(jobs[4])
    assert len(seen) == len(set(seen))
    assert set(whole) - set(seen) <= {jobs[4]} and [one for one in seen if one in whole] == [
        one for one in whole if one in seen
    ]


@pytest.mark.parametrize(
    "cursor", ["x", "%00", "W10", base64.urlsafe_b64encode(b'["-name",1,"job_1"]').decode(), "9" * 3000]
)
def test_a_cursor_that_is_none(client: httpx.Client, cursor: str) -> None:
    assert_problem(client.get(f"/v1/jobs?cursor={cursor}"), 422, "CURSOR_BAD")
    assert_problem(client.get(f"/v1/search?q=a&cursor={cursor}"), 422, "CURSOR_BAD")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("state=lost", "STATE_UNKNOWN"),
        ("bin=fast", "BIN_UNKNOWN"),
        ("stage=eat", "STAGE_UNKNOWN"),
        ("since=soon", "TIME_UNREADABLE"),
        ("sort=colour", "REQUEST_INVALID"),
        ("colour=red", "PARAMETER_UNKNOWN"),
    ],
)
def test_what_no_filter_can_be(client: httpx.Client, query: str, code: str) -> None:
    assert_problem(client.get(f"/v1/jobs?{query}"), 422, code)


def test_a_job_is_moved_and_given_a_deadline(client: httpx.Client, jobs: list[JobId]) -> None:
    url = f"/v1/jobs/{jobs[0]}"
    etag = client.get(url).headers["etag"]
    changed = client.patch(url, json={"bin": "bulk", "deadline": "2h"}, headers={"If-Match": etag})
    assert changed.status_code == 200 and changed.json()["bin"] == "bulk" and changed.json()["deadline_at"]
    assert_problem(client.patch(url, json={"bin": "high"}, headers={"If-Match": etag}), 412, "ETAG_MISMATCH")
    again = client.patch(url, json={"deadline": ""}, headers={"If-Match": changed.headers["etag"]})
    assert again.json()["deadline_at"] is None
    assert [item["id"] for item in client.get("/v1/jobs?bin=bulk").json()["items"]] == [jobs[0]]
    assert_problem(client.patch(url, json={"bin": "fast"}), 422, "BIN_UNKNOWN")
    assert_problem(client.patch(f"/v1/jobs/{jobs[3]}", json={"bin": "bulk"}), 409, "JOB_ENDED")


def test_a_dropped_job_is_in_no_list(client: httpx.Client, jobs: list[JobId]) -> None:
    assert_problem(client.delete(f"/v1/jobs/{jobs[0]}"), 409, "JOB_UNFINISHED")
    assert client.delete(f"/v1/jobs/{jobs[4]}").status_code == 204
    assert_problem(client.get(f"/v1/jobs/{jobs[4]}"), 404, "JOB_UNKNOWN")
    assert jobs[4] not in {item["id"] for item in client.get("/v1/jobs").json()["items"]}


def ended(client: httpx.Client, location: str) -> dict[str, Any]:
    for _ in range(500):
        said: dict[str, Any] = client.get(location).json()
        if said["state"] != "running":
            return said
        time.sleep(0.01)
    raise AssertionError(said)


def test_many_jobs_are_cancelled_by_a_filter(client: httpx.Client, jobs: list[JobId]) -> None:
    wish = {"action": "cancel", "filter": {"bin": ["normal"]}}
    dry = client.post("/v1/jobs:bulk", json={**wish, "dry_run": True})
    assert dry.status_code == 200
    said = dry.json()
    assert said.pop("as_of") <= client.get("/v1/jobs").json()["as_of"]
    assert said == {"matched": 4, "able": 2, "sample": [jobs[0], jobs[2]], "operation": None}
    begun = client.post("/v1/jobs:bulk", json=wish)
    assert begun.status_code == 202
    said = ended(client, begun.headers["location"])
    assert (said["state"], said["total"], said["done"], said["unchanged"], said["failed"]) == ("done", 4, 2, 2, 0)
    assert client.get("/v1/jobs").json()["counts"]["cancelled"] == 3
    assert [one["id"] for one in client.get("/v1/operations").json()["items"]] == [said["id"]]


def test_named_jobs_are_moved(client: httpx.Client, jobs: list[JobId]) -> None:
    begun = client.post("/v1/jobs:bulk", json={"action": "move", "bin": "bulk", "ids": [jobs[1], "job_none"]})
    assert ended(client, begun.headers["location"])["done"] == 1
    assert client.get(f"/v1/jobs/{jobs[1]}").json()["bin"] == "bulk"
    assert_problem(client.post("/v1/jobs:bulk", json={"action": "move", "ids": []}), 422, "BIN_UNKNOWN")
    assert_problem(client.post("/v1/jobs:bulk", json={"action": "drop"}), 422, "JOBS_UNCLEAR")
    assert_problem(client.get("/v1/operations/op_1"), 404, "OPERATION_UNKNOWN")
