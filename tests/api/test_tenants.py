"""The same bytes from two tenants: each has a video and a job of its own, and nothing of one is seen or changed by the other."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.api.keyed import Keyed
from tests.api.shelved import jpeg, listed, shelve
from tests.api.test_videos import assert_problem
from tests.api.tusing import TUS, create
from vidprocme.core.ids import JobId
from vidprocme.wiring import House

CONTENT = b"the same bytes" * 100


@dataclass
class Sent:
    """What a tenant was told of the bytes that it sent."""

    client: httpx.Client
    job: str
    video: str

    def shown(self, of: str = "videos") -> dict[str, object]:
        answer = self.client.get(f"/v1/{of}/{self.video if of == 'videos' else self.job}")
        assert answer.status_code == 200, answer.text
        found: dict[str, object] = answer.json()
        return found


def sent(client: httpx.Client, **fields: str) -> Sent:
    answer = create(client, len(CONTENT), CONTENT, **fields)
    assert answer.status_code == 201, answer.text
    return Sent(client, answer.headers["vidprocme-job"], answer.headers["vidprocme-video"])


def names(client: httpx.Client, count: int, **query: str) -> list[str]:
    """The videos in a list, once there are that many."""
    deadline = time.monotonic() + 20
    while True:
        found = [video["id"] for video in client.get("/v1/videos", params=query).json()["items"]]
        if len(found) == count:
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.01)


@pytest.fixture
def ours(asking: Keyed) -> Sent:
    return sent(asking.with_key("submit", tenant="a"), title="ours", tags="red")


@pytest.fixture
def theirs(asking: Keyed, ours: Sent) -> Sent:  # noqa: ARG001 - in this order
    """Sent after ours."""
    return sent(asking.with_key("submit", tenant="b"), title="theirs")


def test_each_has_a_job_and_a_video(asking: Keyed, ours: Sent, theirs: Sent) -> None:
    everybodys = sent(asking.admin)  # of the tenant that jobs of nobody's in particular have

    assert len({ours.job, theirs.job, everybodys.job}) == len({ours.video, theirs.video, everybodys.video}) == 3
    for mine, others in ((ours, theirs), (theirs, ours)):
        assert [job["id"] for job in mine.client.get("/v1/jobs").json()["items"]] == [mine.job]
        assert names(mine.client, 1) == [mine.video]
        assert mine.shown("jobs")["video"] == mine.video and mine.shown()["job"] == mine.job
        assert_problem(mine.client.get(f"/v1/jobs/{others.job}"), 404, "JOB_UNKNOWN")
        assert_problem(mine.client.get(f"/v1/videos/{others.video}"), 404, "VIDEO_UNKNOWN")
    assert {job["id"] for job in asking.admin.get("/v1/jobs").json()["items"]} == {
        ours.job,
        theirs.job,
        everybodys.job,
    }


def test_the_same_wish_again_is_the_same_job_and_has_its_deadline_alone(ours: Sent, theirs: Sent) -> None:
    again = sent(theirs.client, deadline="2h", title="another")

    assert (again.job, again.video) == (theirs.job, theirs.video)
    assert theirs.shown("jobs")["deadline_at"] and not ours.shown("jobs")["deadline_at"]


def test_a_form_and_an_upload_that_is_there_say_whose_it_is(ours: Sent, theirs: Sent) -> None:
    form = theirs.client.post("/v1/videos", files={"file": ("x.mp4", CONTENT)}, data={"model": "none"}).json()
    held = create(theirs.client, len(CONTENT), CONTENT, hold="1").headers["location"]
    wish = {"source": {"upload_id": held.rpartition("/")[2]}, "model": "none"}
    known, again = (theirs.client.post("/v1/videos", json=wish).json() for _ in range(2))
    told = theirs.client.head(held, headers=TUS).headers

    for answer in (form, known, again):
        assert (answer["id"], answer["video"], answer["created"]) == (theirs.job, theirs.video, False)
    assert (told["vidprocme-job"], told["vidprocme-video"]) == (theirs.job, theirs.video)
    assert theirs.client.get(held).json()["video"] == theirs.video != ours.video


def test_a_form_says_of_it_what_its_sender_likes(asking: Keyed, ours: Sent) -> None:
    client = asking.with_key("submit", tenant="b")
    wish = {"model": "none", "title": "of the form"}
    made = client.post("/v1/videos", files={"file": ("x.mp4", CONTENT)}, data=wish).json()

    assert Sent(client, made["id"], made["video"]).shown()["title"] == "of the form"
    assert ours.shown()["title"] == "ours"


def test_each_says_of_it_what_it_likes(ours: Sent, theirs: Sent) -> None:
    assert (ours.shown()["title"], ours.shown()["tags"]) == ("ours", ["red"])
    assert (theirs.shown()["title"], theirs.shown()["tags"]) == ("theirs", [])

    assert theirs.client.patch(f"/v1/videos/{theirs.video}", json={"title": "new", "tags": ["b"]}).status_code == 200
    assert_problem(theirs.client.patch(f"/v1/videos/{ours.video}", json={"title": "x"}), 404, "VIDEO_UNKNOWN")
    assert ours.client.patch(f"/v1/videos/{ours.video}", json={"metadata": {"x": "y"}}).status_code == 200

    assert (ours.shown()["title"], theirs.shown()["title"]) == ("ours", "new")
    assert names(ours.client, 1, q="ours", tag="red") == [ours.video]
    assert names(theirs.client, 1, q="new", tag="b") == [theirs.video]
    assert names(ours.client, 0, q="new") == names(theirs.client, 0, tag="red") == []
    assert [job["title"] for job in ours.client.get("/v1/jobs").json()["items"]] == ["ours"]


def test_deleted_by_one_it_stays_the_others(ours: Sent, theirs: Sent) -> None:
    assert names(ours.client, 1) == [ours.video] and names(theirs.client, 1) == [theirs.video]

    assert ours.client.delete(f"/v1/videos/{ours.video}").status_code == 204

    assert_problem(ours.client.get(f"/v1/videos/{ours.video}"), 404, "VIDEO_UNKNOWN")
    assert theirs.shown("jobs")["state"] == "queued" and theirs.shown()["title"] == "theirs"
    assert names(theirs.client, 1) == [theirs.video]
    assert sent(ours.client).job != ours.job


def test_each_finds_its_own_captions(asking: Keyed, tmp_path: Path) -> None:
    house: House = asking.house
    mine = shelve(house, tmp_path, [jpeg(90), jpeg(99)], ["a goat", "our barn"], tenant="a", job_id="job_a")
    (tmp_path / "b").mkdir()
    other = shelve(house, tmp_path / "b", [jpeg(90), jpeg(99)], ["a goat", "their barn"], tenant="b", job_id="job_b")
    a, b = (asking.with_key("submit", tenant=tenant) for tenant in "ab")
    listed(asking.admin, 2)

    for client, video, job, words in ((a, mine, "job_a", "our"), (b, other, "job_b", "their")):
        found = client.get("/v1/search", params={"q": "barn"}).json()["items"]
        assert [(hit["video_id"], hit["job_id"], hit["text"]) for hit in found] == [(video, job, f"{words} barn")]
        captions = client.get(f"/v1/videos/{video}/captions").json()["items"]
        assert [caption["text"] for caption in captions] == ["a goat", f"{words} barn"]
    assert a.get("/v1/search", params={"q": "goat", "video": other}).json()["items"] == []

    made = b.post(f"/v1/videos/{other}/redescribe", json={"model": "demo", "prompt": "More."}).json()
    view = house.queue.job(JobId(made["id"]))
    assert view is not None and (view.job.tenant, view.job.reuses) == ("b", "job_b")
    assert [job["id"] for job in a.get(f"/v1/videos/{mine}").json()["jobs"]] == ["job_a"]

    assert a.delete(f"/v1/videos/{mine}").status_code == 204
    assert house.queue.job(JobId("job_a")) is None
    assert b.get(f"/v1/videos/{other}/frames/0.jpg").status_code == 200
    assert [hit["video_id"] for hit in b.get("/v1/search", params={"q": "barn"}).json()["items"]] == [other]
