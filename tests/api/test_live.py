"""The stream of events: from now on, from an id, and its end."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack

import httpx

from tests.api.serving import serving
from vidprocme.api.hub import Hub
from vidprocme.api.server import create_app
from vidprocme.client.base import Said
from vidprocme.client.http import HttpClient
from vidprocme.core.job import Recipe, Source
from vidprocme.wiring import House


def submitted(house: House, number: int) -> str:
    source = Source(f"file:///{number}", f"{number}.mp4", f"{number:064x}", 10)
    return house.control.submit(source, Recipe()).job


def heard(url: str, count: int, topics: str = "jobs", after: str = "") -> list[Said]:
    client = HttpClient(url)
    found: list[Said] = []
    for said in client.events(topics, after):
        found.append(said)
        if len(found) == count:
            break
    client.close()
    return found


def test_a_stream_goes_on_after_an_id_without_loss(house: House, client: httpx.Client) -> None:
    url = str(client.base_url)
    first = submitted(house, 1)
    before = house.queue.events("0")
    jobs = [submitted(house, n) for n in range(2, 5)]

    told = heard(url, len(house.queue.events("0")) - 1, after=before[0].id)

    assert [said.id for said in told] == [event.id for event in house.queue.events("0")[1:]]
    assert [said.data["job"] for said in told if said.data["kind"] == "job.submitted"] == jobs
    assert first not in {said.data["job"] for said in told if said.data["kind"] == "job.submitted"}


def test_listeners_hear_what_comes_and_those_of_one_job_only_that(house: House) -> None:
    app = create_app(house)
    with serving(app) as client:
        _listeners_hear(house, str(client.base_url), app.state.desk.hub)


def _listeners_hear(house: House, url: str, hub: Hub) -> None:
    job = submitted(house, 1)
    answers: dict[str, list[Said]] = {}

    def hear(topics: str, count: int) -> None:
        answers[topics] = heard(url, count, topics)

    wanted = (("jobs", 2), (f"job:{job}", 1))
    threads = [threading.Thread(target=hear, args=one) for one in wanted]
    for thread in threads:
        thread.start()
    while len(hub.listeners) < 2:
        time.sleep(0.01)
    other = submitted(house, 2)
    house.control.cancel(job)  # type: ignore[arg-type]
    for thread in threads:
        thread.join(10)
    assert {said.data["job"] for said in answers["jobs"]} == {other}
    assert {said.data["job"] for said in answers[f"job:{job}"]} == {job}


def test_the_end_of_the_server_ends_its_streams_at_once(house: House) -> None:
    with httpx.Client(timeout=30) as listener, ExitStack() as streams:
        with serving(create_app(house)) as client:
            url = f"{client.base_url}/v1/events?topics=fleet"
            lines = streams.enter_context(listener.stream("GET", url)).iter_lines()
            assert next(lines) == "retry: 1000"
        # Cut off after uvicorn's patience it would end without a farewell.
        assert "event: bye" in list(lines)


def test_what_is_asked_wrongly_is_said(client: httpx.Client) -> None:
    assert client.get("/v1/events", params={"topics": "weather"}).json()["code"] == "TOPIC_UNKNOWN"
    assert client.get("/v1/events", params={"topics": ""}).json()["code"] == "TOPIC_UNKNOWN"
    assert client.get("/v1/events", headers={"Last-Event-ID": "x"}).json()["code"] == "EVENT_ID_BAD"
