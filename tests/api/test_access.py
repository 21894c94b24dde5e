"""Keys, sign-ins, limits and the audit log: who may come in, and what is known of it afterwards."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import APIRouter

from tests.api.keyed import ADMIN, Keyed, keyed
from tests.api.serving import serving
from tests.api.test_videos import assert_problem
from vidprocme.api import server
from vidprocme.api.access import anybody, needs
from vidprocme.api.door import BODY_MOST, is_public
from vidprocme.api.holders import KEY, SESSION, Key, hash_of
from vidprocme.api.limits import Buckets
from vidprocme.api.rooms import ROOMS
from vidprocme.api.schemas.access import Scope
from vidprocme.api.server import create_app
from vidprocme.config import Settings
from vidprocme.wiring import House


def lines(asking: Keyed, **filters: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = asking.admin.get("/v1/audit", params=filters).json()["items"]
    return found


# -- keys ------------------------------------------------------------------------------------------------------------


def test_without_a_key_nobody_comes_in_and_is_told_where_one_comes_from(asking: Keyed) -> None:
    answer = asking.anonymous.get("/v1/jobs")
    problem = assert_problem(answer, 401, "KEY_NEEDED")
    assert "vidprocme keys add" in str(problem["hint"])
    assert answer.headers["www-authenticate"].startswith("Bearer")
    for scheme in ("Basic dmlkcHJvY21l", "Bearer", ADMIN):
        assert_problem(asking.anonymous.get("/v1/jobs", headers={"authorization": scheme}), 401, "KEY_NEEDED")


def test_a_key_opens_what_its_scope_says_until_it_is_revoked(asking: Keyed) -> None:
    made = asking.key("read")
    reader = asking.holding(made["key"])
    assert made["key"].startswith("vp_") and len(made["key"]) == 35 and made["prefix"] == made["key"][:8]
    assert reader.get("/v1/jobs").status_code == 200
    assert_problem(reader.patch("/v1/bins/bulk", json={"paused": True}), 403, "SCOPE_TOO_SMALL")
    assert_problem(reader.get("/v1/keys"), 403, "SCOPE_TOO_SMALL")

    assert asking.admin.delete(f"/v1/keys/{made['id']}").status_code == 204

    assert_problem(reader.get("/v1/jobs"), 401, "KEY_UNKNOWN")
    assert_problem(asking.admin.delete(f"/v1/keys/{made['id']}"), 404, "KEY_NOT_FOUND")


def test_only_a_hash_is_kept_of_a_key(asking: Keyed, redis_url: str) -> None:
    secret = asking.key("read")["key"]
    listed = asking.admin.get("/v1/keys").json()["items"]
    assert secret not in str(listed) and "sha256" not in listed[0]
    with House(Settings(data=Path("/nowhere"), redis_url=redis_url)) as house:
        redis = house.queue.client  # type: ignore[attr-defined]
        stored = [redis.dump(name) for name in redis.keys("*")]
    assert not any(secret.encode() in text for text in stored)


def test_a_key_expires(asking: Keyed, redis_url: str, tmp_path: Path) -> None:
    made = asking.key("read", expires_in_s=60)
    client = asking.holding(made["key"])
    assert client.get("/v1/jobs").status_code == 200
    with House(Settings(data=tmp_path / "data", redis_url=redis_url)) as house:
        store = house.records(KEY, Key)
        (record,) = store.list()
        store.put(record.id, replace(record.doc, expires_ms=1))
    assert_problem(client.get("/v1/jobs"), 401, "KEY_EXPIRED")


def test_when_a_key_was_used_is_told_to_the_minute(asking: Keyed) -> None:
    made = asking.key("read")
    assert asking.admin.get(f"/v1/keys/{made['id']}").json()["last_used_at"] is None
    asking.holding(made["key"]).get("/v1/jobs")
    assert asking.admin.get(f"/v1/keys/{made['id']}").json()["last_used_at"].endswith(":00.000Z")


def test_keys_are_listed_in_pages_and_revoked_as_they_were_read(asking: Keyed) -> None:
    ids = {asking.key("read", tenant=f"t{number}")["id"] for number in range(5)}
    found, cursor = [], None
    while True:
        page = asking.admin.get(
            "/v1/keys", params={"limit": 2, **({"cursor": cursor} if cursor is not None else {})}
        ).json()
        found += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(found) == 5 and set(found) == ids
    stale = asking.admin.delete(f"/v1/keys/{found[0]}", headers={"if-match": '"0"'})
    assert_problem(stale, 412, "ETAG_MISMATCH")
    etag = asking.admin.get(f"/v1/keys/{found[0]}").headers["etag"]
    assert asking.admin.delete(f"/v1/keys/{found[0]}", headers={"if-match": etag}).status_code == 204
    assert_problem(asking.admin.get("/v1/keys", params={"cursor": "%"}), 422, "CURSOR_BAD")


def test_an_admin_of_one_tenant_makes_no_key_for_others(asking: Keyed) -> None:
    zoo, other = asking.with_key("admin", tenant="zoo"), asking.key("read", tenant="other")
    assert_problem(zoo.post("/v1/keys", json={"name": "x", "tenant": "other"}), 403, "TENANT_NOT_YOURS")
    mine = zoo.post("/v1/keys", json={"name": "x", "scope": "admin"}).json()
    assert mine["tenant"] == "zoo"
    assert {item["tenant"] for item in zoo.get("/v1/keys").json()["items"]} == {"zoo"}
    assert_problem(zoo.get(f"/v1/keys/{other['id']}"), 404, "KEY_NOT_FOUND")
    assert_problem(zoo.delete(f"/v1/keys/{other['id']}"), 404, "KEY_NOT_FOUND")
    assert {line["object"] for line in zoo.get("/v1/audit", params={"action": "key.create"}).json()["items"]} == {
        mine["id"]
    }


# -- when nobody is asked ----------------------------------------------------------------------------------------------


def test_on_loopback_nobody_is_asked_until_there_is_a_key(house: House) -> None:
    with serving(create_app(house)) as client:
        assert client.get("/v1/session").json()["open"] is True
        made = client.post("/v1/keys", json={"name": "first", "scope": "admin"}).json()
        assert_problem(client.get("/v1/jobs"), 401, "KEY_NEEDED")
        assert_problem(client.get("/metrics"), 401, "KEY_NEEDED")
        assert client.get("/v1/jobs", headers={"authorization": f"Bearer {made['key']}"}).status_code == 200


def test_a_network_is_asked_although_there_is_no_key(house: House) -> None:
    with serving(create_app(house, hosts=None, network=True)) as client:
        assert_problem(client.get("/v1/jobs"), 401, "KEY_NEEDED")


def test_auth_off_asks_nobody(house: House, redis_url: str) -> None:
    settings = replace(house.settings, auth="off", admin_key=ADMIN, redis_url=redis_url)
    with House(settings) as open_, serving(create_app(open_, hosts=None, network=True)) as client:
        assert client.post("/v1/keys", json={"name": "unused"}).status_code == 201
        assert client.get("/v1/jobs").status_code == 200


def test_while_the_queue_is_away_metrics_say_that_and_no_more(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, redis_url=f"unix://{tmp_path}/nobody.sock", admin_key=ADMIN)
    with House(settings) as house, keyed(house) as asking:
        text = asking.anonymous.get("/metrics", headers={"authorization": "Bearer vp_x"}).text
        assert "vidprocme_queue_up 0.0" in text
        assert_problem(asking.anonymous.get("/metrics"), 401, "KEY_NEEDED")


def test_what_is_public() -> None:
    for path in ("/", "/jobs/job_1", "/assets/x.js", "/docs", "/healthz", "/readyz", "/v1/openapi.json", "/v1/version"):
        assert is_public("GET", path), path
    assert is_public("POST", "/v1/session")
    for path in ("/v1", "/v1/", "/v1/jobs", "/metrics", "/v1/session", "/v1/openapi.json/", "/v1/version/x"):
        assert not is_public("GET", path), path
    assert not is_public("DELETE", "/v1/session")


def hole() -> dict[str, str]:
    """What a route might tell."""
    return {}


def test_a_route_that_the_door_does_not_know_lets_nobody_in(house: House) -> None:
    """It was an admin's, for everybody, where the door took its path for one of the pages."""
    app = create_app(house)
    app.add_api_route("/hole", hole, dependencies=[needs(Scope.READ)])
    app.router.routes.insert(0, app.router.routes.pop())
    with serving(app) as client:
        assert_problem(client.get("/hole"), 500, "NOBODY_ASKED")


def test_there_is_no_app_with_a_route_that_does_not_say_whom_it_lets_in(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path, asked in (("/v1/hole", [anybody()]), ("/v1/hole", []), ("/hole", []), ("/hole", [needs(Scope.READ)])):
        room = SimpleNamespace(router=APIRouter(dependencies=asked))
        room.router.add_api_route(path, hole)
        monkeypatch.setattr(server, "ROOMS", (*ROOMS, room))
        with pytest.raises(RuntimeError, match=f"{path}: is it public"):
            create_app(house)


# -- sign-ins ----------------------------------------------------------------------------------------------------------

OURS = {"sec-fetch-site": "same-origin"}


def signed_in(asking: Keyed, secret: str) -> httpx.Client:
    client = asking.made.enter_context(httpx.Client(base_url=asking.anonymous.base_url, trust_env=False, timeout=30))
    answer = client.post("/v1/session", json={"key": secret}, headers=OURS)
    assert answer.status_code == 201, answer.text
    return client


def test_a_sign_in_is_a_cookie_that_no_script_reads_and_no_other_site_sends(asking: Keyed) -> None:
    made = asking.key("operate", tenant="zoo")
    answer = asking.anonymous.post("/v1/session", json={"key": made["key"]})
    cookie = answer.headers["set-cookie"]
    asking.anonymous.cookies.clear()
    assert {"HttpOnly", "SameSite=strict", "Path=/", "Max-Age=2592000"} <= set(
        cookie.split("; ")
    ) and "Secure" not in cookie
    assert made["key"] not in cookie
    document = answer.json()
    assert (document["scope"], document["tenant"], document["key_id"]) == ("operate", "zoo", made["id"])

    browser = signed_in(asking, made["key"])
    assert browser.get("/v1/session").json()["name"] == made["name"]
    copied = dict(browser.cookies)
    assert browser.delete("/v1/session", headers=OURS).status_code == 204
    assert not dict(browser.cookies), "the browser was told to forget it"
    again = httpx.get(f"{browser.base_url}/v1/jobs", cookies=copied, trust_env=False)
    assert_problem(again, 401, "SESSION_ENDED")


def test_revoking_a_key_ends_its_sign_ins(asking: Keyed, redis_url: str, tmp_path: Path) -> None:
    made = asking.key("read")
    browser = signed_in(asking, made["key"])
    token = browser.cookies["vidprocme_session"]
    with House(Settings(data=tmp_path / "data", redis_url=redis_url)) as house:
        assert house.notes(SESSION).get(hash_of(token)) is not None
        assert browser.get("/v1/jobs").status_code == 200
        asking.admin.delete(f"/v1/keys/{made['id']}")
        assert_problem(browser.get("/v1/jobs"), 401, "SESSION_ENDED")
        assert house.notes(SESSION).get(hash_of(token)) is None


def test_another_admin_key_ends_the_sign_ins_of_the_one_before(redis_url: str, tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data", redis_url=redis_url, admin_key=ADMIN)
    with House(settings) as house, keyed(house) as asking:
        cookies = dict(signed_in(asking, ADMIN).cookies)
    for admin_key, status in ((ADMIN, 200), ("another admin key", 401), (ADMIN, 401)):
        with (
            House(replace(settings, admin_key=admin_key)) as house,
            serving(create_app(house, hosts=None, network=True)) as browser,
        ):
            browser.cookies.update(cookies)
            answer = browser.get("/v1/jobs")
            assert answer.status_code == status
            assert status == 200 or answer.json()["code"] == "SESSION_ENDED"


SITES: list[tuple[dict[str, str], int]] = [
    ({}, 403),
    ({"origin": "https://evil.example"}, 403),
    ({"origin": "null"}, 403),
    ({"sec-fetch-site": "cross-site"}, 403),
    ({"sec-fetch-site": "same-site"}, 403),
    ({"origin": "SELF", "sec-fetch-site": "cross-site"}, 403),
    ({"origin": "SELF"}, 200),
    ({"sec-fetch-site": "same-origin"}, 200),
    ({"sec-fetch-site": "none"}, 200),
]


def test_a_cookie_changes_nothing_from_another_site(asking: Keyed) -> None:
    browser = signed_in(asking, ADMIN)
    origin = f"http://{browser.base_url.netloc.decode()}"
    for number, (headers, status) in enumerate(SITES, 1):
        sent = {name: origin if value == "SELF" else value for name, value in headers.items()}
        answer = browser.patch("/v1/bins/bulk", json={"limit": number}, headers=sent)
        assert answer.status_code == status, (headers, answer.text)
        assert (asking.admin.get("/v1/bins/bulk").json()["limit"] == number) is (status == 200), headers
        assert browser.get("/v1/jobs").status_code == 200


def test_https_is_believed_of_a_trusted_proxy_alone(redis_url: str, tmp_path: Path) -> None:
    forwarded = {"x-forwarded-proto": "https", "x-forwarded-for": "203.0.113.9"}
    settings = Settings(data=tmp_path / "data", redis_url=redis_url, admin_key=ADMIN)
    told = {}
    for proxies in ("", "127.0.0.1"):
        with House(settings) as house, keyed(house, proxies=proxies) as asking:
            house.queue.client.flushdb()  # type: ignore[attr-defined]
            answer = asking.anonymous.post("/v1/session", json={"key": ADMIN}, headers=forwarded)
            (line,) = lines(asking, action="session.create")
            told[proxies] = "Secure" in answer.headers["set-cookie"], line["detail"]["address"]
    assert told == {"": (False, "127.0.0.1"), "127.0.0.1": (True, "203.0.113.9")}


# -- limits ------------------------------------------------------------------------------------------------------------


def test_a_bucket_empties_and_fills() -> None:
    now = [0.0]
    buckets = Buckets(2, 3, lambda: now[0])
    assert [buckets.take("a").left for _ in range(3)] == [2, 1, 0]
    empty = buckets.take("a")
    assert (empty.ok, empty.wait_s, empty.full_s) == (False, 1, 2)
    assert buckets.take("b").ok
    now[0] = 0.5
    assert buckets.take("a").ok and not buckets.take("a").ok
    now[0] = 100.0
    assert buckets.take("a").left == 2


def test_a_key_that_asks_too_often_waits_and_others_do_not(redis_url: str, tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data", redis_url=redis_url, admin_key=ADMIN, rate_per_s=1, rate_burst=5)
    with House(settings) as house, keyed(house) as asking:
        client = asking.with_key("read")
        answers = [client.get("/v1/jobs") for _ in range(30)]
        late = next(answer for answer in answers if answer.status_code == 429)
        assert answers[0].headers["ratelimit-policy"] == '"default";q=5;w=5'
        assert answers[0].headers["ratelimit"] == '"default";r=4;t=1'
        assert_problem(late, 429, "RATE_LIMITED")
        assert int(late.headers["retry-after"]) >= 1
        assert asking.admin.get("/v1/jobs").status_code == 200


def test_wrong_keys_are_counted_told_and_stopped(asking: Keyed) -> None:
    def wrong(number: int) -> int:
        return asking.anonymous.get("/v1/jobs", headers={"authorization": f"Bearer vp_{number}"}).status_code

    # However slow this machine is: what comes back meanwhile (one in two seconds) is tried too.
    codes = list(itertools.takewhile(lambda code: code == 401, map(wrong, range(1000))))
    assert 20 <= len(codes) < 1000
    signs_in = (asking.anonymous.post("/v1/session", json={"key": "vp_no"}) for _ in range(1000))
    stopped = next(answer for answer in signs_in if answer.status_code != 401)
    assert_problem(stopped, 429, "RATE_LIMITED")
    told = lines(asking, action="key.refused")
    assert len(told) == len(codes)
    assert (told[0]["who"], told[0]["status"], told[0]["object"]) == ("nobody", 401, "GET /v1/jobs")
    assert asking.admin.get("/v1/jobs").status_code == 200, "a right key comes in from the same address"


def test_what_is_no_file_is_bounded(asking: Keyed) -> None:
    large = b'{"key": "' + b"x" * BODY_MOST + b'"}'
    kind = {"content-type": "application/json"}
    assert_problem(asking.anonymous.post("/v1/session", content=large, headers=kind), 413, "BODY_TOO_LARGE")
    pieces = (large[at : at + 65536] for at in range(0, len(large), 65536))
    assert_problem(asking.anonymous.post("/v1/session", content=pieces, headers=kind), 413, "BODY_TOO_LARGE")
    form = {"content-type": "multipart/form-data; boundary=x"}  # what a route reads does not depend on what this says
    for method, path in (("POST", "/v1/session"), ("PATCH", "/v1/bins/bulk"), ("POST", "/v1/videos/")):
        answer = asking.admin.request(method, path, content=large, headers=form)
        assert_problem(answer, 413, "BODY_TOO_LARGE")


# -- audit -------------------------------------------------------------------------------------------------------------


def test_what_was_done_and_refused_is_told_newest_first(asking: Keyed) -> None:
    reader = asking.with_key("read")
    asking.admin.patch("/v1/bins/bulk", json={"paused": True})
    reader.patch("/v1/bins/bulk", json={"paused": False})
    asking.admin.patch("/v1/bins/nothing", json={"paused": True})

    found = lines(asking)
    assert [(line["action"], line["who"], line["status"]) for line in found] == [
        ("access.refused", "read of None", 403),
        ("bin.change", "environment", 200),
        ("key.create", "environment", 201),
    ]
    assert "bulk" in found[1]["object"] and found[1]["request_id"].startswith("req_")
    assert [line["action"] for line in lines(asking, action="bin")] == ["bin.change"]
    assert [line["object"] for line in lines(asking, who="read of None")] == ["PATCH /v1/bins/bulk"]
    first = asking.admin.get("/v1/audit", params={"limit": 2}).json()
    rest = asking.admin.get("/v1/audit", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [line["action"] for line in rest["items"]] == ["key.create"] and rest["next_cursor"] is None
    assert_problem(asking.admin.get("/v1/audit", params={"cursor": "eA"}), 422, "CURSOR_BAD")


def test_a_parameter_that_nobody_knows_is_refused(client: httpx.Client) -> None:
    problem = assert_problem(client.get("/v1/jobs", params={"limmit": 1}), 422, "PARAMETER_UNKNOWN")
    assert "limit" in str(problem["hint"])
    assert_problem(client.get("/v1/bins", params={"x": 1}), 422, "PARAMETER_UNKNOWN")
    assert_problem(client.get("/v1/jobs?limit=1&limit=2"), 422, "PARAMETER_TWICE")
