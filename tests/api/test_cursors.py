"""A cursor that somebody made up is refused by every list in the same words, and is nobody's fault but theirs."""

from __future__ import annotations

from pathlib import Path

import pytest
from httpx import Client

from tests.api.shelved import jpeg, listed, shelve
from tests.api.test_videos import assert_problem
from vidprocme.api.paging import cursor_of
from vidprocme.wiring import House

# Whose place is a line of a journal or an event: the queue refuses what is none, and that was told as its fault.
LINES = ["zzz", "", "1", "1-", "-1-0", "1-0-0", "１-0", "9" * 20 + "-0", "1-1\n"]


@pytest.fixture
def paths(house: House, client: Client, tmp_path: Path) -> dict[str, str]:
    """Each list with the name of its order."""
    video = shelve(house, tmp_path, [jpeg(99)])
    listed(client, 1)
    made = client.post("/v1/webhooks", json={"name": "x", "url": "http://example.org/", "events": ["*"]})
    return {
        "alerts": "/v1/alerts?state=resolved",
        "deliveries": f"/v1/webhooks/{made.json()['id']}/deliveries?",
        "audit": "/v1/audit?",
        "keys": "/v1/keys?",
        "uploads": "/v1/uploads?",
        "newest": "/v1/operations?",
        "-created_at": "/v1/jobs?",
        "best": "/v1/search?q=goat",
        "tasks": "/v1/jobs/job_1/tasks?",
        "attempts": "/v1/jobs/job_1/attempts?",
        "events": "/v1/jobs/job_1/events?",
        "frames": f"/v1/videos/{video}/frames?",
    }


def test_made_up_cursors_are_refused(client: Client, paths: dict[str, str]) -> None:
    hints = set()
    for order, path in paths.items():
        assert client.get(path).status_code == 200, path
        said = ["!", "xx", "7", "NA", cursor_of("other", "1-0"), cursor_of("other", 1), cursor_of(order)]
        for cursor in said:
            problem = assert_problem(client.get(path, params={"cursor": cursor, **of(path)}), 422, "CURSOR_BAD")
            hints.add((problem["detail"], problem["hint"]))
    assert len(hints) == 1


def of(path: str) -> dict[str, str]:
    """The query that a path has already: `params` takes its place."""
    return dict(part.split("=") for part in path.partition("?")[2].split("&") if part)


@pytest.mark.parametrize("line", LINES)
def test_a_place_that_is_no_line_is_refused(client: Client, paths: dict[str, str], line: str) -> None:
    for order in ("deliveries", "audit", "events", "alerts"):
        for place in (line, f"was {line}") if order == "alerts" else (line,):
            asked = {"cursor": cursor_of(order, place), **of(paths[order])}
            assert_problem(client.get(paths[order], params=asked), 422, "CURSOR_BAD")


def test_nor_is_there_a_page_before_the_first(client: Client, paths: dict[str, str]) -> None:
    for order in ("best", "tasks", "attempts", "frames"):
        asked = {"cursor": cursor_of(order, -1), **of(paths[order])}
        assert_problem(client.get(paths[order], params=asked), 422, "CURSOR_BAD")


@pytest.mark.parametrize("origin", ["http://[", "http://[::1", "http://]", "\xff", "null", ""])
def test_an_origin_that_is_no_url_is_a_foreign_one(client: Client, origin: str) -> None:
    answer = client.post("/v1/jobs/job_x/cancel", headers={b"origin": origin.encode("latin-1")})

    assert_problem(answer, 403, "ORIGIN_FOREIGN")
