"""Both clients, over the same house: the same documents, the same errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.api.serving import serving
from vidprocme.api.server import create_app
from vidprocme.client.base import Client
from vidprocme.client.http import HttpClient
from vidprocme.client.local import LocalClient
from vidprocme.config import Settings
from vidprocme.core.errors import BadWish, Fatal, Retryable
from vidprocme.core.job import Recipe, Source
from vidprocme.queue import embedded
from vidprocme.wiring import House


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with embedded.open(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


@pytest.fixture
def house(tmp_path: Path, redis_url: str) -> Iterator[House]:
    with House(Settings(data=tmp_path / "data", redis_url=redis_url)) as made:
        made.queue.client.flushdb()  # type: ignore[attr-defined]
        yield made


@pytest.fixture(params=["local", "http"])
def client(request: pytest.FixtureRequest, house: House, tmp_path: Path) -> Iterator[Client]:
    if request.param == "local":
        local = LocalClient(house)
        yield local
        local.close()
        return
    with serving(create_app(house)) as made:
        http = HttpClient(str(made.base_url), state=tmp_path / "state")
        yield http
        http.close()


def submitted(house: House, name: str = "goat.mp4", number: int = 1) -> str:
    source = Source(f"file:///{name}", name, f"{number:064x}", 10)
    return house.control.submit(source, Recipe()).job


def refused(call: Callable[[], object]) -> Fatal | Retryable:
    with pytest.raises((Fatal, Retryable)) as caught:
        call()
    assert isinstance(caught.value, (Fatal, Retryable))
    return caught.value


def test_a_document_is_the_same_whoever_answers(client: Client, house: House) -> None:
    job = submitted(house)
    document = client.ask("GET", f"/v1/jobs/{job}")
    assert (document["id"], document["name"], document["state"]) == (job, "goat.mp4", "queued")
    assert [item["id"] for item in client.items("/v1/jobs")] == [job]
    assert client.ask("POST", f"/v1/jobs/{job}/cancel")["state"] == "cancelled"
    assert client.where


def test_what_is_wrong_keeps_its_code_sentence_and_hint(client: Client) -> None:
    unknown = refused(lambda: client.ask("GET", "/v1/jobs/job_none"))
    assert unknown.code == "JOB_UNKNOWN" and "job_none" in unknown.message and unknown.hint
    bad = refused(lambda: client.ask("GET", "/v1/jobs", params={"limit": 0}))
    assert isinstance(bad, BadWish) and bad.code == "REQUEST_INVALID" and "limit" in bad.message


def test_a_text_comes_in_pieces(client: Client) -> None:
    pieces: list[bytes] = []
    client.fetch("/metrics", pieces.append)
    assert b"vidprocme_build_info" in b"".join(pieces)
    assert refused(lambda: client.fetch("/v1/nothing", pieces.append)).code == "NOT_FOUND"


def test_a_file_is_brought_in_with_its_wishes_and_what_is_said_of_the_video(
    client: Client, house: House, tmp_path: Path
) -> None:
    path = tmp_path / "dock.mp4"
    path.write_bytes(b"the dock at night")
    fields = {"model": "none", "bin": "high", "title": "  The  dock ", "tags": "north, night,north"}
    told: list[tuple[int, int]] = []

    accepted = client.submit(path, fields, lambda done, total: told.append((done, total)))

    assert told[-1] == (17, 17)
    assert (accepted["bin"], accepted["created"]) == ("high", True)
    view = house.queue.job(accepted["id"])
    assert view is not None and (view.job.source.name, view.job.source.size_bytes) == ("dock.mp4", 17)
    video = client.ask("GET", f"/v1/videos/{accepted['video']}")
    assert (video["title"], video["tags"]) == ("The dock", ["north", "night"])
    again = client.submit(path, {**fields, "title": "Another"})
    assert (again["id"], again["created"]) == (accepted["id"], False)
    assert client.ask("GET", f"/v1/videos/{accepted['video']}")["title"] == "The dock"  # as it was said first


@pytest.mark.parametrize(
    ("fields", "code"),
    [({"title": "x" * 17_000}, "UPLOAD_METADATA"), ({"colour": "red"}, "RECIPE_UNKNOWN_FIELD")],
)
def test_a_wrong_wish_is_refused_before_anything_is_kept(
    client: Client, house: House, tmp_path: Path, fields: dict[str, str], code: str
) -> None:
    path = tmp_path / "dock.mp4"
    path.write_bytes(b"the dock at night")
    error = refused(lambda: client.submit(path, {"model": "none", **fields}))
    assert isinstance(error, BadWish) and error.code == code and house.queue.jobs() == ()
