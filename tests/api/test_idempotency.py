"""The same POST twice, and it happened once."""

from __future__ import annotations

import json
import threading
import time

import httpx
import pytest

from tests.api.fleets import join
from tests.api.keyed import Keyed
from tests.api.test_videos import assert_problem
from vidprocme.api.audit import Line
from vidprocme.api.door import BODY_MOST
from vidprocme.api.idempotency import KIND, MARK_S
from vidprocme.core.ids import JobId
from vidprocme.core.job import Recipe, Source
from vidprocme.wiring import House

KEY = {"idempotency-key": "6f1c6c1e-0001"}
LOOK = {"action": "cancel", "filter": {}, "dry_run": True}


def test_a_repeated_post_happens_once_and_is_answered_alike(client: httpx.Client, house: House) -> None:
    job = house.control.submit(Source("file:///a.mp4", "a.mp4", "0" * 64, 1), Recipe()).job
    first, again = (client.post(f"/v1/jobs/{job}/cancel", headers=KEY) for _ in range(2))

    assert first.status_code == again.status_code == 202, "a second cancel would be 409"
    assert first.json() == again.json()
    assert "idempotency-replayed" not in first.headers and again.headers["idempotency-replayed"] == "true"
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert [entry.doc.action for entry in house.journal("audit", Line).page()] == ["job.cancel"]
    assert_problem(client.post(f"/v1/jobs/{job}/retry", headers=KEY), 422, "IDEMPOTENCY_REUSED")
    assert_problem(client.post(f"/v1/jobs/{job}/cancel"), 409, "JOB_ENDED")


def test_keys_are_the_callers_own(asking: Keyed) -> None:
    for client in (asking.admin, asking.with_key("operate")):
        assert "idempotency-replayed" not in client.post("/v1/jobs:bulk", json=LOOK, headers=KEY).headers
        assert client.post("/v1/jobs:bulk", json=LOOK, headers=KEY).headers["idempotency-replayed"] == "true"


def test_two_at_once_are_one_and_a_secret_is_told_once(asking: Keyed) -> None:
    answers: list[httpx.Response] = []
    start = threading.Barrier(8)

    def ask() -> None:
        with httpx.Client(base_url=asking.admin.base_url, headers=asking.admin.headers, trust_env=False) as client:
            start.wait(10)
            answers.append(client.post("/v1/keys", json={"name": "once"}, headers=KEY))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (made,) = (answer.json() for answer in answers if answer.status_code == 201)
    assert [item["id"] for item in asking.admin.get("/v1/keys").json()["items"]] == [made["id"]]
    refused = {answer.json()["code"] for answer in answers if answer.status_code == 409}
    assert refused <= {"IDEMPOTENCY_IN_FLIGHT", "IDEMPOTENCY_SECRET"} and len(answers) == 8
    late = asking.admin.post("/v1/keys", json={"name": "once"}, headers=KEY)
    assert_problem(late, 409, "IDEMPOTENCY_SECRET")
    assert late.json()["evidence"]["location"] == f"/v1/keys/{made['id']}" and made["key"] not in late.text


def test_while_the_first_is_in_flight_the_second_is_told_so_and_a_dead_server_blocks_a_minute(
    client: httpx.Client, house: House
) -> None:
    assert client.post("/v1/jobs:bulk", json=LOOK, headers=KEY).status_code == 200
    redis = house.queue.client  # type: ignore[attr-defined]
    (name,) = (name for name in redis.keys("*") if f"note:{KIND}:" in name)
    assert redis.ttl(name) > 80_000
    # As a server that was killed amid the request leaves it.
    notes, id_ = house.notes(KIND), name.rpartition(":")[2]
    kept = json.loads(str(notes.get(id_)))
    notes.put(id_, json.dumps({"wanted": kept["wanted"]}), MARK_S)
    assert_problem(client.post("/v1/jobs:bulk", json=LOOK, headers=KEY), 409, "IDEMPOTENCY_IN_FLIGHT")
    redis.delete(name)  # its minute is over
    assert client.post("/v1/jobs:bulk", json=LOOK, headers=KEY).status_code == 200


def test_what_takes_longer_than_its_mark_happens_once(
    client: httpx.Client, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A verb that takes five seconds, and marks that end after two."""
    monkeypatch.setattr("vidprocme.api.idempotency.MARK_S", 2)
    monkeypatch.setattr("vidprocme.api.idempotency.RENEW_S", 0.2)
    job = house.control.submit(Source("file:///a.mp4", "a.mp4", "0" * 64, 1), Recipe()).job
    path, answers = f"/v1/jobs/{job}/cancel", list[httpx.Response]()
    begun, go = threading.Event(), threading.Event()
    cancel = house.control.cancel

    def slowly(id_: JobId) -> bool:
        begun.set()
        assert go.wait(30)
        return cancel(id_)

    monkeypatch.setattr(house.control, "cancel", slowly)
    asking = threading.Thread(target=lambda: answers.append(client.post(path, headers=KEY)))
    asking.start()
    assert begun.wait(30)
    time.sleep(5)  # more than two marks long

    assert_problem(client.post(path, headers=KEY), 409, "IDEMPOTENCY_IN_FLIGHT")

    go.set()
    asking.join(30)
    assert [answer.status_code for answer in answers] == [202]
    again = client.post(path, headers=KEY)
    assert again.status_code == 202 and again.headers["idempotency-replayed"] == "true"


def test_what_was_not_there_yet_is_looked_for_again(client: httpx.Client, house: House) -> None:
    path = "/v1/nodes/elsewhere/drain"
    assert_problem(client.post(path, headers=KEY), 404, "NODE_UNKNOWN")
    join(house, "pool_1", "elsewhere")
    late = time.monotonic() + 20  # who is there is looked for once a second
    while (again := client.post(path, headers=KEY)).status_code == 404 and time.monotonic() < late:
        time.sleep(0.1)
    assert again.status_code == 200


def test_what_was_not_done_is_not_kept(client: httpx.Client, house: House) -> None:
    """A queue that takes nothing new: 503, and again with the same key it is done."""
    job = house.control.submit(Source("file:///a.mp4", "a.mp4", "0" * 64, 1), Recipe()).job
    store = house.queue.client  # type: ignore[attr-defined]
    name = next(name for name in store.keys("*") if name.endswith(f"job:{job}"))
    kept = store.dump(name)
    store.delete(name)
    store.set(name, "no hash")  # real damage: what reads it fails
    assert client.post(f"/v1/jobs/{job}/cancel", headers=KEY).status_code >= 500
    store.delete(name)
    store.restore(name, 0, kept)
    answer = client.post(f"/v1/jobs/{job}/cancel", headers=KEY)
    assert answer.status_code == 202 and "idempotency-replayed" not in answer.headers


@pytest.mark.parametrize("key", ["", "x" * 201, "a\tb"])
def test_a_key_that_is_none_is_refused(client: httpx.Client, key: str) -> None:
    answer = client.post("/v1/nodes/none/drain", headers={"idempotency-key": key})
    assert_problem(answer, 422, "IDEMPOTENCY_BAD")


def test_files_are_not_for_it(client: httpx.Client, house: House) -> None:
    form = client.post("/v1/videos", files={"file": ("a.mp4", b"x")}, headers=KEY)
    assert_problem(form, 422, "IDEMPOTENCY_TOO_LARGE")
    large = client.post("/v1/nodes/none/drain", content=b"x" * (BODY_MOST + 1), headers=KEY)
    assert large.status_code in (413, 422)
    assert house.queue.jobs() == ()
