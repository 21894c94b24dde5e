"""What a stranger sends to see what happens: whatever it is, the answer is a problem, nothing leaks, and the server goes on."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.keyed import ADMIN, Keyed, keyed
from tests.api.test_videos import assert_problem
from vidprocme.config import Settings
from vidprocme.wiring import House

AUTH = f"Authorization: Bearer {ADMIN}\r\n".encode()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[House]:
    data = tmp_path_factory.mktemp("outer") / "data"
    with House(Settings(data=data, redis_url=redis_url, admin_key=ADMIN, rate_per_s=0)) as made:
        made.queue.client.flushdb()  # type: ignore[attr-defined]
        yield made


@pytest.fixture(scope="module")
def asking(house: House) -> Iterator[Keyed]:
    with keyed(house) as found:
        yield found


@pytest.fixture(autouse=True)
def _goes_on(asking: Keyed) -> Iterator[None]:
    yield
    assert asking.admin.get("/v1/jobs").status_code == 200


def raw(asking: Keyed, request: bytes) -> bytes:
    """What the server says to these bytes, until it closes or says no more."""
    url = asking.anonymous.base_url
    assert url.port is not None
    with socket.create_connection((url.host, url.port), 2) as wire:
        found = b""
        with contextlib.suppress(ConnectionError, TimeoutError):  # told by closing
            wire.sendall(request)
            while piece := wire.recv(65536):
                found += piece
    return found


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Length: 2\r\nContent-Length: 20\r\n",
        b"Content-Length: 2, 20\r\n",
        b"Content-Length: -2\r\n",
        b"Content-Length: 2x\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Bad Name: x\r\n",
        b"X: a\x00b\r\n",
    ],
)
def test_a_request_that_can_be_read_in_two_ways_is_refused(asking: Keyed, headers: bytes) -> None:
    """A proxy before us and we would not agree where it ends: the rest of it would be somebody else's request."""
    smuggled = b"{}GET /v1/keys HTTP/1.1\r\nHost: x\r\n" + AUTH + b"\r\n"
    answer = raw(asking, b"POST /v1/session HTTP/1.1\r\nHost: localhost\r\n" + headers + b"\r\n" + smuggled)
    assert b"401" not in answer.split(b"\r\n")[0] and answer.count(b"HTTP/1.1 ") <= 1 and b'"items"' not in answer
    assert answer == b"" or 400 <= status(answer) < 500


def test_very_long_headers_and_lines_are_refused(asking: Keyed) -> None:
    for line in (
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n",
        b"GET /healthz HTTP/1.1\r\nX: " + b"a" * 200_000 + b"\r\n",
    ):
        answer = raw(asking, line + b"Host: localhost\r\n\r\n")
        assert answer == b"" or 400 <= status(answer) < 500


@pytest.mark.parametrize(
    "value", [b"Bearer \xff\xfe", b"Bearer " + b"x" * 20_000, b"Bearer \xc3\xa4", b"bearer vp_\x7f"]
)
def test_a_strange_key_is_a_wrong_key(asking: Keyed, value: bytes) -> None:
    answer = asking.anonymous.get("/v1/jobs", headers=[(b"authorization", value)])
    assert_problem(answer, 401, "KEY_UNKNOWN")


@pytest.mark.parametrize(
    "cookie", ["vidprocme_session=x", "vidprocme_session=" + "\u00e4" * 9, 'a=b; vidprocme_session="q']
)
def test_a_strange_cookie_is_no_sign_in(asking: Keyed, cookie: str) -> None:
    answer = asking.anonymous.get("/v1/jobs", headers=[(b"cookie", cookie.encode())])
    assert answer.status_code == 401 and answer.json()["code"] in ("SESSION_ENDED", "KEY_NEEDED")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/jobs/..%2f..%2f..%2fetc%2fpasswd",
        "/v1/jobs/%2e%2e/%2e%2e/etc/passwd",
        "/v1/jobs/x/renditions/..%2f..%2f..%2f..%2fetc%2fpasswd.mp4",
        "/v1/jobs/x/renditions/%2fetc%2fpasswd%00.mp4",
        "/..%2f..%2f..%2fetc%2fpasswd",
        "/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/assets/..%5c..%5cetc%5cpasswd",
        "//etc/passwd",
        "/v1/jobs/%00",
        "/v1/jobs/%ff%fe",
        "/v1/jobs/%c0%ae%c0%ae%c0%af",
        "/v1/jobs/%0d%0aSet-Cookie:%20evil=1",
        "/v1/jobs/" + "x" * 5000,
        "/v1/keys/%0d%0aX-Evil:%201",
        "/v1/places/%0d%0aX-Evil:%201/lanes",
    ],
)
def test_no_path_leads_out_or_into_the_headers(asking: Keyed, path: str) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n".encode() + AUTH + b"\r\n"
    answer = raw(asking, request)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"root:" not in body and b"Traceback" not in body
    assert not any(line.lower().startswith((b"set-cookie", b"x-evil")) for line in head.split(b"\r\n"))
    assert status(answer) < 500
    if path.startswith("/v1/"):
        assert status(answer) in (404, 422), answer


def test_what_proxies_are_said_to_say_is_not_believed(asking: Keyed) -> None:
    """Of a proxy that nobody named."""
    headers = {
        "x-forwarded-host": "evil.example",
        "x-forwarded-for": "127.0.0.1",
        "x-forwarded-proto": "https",
        "forwarded": "for=127.0.0.1;host=evil.example",
        "x-original-url": "/v1/keys",
        "x-rewrite-url": "/v1/keys",
        "x-http-method-override": "DELETE",
    }
    assert_problem(asking.anonymous.get("/v1/jobs", headers=headers), 401, "KEY_NEEDED")
    assert asking.anonymous.get("/healthz", headers=headers).json()["ok"] is True
    assert "evil" not in str(asking.admin.get("/v1/jobs", headers=headers).headers)


@pytest.mark.parametrize(
    ("body", "statuses"),
    [
        (b"[" * 500_000, {400, 422}),
        (b'{"name":' * 100_000, {400, 422}),
        (b'{"name": "\\ud800", "scope": "read"}', {201, 422}),
        (b'{"name": "a\\u0000b\\u202e", "scope": "read"}', {201, 422}),
        (b'{"name": "\xff\xfe"}', {400, 422}),
        (b'{"name": "x", "expires_in_s": 1e400}', {422}),
        (b'{"name": "x", "expires_in_s": ' + b"9" * 5000 + b"}", {400, 422}),
        (b'{"name": "x", "scope": "root"}', {422}),
        (b'{"name": "x", "is_admin": true}', {422}),
        (b'{"name": "x", "tenant": "a|b"}', {422}),
        (b"null", {422}),
        (b"", {422}),
    ],
    ids=str,
)
def test_strange_json_is_refused_in_words(asking: Keyed, body: bytes, statuses: set[int]) -> None:
    answer = asking.admin.post("/v1/keys", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in statuses, answer.text
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
    else:
        assert asking.admin.get("/v1/keys").status_code == 200
    assert asking.admin.get("/v1/jobs", params={"limit": "9" * 5000}).status_code == 422


@pytest.mark.parametrize(
    "name",
    [
        "../../../evil.mp4",
        "/etc/cron.d/evil.mp4",
        "..\\..\\evil.mp4",
        "evil\u202e4pm.exe",
        "e" * 3000 + ".mp4",
        "-rf evil.mp4",
        "evil\\x00.mp4",
        "<script>evil</script>.mp4",
        "evil\x1b[2J.mp4",
    ],
)
def test_a_files_name_is_a_name_and_no_place(asking: Keyed, house: House, name: str) -> None:
    files = {"file": (name, b"not a video " + name.encode())}
    answer = asking.admin.post("/v1/videos", files=files, data={"model": "none"})
    assert answer.status_code in (202, 422), answer.text
    outside: Path = house.data.parent
    assert [path.name for path in outside.iterdir()] == ["data"]
    assert not [path for path in outside.rglob("*evil*") if "mp4" in path.name]
    if answer.status_code == 202:
        shown = asking.admin.get(f"/v1/jobs/{answer.json()['id']}").json()["name"]
        assert "/" not in shown and len(shown) <= 255


def test_ten_thousand_fields_are_too_many(asking: Keyed) -> None:
    fields = {f"field{number}": "x" * 10 for number in range(10_000)}
    answer = asking.admin.post("/v1/videos", files={"file": ("a.mp4", b"x")}, data=fields)
    assert answer.status_code in (413, 422)
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_zip_is_no_video_and_is_never_unpacked(asking: Keyed) -> None:
    kind = {"content-type": "application/json", "content-encoding": "gzip"}
    answer = asking.admin.post("/v1/keys", content=b"\x1f\x8b" + b"\x00" * 100, headers=kind)
    assert answer.status_code in (400, 415, 422)


def test_methods_that_nobody_has(asking: Keyed) -> None:
    for method in ("TRACE", "CONNECTX", "PUT"):
        answer = asking.admin.request(method, "/v1/jobs")
        assert answer.status_code in (400, 404, 405), method
