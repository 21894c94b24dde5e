"""What the dashboard's route takes and what it leaves alone, and with which headers. Its pages are seen in a browser in tests/web/."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx import Client

from tests.api.serving import serving
from tests.api.test_videos import assert_problem
from vidprocme.api.server import create_app
from vidprocme.api.ui import Pages, takes
from vidprocme.wiring import House

SCRIPT = b"export const a = 1\n" * 100


def with_pages(app: FastAPI, folder: Path) -> FastAPI:
    app.router.routes[-1] = Pages(folder)
    return app


@pytest.fixture
def built(house: House, tmp_path: Path) -> Iterator[Client]:
    """A server with a small dashboard, as Vite leaves one."""
    ui = tmp_path / "ui"
    (ui / "assets").mkdir(parents=True)
    (ui / "index.html").write_text("<!doctype html><title>the page</title>")
    (ui / "assets" / "index-Ab1.js").write_bytes(SCRIPT)
    (ui / "assets" / "index-Ab1.js.gz").write_bytes(gzip.compress(SCRIPT))
    (tmp_path / "secret.txt").write_text("not for you")
    with serving(with_pages(create_app(house), ui)) as client:
        yield client


@pytest.mark.parametrize("path", ["/", "/jobs", "/jobs/job_01J8", "/videos/vid_1?t=7", "/v10"])
def test_a_page_is_the_page(built: Client, path: str) -> None:
    answer = built.get(path)

    assert (answer.status_code, "the page" in answer.text) == (200, True)
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["cache-control"] == "no-cache"


def test_the_page_may_load_nothing_from_elsewhere_and_be_framed_by_nobody(built: Client) -> None:
    headers = built.get("/").headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))

    assert policy["default-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in headers["content-security-policy"] and "http" not in headers["content-security-policy"]
    assert headers["referrer-policy"] == "same-origin"
    assert headers.get_list("x-content-type-options") == ["nosniff"]


def test_an_asset_is_kept_for_ever_and_comes_compressed(built: Client) -> None:
    packed = built.get("/assets/index-Ab1.js")
    plain = built.get("/assets/index-Ab1.js", headers={"Accept-Encoding": "identity"})

    assert packed.content == plain.content == SCRIPT
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(SCRIPT) / 10
    assert "content-encoding" not in plain.headers
    for answer in (packed, plain):
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["vary"] == "Accept-Encoding"
        assert "javascript" in answer.headers["content-type"]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/nothing",
        "/v1",
        "/metrics/more",
        "/assets/gone.js",
        "/robots.txt",
        "/%2e%2e/secret.txt",
        "/assets/..%2f..%2fsecret.txt",
    ],
)
def test_what_is_not_there_is_a_problem_and_no_page(built: Client, path: str) -> None:
    assert_problem(built.get(path), 404, "NOT_FOUND")


def test_nothing_can_be_sent_to_a_page(built: Client) -> None:
    assert_problem(built.post("/jobs"), 404, "NOT_FOUND")
    assert built.head("/jobs").status_code == 200


def test_a_server_without_a_dashboard_says_how_to_build_it(house: House, tmp_path: Path) -> None:
    with serving(with_pages(create_app(house), tmp_path / "none")) as client:
        answer = client.get("/")
        assert_problem(client.get("/v1/nothing"), 404, "NOT_FOUND")

    assert answer.status_code == 200
    assert "make web" in answer.text


@pytest.mark.parametrize(
    ("accepted", "encoding", "wanted"),
    [("gzip, br", "br", True), ("gzip;q=0, br", "gzip", False), ("br;q=0.5", "br", True), ("", "gzip", False)],
)
def test_only_what_is_accepted_is_sent(accepted: str, encoding: str, wanted: bool) -> None:
    assert takes(accepted, encoding) is wanted


def test_every_reference_of_the_description_leads_somewhere(client: Client) -> None:
    """The dashboard's types are made of it, by a tool that follows them all."""
    schema = client.get("/v1/openapi.json").json()
    known = {f"#/components/schemas/{name}" for name in schema["components"]["schemas"]}

    assert set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(schema))) <= known
