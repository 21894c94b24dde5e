"""One file of an upload that cannot be read keeps no other from coming in."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from pathlib import Path

import pytest
from httpx import Client

from tests.api.keyed import Keyed
from tests.api.test_tus import CONTENT, until
from tests.api.test_tus_limits import set_up
from tests.api.test_videos import assert_problem
from tests.api.tusing import TUS, create, created, send
from tests.cli.things import documents
from vidprocme.api import arriving
from vidprocme.api.schemas.access import Scope
from vidprocme.wiring import House

BAD = [b"{}", b"", b"\xff\xfe not text", b'{"v": 999, "d": {"content": "%s"}}' % (b"ab" * 32)]


def spoil(house: House, client: Client, what: bytes) -> Path:
    path = house.data / "uploads" / f"{created(client, 10).rpartition('/')[2]}.json"
    path.write_bytes(what)
    return path


@pytest.mark.parametrize("what", BAD)
def test_others_come_in(
    tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, what: bytes
) -> None:
    monkeypatch.setattr(arriving, "LOOK_EVERY_S", 0.1)
    with set_up(tmp_path, redis_url) as (house, client), caplog.at_level(logging.WARNING):
        before = created(client, 10)
        path = spoil(house, client, what)

        assert create(client, len(CONTENT), CONTENT).headers["vidprocme-job"]
        listed = [item["id"] for item in client.get("/v1/uploads").json()["items"]]
        assert len(listed) == 2 and before.rpartition("/")[2] in listed and path.stem not in listed
        assert send(client, before, 0, b"0123456789").headers["vidprocme-job"]
        whole = house.arrivals.find(before.rpartition("/")[2])
        assert whole is not None

        # Whoever looks after all of them goes on, too: this one is whole, and has no job yet.
        third = created(client, 10)
        house.arrivals.part(third.rpartition("/")[2]).write_bytes(b"9876543210")
        until(lambda: client.get(third).json()["state"] == "done")
        assert path.read_bytes() == what, "a newer version may still want it"

    told = [line for line in caplog.messages if path.stem in line]
    assert len(told) == 1 and str(path) in told[0]


@pytest.mark.parametrize("what", BAD)
def test_it_is_told_of_by_name_and_can_be_deleted(house: House, client: Client, what: bytes) -> None:
    path = spoil(house, client, what)

    said = client.get(f"/v1/uploads/{path.stem}")
    assert_problem(said, 500, "UPLOAD_DAMAGED")
    assert path.stem in said.json()["detail"] and said.json()["evidence"]["file"] == str(path)
    assert client.delete(f"/v1/uploads/{path.stem}", headers=TUS).status_code == 204
    assert_problem(client.get(f"/v1/uploads/{path.stem}"), 404, "UPLOAD_UNKNOWN")
    assert not list(path.parent.glob(f"{path.stem}*"))


def test_a_tenant_is_not_told_of_what_may_be_anothers(asking: Keyed) -> None:
    ann = asking.with_key(Scope.SUBMIT, "ann")
    path = spoil(asking.house, ann, b"{}")
    for client, status, code in ((ann, 404, "UPLOAD_UNKNOWN"), (asking.admin, 500, "UPLOAD_DAMAGED")):
        assert_problem(client.get(f"/v1/uploads/{path.stem}"), status, code)
    assert_problem(ann.delete(f"/v1/uploads/{path.stem}", headers=TUS), 404, "UPLOAD_UNKNOWN")
    assert path.exists()


@pytest.fixture
def set_in_environment(house: House, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDPROCME_DATA", str(house.data))
    monkeypatch.setenv("VIDPROCME_REDIS_URL", redis_url)


@pytest.mark.usefixtures("set_in_environment")
def test_gc_goes_on_and_leaves_what_it_names(house: House, client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    kept, gone = house.blobs.put_bytes(b"coming", "x").sha256, house.blobs.put_bytes(b"nobody's", "y").sha256
    for sha256 in (kept, gone):
        path = house.blobs.local_path(sha256)
        assert path is not None
        os.utime(path, (time.time() - 2 * 86_400,) * 2)
    assert create(client, len(CONTENT), CONTENT).headers["vidprocme-job"]
    newer = {"v": 999, "d": {"content": hashlib.sha256(b"coming").hexdigest(), "more": []}}
    spoil(house, client, json.dumps(newer).encode())

    (document,) = documents(capsys, "gc")

    assert document["blobs"]["count"] == 1
    assert house.blobs.has(kept) and not house.blobs.has(gone)
