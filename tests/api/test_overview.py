"""The house in one sentence, its numbers over time, its models."""

from __future__ import annotations

from urllib.parse import parse_qs

import httpx

from tests.api.fleets import await_read_back, begin, end, join, key_of, submit
from tests.api.serving import serving
from vidprocme import __version__
from vidprocme.api.server import create_app
from vidprocme.core.errors import ErrorInfo, Fate
from vidprocme.core.job import Next, Outcome, OutcomeKind
from vidprocme.wiring import House

BROKEN = Outcome(OutcomeKind.FAILED, error=ErrorInfo("NOT_A_VIDEO", "It is text.", "Send a video.", {}, Fate.NEVER))


def test_an_empty_house_has_nothing_to_do(client: httpx.Client) -> None:
    found = client.get("/v1/overview").json()
    assert (found["verdict"], found["text"], found["failures"]) == ("idle", "Nothing to do.", [])
    assert [one["name"] for one in found["bins"]] == ["urgent", "high", "normal", "bulk"]


def test_what_waits_runs_and_was_done(house: House, client: httpx.Client) -> None:
    join(house, "pool_1")
    for number in range(3):
        submit(house, number)
    lease = begin(house, submit(house, 3))
    end(house, begin(house, submit(house, 4)))

    found = client.get("/v1/overview").json()
    assert (found["verdict"], found["running"], found["waiting"], found["jobs_active"]) == ("working", 1, 3, 4)
    assert found["jobs_done_last_hour"] == 1 and found["detail"].startswith("1 running, 3 waiting")
    assert (found["bins"][2]["running"], found["bins"][2]["waiting"]) == (1, 3)
    end(house, lease)


def test_work_and_no_pool_is_stuck(house: House, client: httpx.Client) -> None:
    submit(house, 1)
    found = client.get("/v1/overview").json()
    assert (found["verdict"], found["text"]) == ("stuck", "Stuck: no pool is at work.")


def failed(house: House) -> None:
    join(house, "pool_1")
    for number, tenant in enumerate(("zoo", "farm", "farm")):
        end(house, begin(house, submit(house, number, tenant)), BROKEN, Next.FAIL)


def test_failures_are_told_by_cause_also_after_a_restart(house: House) -> None:
    failed(house)
    app = create_app(house)
    with serving(app) as client:
        await_read_back(app)
        found = client.get("/v1/overview").json()["failures"]
        (cause,) = found
    assert (cause["stage"], cause["code"], cause["text"], cause["jobs"]) == ("probe", "NOT_A_VIDEO", "It is text.", 3)
    assert parse_qs(cause["filter"]) == {"state": ["failed"], "stage": ["probe"], "code": ["NOT_A_VIDEO"]}


def test_a_key_of_one_tenant_sees_its_own_failures(house: House) -> None:
    failed(house)
    app = create_app(house)
    with serving(app) as client:
        await_read_back(app)
        key_of(client, "zoo")
        found = client.get("/v1/overview").json()["failures"]
    assert [one["jobs"] for one in found] == [1]


def test_counts_of_each_minute(house: House, client: httpx.Client) -> None:
    failed(house)
    end(house, begin(house, submit(house, 9)))

    def total(by: str) -> dict[str, float]:
        found = client.get("/v1/series", params={"minutes": 10, "by": by}).json()
        assert (len(found["items"]), found["step_s"]) == (10, 60)
        sums: dict[str, float] = {}
        for point in found["items"]:
            for name, value in point["values"].items():
                sums[name] = sums.get(name, 0) + value
        return sums

    assert total("stage") == {"probe": 4} and total("bin") == {"normal": 4}
    assert total("outcome") == {"failed": 3, "ok": 1} and total("code") == {"NOT_A_VIDEO": 3}
    assert total("jobs") == {"failed": 3, "succeeded": 1} and total("frames") == {}
    assert client.get("/v1/series", params={"by": "weather"}).status_code == 422


def test_models_and_version(client: httpx.Client) -> None:
    (demo,) = client.get("/v1/models").json()["items"]
    assert demo == {"id": "demo", "kind": "local", "default": False, "warm": []}
    assert client.get("/v1/version").json() == {"version": __version__}
