"""What the API tells of tasks, attempts, logs, rounds and events, over a real queue that is moved as a pool would move it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from httpx import Client

from tests.api.serving import serving
from tests.api.test_videos import assert_problem
from tests.dispatch.things import CORE, fail, new_job, plan_by_hand, settle, transcoded
from vidprocme.api.access import Caller, caller_of
from vidprocme.api.schemas.access import Scope
from vidprocme.api.server import create_app
from vidprocme.core.errors import ErrorInfo
from vidprocme.core.ids import JobId, task_id
from vidprocme.core.job import Job, Lease, Next, Outcome, OutcomeKind, Recipe, Task, Usage
from vidprocme.library.logs import LogWriter, path_of
from vidprocme.planner.graph import first_tasks
from vidprocme.queue.base import Claim, Settlement
from vidprocme.wiring import House

CRASH = ErrorInfo("FFMPEG_FAILED", "ffmpeg ended with exit code 1: no", "Look at the file.", {"exit_code": 1})


def planned(house: House) -> tuple[Job, tuple[Task, ...]]:
    """A job of three chunks, no captions: probe is done."""
    job = new_job(recipe=Recipe(renditions=("720p",)))
    (probe,) = first_tasks(job)
    house.queue.submit(job, [probe])
    return job, plan_by_hand(house.queue, house.blobs, job, probe)


def start(house: House, task: Task, place: str = "here/cpu") -> Lease:
    turn = house.queue.turn("pool_hand", [], [Claim(task.id, place, CORE)], lease_ms=60_000)
    (claimed,) = turn.claimed
    return claimed.lease


def end(house: House, lease: Lease, next_: Next, kind: OutcomeKind, error: ErrorInfo | None = None) -> None:
    outcome = Outcome(kind, error=error, usage=Usage(2.0, 1.5, 64 << 20, 10))
    house.queue.turn("pool_hand", [Settlement(lease, next_, outcome)], [], lease_ms=60_000)


def get(client: Client, path: str, **params: Any) -> dict[str, Any]:
    answer = client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def write(house: House, lease: Lease, text: str) -> None:
    LogWriter(path_of(house.data, lease.task, lease.token)).lines(text)


def test_tasks_are_listed_with_their_payload_page_by_page(client: Client, house: House) -> None:
    job, _ = planned(house)
    path = f"/v1/jobs/{job.id}/tasks"

    whole = get(client, path)
    first = get(client, path, limit=2)
    second = get(client, path, limit=100, cursor=first["next_cursor"])

    assert [item["stage"] for item in whole["items"]] == ["probe", *["transcode"] * 3, "join", "index"]
    assert whole["items"][1]["payload"]["renditions"][0]["name"] == "720p"
    assert whole["items"][1]["tries_most"] == 4 and whole["items"][0]["state"] == "succeeded"
    assert first["items"] + second["items"] == whole["items"] and second["next_cursor"] is None
    chosen = get(client, path, stage="transcode", state="ready")["items"]
    assert [item["index"] for item in chosen] == [0, 1, 2]


def test_attempts_of_what_is_in_line_again_are_still_there(client: Client, house: House) -> None:
    job, tasks = planned(house)
    end(house, start(house, tasks[0]), Next.FAIL, OutcomeKind.FAILED, CRASH)
    house.control.retry(job.id)

    first, second = get(client, f"/v1/jobs/{job.id}/attempts")["items"]

    assert (first["task"], first["outcome"], first["error"]["code"]) == (tasks[0].id, "failed", "FFMPEG_FAILED")
    ends = [one for one in get(client, f"/v1/jobs/{job.id}/events")["items"] if one["data"].get("outcome") == "failed"]
    assert [one["data"]["token"] for one in ends] == [first["token"]] and second["token"] != first["token"]


def test_attempts_running_first_then_the_newest(client: Client, house: House) -> None:
    job, tasks = planned(house)
    first = start(house, tasks[0])
    write(house, first, "one")
    end(house, first, Next.RETRY, OutcomeKind.FAILED, CRASH)
    running = start(house, tasks[0])
    done = start(house, tasks[1])
    end(house, done, Next.SUCCEED, OutcomeKind.OK)

    items = get(client, f"/v1/jobs/{job.id}/attempts")["items"]

    assert [(one["task"], one["number"], one["outcome"]) for one in items] == [
        (tasks[0].id, 2, None),
        (tasks[1].id, 1, "ok"),
        (tasks[0].id, 1, "failed"),
        (task_id(job.id, "probe", 0), 1, "ok"),
    ]
    now, _, failed, _ = items
    assert now["place"] == "here/cpu" and now["ended_at"] is None and now["try_number"] == 2 and now["log_url"] is None
    assert failed["error"]["code"] == "FFMPEG_FAILED" and failed["error"]["hint"] == "Look at the file."
    assert (failed["cpu_s"], failed["memory_bytes"], failed["next"]) == (1.5, 64 << 20, "retry")
    assert client.get(failed["log_url"]).json()["text"].endswith("  one\n")
    write(house, running, "two")
    again = get(client, f"/v1/jobs/{job.id}/attempts", limit=1)
    assert get(client, again["items"][0]["log_url"])["text"].endswith("  two\n")
    rest = get(client, f"/v1/jobs/{job.id}/attempts", cursor=again["next_cursor"])
    assert rest["items"] == items[1:]


def test_a_log_is_followed_by_its_offset_and_saved_whole(client: Client, house: House) -> None:
    job, tasks = planned(house)
    lease = start(house, tasks[0])
    write(house, lease, "one")
    path = f"/v1/jobs/{job.id}/attempts/{tasks[0].id}/1/log"

    first = get(client, path)
    write(house, lease, "two\nthree")
    second = get(client, path, offset=first["next_offset_bytes"])
    tail = get(client, f"/v1/jobs/{job.id}/attempts/transcode:0/1/log", tail=25)
    end(house, lease, Next.SUCCEED, OutcomeKind.OK)
    last = get(client, path, offset=second["next_offset_bytes"])

    assert not first["ended"] and first["text"].endswith("  one\n")
    assert [line[14:] for line in second["text"].splitlines()] == ["two", "three"]
    assert second["next_offset_bytes"] == second["size_bytes"]
    assert tail["text"][14:] == "three\n"
    assert last["ended"] and last["text"] == ""
    saved = client.get(f"{path}.txt")
    assert saved.text == first["text"] + second["text"]
    assert "attachment" in saved.headers["content-disposition"]


def test_what_there_is_not_is_said(client: Client, house: House) -> None:
    job, tasks = planned(house)
    elsewhere = start(house, tasks[0], "other-node/cpu")
    end(house, elsewhere, Next.SUCCEED, OutcomeKind.OK)
    path = f"/v1/jobs/{job.id}/attempts"

    error = assert_problem(client.get(f"{path}/{tasks[0].id}/1/log"), 404, "LOG_ELSEWHERE")
    assert "other-node" in str(error["detail"])
    assert_problem(client.get(f"{path}/{tasks[0].id}/1/log.txt"), 404, "LOG_ELSEWHERE")
    assert_problem(client.get(f"{path}/{tasks[0].id}/2/log"), 404, "ATTEMPT_UNKNOWN")
    assert_problem(client.get(f"{path}/transcode:77/1/log"), 404, "TASK_UNKNOWN")
    assert_problem(client.get(f"{path}/../x/1/log"), 404, "NOT_FOUND")
    other, _ = planned(house)
    assert_problem(client.get(f"{path}/{task_id(other.id, 'probe', 0)}/1/log"), 404, "TASK_UNKNOWN")
    for below in ("tasks", "attempts", "timeline", "events"):
        assert_problem(client.get(f"/v1/jobs/job_none/{below}"), 404, "JOB_UNKNOWN")
    assert_problem(client.get(f"{path}?cursor=%21"), 422, "CURSOR_BAD")
    assert_problem(client.get(f"/v1/jobs/{job.id}/events?after=x"), 422, "EVENT_UNREADABLE")


def test_rounds_have_an_axis_each_and_what_was_done_is_kept(client: Client, house: House, tmp_path: Path) -> None:
    job, tasks = planned(house)
    for task in tasks[:2]:
        settle(house.queue, task, transcoded(house.blobs, task, tmp_path))
    fail(house.queue, tasks[2])
    path = f"/v1/jobs/{job.id}/timeline"

    (only,) = get(client, path)["items"]
    assert {one["stage"]: one["state"] for one in only["stages"]} == {
        "probe": "succeeded",
        "transcode": "failed",
        "join": "cancelled",
        "index": "cancelled",
    }
    shown = next(one for one in only["stages"] if one["stage"] == "transcode")
    assert (shown["tasks"], shown["done"], shown["failed"], shown["kept"]) == (3, 2, 1, False)
    assert only["end"] is not None and only["wait_s"] >= 0

    house.queue.retry(job.id)
    lease = start(house, tasks[2])
    now, before = get(client, path)["items"]

    assert (now["number"], before["number"]) == (2, 1)
    states = {one["stage"]: (one["state"], one["kept"]) for one in now["stages"]}
    assert states["probe"] == ("succeeded", True) and states["transcode"] == ("running", False)
    assert states["join"] == ("waiting", False)
    assert before["end"] <= now["start"] and now["end"] is None
    assert {one["stage"] for one in before["stages"]} == {"probe", "transcode"}
    assert next(one for one in before["stages"] if one["stage"] == "transcode")["state"] == "failed"
    end(house, lease, Next.SUCCEED, OutcomeKind.OK)
    assert get(client, path)["items"][0]["stages"][1]["done"] == 3


def test_a_try_again_by_itself_is_no_new_round(client: Client, house: House) -> None:
    job, tasks = planned(house)
    for next_, kind in ((Next.RETRY, OutcomeKind.FAILED), (Next.LOST, OutcomeKind.LOST)):
        end(house, start(house, tasks[0]), next_, kind, CRASH)
    start(house, tasks[0])

    (only,) = get(client, f"/v1/jobs/{job.id}/timeline")["items"]

    assert next(one for one in only["stages"] if one["stage"] == "transcode")["state"] == "running"


def test_events_of_one_job_in_order_and_in_pages(client: Client, house: House) -> None:
    job, tasks = planned(house)
    planned(house)
    end(house, start(house, tasks[0]), Next.SUCCEED, OutcomeKind.OK)
    path = f"/v1/jobs/{job.id}/events"

    whole = get(client, path)["items"]
    pages, cursor = [], ""
    while cursor is not None:
        page = get(client, path, limit=4, cursor=cursor)
        pages += page["items"]
        cursor = page["next_cursor"]

    kinds = [one["kind"] for one in whole]
    assert kinds[0] == "job.submitted" and kinds[-1] == "task.succeeded" and {one["job"] for one in whole} == {job.id}
    assert pages == whole
    assert get(client, path, after=whole[2]["id"])["items"] == whole[3:]


@pytest.mark.parametrize("below", ["tasks", "attempts", "timeline", "events", "attempts/probe:0/1/log"])
def test_of_another_tenant_it_is_as_if_it_were_not_there(house: House, below: str) -> None:
    job, _ = planned(house)
    app = create_app(house, hosts=None)
    app.dependency_overrides[caller_of] = lambda: Caller("k", Scope.READ, tenant="somebody")
    with serving(app) as client:
        theirs = client.get(f"/v1/jobs/{job.id}/{below}")
        none = client.get(f"/v1/jobs/{JobId('job_none')}/{below}")

    assert theirs.status_code == none.status_code == 404
    assert theirs.json()["code"] == none.json()["code"] == "JOB_UNKNOWN"
