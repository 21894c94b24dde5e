"""Every route there is, from the API's own description: without a key, with too small a one, with another tenant's ids.

A route that is added is looked at without anybody remembering it; what is public or free is named here, once.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.keyed import ADMIN, Keyed, keyed
from vidprocme.api.schemas.access import Scope
from vidprocme.api.server import create_app
from vidprocme.config import Settings
from vidprocme.core.ids import video_id
from vidprocme.core.job import Recipe, Source
from vidprocme.wiring import House

PUBLIC = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/v1/version"),
    ("POST", "/v1/session"),
}
# What a key of the scope `read` may do although it is no GET: end its own sign-in.
READERS_MAY = {("DELETE", "/v1/session")}
# GETs that want more than `read`.
ADMINS_READ = re.compile(r"/v1/(keys|audit|webhooks|deliveries)(/|$)")
SUBMITTERS_READ = re.compile(r"/v1/uploads(/|$)")
# Ids in a path that belong to a tenant: another tenant's are answered as if they were not there.
OF_TENANTS = ("/v1/jobs/{", "/v1/videos/{", "/v1/uploads/{")
SHA256 = "ab" * 32


@dataclass(frozen=True)
class Route:
    method: str
    path: str

    def filled(self, **values: str) -> str:
        return re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], "1"), self.path)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@cache
def described() -> dict[str, Any]:
    with House(Settings(data=Path("/nowhere"))) as house:
        return create_app(house).openapi()


def routes() -> list[Route]:
    verbs = ("get", "post", "put", "patch", "delete", "head")
    return [Route(verb.upper(), path) for path, item in described()["paths"].items() for verb in item if verb in verbs]


ROUTES = routes()
CLOSED = [route for route in ROUTES if (route.method, route.path) not in PUBLIC]
OF_A_TENANT = [route for route in CLOSED if route.path.startswith(OF_TENANTS)]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[House]:
    settings = Settings(
        data=tmp_path_factory.mktemp("data"), redis_url=redis_url, admin_key=ADMIN, rate_per_s=0, rate_burst=1
    )
    with House(settings) as made:
        made.queue.client.flushdb()  # type: ignore[attr-defined]
        yield made


@pytest.fixture(scope="module")
def asking(house: House) -> Iterator[Keyed]:
    with keyed(house) as found:
        yield found


@pytest.fixture(scope="module")
def clients(asking: Keyed) -> dict[str, httpx.Client]:
    found = {scope.value: asking.with_key(scope) for scope in Scope}
    return {**found, **{f"zoo {scope.value}": asking.with_key(scope, tenant="zoo") for scope in Scope}}


def send(client: httpx.Client, route: Route, **values: str) -> httpx.Response:
    json: dict[str, str] | None = {} if route.method in ("POST", "PUT", "PATCH") else None
    tus = {"tus-resumable": "1.0.0", "upload-offset": "0"} if "uploads" in route.path else {}
    if tus and route.method == "PATCH":
        tus["content-type"] = "application/offset+octet-stream"
    return client.request(route.method, route.filled(**values), json=json, headers=tus)


def least(route: Route) -> Scope:
    """The scope that a route wants at least, by its path and method."""
    if ADMINS_READ.match(route.path):
        return Scope.ADMIN
    if SUBMITTERS_READ.match(route.path):
        return Scope.SUBMIT
    return Scope.READ if route.method in ("GET", "HEAD") else Scope.SUBMIT


def test_there_are_routes_of_every_kind() -> None:
    assert len(ROUTES) > 20 and len(OF_A_TENANT) >= 5
    assert {least(route) for route in CLOSED} == {Scope.READ, Scope.SUBMIT, Scope.ADMIN}
    assert all(Route(*known) in ROUTES for known in READERS_MAY)


@pytest.mark.parametrize("route", CLOSED, ids=str)
def test_without_a_key_nothing_is_answered(asking: Keyed, route: Route) -> None:
    answer = send(asking.anonymous, route)
    assert answer.status_code == 401, answer.text
    if route.method != "HEAD":
        assert answer.json()["code"] == "KEY_NEEDED"


@pytest.mark.parametrize("route", [route for route in CLOSED if least(route) is not Scope.READ], ids=str)
def test_too_small_a_scope_is_refused_before_anything_is_looked_at(
    clients: dict[str, httpx.Client], route: Route
) -> None:
    if (route.method, route.path) in READERS_MAY:
        assert send(clients["read"], route).status_code == 204
        return
    smaller = [scope for scope in Scope if list(Scope).index(scope) < list(Scope).index(least(route))]
    for scope in smaller:
        answer = send(clients[scope.value], route)
        assert answer.status_code == 403, (scope, answer.text)
        if route.method != "HEAD":
            assert answer.json()["code"] == "SCOPE_TOO_SMALL"


def upload_of(client: httpx.Client, tenant: str) -> str:
    """A file of ten bytes of which none came yet."""
    metadata = f"filename {b64encode(b'secret.mp4').decode()},tenant {b64encode(tenant.encode()).decode()}"
    headers = {"tus-resumable": "1.0.0", "upload-length": "10", "upload-metadata": metadata}
    answer = client.post("/v1/uploads", headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.headers["location"].rpartition("/")[2]


@pytest.mark.parametrize("route", OF_A_TENANT, ids=str)
def test_another_tenants_ids_are_not_there(clients: dict[str, httpx.Client], house: House, route: Route) -> None:
    """The same answer as for an id that nobody has, but for the id in its words."""
    source = Source(f"file:///{SHA256}.mp4", "secret.mp4", SHA256, 10)
    job = house.control.submit(source, Recipe(), tenant="other").job
    video = video_id(SHA256, "other")
    there = {"job_id": job, "video": video, "video_id": video, "id": job}
    nowhere = {"upload_id": "upl_0", "job_id": "job_0", "video": "vid_0", "video_id": "vid_0", "id": "job_0"}
    if "uploads" in route.path:
        there = {"upload_id": upload_of(clients["admin"], "other")}
    client = clients["zoo admin"]

    theirs, nobodys = send(client, route, **there), send(client, route, **nowhere)

    assert "secret.mp4" not in theirs.text
    assert theirs.status_code == nobodys.status_code, (theirs.text, nobodys.text)
    assert theirs.status_code in (404, 422)
    if theirs.content:
        assert theirs.json()["code"] == nobodys.json()["code"]
    view = house.queue.job(job)
    assert view is not None and view.ended_ms is None


LISTS = [
    route for route in CLOSED if str(route) in ("GET /v1/jobs", "GET /v1/videos", "GET /v1/uploads", "GET /v1/search")
]


@pytest.mark.parametrize("route", LISTS, ids=str)
def test_lists_leave_other_tenants_out(clients: dict[str, httpx.Client], house: House, route: Route) -> None:
    source = Source(f"file:///{SHA256}.mp4", "secret.mp4", SHA256, 10)
    house.control.submit(source, Recipe(), tenant="other")
    upload_of(clients["admin"], "other")
    answer = clients["zoo admin"].get(route.path, params={"q": "secret"} if route.path == "/v1/search" else {})
    assert answer.status_code == 200 and "secret" not in answer.text
    assert answer.json()["items"] == []


EVERYBODYS = [
    route
    for route in CLOSED
    if route.method not in ("GET", "HEAD")
    and route.path.startswith(("/v1/bins", "/v1/tenants", "/v1/nodes", "/v1/alert"))
]


@pytest.mark.parametrize("route", EVERYBODYS, ids=str)
def test_a_tenants_key_changes_nothing_that_all_share(clients: dict[str, httpx.Client], route: Route) -> None:
    answer = send(clients["zoo admin"], route)
    assert answer.status_code == 403 and answer.json()["code"] == "TENANT_NOT_YOURS", answer.text


def test_a_job_for_another_tenant_is_refused(clients: dict[str, httpx.Client], house: House) -> None:
    before = len(house.queue.jobs())
    form = {"files": {"file": ("a.mp4", b"x")}, "data": {"tenant": "other", "model": "none"}}
    answer = clients["zoo submit"].post("/v1/videos", **form)  # type: ignore[arg-type]
    assert answer.status_code == 403 and answer.json()["code"] == "TENANT_NOT_YOURS", answer.text
    assert len(house.queue.jobs()) == before
    mine = clients["zoo submit"].post("/v1/videos", files={"file": ("b.mp4", b"y")}, data={"model": "none"})
    assert mine.status_code == 202, mine.text
    view = house.queue.job(mine.json()["id"])
    assert view is not None and view.job.tenant == "zoo"
