"""What is done to many jobs goes on when the queue was away, and says so when its server is no more."""

from __future__ import annotations

import fcntl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from redis import Redis

from tests.api.served import served
from tests.api.serving import serving
from tests.api.test_job_lists import ended, made
from tests.api.test_tus import until
from tests.api.test_videos import assert_problem
from tests.dispatch.things import new_job
from vidprocme.api import bulk, operations
from vidprocme.api.operations import KIND, Operation
from vidprocme.api.server import create_app
from vidprocme.core.ids import JobId
from vidprocme.planner.graph import first_tasks
from vidprocme.queue.base import NewJob
from vidprocme.wiring import House

MANY = 40


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """About 20 jobs a second, each told of."""
    monkeypatch.setattr(operations, "REST_S", 0.05)
    monkeypatch.setattr(operations, "SAY_EVERY_S", 0.0)


@pytest.fixture
def many(house: House) -> list[JobId]:
    return [made(house, f"{n}.mp4", n).id for n in range(1, MANY + 1)]


class Replica:
    """Makes the queue's server one that can be read, and takes nothing: as while it is replaced by another."""

    def __init__(self, house: House) -> None:
        self._redis: Redis = house.queue.client  # type: ignore[attr-defined]

    def begin(self) -> None:
        self._redis.replicaof("127.0.0.1", "1")

    def end(self) -> None:
        self._redis.replicaof("NO", "ONE")


@pytest.fixture
def replica(house: House) -> Iterator[Replica]:
    yield (made := Replica(house))
    made.end()


def cancel_all(client: httpx.Client) -> str:
    begun = client.post("/v1/jobs:bulk", json={"action": "cancel", "filter": {}})
    assert begun.status_code == 202, begun.text
    location: str = begun.headers["location"]
    return location


@pytest.mark.usefixtures("slow", "many")
def test_a_queue_that_takes_nothing_for_a_while_is_waited_for(client: httpx.Client, replica: Replica) -> None:
    location = cancel_all(client)
    until(lambda: client.get(location).json()["done"] >= 3)
    replica.begin()
    time.sleep(1)
    assert client.get("/v1/jobs").json()["counts"]["cancelled"] < MANY
    replica.end()

    said = ended(client, location)

    assert (said["state"], said["total"], said["done"], said["failed"]) == ("done", MANY, MANY, 0)
    assert client.get("/v1/jobs").json()["counts"]["cancelled"] == MANY


@pytest.mark.usefixtures("many")
def test_its_end_is_written_down_when_the_queue_takes_it(
    client: httpx.Client, replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when patience had an end, and the jobs failed."""
    monkeypatch.setattr(operations, "PATIENT_S", 0.0)
    monkeypatch.setattr(operations, "REST_S", 0.02)
    monkeypatch.setattr(operations, "SAY_EVERY_S", 0.0)
    location = cancel_all(client)
    replica.begin()
    time.sleep(2)  # by now all have been tried
    assert client.get(location).json()["state"] == "running"
    replica.end()

    said = ended(client, location)

    assert said["state"] == "done" and said["failed"] > 0
    assert said["done"] + said["failed"] == MANY
    assert said["errors"][0]["code"] and said["errors"][0]["evidence"]["job"]


def test_no_jobs_are_picked_from_a_list_that_is_not_there_yet(house: House) -> None:
    """Another process of this machine is making it: nothing fits yet, and that would be answered as done."""
    jobs = [made(house, f"{n}.mp4", n).id for n in range(1, 6)]
    house.follower_lock.parent.mkdir(parents=True, exist_ok=True)
    with house.follower_lock.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with serving(create_app(house)) as client:
            assert client.get("/v1/jobs").json()["as_of"] is None
            wishes: list[dict[str, object]] = [{"filter": {}}, {"filter": {}, "dry_run": True}, {"ids": jobs}]
            for wish in wishes:
                answer = client.post("/v1/jobs:bulk", json={"action": "cancel", **wish})
                assert_problem(answer, 503, "LIST_NOT_READY")
                assert int(answer.headers["retry-after"]) > 0
            assert client.get("/v1/operations").json()["items"] == []
            fcntl.flock(lock, fcntl.LOCK_UN)
            until(lambda: client.get("/v1/jobs").json()["as_of"] is not None)
            answer = client.post("/v1/jobs:bulk", json={"action": "cancel", "filter": {}})
            assert answer.json()["matched"] == 5 and answer.json()["as_of"]


def test_one_whose_server_says_nothing_is_interrupted(client: httpx.Client, house: House) -> None:
    """Wherever that was: another boot, another container, another machine."""
    records, now_ms = house.records(KIND, Operation), house.queue.now_ms()
    records.put("op_8", Operation("cancel", "running", 5, 1, now_ms, done=2))
    records.put("op_9", Operation("cancel", "running", 5, 1, now_ms - 21_000, done=2))

    assert client.get("/v1/operations/op_8").json()["state"] == "running"
    said = client.get("/v1/operations/op_9").json()
    assert (said["state"], said["done"]) == ("interrupted", 2)
    states = {one["id"]: one["state"] for one in client.get("/v1/operations").json()["items"]}
    assert states == {"op_8": "running", "op_9": "interrupted"}

    cancel_all(client)  # the next one writes it down
    kept = records.get("op_9")
    assert kept is not None and kept.doc.state == "interrupted"


@pytest.mark.slow
def test_one_whose_server_was_killed_is_interrupted_and_the_same_wish_does_the_rest(
    house: House, redis_url: str
) -> None:
    for at in range(0, 3000, 500):
        jobs = [new_job(f"{number:064x}") for number in range(at, at + 500)]
        house.queue.submit_many([NewJob(job, first_tasks(job)) for job in jobs])
    with served(house.data, redis_url) as server, httpx.Client(base_url=server.url, trust_env=False) as client:
        server.start()
        location = until_202(client)
        until(lambda: client.get(location).json()["done"])
        server.kill()
        left = len(house.queue.jobs(limit=5000, active=True))
        assert 0 < left < 3000

        server.start()
        said = client.get(location).json()
        assert said["state"] == "running" and 0 < said["done"] <= 3000 - left  # it may be elsewhere
        rest = until_202(client)
        until(lambda: client.get(rest).json()["state"] != "running")
        again = client.get(rest).json()
        assert (again["state"], again["failed"], again["done"]) == ("done", 0, left)
        until(lambda: client.get(location).json()["state"] == "interrupted", 30)
    assert not house.queue.jobs(active=True)


def until_202(client: httpx.Client) -> str:
    """The lists of a server that has just begun are not whole yet."""
    answers: list[httpx.Response] = []

    def asked() -> bool:
        answers.append(client.post("/v1/jobs:bulk", json={"action": "cancel", "filter": {"state": ["queued"]}}))
        return answers[-1].status_code != 503

    until(asked)
    assert answers[-1].status_code == 202, answers[-1].text
    location: str = answers[-1].headers["location"]
    return location


@pytest.mark.usefixtures("many")
def test_one_that_waits_for_another_is_not_interrupted(
    client: httpx.Client, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its server goes on saying that it is there."""
    monkeypatch.setattr(operations, "BEAT_S", 0.1)
    goes_on = threading.Event()
    cancel = house.queue.cancel
    monkeypatch.setattr(house.queue, "cancel", lambda job: goes_on.wait(60) and cancel(job))
    first, second = cancel_all(client), cancel_all(client)
    records, id_ = house.records(KIND, Operation), second.rpartition("/")[2]

    def seen() -> Operation:
        kept = records.get(id_)
        assert kept is not None
        return kept.doc

    until(lambda: seen().beat_ms - seen().created_ms > 1000)
    assert (seen().state, seen().done) == ("running", 0)

    goes_on.set()
    assert ended(client, first)["done"] == MANY
    assert ended(client, second)["unchanged"] == MANY


@pytest.mark.usefixtures("slow", "many")
def test_jobs_are_read_as_their_turn_comes(
    client: httpx.Client, house: House, many: list[JobId], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody holds the ids of all: what fits no more is not tried, what was submitted meanwhile neither."""
    monkeypatch.setattr(bulk, "PAGE", 5)
    begun = client.post("/v1/jobs:bulk", json={"action": "cancel", "filter": {"state": ["queued"]}})
    assert begun.json()["matched"] == MANY
    time.sleep(0.002)
    young = made(house, "young.mp4", 1000).id
    house.queue.cancel(many[-1])

    said = ended(client, begun.headers["location"])

    assert (said["state"], said["total"], said["done"], said["unchanged"]) == ("done", MANY - 1, MANY - 1, 0)
    assert client.get(f"/v1/jobs/{young}").json()["state"] == "queued"


def test_others_are_answered_while_1000_jobs_are_changed(client: httpx.Client, house: House) -> None:
    for at in range(0, 1000, 100):
        jobs = [new_job(f"{number:064x}") for number in range(at, at + 100)]
        house.queue.submit_many([NewJob(job, first_tasks(job)) for job in jobs])
    until(lambda: client.get("/v1/jobs?limit=1").json()["total_estimate"] == 1000)
    with ThreadPoolExecutor(1) as beside:
        dry = {"action": "cancel", "filter": {}, "dry_run": True}
        asked = beside.submit(client.post, "/v1/jobs:bulk", json=dry)
        answered = 0
        location = cancel_all(client)
        while client.get(location).json()["state"] == "running":
            for path in ("/healthz", "/v1/jobs?limit=1", "/v1/overview"):
                assert client.get(path).status_code == 200
                answered += 1
            time.sleep(0.05)
        assert asked.result().json()["matched"] == 1000
    said = client.get(location).json()
    assert (said["state"], said["done"], said["failed"]) == ("done", 1000, 0)
    assert answered > 30
