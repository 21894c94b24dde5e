"""Who is let in, what a load balancer is told, what Prometheus reads, and what the API says about itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from httpx import Client
from prometheus_client.parser import text_string_to_metric_families

from tests.api.serving import serving
from tests.api.test_videos import assert_problem, post
from vidprocme.api.guard import is_loopback
from vidprocme.api.server import create_app
from vidprocme.config import Settings
from vidprocme.core.resources import PlaceKind
from vidprocme.queue.base import PlaceReport, PoolInfo, PoolReport
from vidprocme.wiring import House


@pytest.fixture
def without_queue(tmp_path: Path) -> Iterator[Client]:
    """A server whose Redis does not exist."""
    settings = Settings(data=tmp_path / "data", redis_url=f"unix://{tmp_path}/nobody.sock")
    with House(settings) as house, serving(create_app(house)) as client:
        yield client


def test_alive_and_ready(client: Client) -> None:
    alive = client.get("/healthz")
    assert alive.json()["ok"] is True
    assert alive.headers["x-content-type-options"] == "nosniff"
    ready = client.get("/readyz")

    assert ready.status_code == 200
    parts = ready.json()["parts"]
    assert {name: part["ok"] for name, part in parts.items()} == {"redis": True, "disk": True, "pools": False}
    assert parts["pools"]["needed"] is False


def test_without_a_queue_it_is_alive_and_says_so(without_queue: Client) -> None:
    assert without_queue.get("/healthz").status_code == 200
    ready = without_queue.get("/readyz")
    assert (ready.status_code, ready.json()["parts"]["redis"]["ok"]) == (503, False)
    for answer in (without_queue.get("/v1/jobs"), post(without_queue)):
        assert_problem(answer, 503, "QUEUE_UNREACHABLE")
        assert int(answer.headers["retry-after"]) > 0
    assert "vidprocme_queue_up 0.0" in without_queue.get("/metrics").text


def test_metrics_count(client: Client) -> None:
    post(client)
    client.get("/v1/jobs/job_no")

    families = {f.name: f for f in text_string_to_metric_families(client.get("/metrics").text)}

    assert families["vidprocme_jobs_active"].samples[0].value == 1
    requests = {
        (s.labels["method"], s.labels["route"], s.labels["status"]): s.value
        for s in families["vidprocme_http_requests"].samples
    }
    assert requests["POST", "/v1/videos", "202"] == 1
    assert requests["GET", "/v1/jobs/{job_id}", "404"] == 1


def test_metrics_show_what_pools_report_and_how_redis_is(client: Client, house: House) -> None:
    places = (PlaceReport("here/cpu", "here", PlaceKind.CPU, 4, 1),)
    house.queue.join(PoolInfo("p", "here", "b", 1, 1, 1, places=1), 60_000)
    report = PoolReport(places, {"NO_PLACE_FREE": 2})
    house.queue.beat("p", [], lease_ms=1000, presence_ms=60_000, report=report, totals={"decide.0": 7})

    lines = client.get("/metrics").text.splitlines()

    assert 'vidprocme_place_slots_busy{kind="cpu",node="here",place="here/cpu"} 1.0' in lines
    assert 'vidprocme_waiting_reasons{code="NO_PLACE_FREE",pool="p"} 2.0' in lines
    assert "vidprocme_decision_duration_seconds_count 7.0" in lines
    assert "vidprocme_queue_persistent 1.0" in lines and "vidprocme_queue_memory_limit_bytes 0.0" in lines


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8484", "10.0.0.1", "127.0.0.1.evil.example", ""])
def test_a_foreign_host_name_is_refused(client: Client, host: str) -> None:
    """DNS rebinding: the page's own name points to 127.0.0.1, and the browser sends that name."""
    assert_problem(client.get("/v1/jobs", headers={"host": host}), 421, "HOST_UNKNOWN")


@pytest.mark.parametrize("host", ["localhost:8484", "127.0.0.1", "127.0.0.2:1", "[::1]:8484", "LOCALHOST"])
def test_names_of_this_machine_are_taken(client: Client, host: str) -> None:
    assert client.get("/v1/jobs", headers={"host": host}).status_code == 200


def test_on_a_network_any_name_will_do(house: House) -> None:
    with serving(create_app(house, hosts=None)) as client:
        assert client.get("/v1/jobs", headers={"host": "videos.example"}).status_code == 200


def test_a_published_port_goes_by_its_names_alone(house: House) -> None:
    """A container listens everywhere, and its port is on this machine's loopback: there every page of a browser reaches it."""
    with serving(create_app(house, hosts={"server"})) as client:
        for known in ("server:8484", "SERVER", "127.0.0.1:8484", "localhost"):
            assert client.get("/v1/jobs", headers={"host": known}).status_code == 200
        for path in ("/v1/jobs", "/metrics", "/v1/search?q=x"):
            assert_problem(client.get(path, headers={"host": "evil.example:8484"}), 421, "HOST_UNKNOWN")
        # A pod is asked by its address.
        assert client.get("/healthz", headers={"host": "10.0.0.7:8484"}).status_code == 200


def test_a_method_that_nobody_knows_is_no_label_of_its_own(client: Client) -> None:
    for number in range(3):
        client.request(f"EVIL{number}", "/v1/jobs")
    text = client.get("/metrics").text
    assert "EVIL" not in text
    assert 'vidprocme_http_requests_total{method="other",route="/v1/jobs",status="405"} 3.0' in text


def test_a_foreign_page_may_not_change_anything(client: Client, house: House) -> None:
    files = {"file": ("a.mp4", b"x")}

    assert_problem(
        client.post("/v1/videos", files=files, headers={"origin": "https://evil.example"}), 403, "ORIGIN_FOREIGN"
    )
    assert_problem(client.post("/v1/videos", files=files, headers={"origin": "null"}), 403, "ORIGIN_FOREIGN")
    assert house.queue.jobs() == ()
    assert client.post("/v1/videos", files=files, headers={"origin": str(client.base_url)}).status_code == 202


def test_loopback() -> None:
    assert all(map(is_loopback, ("localhost", "127.0.0.1", "127.9.9.9", "::1", "localhost.")))
    assert not any(map(is_loopback, ("", "0.0.0.0", "192.168.0.1", "localhost.evil", "::", "example.com")))


def test_a_fault_is_a_problem_with_its_request_id(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """A real fault: the search index's folder is a file, which no code of ours expects."""
    (house.data / "library").write_text("in the way")
    with serving(create_app(house)) as client:
        answer = client.get("/v1/search?q=goat")

    problem = assert_problem(answer, 500, "INTERNAL")
    assert str(problem["request_id"]) in caplog.text


def test_it_describes_itself(client: Client) -> None:
    schema = client.get("/v1/openapi.json").json()

    assert schema["openapi"].startswith("3.1")
    assert set(schema["paths"]) >= {"/v1/videos", "/v1/jobs", "/v1/jobs/{job_id}", "/v1/search"}
    video = schema["paths"]["/v1/videos"]["post"]
    assert "multipart/form-data" in video["requestBody"]["content"]
    assert "application/problem+json" in video["responses"]["422"]["content"]
    assert {"Problem", "FieldError", "JobDocument"} <= set(schema["components"]["schemas"])
    ids = [method["operationId"] for path in schema["paths"].values() for method in path.values()]
    assert len(ids) == len(set(ids))
    assert "HTTPValidationError" not in json.dumps(schema)  # errors are problems, all of them
