"""How much may come in is the same by every way: an upload, a form, an import."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from httpx import Client, Response

from tests.api.test_imports import Elsewhere, elsewhere, ended, wish
from tests.api.test_tus import until
from tests.api.test_tus_limits import set_up
from tests.api.test_videos import assert_problem
from tests.api.tusing import TUS, create, parts
from vidprocme.api import admission, arriving
from vidprocme.wiring import House

__all__ = ["elsewhere"]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings' GB are bytes by the thousand."""
    monkeypatch.setattr(admission, "GB", 1000)


def form(client: Client, size: int, **fields: str) -> Response:
    return client.post("/v1/videos", files={"file": ("x.mp4", b"x" * size)}, data={"model": "none", **fields})


def pieces(size: int, tenant: str = "") -> Iterator[bytes]:
    """A form that nobody told the length of."""
    if tenant:
        yield f'--b\r\ncontent-disposition: form-data; name="tenant"\r\n\r\n{tenant}\r\n'.encode()
    yield b'--b\r\ncontent-disposition: form-data; name="model"\r\n\r\nnone\r\n'
    yield b'--b\r\ncontent-disposition: form-data; name="file"; filename="y.mp4"\r\n\r\n'
    yield b"y" * size
    yield b"\r\n--b--\r\n"


def chunked(client: Client, size: int, **more: str) -> Response:
    headers = {"content-type": "multipart/form-data; boundary=b"}
    return client.post("/v1/videos", content=pieces(size, **more), headers=headers)


def assert_no_bytes(house: House) -> None:
    assert list(house.blobs.stored()) == [] and house.queue.jobs() == ()
    assert list((house.data / "uploads").glob("upload-*")) == [] and parts(house) == []


def test_a_form_that_is_too_large_is_refused(tmp_path: Path, redis_url: str) -> None:
    with set_up(tmp_path, redis_url, upload_max_gb=1) as (house, client):
        for send in (form, chunked):
            assert_problem(send(client, 1001), 413, "UPLOAD_TOO_LARGE")
        assert_no_bytes(house)
        assert form(client, 1000).status_code == chunked(client, 1000).status_code == 202


def test_one_that_says_so_is_refused_before_its_bytes_come(tmp_path: Path, redis_url: str) -> None:
    with set_up(tmp_path, redis_url, upload_max_gb=1) as (_, client):
        head = "POST /v1/videos HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        with socket.create_connection((client.base_url.host, client.base_url.port or 0), timeout=30) as line:
            line.sendall(f"{head}Content-Length: 1000000\r\n\r\n".encode())
            answer = line.recv(4096)
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_one_that_grows_too_large_is_refused_meanwhile(tmp_path: Path, redis_url: str) -> None:
    """Its end may never come."""
    head = "POST /v1/videos HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    for settings, code in (({"upload_max_gb": 1}, b"UPLOAD_TOO_LARGE"), ({"upload_quota_gb": 1}, b"QUOTA_EXCEEDED")):
        with set_up(tmp_path, redis_url, **settings) as (house, client):
            with socket.create_connection((client.base_url.host, client.base_url.port or 0), timeout=10) as line:
                line.sendall(f"{head}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
                for piece in (b"".join([*pieces(0)][:2]), b"y" * (1 << 20)):
                    line.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                answer = line.recv(4096) + line.recv(4096)
            assert answer.startswith(b"HTTP/1.1 413 ") and code in answer
            assert_no_bytes(house)


def test_forms_count_for_the_quota(tmp_path: Path, redis_url: str) -> None:
    with set_up(tmp_path, redis_url, upload_quota_gb=1) as (house, client):
        assert form(client, 600).status_code == 202
        for send in (form, chunked):
            problem = assert_problem(send(client, 401), 413, "QUOTA_EXCEEDED")
            assert problem["evidence"] == {"quota_bytes": 1000, "used_bytes": 600, "upload_bytes": 401}
        assert_problem(create(client, 401), 413, "QUOTA_EXCEEDED")
        assert chunked(client, 401, tenant="b").status_code == 202
        assert create(client, 100).status_code == 201
        assert chunked(client, 300).status_code == 202
        assert_problem(form(client, 1), 413, "QUOTA_EXCEEDED")
        assert {one.tenant for one in house.arrivals.all()} == {"b", "default"}


def test_a_form_that_is_coming_counts(tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "GB", 10**6)
    with set_up(tmp_path, redis_url, upload_quota_gb=3) as (house, client):
        head = "POST /v1/videos?tenant=default HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        with socket.create_connection((client.base_url.host, client.base_url.port or 0), timeout=30) as line:
            line.sendall(f"{head}Content-Length: 2500000\r\n\r\n".encode())
            until(lambda: list((house.data / "uploads").glob("upload-*")))
            assert_problem(create(client, 700_000), 413, "QUOTA_EXCEEDED")
            assert create(client, 400_000).status_code == 201
        until(lambda: not list((house.data / "uploads").glob("upload-*")))
        assert create(client, 700_000).status_code == 201  # its sender went away


@pytest.mark.parametrize("path", ["/a.mp4", "/endless"])
def test_an_import_over_the_quota_fails(tmp_path: Path, redis_url: str, elsewhere: str, path: str) -> None:
    with set_up(tmp_path, redis_url, upload_quota_gb=1, outbound_allow="127.0.0.1") as (house, client):
        told = ended(client, wish(client, f"{elsewhere}{path}"))

        assert (told["state"], told["error"]["code"]) == ("failed", "QUOTA_EXCEEDED")
        assert_no_bytes(house)
        assert create(client, 1000).status_code == 201  # what failed does not count
        assert_problem(wish(client, f"{elsewhere}{path}"), 413, "QUOTA_EXCEEDED")


def test_imports_wait_in_line(tmp_path: Path, redis_url: str, elsewhere: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next begins when one has ended, not at the next look."""
    monkeypatch.setattr(arriving, "LOOK_EVERY_S", 600)
    Elsewhere.go.clear()
    with set_up(tmp_path, redis_url, imports_at_once=2, outbound_allow="127.0.0.1") as (_, client):
        made = [wish(client, f"{elsewhere}/{n}.mp4", tenant="a") for n in range(5)]
        until(lambda: len(Elsewhere.asked) == 2)
        other = wish(client, f"{elsewhere}/b.mp4", tenant="b")
        time.sleep(0.5)
        assert len(Elsewhere.asked) == 2
        assert client.get(made[4].headers["location"]).json()["state"] == "receiving"
        assert client.delete(made[3].headers["location"], headers=TUS).status_code == 204
        Elsewhere.go.set()
        for one in (*made[:3], made[4], other):
            assert ended(client, one)["state"] == "done"
    assert sorted(Elsewhere.asked) == ["/0.mp4", "/1.mp4", "/2.mp4", "/4.mp4", "/b.mp4"]
    assert "/b.mp4" in Elsewhere.asked[2:4]  # the tenant that has none comes first
