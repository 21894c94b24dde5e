"""Videos that nobody sends: a path of the server's, or an address."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
from httpx import Client

from tests.answering import Answers, answering
from tests.api.dripping import slow
from tests.api.served import served
from tests.api.test_tus import CONTENT, until
from tests.api.test_tus_limits import set_up
from tests.api.test_videos import assert_problem
from tests.api.tusing import TUS, parts, send
from vidprocme.core.ids import JobId
from vidprocme.wiring import House


class Elsewhere(Answers):
    """Another server with one video. `go`: it sends the second half only when that is set."""

    go: ClassVar[threading.Event]
    statuses: ClassVar[list[int]]  # answered before the video is
    cut: ClassVar[bool]
    asked: ClassVar[list[str]]

    def answer(self) -> None:
        self.asked.append(self.path)
        status = self.statuses.pop(0) if self.statuses else 302 if self.path.startswith("/odd") else 200
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "http://[")
        if status != 200:
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        is_empty = self.path.startswith("/empty")
        if self.path != "/endless":
            self.send_header("Content-Length", "0" if is_empty else str(len(CONTENT)))
        self.end_headers()
        if is_empty:
            return
        half = len(CONTENT) // 2
        try:
            self.wfile.write(CONTENT[:half])
            self.go.wait(60)
            if not self.cut:
                self.wfile.write(CONTENT[half:])
        except OSError:
            pass
        self.close_connection = True


@pytest.fixture
def elsewhere() -> Iterator[str]:
    Elsewhere.go, Elsewhere.statuses, Elsewhere.cut, Elsewhere.asked = threading.Event(), [], False, []
    Elsewhere.go.set()
    with answering(Elsewhere) as address:
        yield f"http://{address}"
        Elsewhere.go.set()


@pytest.fixture
def open_app(tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[House, Client]]:
    """An app that may fetch from this machine."""
    monkeypatch.setattr("vidprocme.api.imports.PAUSES_S", (0.01, 0.01))
    with set_up(tmp_path, redis_url, outbound_allow="127.0.0.1") as made:
        yield made


def wish(client: Client, url: str, **more: Any) -> httpx.Response:
    return client.post("/v1/videos", json={"source": {"url": url}, "model": "none", **more})


def ended(client: Client, answer: httpx.Response) -> dict[str, Any]:
    """What the upload says at its end."""
    assert answer.status_code == 202, answer.text
    location = answer.headers["location"]
    assert location == f"/v1/uploads/{answer.json()['id']}"
    told: dict[str, Any] = {}

    def is_over() -> bool:
        told.update(client.get(location).json())
        return told["state"] in ("done", "failed")

    until(is_over)
    return told


def test_a_video_is_fetched_and_becomes_a_job(open_app: tuple[House, Client], elsewhere: str) -> None:
    house, client = open_app
    Elsewhere.go.clear()
    answer = wish(client, f"{elsewhere}/films/The%20goat.mp4?key=secret", bin="high")
    location = answer.headers["location"]
    until(lambda: client.get(location).json()["offset_bytes"])
    going = client.get(location).json()
    assert (going["state"], going["size_bytes"], going["name"]) == ("receiving", len(CONTENT), "The goat.mp4")
    assert 0 < going["offset_bytes"] < len(CONTENT)
    assert_problem(client.patch(location, headers={**TUS, "Upload-Offset": "0"}), 415, "UPLOAD_TYPE")

    Elsewhere.go.set()
    told = ended(client, answer)

    assert told["state"] == "done", told
    view = house.queue.job(JobId(told["job"]))
    assert view is not None
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    assert (view.job.source.uri, view.job.source.name, view.job.bin.value) == (f"blob:{sha256}", "The goat.mp4", "high")
    assert house.blobs.read(sha256) == CONTENT
    assert parts(house) == []


def test_one_that_does_not_say_its_length(open_app: tuple[House, Client], elsewhere: str) -> None:
    house, client = open_app

    told = ended(client, wish(client, f"{elsewhere}/endless"))

    assert (told["state"], told["size_bytes"]) == ("done", len(CONTENT))
    assert house.blobs.read(hashlib.sha256(CONTENT).hexdigest()) == CONTENT


def test_a_server_that_is_busy_is_asked_again(open_app: tuple[House, Client], elsewhere: str) -> None:
    _, client = open_app
    Elsewhere.statuses = [503, 429]

    assert ended(client, wish(client, f"{elsewhere}/a.mp4"))["state"] == "done"
    assert len(Elsewhere.asked) == 3


@pytest.mark.parametrize(
    ("path", "statuses", "cut", "code", "asked"),
    [
        ("/a.mp4", [404], False, "IMPORT_REFUSED", 1),
        ("/a.mp4", [503] * 3, False, "IMPORT_FAILED", 3),
        ("/a.mp4", [], True, "IMPORT_FAILED", 3),  # less comes than was announced
        ("/empty", [], False, "EMPTY_FILE", 1),
        ("/odd", [], False, "IMPORT_FAILED", 3),  # it sends on to what is no address
    ],
)
def test_what_cannot_be_fetched_says_why(
    open_app: tuple[House, Client], elsewhere: str, path: str, statuses: list[int], cut: bool, code: str, asked: int
) -> None:
    house, client = open_app
    Elsewhere.statuses, Elsewhere.cut = list(statuses), cut

    told = ended(client, wish(client, f"{elsewhere}{path}?key=secret"))

    assert (told["state"], told["error"]["code"]) == ("failed", code)
    assert told["error"]["message"] and told["error"]["hint"]
    assert "secret" not in str(told)
    assert len(Elsewhere.asked) == asked
    assert house.queue.jobs() == () and parts(house) == []


def test_an_address_inside_is_refused(client: Client, elsewhere: str) -> None:
    told = ended(client, wish(client, f"{elsewhere}/a.mp4"))

    assert (told["state"], told["error"]["code"]) == ("failed", "ADDRESS_INSIDE")
    assert Elsewhere.asked == []
    for url in ("file:///etc/passwd", "http://a:b@127.0.0.1/", "goat.mp4"):
        assert_problem(wish(client, url), 422, "URL_BAD")
    assert_problem(wish(client, f"{elsewhere}/a.mp4", bin="soon"), 422, "BIN_UNKNOWN")


def test_one_that_is_taken_back_stops(open_app: tuple[House, Client], elsewhere: str) -> None:
    house, client = open_app
    Elsewhere.go.clear()
    location = wish(client, f"{elsewhere}/a.mp4").headers["location"]
    until(lambda: client.get(location).json()["offset_bytes"])

    assert client.delete(location, headers=TUS).status_code == 204

    assert client.get(location).status_code == 404
    assert parts(house) == []


def test_bytes_that_somebody_sends_for_one_do_not_end_it(open_app: tuple[House, Client], elsewhere: str) -> None:
    _, client = open_app
    Elsewhere.go.clear()
    answer = wish(client, f"{elsewhere}/a.mp4")
    location = answer.headers["location"]
    until(lambda: client.get(location).json()["offset_bytes"])
    here = client.get(location).json()["offset_bytes"]

    assert_problem(send(client, location, here, b"x"), 423, "UPLOAD_LOCKED")

    Elsewhere.go.set()
    assert ended(client, answer)["state"] == "done" and len(Elsewhere.asked) == 1


@pytest.mark.parametrize("says", [b"HTTP/1.1 200 OK\r\n" + b"x-drip: 1\r\n" * 1000, b""], ids=["drips", "is mute"])
def test_one_of_a_server_that_says_no_header_end_can_be_taken_back(open_app: tuple[House, Client], says: bytes) -> None:
    _, client = open_app
    with slow(says, each_s=0.05) as receiver:
        location = wish(client, receiver.url).headers["location"]
        until(lambda: receiver.came)
        began_s = time.monotonic()
        assert client.delete(location, headers=TUS).status_code == 204
        assert time.monotonic() - began_s < 10 and client.get(location).status_code == 404


@pytest.mark.slow
def test_a_server_killed_while_it_fetches_begins_again(house: House, redis_url: str, elsewhere: str) -> None:
    Elsewhere.go.clear()
    with served(house.data, redis_url) as server, httpx.Client(base_url=server.url, trust_env=False) as client:
        server.start(outbound_allow="127.0.0.1")
        answer = wish(client, f"{elsewhere}/a.mp4")
        until(lambda: client.get(answer.headers["location"]).json()["offset_bytes"])
        server.kill()
        Elsewhere.go.set()
        server.start(outbound_allow="127.0.0.1")
        told = ended(client, answer)
    assert told["state"] == "done"
    assert len(Elsewhere.asked) == 2
    assert house.blobs.read(hashlib.sha256(CONTENT).hexdigest()) == CONTENT


# -- paths -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A folder with a video, beside one that is nobody's business."""
    folder = tmp_path / "shelf"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "goat.mp4").write_bytes(CONTENT)
    (folder / "empty.mp4").touch()
    (tmp_path / "secret.mp4").write_bytes(CONTENT)
    (folder / "link.mp4").symlink_to(tmp_path / "secret.mp4")
    (folder / "way").symlink_to(tmp_path)
    (folder / "fair.mp4").symlink_to(folder / "deep" / "goat.mp4")
    return folder


def named(client: Client, path: Path | str, **more: Any) -> httpx.Response:
    return client.post("/v1/videos", json={"source": {"path": str(path)}, "model": "none", **more})


def test_a_path_is_taken_where_it_is(tmp_path: Path, redis_url: str, shelf: Path) -> None:
    with set_up(tmp_path, redis_url, import_paths=f"/nowhere:{shelf}") as (house, client):
        answer = named(client, shelf / "deep" / "goat.mp4", bin="bulk")

        assert answer.status_code == 202, answer.text
        assert answer.headers["location"] == f"/v1/jobs/{answer.json()['id']}"
        view = house.queue.job(answer.json()["id"])
        assert view is not None
        assert view.job.source.uri == f"file://{shelf}/deep/goat.mp4"
        assert (view.job.source.sha256, view.job.bin.value) == (hashlib.sha256(CONTENT).hexdigest(), "bulk")
        assert list(house.blobs.stored()) == []
        assert (shelf / "deep" / "goat.mp4").read_bytes() == CONTENT
        assert named(client, shelf / "fair.mp4", bin="bulk").json() == {**answer.json(), "created": False}


def test_what_lies_elsewhere_is_nobodys_business(tmp_path: Path, redis_url: str, shelf: Path) -> None:
    with set_up(tmp_path, redis_url, import_paths=str(shelf)) as (house, client):
        wrong: list[Path | str] = [tmp_path / "secret.mp4", shelf / ".." / "secret.mp4", shelf / "none.mp4", shelf]
        wrong += [shelf / "link.mp4", shelf / "way" / "secret.mp4"]  # links that lead out
        wrong += ["/etc/passwd", "/none", "goat.mp4", "deep/goat.mp4", "", "\0"]
        for path in wrong:
            problem = assert_problem(named(client, path), 422, "PATH_OUTSIDE")
            assert problem["detail"] == f"{str(path)!r} is not a file that may be imported."
        assert_problem(named(client, shelf / "empty.mp4"), 422, "EMPTY_FILE")
        assert house.queue.jobs() == ()


def test_without_a_list_there_are_no_paths(client: Client, shelf: Path) -> None:
    problem = assert_problem(named(client, shelf / "deep" / "goat.mp4"), 422, "PATH_OUTSIDE")

    assert "VIDPROCME_IMPORT_PATHS is empty" in str(problem["hint"])


@pytest.mark.parametrize("source", [{}, {"url": "http://v.example/", "path": "/a"}, {"uri": "x"}])
def test_a_wish_names_one_source(client: Client, source: dict[str, str]) -> None:
    assert_problem(client.post("/v1/videos", json={"source": source}), 422, "REQUEST_INVALID")


def test_a_wish_that_never_ends_is_refused(client: Client) -> None:
    headers = {"content-type": "application/json"}

    assert_problem(client.post("/v1/videos", content=b" " * 300_000, headers=headers), 422, "FORM_TOO_LARGE")
    assert_problem(client.post("/v1/videos", content=b"{", headers=headers), 422, "REQUEST_INVALID")
