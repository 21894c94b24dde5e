"""The door: what is taken in is whole and kept, what is not is refused in words and leaves nothing behind."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import time
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path

import pytest
from httpx import Client, Response

from tests.api.serving import serving
from tests.library.disks import own_mounts, run_on_small_disk
from vidprocme.api.form import LEFT_OVER_S, sweep
from vidprocme.api.server import create_app
from vidprocme.config import Settings
from vidprocme.core.ids import JobId
from vidprocme.core.job import Bin
from vidprocme.wiring import House

CONTENT = b"not yet a video: that is found out by probe" * 100


def post(client: Client, data: dict[str, str] | None = None, query: str = "", content: bytes = CONTENT) -> Response:
    return client.post(f"/v1/videos{query}", data=data or {}, files={"file": ("goat.mp4", content, "video/mp4")})


def assert_problem(answer: Response, status: int, code: str) -> dict[str, object]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, object] = answer.json()
    assert problem["code"] == code
    assert problem["status"] == status
    assert problem["detail"]
    assert problem["request_id"] == answer.headers["x-request-id"]
    return problem


def assert_nothing_was_kept(house: House) -> None:
    assert list(house.blobs.stored()) == []
    assert house.queue.jobs() == ()
    uploads = house.data / "uploads"
    assert not uploads.exists() or {path.name for path in uploads.iterdir()} <= {"create.lock"}


def test_a_video_becomes_a_job_and_a_blob(client: Client, house: House) -> None:
    answer = post(client, {"model": "demo", "preset": "small", "bin": "high"})

    assert answer.status_code == 202, answer.text
    body = answer.json()
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    assert answer.headers["location"] == f"/v1/jobs/{body['id']}"
    told = {"id": body["id"], "video": f"vid_{sha256[:24]}", "state": "queued", "created": True, "bin": "high"}
    assert body == told
    view = house.queue.job(JobId(body["id"]))
    assert view is not None
    assert view.job.source.uri == f"blob:{sha256}"
    assert (view.job.source.name, view.job.source.size_bytes) == ("goat.mp4", len(CONTENT))
    assert (view.job.bin, view.job.recipe.renditions, view.job.recipe.model) == (Bin.HIGH, ("360p",), "demo")
    assert house.blobs.read(sha256) == CONTENT
    assert {path.suffix for path in (house.data / "uploads").iterdir()} == {".json", ".lock"}
    assert client.get("/v1/uploads").json()["items"][0]["job"] == body["id"]  # it counts for the tenant's day


def test_fields_may_come_in_the_query(client: Client, house: House) -> None:
    answer = post(client, {"crf": "30"}, "?model=none&bin=bulk")

    view = house.queue.job(answer.json()["id"])
    assert view is not None
    assert (view.job.bin, view.job.recipe.model, view.job.recipe.video_crf) == (Bin.BULK, None, 30)


def test_the_same_video_and_wish_is_the_same_job(client: Client) -> None:
    first, again, other = post(client).json(), post(client).json(), post(client, {"crf": "30"}).json()

    assert again == {**first, "created": False}
    assert post(client, {"bin": "urgent"}).json() == again  # which says that it stays in the bin it is in
    assert other["video"] == first["video"]
    assert other["id"] != first["id"]


def test_a_large_video_is_whole(client: Client, house: House) -> None:
    content = bytes(range(256)) * (5 << 12)  # several blocks, and boundaries' dashes nowhere near their ends

    answer = post(client, content=content + b"\r\n--")

    assert answer.status_code == 202
    assert house.blobs.read(hashlib.sha256(content + b"\r\n--").hexdigest()) == content + b"\r\n--"


@pytest.mark.parametrize(
    ("fields", "query", "code"),
    [
        ({"colour": "red"}, "", "RECIPE_UNKNOWN_FIELD"),
        ({}, "?colour=red", "RECIPE_UNKNOWN_FIELD"),
        ({"every": "0"}, "", "RECIPE_INVALID"),
        ({"preset": "huge"}, "", "RECIPE_UNKNOWN_PRESET"),
        ({"bin": "soon"}, "", "BIN_UNKNOWN"),
        ({"model": "gpt"}, "", "MODEL_UNKNOWN"),
        ({"prompt": "x" * 70_000}, "", "FORM_TOO_LARGE"),
    ],
)
def test_a_wrong_wish_is_refused(client: Client, house: House, fields: dict[str, str], query: str, code: str) -> None:
    problem = assert_problem(post(client, fields, query), 422, code)

    assert problem["hint"]
    assert_nothing_was_kept(house)


def test_an_empty_file_is_refused(client: Client, house: House) -> None:
    problem = assert_problem(post(client, content=b""), 422, "EMPTY_FILE")

    assert problem["detail"] == "goat.mp4 is empty (0 bytes)."
    assert_nothing_was_kept(house)


def test_a_form_without_a_file_is_refused(client: Client, house: House) -> None:
    answers = [
        client.post("/v1/videos", files={"preset": (None, "web")}),
        client.post("/v1/videos", files={"file": (None, "text in place of a file")}),
    ]

    for answer in answers:
        assert_problem(answer, 422, "FILE_FIELD_MISSING")
    assert_nothing_was_kept(house)


def test_a_file_elsewhere_and_two_files_are_refused(client: Client, house: House) -> None:
    video = ("a.mp4", CONTENT)

    assert_problem(client.post("/v1/videos", files={"video": video}), 422, "FILE_FIELD_UNKNOWN")
    assert_problem(client.post("/v1/videos", files=[("file", video), ("file", video)]), 422, "FILE_FIELD_TWICE")
    assert_nothing_was_kept(house)


def test_what_is_no_form_is_refused(client: Client, house: House) -> None:
    assert_problem(client.post("/v1/videos", content=CONTENT), 415, "UPLOAD_NOT_A_FORM")
    assert_problem(client.post("/v1/videos", json={"file": "x"}), 422, "REQUEST_INVALID")
    headers = {"content-type": "multipart/form-data; boundary=b"}
    assert_problem(client.post("/v1/videos", content=b"what?", headers=headers), 400, "UPLOAD_MALFORMED")
    assert_nothing_was_kept(house)


def test_a_form_that_was_cut_is_refused(client: Client, house: House) -> None:
    """A sender or proxy that ends the request early must not make a job of half a video."""

    def half() -> Iterator[bytes]:
        yield b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
        yield CONTENT

    headers = {"content-type": "multipart/form-data; boundary=b"}
    problem = assert_problem(client.post("/v1/videos", content=half(), headers=headers), 400, "UPLOAD_CUT")

    received = problem["evidence"]["bytes_received"]  # type: ignore[index]
    assert 0 < received <= len(CONTENT)
    assert_nothing_was_kept(house)


def test_a_sender_that_goes_away_leaves_nothing(client: Client, house: House) -> None:
    head = "POST /v1/videos HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\nContent-Type: multipart/form-data; boundary=b"
    part = '--b\r\ncontent-disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
    with socket.create_connection((client.base_url.host, client.base_url.port or 0), timeout=30) as connection:
        connection.sendall(f"{head}\r\n\r\n{part}".encode() + b"x" * (3 << 20))
        deadline = time.monotonic() + 30
        while not any(path.stat().st_size for path in (house.data / "uploads").glob("upload-*")):
            assert time.monotonic() < deadline
            time.sleep(0.01)  # the server writes when it has collected a block

    while list((house.data / "uploads").glob("up*")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert_nothing_was_kept(house)


def test_a_sender_that_falls_silent_is_not_waited_for(
    client: Client, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidprocme.api.form.IDLE_S", 0.3)
    head = "POST /v1/videos HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\nContent-Type: multipart/form-data; boundary=b"
    part = '--b\r\ncontent-disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
    with socket.create_connection((client.base_url.host, client.base_url.port or 0), timeout=30) as connection:
        connection.sendall(f"{head}\r\n\r\n{part}".encode() + b"x" * (2 << 20))
        answer = b""
        while b"UPLOAD_IDLE" not in answer and (more := connection.recv(65536)):  # head and body may come apart
            answer += more
    assert answer.startswith(b"HTTP/1.1 408 ") and b"UPLOAD_IDLE" in answer
    assert_nothing_was_kept(house)


def test_what_a_killed_server_left_is_swept(tmp_path: Path) -> None:
    for name, age_s in (("upload-old", 2 * LEFT_OVER_S), ("upload-new", 0.0), ("other", 2 * LEFT_OVER_S)):
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (time.time() - age_s,) * 2)

    sweep(tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "upload-new"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\videos\\goat.mp4", "goat.mp4"),
        ("Ziege äöü 山羊.mp4", "Ziege äöü 山羊.mp4"),
        ("a\x1b[31m.mp4", "a[31m.mp4"),
        ("..", "video"),
        ('the "best" goat.mp4', 'the "best" goat.mp4'),
        ("x" * 400, "x" * 255),
    ],
)
def test_a_name_is_only_a_name(client: Client, house: House, given: str, kept: str) -> None:
    answer = client.post("/v1/videos", files={"file": (given, CONTENT)})

    view = house.queue.job(answer.json()["id"])
    assert view is not None
    assert view.job.source.name == kept


def test_no_room_is_said_before_the_bytes_come(client: Client, house: House) -> None:
    kind = "multipart/form-data; boundary=b"
    head = f"POST /v1/videos HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {1 << 60}\r\n\r\n"
    with socket.create_connection((client.base_url.host, client.base_url.port or 0), timeout=30) as connection:
        connection.sendall(head.encode())
        answer = HTTPResponse(connection)
        answer.begin()
        problem = json.loads(answer.read())

    assert (answer.status, problem["code"]) == (507, "DISK_FULL")
    assert 1 << 59 < problem["evidence"]["upload_bytes"] <= 1 << 60  # without the form's words
    assert_nothing_was_kept(house)


FULL = """
import asyncio, sys
from pathlib import Path
from starlette.requests import Request
from vidprocme.api.form import received
from vidprocme.core.errors import Retryable

folder = Path(sys.argv[1])
pieces = [b'--b\\r\\ncontent-disposition: form-data; name="file"; filename="a.mp4"\\r\\n\\r\\n', *[b"x" * 65536] * 64]

async def receive():
    return {"type": "http.request", "body": pieces.pop(0), "more_body": True}

async def main():
    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", b"multipart/form-data; boundary=b")]}
    try:
        async with received(Request(scope, receive), folder):
            print("taken")
    except Retryable as error:
        print(error.code, error.evidence["errno"], list(folder.iterdir()))

asyncio.run(main())
"""


@pytest.mark.skipif(own_mounts() is None, reason="the kernel gives this user no disk of its own")
def test_a_disk_that_fills_up_meanwhile_leaves_nothing(tmp_path_factory: pytest.TempPathFactory) -> None:
    prefix = own_mounts()
    assert prefix is not None

    lines = run_on_small_disk(prefix, tmp_path_factory.mktemp("disk"), "1m", FULL)

    assert lines == ["DISK_FULL 28 []"]


def test_an_upload_is_refused_before_its_bytes_when_redis_is_nearly_full(
    house: House, client: Client, tmp_path: Path
) -> None:
    with House(Settings(data=tmp_path / "full", redis_url=house.settings.redis_url, memory_percent=1)) as full:
        redis = full.queue.client  # type: ignore[attr-defined]
        redis.config_set("maxmemory", "50mb")
        try:
            with serving(create_app(full)) as other:
                answer = other.post("/v1/videos", files={"file": ("goat.mp4", b"x" * 1000)})
        finally:
            redis.config_set("maxmemory", "0")
    assert_problem(answer, 503, "QUEUE_FULL")
    assert list((tmp_path / "full" / "uploads").glob("up*")) == []
    assert client.post("/v1/videos", files={"file": ("goat.mp4", b"no film")}).status_code == 202
