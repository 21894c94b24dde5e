"""`vidprocme sim live`: everything is real but the work. What comes out can be watched, searched and looked into."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.cli.things import said
from tests.processes import left
from tests.simlive import Live, sim_live

JOBS = 16


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    data = tmp_path_factory.mktemp("sim") / "data"
    words = ("--jobs", str(JOBS), "--speed", "50", "--fail", "45%", "--nodes", "2", "--gpus", "3", "--seed", "7")
    with sim_live(data, *words) as made:
        yield made


@pytest.fixture(scope="module")
def client(live: Live) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=live.url, timeout=20, trust_env=False) as made:
        yield made


@pytest.fixture(scope="module")
def jobs(client: httpx.Client) -> list[dict[str, Any]]:
    """All of them, ended."""

    def ended() -> list[dict[str, Any]]:
        found = client.get("/v1/jobs", params={"limit": 100}).json()["items"]
        return found if len(found) == JOBS and all(one["ended_at"] for one in found) else []

    found: list[dict[str, Any]] = until(ended)
    return found


def until(true: Callable[[], Any], within_s: float = 90) -> Any:
    deadline = time.monotonic() + within_s
    while not (found := true()):
        assert time.monotonic() < deadline, "waited for nothing"
        time.sleep(0.05)
    return found


def test_machines_and_their_gpus_are_seen(client: httpx.Client) -> None:
    def seen() -> bool:  # a pool's first report comes with its first beat
        return [node["id"] for node in client.get("/v1/nodes").json()["items"]] == ["node-a", "node-b"]

    assert until(seen)
    places = client.get("/v1/places").json()["items"]
    assert sorted(one["id"] for one in places if one["kind"] == "gpu") == [
        "node-a/gpu:0",
        "node-a/gpu:1",
        "node-b/gpu:0",
    ]


def test_some_jobs_fail_in_words_and_the_others_can_be_watched(
    client: httpx.Client, jobs: list[dict[str, Any]]
) -> None:
    failed = [one for one in jobs if one["state"] == "failed"]
    good = [one for one in jobs if one["state"] == "succeeded"]
    assert failed and good and len(failed) + len(good) == JOBS
    for one in failed:
        error = client.get(f"/v1/jobs/{one['id']}").json()["error"]
        assert error["message"] and error["code"] in ("NOT_A_VIDEO", "MODEL_OUT_OF_MEMORY", "FFMPEG_FAILED")
    assert len({one["name"] for one in jobs}) == JOBS and len({one["tenant"] for one in jobs}) > 1
    film = client.get(f"/v1/jobs/{good[0]['id']}/renditions/480p.mp4")
    assert film.status_code == 200 and film.content[4:8] == b"ftyp"
    captions = client.get(f"/v1/jobs/{good[0]['id']}/captions.vtt").text
    assert captions.count("-->") >= 12


def test_what_its_model_said_is_found(client: httpx.Client, jobs: list[dict[str, Any]]) -> None:
    word = client.get(f"/v1/jobs/{next(j['id'] for j in jobs if j['state'] == 'succeeded')}/captions.vtt")
    sentence = next(line for line in word.text.splitlines() if line.endswith("."))

    hits = until(lambda: client.get("/v1/search", params={"q": f'"{sentence[:-1]}"'}).json()["items"])

    assert sentence in [hit["text"] for hit in hits]


def test_attempts_have_logs_and_failed_ones_their_evidence(client: httpx.Client, jobs: list[dict[str, Any]]) -> None:
    job = next(one["id"] for one in jobs if one["state"] == "failed")
    attempts = client.get(f"/v1/jobs/{job}/attempts").json()["items"]
    failed = next(one for one in attempts if one["outcome"] == "failed")

    text = client.get(failed["log_url"]).json()["text"]

    assert (
        "simulated: nothing is worked on here" in text and failed["error"]["code"] in text and "ended: failed" in text
    )


@pytest.mark.slow
def test_a_machine_that_dies_is_gone_and_what_it_ran_goes_on_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a house of its own, whatever the environment says of the real one."""
    monkeypatch.setenv("VIDPROCME_REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("VIDPROCME_BLOBS", "/dev/null/blobs")
    with sim_live(
        tmp_path / "data", "--jobs", "8", "--speed", "12", "--nodes", "2", "--gpus", "2", "--fail", "0"
    ) as live:
        with httpx.Client(base_url=live.url, timeout=20, trust_env=False) as client:
            until(lambda: any(p["busy"] for p in client.get("/v1/places").json()["items"] if p["node"] == "node-a"))
            children = psutil.Process(live.process.pid).children(recursive=True)
            (dies,) = [one for one in children if "node-a" in one.cmdline()]
            os.kill(dies.pid, signal.SIGKILL)

            jobs = until(
                lambda: (
                    (found := client.get("/v1/jobs").json()["items"])
                    and all(one["state"] == "succeeded" for one in found)
                    and found
                )
            )
        assert len(jobs) == 8
        family = psutil.Process(live.process.pid).children(recursive=True)
        assert live.stop() == 0

    assert left(family) == []


def test_wrong_words_are_answered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "something").write_text("of somebody's")

    assert "FOLDER_NOT_EMPTY" in said(capsys, "sim", "live", "--keep", str(tmp_path), status=2)[1]
    assert "SHARE_UNREADABLE" in said(capsys, "sim", "live", "--fail", "many", status=2)[1]
    assert "SHARE_UNREADABLE" in said(capsys, "sim", "live", "--fail", "130%", status=2)[1]
