"""Machines, places and strips; bins and tenants."""

from __future__ import annotations

import time

import httpx
import pytest

from tests.api.fleets import await_read_back, begin, end, join, key_of, place, submit
from tests.api.serving import serving
from tests.api.test_tus import until
from vidprocme.api import hub
from vidprocme.api.server import create_app
from vidprocme.core.job import Bin
from vidprocme.core.resources import PlaceKind
from vidprocme.dispatch import lanes
from vidprocme.wiring import House


def test_machines_and_what_runs_on_their_places(house: House, client: httpx.Client) -> None:
    join(house, "pool_1", busy=1)
    join(house, "pool_2", busy=1)
    join(house, "pool_3", "node-b", kind=PlaceKind.GPU)
    job = submit(house, 1)
    begin(house, job)

    a, b = client.get("/v1/nodes").json()["items"]
    assert (a["id"], a["state"], a["pools"], b["id"]) == ("node-a", "working", 2, "node-b")
    (cpu,) = a["places"]
    assert (cpu["slots"], cpu["busy"], cpu["idle_reason"], cpu["name"]) == (4, 2, None, "cpu")
    assert b["places"][0]["idle_reason"] == "Nothing waits."
    (gpu,) = client.get("/v1/gpus").json()["items"]
    assert (gpu["id"], gpu["simulated"], gpu["vram_total_bytes"]) == (place("node-b"), True, None)
    assert {one["id"] for one in client.get("/v1/places").json()["items"]} == {place(), place("node-b")}


def test_a_dead_pools_places_are_not_counted(house: House, client: httpx.Client) -> None:
    join(house, "pool_1", busy=1)
    join(house, "pool_2", busy=2)
    house.queue.leave("pool_2")

    (node,) = client.get("/v1/nodes").json()["items"]
    assert (node["pools"], node["places"][0]["slots"], node["places"][0]["busy"]) == (1, 2, 1)


def test_a_task_that_runs_for_longer_than_is_read_back_is_shown_after_a_restart(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "KEPT_MS", 200)
    monkeypatch.setattr(lanes, "KEPT_MS", 200)
    join(house, "pool_1")
    first, second = begin(house, submit(house, 1)), begin(house, submit(house, 2))
    time.sleep(0.4)
    third = begin(house, submit(house, 3))
    app = create_app(house)
    with serving(app) as client:
        await_read_back(app)
        busy = client.get("/v1/places").json()["items"][0]
        assert {now["task"] for now in busy["now"]} == {first.task, second.task, third.task}
        end(house, first)
        fourth = begin(house, submit(house, 4))
        running = {second.task, third.task, fourth.task}
        until(lambda: {now["task"] for now in client.get("/v1/places").json()["items"][0]["now"]} == running)
        spans = [span for lane in client.get(f"/v1/places/{place()}/lanes").json()["lanes"] for span in lane]
        assert sorted(span["task"] for span in spans) == sorted({first.task} | running), "each once"


def test_a_strip_shows_what_ran_and_survives_a_restart_of_the_server(house: House) -> None:
    join(house, "pool_1")
    first, second = begin(house, submit(house, 1)), begin(house, submit(house, 2))
    end(house, first)
    third = begin(house, submit(house, 3))
    shown = []
    for _ in range(2):
        app = create_app(house)
        with serving(app) as client:
            await_read_back(app)
            shown.append(client.get(f"/v1/places/{place()}/lanes").json()["lanes"])
            busy = client.get("/v1/places").json()["items"][0]
            assert {now["task"] for now in busy["now"]} == {second.task, third.task}
            assert 0 < busy["busy_fraction"] < 1

    assert shown[0] == shown[1]
    spans = {span["task"]: span for lane in shown[0] for span in lane}
    assert len(shown[0]) == 2 and len(spans) == 3, "two at once, three in all"
    assert (spans[first.task]["outcome"], spans[second.task]["end"]) == ("ok", None)


def test_what_is_asked_wrongly_of_places_is_said(house: House, client: httpx.Client) -> None:
    join(house, "pool_1")
    assert client.get("/v1/places/moon/cpu/lanes").json()["code"] == "PLACE_UNKNOWN"
    assert client.get(f"/v1/places/{place()}/lanes", params={"window_s": 3601}).status_code == 422
    assert client.post("/v1/nodes/moon/drain").json()["code"] == "NODE_UNKNOWN"


def test_a_machine_is_drained_and_undrained(house: House, client: httpx.Client) -> None:
    join(house, "pool_1")
    drained = client.post("/v1/nodes/node-a/drain").json()
    assert (drained["state"], drained["drained_by"]) == ("draining", "local")
    assert "draining" in drained["places"][0]["idle_reason"]
    assert house.queue.drained_nodes() == {"node-a": "local"}

    house.queue.leave("pool_1")  # it was switched off: it is drained still
    house_again = client.post("/v1/nodes/node-a/drain").json()
    assert (house_again["pools"], house_again["state"], house_again["started_at"]) == (0, "draining", None)
    gone = client.post("/v1/nodes/node-a/undrain")
    assert (gone.status_code, gone.json()["state"]) == (200, "working")
    assert client.get("/v1/nodes").json()["items"] == [] and not house.queue.drained_nodes()


def test_a_key_of_one_tenant_is_told_of_that_tenants_work_alone(house: House) -> None:
    join(house, "pool_1", busy=2)
    own, other = submit(house, 1, "zoo"), submit(house, 2, "farm")
    begin(house, own), begin(house, other)
    house.queue.set_tenant("farm", 2)
    app = create_app(house)
    with serving(app) as client:
        await_read_back(app)
        key_of(client, "zoo", "operate")
        lanes = client.get(f"/v1/places/{place()}/lanes").json()["lanes"]
        assert {span["job"] for lane in lanes for span in lane} == {own}
        (shown,) = client.get("/v1/places").json()["items"]
        assert (shown["busy"], {now["job"] for now in shown["now"]}) == (2, {own})
        assert [one["name"] for one in client.get("/v1/tenants").json()["items"]] == ["zoo"]
        assert client.get("/v1/tenants/farm").json()["code"] == "TENANT_UNKNOWN"
        assert client.patch("/v1/tenants/farm", json={"weight": 9}).status_code == 403
    assert house.queue.tenants()["farm"].weight == 2


def test_bins_are_changed_only_by_who_saw_them_as_they_are(house: House, client: httpx.Client) -> None:
    seen = client.get("/v1/bins/bulk")
    paused = client.patch("/v1/bins/bulk", json={"paused": True}, headers={"If-Match": seen.headers["etag"]})
    assert paused.json()["paused"] and paused.headers["etag"] != seen.headers["etag"]
    late = client.patch("/v1/bins/bulk", json={"limit": 3}, headers={"If-Match": seen.headers["etag"]})
    assert (late.status_code, late.json()["code"]) == (412, "ETAG_MISMATCH")
    assert house.queue.bins()[Bin.BULK].limit is None
    assert client.patch("/v1/bins/bulk", json={"limit": 3}).json()["limit"] == 3
    assert client.patch("/v1/bins/bulk", json={"limit": 0}).json()["limit"] is None
    client.patch("/v1/bins/bulk", json={"limit": 3})
    assert client.patch("/v1/bins/bulk", json={"paused": False}).json()["limit"] == 3
    assert client.patch("/v1/bins/bulk", json={"limit": None}).json()["limit"] is None  # as GET writes it
    assert client.get("/v1/bins/moon").status_code == 404


def test_tenants_are_changed_only_by_who_saw_them_as_they_are(house: House, client: httpx.Client) -> None:
    seen = client.get("/v1/tenants/zoo")
    changed = client.patch(
        "/v1/tenants/zoo", json={"weight": 3, "limit": 2}, headers={"If-Match": seen.headers["etag"]}
    )
    assert (changed.json()["weight"], changed.json()["limit"]) == (3, 2)
    late = client.patch("/v1/tenants/zoo", json={"weight": 4}, headers={"If-Match": seen.headers["etag"]})
    assert late.status_code == 412 and house.queue.tenants()["zoo"].weight == 3
    assert client.patch("/v1/tenants/zoo", json={"weight": 3}).json()["limit"] == 2
    assert client.patch("/v1/tenants/zoo", json={"limit": None}).json()["limit"] is None  # as GET writes it


def test_what_was_seen_running_is_not_ended_by_the_news_that_it_began(house: House) -> None:
    """The queue is asked after the events were read: what began between is told by both."""
    begin(house, submit(house, 1))
    book = lanes.LaneBook()
    book.add_running(house.queue.running())
    book.apply(event for event in house.queue.events("0") if event.kind == lanes.RUNNING)

    assert [(span.task, span.end_ms) for span in book.spans(place(), 0, house.queue.now_ms() + 1)] == [
        (task.task.id, None) for task in house.queue.running()
    ]
