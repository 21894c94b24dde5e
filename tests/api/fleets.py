"""Pools by hand: what the routes about machines show is said here, without a process for each."""

from __future__ import annotations

import time

import httpx
from fastapi import FastAPI

from vidprocme.core.ids import JobId, TaskId, task_id
from vidprocme.core.job import Lease, Next, Outcome, OutcomeKind, Recipe, Source
from vidprocme.core.resources import PlaceKind, Resources
from vidprocme.queue.base import Claim, PlaceReport, PoolInfo, PoolReport, Settlement
from vidprocme.wiring import House

LEASE_MS = 60_000


def await_read_back(app: FastAPI) -> None:
    """Until the server has read what happened before it came."""
    deadline = time.monotonic() + 10
    while not app.state.desk.hub.ready.is_set():
        assert time.monotonic() < deadline, "the hub never began"
        time.sleep(0.005)


def key_of(client: httpx.Client, tenant: str, scope: str = "read") -> str:
    """A new key of one tenant; the client brings it from now on."""
    made = client.post("/v1/keys", json={"name": f"{tenant}'s key", "scope": scope, "tenant": tenant}).json()
    client.headers["Authorization"] = f"Bearer {made['key']}"
    return str(made["key"])


def join(house: House, name: str, node: str = "node-a", busy: int = 0, kind: PlaceKind = PlaceKind.CPU) -> None:
    """A pool with one place of two slots."""
    house.queue.join(PoolInfo(name, node, "boot", 1, 1, house.queue.now_ms()), LEASE_MS)
    report = PoolReport((PlaceReport(place(node), node, kind, slots=2, busy=busy),))
    house.queue.beat(name, [], lease_ms=LEASE_MS, presence_ms=LEASE_MS, report=report)


def place(node: str = "node-a") -> str:
    return f"{node}/cpu"


def submit(house: House, number: int, tenant: str = "default") -> JobId:
    source = Source(f"file:///{number}", f"{number}.mp4", f"{number:064x}", 10)
    return house.control.submit(source, Recipe(), tenant=tenant).job


def probe(job: JobId) -> TaskId:
    return task_id(job, "probe", 0)


def begin(house: House, job: JobId, node: str = "node-a", holder: str = "pool_1") -> Lease:
    claims = [Claim(probe(job), place(node), Resources(cpu_milli=1000))]
    (claimed,) = house.queue.turn(holder, [], claims, lease_ms=LEASE_MS).claimed
    return claimed.lease


def end(house: House, lease: Lease, outcome: Outcome | None = None, next_: Next = Next.SUCCEED) -> None:
    settlement = Settlement(lease, next_, outcome or Outcome(OutcomeKind.OK))
    assert not house.queue.turn(lease.holder, [settlement], [], lease_ms=LEASE_MS).stale
