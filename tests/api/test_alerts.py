"""Alerts through HTTP: of a job that really failed, kept over a restart, over when its cause is."""

from __future__ import annotations

import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.serving import serving
from tests.cli.things import fail, submit
from vidprocme.api.server import create_app
from vidprocme.config import Settings
from vidprocme.core.job import Bin
from vidprocme.dispatch.alarm import LOCKS
from vidprocme.monitor import alerts as judged
from vidprocme.monitor import trend
from vidprocme.wiring import House


@contextmanager
def watched(house: House) -> Iterator[httpx.Client]:
    """A server whose watch looks often."""
    app = create_app(house)
    app.state.desk.alarm.every_s = app.state.desk.alarm.step_s = 0.05
    with serving(app) as client:
        yield client


def until(ask: Callable[[], Any], timeout_s: float = 20) -> Any:
    deadline = time.monotonic() + timeout_s
    while not (found := ask()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def alerts(client: httpx.Client, *states: str) -> list[dict[str, Any]]:
    answer = client.get("/v1/alerts", params={"state": list(states)})
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def of(client: httpx.Client, rule: str, *states: str) -> list[dict[str, Any]]:
    return [alert for alert in alerts(client, *states) if alert["rule"] == rule]


def test_a_failed_job_rings_is_acknowledged_over_a_restart_and_over_when_it_is_mended(
    house: House, tmp_path: Path
) -> None:
    with watched(house) as client:
        job = submit(house, tmp_path)
        fail(house, job)
        (alert,) = until(lambda: of(client, "job-failed", "open"))
        assert (alert["title"], alert["text"]) == ("1 job failed in probe", "This file is text.")
        assert alert["link"] == "/jobs?state=failed&stage=probe&code=NOT_MEDIA"
        assert (alert["job"], alert["job_link"]) == (job, f"/jobs/{job}")
        assert client.get("/v1/overview").json()["alerts_open"] >= 1
        taken = client.post(f"/v1/alerts/{alert['id']}/ack", json={"note": "I look"})
        assert (taken.json()["state"], taken.json()["acknowledged_by"], taken.json()["note"]) == (
            "acknowledged",
            "local",
            "I look",
        )
        assert of(client, "job-failed", "open") == []

    with watched(house) as client:
        (again,) = of(client, "job-failed", "acknowledged")
        assert again["id"] == alert["id"] and again["note"] == "I look"
        quiet = client.post(f"/v1/alerts/{alert['id']}/silence", json={"for_s": 60}).json()
        assert quiet["state"] == "silenced" and quiet["silenced_until"]
        assert client.post(f"/v1/alerts/{alert['id']}/silence", json={"for_s": 0}).json()["state"] == "acknowledged"
        assert client.post(f"/v1/alerts/{alert['id']}/unack").json()["state"] == "open"
        assert client.get(f"/v1/alerts/{alert['id']}").headers["etag"]
        # A rule that is off rings no more: the alert is over, and can be read in the history.
        rule = client.get("/v1/alert-rules/job-failed")
        stale = {"If-Match": '"x"'}
        assert client.patch("/v1/alert-rules/job-failed", json={"enabled": False}, headers=stale).status_code == 412
        fresh = {"If-Match": rule.headers["etag"]}
        assert (
            client.patch("/v1/alert-rules/job-failed", json={"enabled": False}, headers=fresh).json()["enabled"]
            is False
        )
        (over,) = until(lambda: of(client, "job-failed", "resolved"))
        assert over["id"] == alert["id"] and over["resolved_at"]
        assert client.post(f"/v1/alerts/{alert['id']}/ack", json={}).json()["code"] == "ALERT_UNKNOWN"


def test_rules_can_be_set_and_a_paused_bin_rings(house: House, tmp_path: Path) -> None:
    with watched(house) as client:
        rules = {rule["id"]: rule for rule in client.get("/v1/alert-rules").json()["items"]}
        assert rules["overdue"]["unit"] == "times the bound" and rules["no-pool"]["threshold"] is None
        changed = client.patch("/v1/alert-rules/bin-paused", json={"for_s": 0, "severity": "critical"}).json()
        assert (changed["for_s"], changed["severity"]) == (0, "critical")
        house.queue.pause(Bin.BULK)
        submit(house, tmp_path, bin_=Bin.BULK)
        (alert,) = until(lambda: of(client, "bin-paused", "open"))
        assert (alert["severity"], alert["object"]) == ("critical", "bin:bulk")
        assert client.get("/v1/alert-rules/none").json()["code"] == "RULE_UNKNOWN"


def test_of_two_servers_one_watches_and_the_other_goes_on_when_it_ends(house: House, tmp_path: Path) -> None:
    def watch() -> str | None:
        return house.notes(LOCKS).get("watch")

    with watched(house) as other:
        with watched(house) as one:
            first = until(watch)
            fail(house, submit(house, tmp_path))
            until(lambda: of(one, "job-failed", "open"))
            time.sleep(0.3)  # both have looked several times
            assert len(of(other, "job-failed", "open")) == 1 and watch() == first
        second = until(watch)
        fail(house, submit(house, tmp_path, "second.mp4"))
        until(lambda: of(other, "job-failed", "open")[0]["title"].startswith("2 jobs"))
        assert watch() == second


def test_the_list_goes_on_page_by_page_into_the_history(house: House, tmp_path: Path) -> None:
    with watched(house) as client:
        fail(house, submit(house, tmp_path))
        until(lambda: of(client, "job-failed", "open"))
        client.patch("/v1/alert-rules/job-failed", json={"enabled": False})
        until(lambda: of(client, "job-failed", "resolved"))
        client.patch("/v1/alert-rules/bin-paused", json={"for_s": 0})
        house.queue.pause(Bin.BULK)
        submit(house, tmp_path, "b.mp4", bin_=Bin.BULK)
        until(lambda: of(client, "bin-paused", "open"))
        params: dict[str, Any] = {"state": ["open", "resolved"], "limit": 1}
        seen = []
        while True:
            page = client.get("/v1/alerts", params=params).json()
            seen += [alert["rule"] for alert in page["items"]]
            if not page["next_cursor"]:
                break
            params["cursor"] = page["next_cursor"]
        whole = client.get("/v1/alerts", params={"state": ["open", "resolved"]}).json()["items"]
        assert seen == [alert["rule"] for alert in whole] and {"bin-paused", "job-failed"} <= set(seen)


@pytest.fixture
def own_disk() -> Iterator[Path]:
    """A folder on a disk that nobody else writes on: in memory."""
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="vpt-") as folder:
        yield Path(folder)


@pytest.mark.memory_disk
def test_a_disk_that_fills_rings_with_pace_and_moment_also_after_a_restart(
    own_disk: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real file that grows by a megabyte each 50 ms; an hour passes in 6 s."""
    for name, ms in (("EVERY_MS", 100), ("WINDOW_MS", 6_000), ("SPAN_MS", 1_000), ("STILL_MS", 1_000)):
        monkeypatch.setattr(trend, name, ms)
    grown = threading.Event()

    def grow() -> None:
        with (own_disk / "video").open("wb") as file:
            while not grown.wait(0.05) and file.tell() < 90_000_000:
                file.write(bytes(1_000_000))
                file.flush()

    def told(client: httpx.Client) -> list[dict[str, Any]]:
        return of(client, "disk-trend", "open")

    writer = threading.Thread(target=grow)
    with House(Settings(data=own_disk / "data", redis_url=redis_url)) as house:
        house.queue.client.flushdb()  # type: ignore[attr-defined]
        with watched(house) as client:
            client.patch("/v1/alert-rules/disk-trend", json={"for_s": 0, "threshold": 24})
            time.sleep(1.5)
            assert told(client) == []  # flat
            writer.start()
            (alert,) = until(lambda: told(client))
            assert alert["title"] == "The disk will soon be full" and str(own_disk) in alert["text"]
            assert "UTC" in alert["text"] and alert["link"] == "/videos"
            pace = float(alert["text"].partition(" and ")[2].partition(" GB go in an hour")[0])
            assert 5 < pace < 100  # 20 MB/s are 72 GB an hour; a busy machine writes less, and it was flat before
        restarted_ms = house.queue.now_ms()
        with watched(house) as client:
            until(lambda: any(min(taken) < restarted_ms < max(taken) for taken in _sampled_ms(house)))
            assert [one["id"] for one in told(client)] == [alert["id"]]
            grown.set()
            writer.join()
            monkeypatch.setattr(judged, "CLEAR_MS", 500)
            until(lambda: not told(client))  # it has stopped


def _sampled_ms(house: House) -> list[list[int]]:
    """When the samples were taken that each server keeps."""
    queue = house.queue
    keys = queue.client.scan_iter(queue.keys.of("note:disk:*"))  # type: ignore[attr-defined]
    notes = [queue.command("GET", key) for key in keys]  # type: ignore[attr-defined]
    return [taken for note in notes if (taken := [int(ms) for ms in re.findall(r"\b\d{13}\b", note)])]
