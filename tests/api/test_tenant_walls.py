"""What a key of one tenant is not told of another's, where ids or filters could say it. Beside test_security_routes, which walks all
routes with ids in their paths."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.api.keyed import Keyed
from tests.api.test_videos import assert_problem
from vidprocme.client.base import Said
from vidprocme.client.http import HttpClient
from vidprocme.core.job import Recipe, Source
from vidprocme.wiring import House


def submitted(house: House, number: int, tenant: str) -> str:
    source = Source(f"file:///{number}", f"{number}.mp4", f"{number:02x}" * 32, 10)
    return house.control.submit(source, Recipe(), tenant=tenant).job


def await_(true: Callable[[], Any], timeout_s: float = 20) -> Any:
    late = time.monotonic() + timeout_s
    while not (found := true()):
        assert time.monotonic() < late, "it did not come to that"
        time.sleep(0.05)
    return found


def finished(client: httpx.Client, operation: str) -> dict[str, Any]:
    def over() -> dict[str, Any] | None:
        found: dict[str, Any] = client.get(f"/v1/operations/{operation}").json()
        return None if found["state"] == "running" else found

    done: dict[str, Any] = await_(over)
    return done


def test_ids_of_another_tenant_are_no_jobs_of_a_bulk_verb(house: House, asking: Keyed) -> None:
    theirs, ours = submitted(house, 1, "zoo"), submitted(house, 2, "farm")
    client = asking.with_key("operate", "farm")
    wish = {"action": "cancel", "ids": [theirs, ours]}

    looked = client.post("/v1/jobs:bulk", json={**wish, "dry_run": True}).json()
    done = finished(client, client.post("/v1/jobs:bulk", json=wish).json()["operation"])

    assert (looked["matched"], looked["sample"]) == (1, [ours])
    assert (done["total"], done["done"]) == (1, 1)
    assert asking.admin.get(f"/v1/jobs/{theirs}").json()["state"] == "queued"


def test_an_operation_is_its_tenants_own(house: House, asking: Keyed) -> None:
    job = submitted(house, 1, "zoo")
    zoo, farm = asking.with_key("operate", "zoo"), asking.with_key("operate", "farm")
    id_ = zoo.post("/v1/jobs:bulk", json={"action": "cancel", "ids": [job]}).json()["operation"]

    assert finished(zoo, id_)["done"] == 1
    assert_problem(farm.get(f"/v1/operations/{id_}"), 404, "OPERATION_UNKNOWN")
    assert farm.get("/v1/operations").json()["items"] == []
    assert [one["id"] for one in asking.admin.get("/v1/operations").json()["items"]] == [id_]


def test_a_filter_for_another_tenant_finds_nothing(house: House, asking: Keyed) -> None:
    submitted(house, 1, "zoo")
    ours = submitted(house, 2, "farm")
    client = asking.with_key("operate", "farm")

    found = client.get("/v1/jobs", params={"tenant": "zoo"}).json()
    both = client.get("/v1/jobs", params={"tenant": ["zoo", "farm"]}).json()
    bulk = {"action": "cancel", "filter": {"tenant": ["zoo"]}, "dry_run": True}

    assert (found["items"], found["total_estimate"], sum(found["counts"].values())) == ([], 0, 0)
    assert [one["id"] for one in both["items"]] == [ours] and both["total_estimate"] == 1
    assert client.post("/v1/jobs:bulk", json=bulk).json()["matched"] == 0


@pytest.mark.parametrize("whose", ["farm", None])
def test_the_stream_tells_a_tenants_key_of_its_own_jobs_alone(house: House, asking: Keyed, whose: str | None) -> None:
    client = HttpClient(str(asking.anonymous.base_url), key=asking.key("read", whose)["key"])
    over, heard = threading.Event(), list[Said]()

    def work() -> None:
        for number in itertools.count():
            submitted(house, number, ("zoo", "farm")[number % 2])
            if over.wait(0.1):
                return

    worker = threading.Thread(target=work)
    worker.start()
    until_s = time.monotonic() + 4  # gauges are told about each second
    for said in client.events("jobs,overview,fleet,alerts"):
        heard.append(said)
        if time.monotonic() > until_s:
            break
    over.set()
    worker.join()
    client.close()

    jobs = {said.data["job"] for said in heard if said.event == "diary"}
    tenants = {house.queue.job(job).job.tenant for job in jobs}  # type: ignore[union-attr]
    if whose is None:
        assert tenants == {"zoo", "farm"} and {said.event for said in heard} > {"diary"}, "what the other must not hear"
    else:
        assert tenants == {"farm"} and {said.event for said in heard} == {"diary"}
