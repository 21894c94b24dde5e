"""Videos over HTTP: lists, names, tags, and how one goes."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import httpx
import pytest

from tests.api.serving import serving
from tests.api.shelved import jpeg, listed, shelve
from tests.api.test_videos import assert_problem
from vidprocme.api.access import Caller, caller_of
from vidprocme.api.schemas.access import Scope
from vidprocme.api.server import create_app
from vidprocme.core.ids import JobId, VideoId, task_id
from vidprocme.core.job import Job, Next, Outcome, OutcomeKind, Recipe, Source, Stage, Task
from vidprocme.core.resources import Resources
from vidprocme.library.base import Note
from vidprocme.queue.base import Claim, Settlement
from vidprocme.wiring import House

NASTY = '<img src=x onerror=alert(1)>".mp4'


@pytest.fixture
def video(house: House, tmp_path: Path) -> str:
    return shelve(house, tmp_path, [jpeg(120, 60), jpeg(90, 60)], ["a man", "a dog"], heights=(360, 1080))


def test_a_video_says_what_was_made_of_it(client: httpx.Client, video: str) -> None:
    answer = client.get(f"/v1/videos/{video}")
    told = answer.json()

    assert answer.status_code == 200 and answer.headers["etag"] == f'"{told["etag"]}"'
    assert (told["title"], told["state"], told["captions"], told["frames"]) == ("clip.mp4", "succeeded", 2, 2)
    assert [one["name"] for one in told["renditions"]] == ["360p", "1080p"]
    assert (told["progress"], told["duration_s"], told["jobs"][0]["model"]) == (1.0, 2.0, "demo")
    assert all(client.get(told[url]).status_code == 200 for url in ("stream_url", "poster_url", "captions_url"))
    assert client.get(told["renditions"][0]["url"]).status_code == 200


def test_the_list_goes_on_where_it_ended_and_filters(client: httpx.Client, house: House, tmp_path: Path) -> None:
    ids = [
        shelve(house, tmp_path, [jpeg(99)], name=f"{word}.mp4", content=word) for word in ("Kitchen", "Dock", "Door")
    ]
    listed(client, 3)
    client.patch(f"/v1/videos/{ids[1]}", json={"title": "Loading bay", "tags": ["Night", "cam 2"]})

    first = client.get("/v1/videos", params={"limit": 2}).json()
    second = client.get("/v1/videos", params={"limit": 2, "cursor": first["next_cursor"]}).json()

    assert [one["id"] for one in first["items"] + second["items"]] == ids[::-1]
    assert second["next_cursor"] is None and first["total_estimate"] == 3
    assert [one["id"] for one in listed(client, 1, q="LOADING")] == [ids[1]]
    assert [one["id"] for one in listed(client, 2, q="do")] == [ids[2], ids[1]]  # one by its file's name
    assert [one["id"] for one in listed(client, 1, tag="night")] == [ids[1]]
    listed(client, 0, state="failed")
    assert_problem(client.get("/v1/videos", params={"cursor": "xx"}), 422, "CURSOR_BAD")


def test_a_title_is_changed_once_by_who_saw_the_old_one(client: httpx.Client, video: str) -> None:
    seen = client.get(f"/v1/videos/{video}").headers["etag"]
    url, match = f"/v1/videos/{video}", {"If-Match": seen}

    changed = client.patch(url, json={"title": " My \n clip ", "tags": ["a", "A", "b"]}, headers=match)
    late = client.patch(url, json={"title": "late"}, headers=match)
    more = client.patch(url, json={"metadata": {"camera": "2"}})

    assert changed.json()["title"] == "My clip" and changed.json()["tags"] == ["a", "b"]
    assert_problem(late, 412, "ETAG_MISMATCH")
    assert (more.json()["title"], more.json()["metadata"]) == ("My clip", {"camera": "2"})
    assert client.patch(url, json={"title": ""}).json()["title"] == "clip.mp4"
    assert_problem(client.patch(url, json={"tags": [" "]}), 422, "TAG_BAD")
    assert_problem(client.patch(url, json={"name": "x"}), 422, "REQUEST_INVALID")
    assert_problem(client.patch("/v1/videos/vid_none", json={}), 404, "VIDEO_UNKNOWN")


def test_the_index_repeats_a_title_also_when_it_was_made_anew(house: House, video: str) -> None:
    with serving(create_app(house)) as client:
        listed(client, 1)
        client.patch(f"/v1/videos/{video}", json={"title": "Night shift"})
        assert client.get("/v1/search", params={"q": "dog"}).json()["items"][0]["title"] == "Night shift"
    with contextlib.closing(house.open_index()) as index:
        index.clear()
    with serving(create_app(house)):
        deadline = time.monotonic() + 20
        while True:
            with contextlib.closing(house.open_index()) as index:
                if index.notes().get(VideoId(video)) == Note("Night shift"):
                    break
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_markup_comes_back_as_data_only(client: httpx.Client, house: House, tmp_path: Path) -> None:
    video = shelve(house, tmp_path, [jpeg(99)], ["<script>alert(1)</script>"], name=NASTY)
    client.patch(f"/v1/videos/{video}", json={"title": NASTY, "tags": [NASTY], "metadata": {NASTY: NASTY}})

    for path in ("", "/frames", "/captions", "/captions?format=vtt", "/captions?format=csv"):
        answer = client.get(f"/v1/videos/{video}{path}")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "html" not in answer.headers["content-type"] and answer.status_code == 200
    assert "<script" not in client.get(f"/v1/videos/{video}/captions?format=vtt").text
    assert client.get(f"/v1/videos/{video}").json()["title"] == NASTY


def test_a_deleted_video_is_gone_at_once(client: httpx.Client, house: House, video: str) -> None:
    listed(client, 1)
    client.patch(f"/v1/videos/{video}", json={"title": "soon gone"})

    assert_problem(client.delete(f"/v1/videos/{video}", headers={"If-Match": '"x"'}), 412, "ETAG_MISMATCH")
    assert client.delete(f"/v1/videos/{video}").status_code == 204
    assert_problem(client.get(f"/v1/videos/{video}"), 404, "VIDEO_UNKNOWN")
    assert_problem(client.delete(f"/v1/videos/{video}"), 404, "VIDEO_UNKNOWN")
    assert house.queue.job(JobId("job_1")) is None
    listed(client, 0)


def test_a_video_that_runs_is_seen_by_nobody_and_goes_when_it_has_ended(
    client: httpx.Client, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidprocme.api.library.END_WAIT_S", 0.0)
    job = Job(JobId("job_runs"), Source("blob:x", "a.mp4", "7" * 64, 1), Recipe(), created_ms=1)
    task = Task(task_id(job.id, Stage.PROBE, 0), job.id, Stage.PROBE, 0, {}, ())
    house.queue.submit(job, [task])
    (claimed,) = house.queue.turn("pool_test", [], [Claim(task.id, "n/cpu", Resources())], lease_ms=60_000).claimed
    url = f"/v1/videos/vid_{'7' * 24}"
    assert client.get(url).json()["state"] == "running"

    assert client.delete(url).status_code == 202
    assert_problem(client.get(url), 404, "VIDEO_UNKNOWN")
    assert client.get("/v1/videos").json()["items"] == []
    stopped = Settlement(claimed.lease, Next.CANCEL, Outcome(OutcomeKind.CANCELLED))
    house.queue.turn("pool_test", [stopped], [], lease_ms=60_000)
    deadline = time.monotonic() + 20
    while house.queue.job(job.id) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_runs_stays_gone_when_the_video_came_again_and_is_deleted_again(
    client: httpx.Client, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidprocme.api.library.END_WAIT_S", 0.0)
    url = f"/v1/videos/vid_{'7' * 24}"
    leases = []
    for name in ("job_1", "job_2"):  # of the same bytes
        job = Job(JobId(name), Source("blob:x", "a.mp4", "7" * 64, 1), Recipe(), created_ms=1)
        task = Task(task_id(job.id, Stage.PROBE, 0), job.id, Stage.PROBE, 0, {}, ())
        house.queue.submit(job, [task])
        claims = [Claim(task.id, "n/cpu", Resources())]
        leases += [one.lease for one in house.queue.turn("pool_test", [], claims, lease_ms=60_000).claimed]
        deadline = time.monotonic() + 20
        while [one["id"] for one in client.get(url).json().get("jobs", [])] != [name]:  # until the follower has seen it
            assert time.monotonic() < deadline
            time.sleep(0.01)

        assert client.delete(url).status_code == 202
        assert_problem(client.get(url), 404, "VIDEO_UNKNOWN")

    assert client.get("/v1/videos").json()["items"] == []
    stopped = [Settlement(lease, Next.CANCEL, Outcome(OutcomeKind.CANCELLED)) for lease in leases]
    house.queue.turn("pool_test", stopped, [], lease_ms=60_000)
    deadline = time.monotonic() + 20
    while house.queue.jobs():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_captions_are_made_anew_of_the_kept_frames(client: httpx.Client, house: House, video: str) -> None:
    answer = client.post(f"/v1/videos/{video}/redescribe", json={"model": "demo", "prompt": "Colours?"})

    assert answer.status_code == 202, answer.text
    made = answer.json()
    assert made["created"] and answer.headers["location"] == f"/v1/jobs/{made['id']}"
    told = client.get(f"/v1/videos/{video}").json()
    assert told["captions"] == 2 and told["frames"] == 2  # of the older job, as long as the new one has none
    assert client.delete(f"/v1/videos/{video}").status_code == 204  # the one that reuses goes first
    assert house.queue.jobs() == ()


def test_what_is_another_tenants_is_not_there(house: House, tmp_path: Path) -> None:
    theirs = shelve(house, tmp_path, [jpeg(99)], ["x"], content="t", tenant="them")
    app = create_app(house)
    app.dependency_overrides[caller_of] = lambda: Caller("us", Scope.SUBMIT, tenant="us")

    with serving(app) as client, serving(create_app(house)) as all_:
        listed(all_, 1)
        assert client.get("/v1/videos").json() == {"items": [], "next_cursor": None, "total_estimate": 0}
        for path in ("", "/stream", "/poster", "/frames", "/frames/0.jpg", "/still?at=0", "/captions"):
            assert_problem(client.get(f"/v1/videos/{theirs}{path}"), 404, "VIDEO_UNKNOWN")
        for method, path, body in (("PATCH", "", {}), ("DELETE", "", None), ("POST", "/redescribe", {"model": "demo"})):
            answer = client.request(method, f"/v1/videos/{theirs}{path}", json=body)
            assert_problem(answer, 404, "VIDEO_UNKNOWN")
