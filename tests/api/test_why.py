"""What a job's page says of its tasks that are ready: what pools answer, asked for by looking at it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from httpx import Client

from tests.api.fleets import join, key_of, probe, submit
from tests.api.test_jobs import claim
from vidprocme.api.schemas.why import AGREE_MS, WhyDocument
from vidprocme.core.ids import JobId, TaskId
from vidprocme.core.snapshot import Reason
from vidprocme.core.why import Candidate, Change, Start, Why
from vidprocme.dispatch.waiting import standing
from vidprocme.queue.base import PoolReport, TaskWhy
from vidprocme.wiring import House

SOON = Why(
    Reason("TENANT_OVER_SHARE", "Tenant ann has used 9; such as bob with 1."),
    Start(3, True, 1_700_000_000_000, "3 tasks start before it"),
    (Change("MORE_PLACES", "One CPU place more.", "vidprocme worker --cores 1", 1),),
    (Candidate("node-a/cpu", "none", 0, 1),),
    "node-a/cpu is the only place with room for it.",
)
UNKNOWN = Why(Reason("NO_PLACE_FREE", "The only CPU place is busy."), Start(4, False, None, "nobody knows"))


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise one look at the house serves all who ask within a second."""
    monkeypatch.setattr("vidprocme.api.jobs.standing_of", lambda desk: standing(desk.queue))


def say(house: House, pool: str, task: TaskId, why: Why) -> tuple[JobId, ...]:
    """What the pool answers; and what it hears that it was asked."""
    report = PoolReport(whys=(TaskWhy(task, why),))
    return house.queue.beat(pool, [], lease_ms=60_000, presence_ms=60_000, report=report).asked


def test_looking_at_a_job_asks_the_pools_and_the_next_look_shows_what_they_say(client: Client, house: House) -> None:
    job = submit(house, 1)
    join(house, "pool_1")
    assert client.get(f"/v1/jobs/{job}").json()["why"] == []
    assert say(house, "pool_1", probe(job), SOON) == (job,)

    assert client.get(f"/v1/jobs/{job}").json()["why"] == [
        {
            "stage": "probe",
            "task": probe(job),
            "pool": "pool_1",
            "code": "TENANT_OVER_SHARE",
            "text": "Tenant ann has used 9; such as bob with 1.",
            "position": 3,
            "position_how": "played",
            "starts_at": "2023-11-14T22:13:20.000Z",
            "starts_how": "3 tasks start before it",
            "changes_cut": False,
            "changes": [
                {
                    "code": "MORE_PLACES",
                    "text": "One CPU place more.",
                    "command": "vidprocme worker --cores 1",
                    "amount": 1,
                }
            ],
            "candidates": [{"place": "node-a/cpu", "rank": "none", "score": 0, "alternative": 1}],
            "chosen": "node-a/cpu is the only place with room for it.",
        }
    ]


def test_of_several_pools_the_one_that_starts_it_first(client: Client, house: House) -> None:
    job = submit(house, 1)
    for name in ("pool_1", "pool_2"):
        join(house, name, f"node-{name}")
    say(house, "pool_1", probe(job), UNKNOWN)
    say(house, "pool_2", probe(job), SOON)
    (shown,) = client.get(f"/v1/jobs/{job}").json()["why"]
    assert shown["pool"] == "pool_2"


def whys(client: Client, house: House, job: JobId, *said: Why) -> WhyDocument:
    """What is shown when pool_1, pool_2 ... say so."""
    for number, why in enumerate(said, 1):
        join(house, f"pool_{number}", f"node-{number}")
        say(house, f"pool_{number}", probe(job), why)
    (shown,) = client.get(f"/v1/jobs/{job}").json()["why"]
    return WhyDocument.model_validate(shown)


def starts(after_ms: int, at: str = "", code: str = "NO_PLACE_FREE", **more: int) -> Why:
    return Why(Reason(code, "."), Start(0, True, 1_700_000_000_000 + after_ms, "nothing starts before it", at, **more))


def test_of_pools_that_agree_the_one_at_whose_own_place_it_starts(client: Client, house: House) -> None:
    """However little earlier the other says it; and not one that knows of fewer places and so says it much later."""
    late, theirs, own = starts(60_000), starts(0, "n/cpu of pool_3", counted=3), starts(AGREE_MS, counted=3)
    shown = whys(client, house, submit(house, 1), late, theirs, own)
    assert (shown.pool, shown.starts_how) == ("pool_3", "nothing starts before it")


def test_of_pools_that_do_not_agree_the_first_start(client: Client, house: House) -> None:
    """Where the pool itself says nothing of it, it is told where it starts, and whose places were counted."""
    theirs = starts(0, "n/cpu of pool_3", counted=2, silent=1)
    shown = whys(client, house, submit(house, 1), starts(AGREE_MS + 1), theirs)
    assert shown.pool == "pool_2"
    assert shown.starts_how == "nothing starts before it, at n/cpu of pool_3, by the places of 2 of 3 pools"


def test_of_pools_that_say_the_same_the_most_hopeful_reason(client: Client, house: House) -> None:
    never, busy = (starts(0, "n/cpu of pool_3", code, counted=3) for code in ("NO_SUCH_PLACE", "NO_PLACE_FREE"))
    assert whys(client, house, submit(house, 1), never, busy).code == "NO_PLACE_FREE"
    unknown = replace(UNKNOWN, reason=Reason("NO_SUCH_PLACE", "."))
    assert whys(client, house, submit(house, 2), unknown, UNKNOWN).code == "NO_PLACE_FREE"


def test_a_key_of_one_tenant_is_not_told_of_other_pools_places(client: Client, house: House) -> None:
    job = submit(house, 1, "ann")
    join(house, "pool_2")
    join(house, "pool_1")
    say(house, "pool_1", probe(job), starts(0, "node-x/cpu of pool_2", counted=2))
    key_of(client, "ann")
    (shown,) = client.get(f"/v1/jobs/{job}").json()["why"]
    assert shown["starts_how"] == "nothing starts before it, at a place of another pool"


def test_that_not_all_changes_were_tried_is_told(client: Client, house: House) -> None:
    cut = replace(starts(0), cut=True)
    assert whys(client, house, submit(house, 1), cut).changes_cut


def test_what_has_started_since_is_not_told_to_wait(client: Client, house: House) -> None:
    job = submit(house, 1)
    join(house, "pool_1")
    say(house, "pool_1", probe(job), UNKNOWN)
    shown = client.get(f"/v1/jobs/{job}").json()["why"]
    assert [(one["starts_at"], one["position_how"]) for one in shown] == [(None, "counted")]
    claim(house, probe(job))
    assert client.get(f"/v1/jobs/{job}").json()["why"] == []


def test_of_a_job_of_which_nothing_is_ready_nobody_is_asked(client: Client, house: House) -> None:
    job = submit(house, 1)
    join(house, "pool_1")
    claim(house, probe(job))
    client.get(f"/v1/jobs/{job}").raise_for_status()
    assert say(house, "pool_1", probe(job), UNKNOWN) == ()


def test_a_key_of_one_tenant_is_not_told_of_others(client: Client, house: House) -> None:
    job = submit(house, 1, "ann")
    join(house, "pool_1")
    say(house, "pool_1", probe(job), SOON)
    key_of(client, "ann")
    (shown,) = client.get(f"/v1/jobs/{job}").json()["why"]
    assert shown["code"] == "TENANT_OVER_SHARE" and "bob" not in str(shown)
    assert shown["text"] == "Tenants of its bin that have used less for their weight go first."
