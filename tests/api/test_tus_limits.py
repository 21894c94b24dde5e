"""What an upload may not be, how long it is kept, and what else can become of one."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from httpx import Client

from tests.api.keyed import Keyed
from tests.api.serving import serving
from tests.api.test_tus import CONTENT, until
from tests.api.test_videos import assert_problem
from tests.api.tusing import (
    TUS,
    assert_is_a_job,
    create,
    created,
    offset_of,
    send,
)
from vidprocme.api import arriving
from vidprocme.api.admission import ROOM_KEPT_S
from vidprocme.api.server import create_app
from vidprocme.client.http import HttpClient
from vidprocme.config import Settings
from vidprocme.library.arrivals import ArrivalState
from vidprocme.library.notes import VIDEO_NOTES, VideoNote
from vidprocme.wiring import House


@contextmanager
def set_up(tmp_path: Path, redis_url: str, **settings: object) -> Iterator[tuple[House, Client]]:
    """An app with settings of its own."""
    with House(replace(Settings(data=tmp_path / "data", redis_url=redis_url), **settings)) as house:  # type: ignore[arg-type]
        house.queue.client.flushdb()  # type: ignore[attr-defined]
        with serving(create_app(house)) as client:
            yield house, client


def test_one_that_is_too_large_is_refused(tmp_path: Path, redis_url: str) -> None:
    with set_up(tmp_path, redis_url, upload_max_gb=1) as (_, client):
        assert client.options("/v1/uploads").headers["tus-max-size"] == str(10**9)
        assert create(client, 10**9).status_code == 201
        assert_problem(create(client, 10**9 + 1), 413, "UPLOAD_TOO_LARGE")


def test_a_tenant_has_a_quota(tmp_path: Path, redis_url: str) -> None:
    with set_up(tmp_path, redis_url, upload_quota_gb=1) as (_, client):
        assert create(client, len(CONTENT), CONTENT, tenant="a").headers["vidprocme-job"]  # what came today counts
        location = created(client, 600_000_000, tenant="a")
        problem = assert_problem(create(client, 400_000_000, tenant="a"), 413, "QUOTA_EXCEEDED")
        assert problem["evidence"]["used_bytes"] == len(CONTENT) + 600_000_000  # type: ignore[index]
        assert create(client, 400_000_000, tenant="b").status_code == 201

        client.delete(location, headers=TUS)
        assert create(client, 400_000_000, tenant="a").status_code == 201


def test_room_that_others_still_need_is_taken(client: Client, house: House) -> None:
    free = os.statvfs(house.data)
    third = free.f_bavail * free.f_frsize // 3
    begun = [created(client, third) for _ in range(2)]

    problem = assert_problem(create(client, third), 507, "DISK_FULL")
    assert problem["evidence"]["coming_bytes"] == 2 * third  # type: ignore[index]
    client.delete(begun[0], headers=TUS)
    assert create(client, third).status_code == 201


def test_room_of_one_that_is_silent_is_others_until_it_goes_on(client: Client, house: House) -> None:
    free = os.statvfs(house.data)
    third = free.f_bavail * free.f_frsize // 3
    silent, other = created(client, third), created(client, third)
    grow_old(house, silent, ROOM_KEPT_S + 60)

    location = created(client, third)  # the room of the silent one

    problem = assert_problem(send(client, silent, 0, b"x"), 507, "DISK_FULL")
    assert problem["evidence"]["coming_bytes"] == 2 * third and offset_of(client, silent) == 0  # type: ignore[index]
    client.delete(other, headers=TUS)
    assert send(client, silent, 0, b"x").status_code == 204
    assert_problem(create(client, third), 507, "DISK_FULL")
    assert send(client, location, 0, b"x").status_code == 204


def grow_old(house: House, location: str, by_s: float) -> None:
    id_, ago = location.rpartition("/")[2], time.time() - by_s
    arrival = house.arrivals.find(id_)
    assert arrival is not None
    house.arrivals.save(replace(arrival, created_ms=int(1000 * ago)))
    for path in (house.data / "uploads").glob(f"{id_}*"):
        os.utime(path, (ago, ago))


def test_what_nobody_went_on_with_is_given_up(client: Client, house: House) -> None:
    old, young = created(client, 10), created(client, 10)
    id_ = old.rpartition("/")[2]
    grow_old(house, old, 25 * 3600)

    assert client.head(old, headers=TUS).status_code == 410
    assert_problem(send(client, old, 0, b"0123456789"), 410, "UPLOAD_EXPIRED")

    held = house.arrivals.hold(id_)  # somebody writes to it: it stays
    assert held is not None
    assert house.arrivals.sweep(int(time.time() * 1000)) == 0
    held.close()
    assert house.arrivals.sweep(int(time.time() * 1000)) == 1
    assert client.head(old, headers=TUS).status_code == 404
    assert list((house.data / "uploads").glob(f"{id_}*")) == []
    assert offset_of(client, young) == 0


def test_one_that_is_held_waits_for_its_wish(client: Client, house: House) -> None:
    location = created(client, len(CONTENT), hold="1", title="Goat")
    id_ = location.rpartition("/")[2]
    early = client.post("/v1/videos", json={"source": {"upload_id": id_}})
    assert_problem(early, 409, "UPLOAD_UNFINISHED")

    whole = send(client, location, 0, CONTENT)
    assert whole.status_code == 204 and "vidprocme-job" not in whole.headers
    assert client.get(location).json()["state"] == "held"
    assert house.queue.jobs() == () and list(house.blobs.stored()) == []

    wrong = client.post("/v1/videos", json={"source": {"upload_id": id_}, "bin": "soon"})
    assert_problem(wrong, 422, "BIN_UNKNOWN")
    answer = client.post("/v1/videos", json={"source": {"upload_id": id_}, "bin": "high", "model": "none"})

    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/v1/jobs/{answer.json()['id']}"
    assert (answer.json()["created"], answer.json()["bin"]) == (True, "high")
    assert_is_a_job(house, client.head(location, headers=TUS), CONTENT)
    again = client.post("/v1/videos", json={"source": {"upload_id": id_}, "crf": "30", "model": "none"})
    assert again.status_code == 202 and again.json()["id"] != answer.json()["id"]


def test_a_queue_that_was_away_gets_the_job_later(
    tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes are here, and the queue does not take a job of them: nothing is to be sent again."""
    monkeypatch.setattr(arriving, "LOOK_EVERY_S", 0.1)
    with set_up(tmp_path, redis_url) as (house, client):
        location = created(client, len(CONTENT))
        redis = house.queue.client  # type: ignore[attr-defined]
        redis.config_set("maxmemory", "1mb")
        redis.config_set("maxmemory-policy", "noeviction")
        try:
            answer = send(client, location, 0, CONTENT)
            told = client.get(location).json()
            offset = offset_of(client, location)
            kept = house.arrivals.contents()
        finally:
            redis.config_set("maxmemory", "0")
        assert answer.status_code == 503
        assert (told["state"], told["error"], offset) == ("hashing", None, len(CONTENT))
        assert kept == {hashlib.sha256(CONTENT).hexdigest()}  # gc leaves it alone
        until(lambda: client.get(location).json()["state"] == ArrivalState.DONE)
        assert_is_a_job(house, client.head(location, headers=TUS), CONTENT)


def test_what_is_said_of_the_video_is_kept(client: Client, house: House) -> None:
    said = {"title": " The  goat ", "tags": "farm, north,,farm", "metadata": '{"camera": "7"}'}
    kept = VideoNote("The goat", ("farm", "north"), {"camera": "7"})
    form = {"data": {**said, "model": "none"}, "files": {"file": ("goat.mp4", CONTENT)}}

    video = create(client, len(CONTENT), CONTENT, **said).headers["vidprocme-video"]
    other = create(client, len(CONTENT), CONTENT, title="Another").headers["vidprocme-video"]
    record = house.records(VIDEO_NOTES, VideoNote).get(video)

    assert record is not None and record.doc == kept
    assert other == video  # and what was said first stays
    house.queue.client.flushdb()  # type: ignore[attr-defined]
    assert client.post("/v1/videos", **form).json()["video"] == video  # type: ignore[arg-type]
    record = house.records(VIDEO_NOTES, VideoNote).get(video)
    assert record is not None and record.doc == kept


def test_a_key_of_one_tenant_sees_its_own_uploads(asking: Keyed) -> None:
    ours, theirs = asking.with_key("submit", "a"), asking.with_key("admin", "b")
    location = created(ours, 10)

    assert_problem(theirs.get(location), 404, "UPLOAD_UNKNOWN")
    assert theirs.head(location, headers=TUS).status_code == 404
    assert_problem(send(theirs, location, 0, b"0123456789"), 404, "UPLOAD_UNKNOWN")
    assert_problem(theirs.delete(location, headers=TUS), 404, "UPLOAD_UNKNOWN")
    wish = {"source": {"upload_id": location.rpartition("/")[2]}}
    assert_problem(theirs.post("/v1/videos", json=wish), 404, "UPLOAD_UNKNOWN")
    assert theirs.get("/v1/uploads").json()["items"] == []
    assert_problem(create(ours, 10, tenant="b"), 403, "TENANT_NOT_YOURS")
    assert_problem(create(asking.with_key("read"), 10), 403, "SCOPE_TOO_SMALL")
    assert [item["bin"] for item in ours.get("/v1/uploads").json()["items"]] == ["normal"]
    assert send(ours, location, 0, b"0123456789").status_code == 204


def test_the_command_line_s_client_speaks_it(client: Client, house: House, tmp_path: Path) -> None:
    """In pieces, with checksums."""
    film = tmp_path / "goat.mp4"
    film.write_bytes(CONTENT)
    told: list[tuple[int, int]] = []
    with contextlib.closing(HttpClient(str(client.base_url), state=tmp_path / "state")) as ours:
        done = ours.submit(film, {"model": "none", "bin": "high"}, lambda sent, size: told.append((sent, size)))

    assert (done["bin"], done["created"]) == ("high", True)
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert house.blobs.read(hashlib.sha256(CONTENT).hexdigest()) == CONTENT
