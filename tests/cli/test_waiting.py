"""`submit --wait`: of addresses, too, and through what passes: a server that is started anew, a job that is dropped."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import pytest

from tests.answering import Answers, answering
from tests.api.served import Served, served
from tests.api.serving import serving
from tests.cli.things import attempt, said, submit
from vidprocme.api.server import create_app
from vidprocme.cli.main import main
from vidprocme.cli.waiting import Waiting
from vidprocme.client.http import HttpClient
from vidprocme.config import Settings
from vidprocme.core.errors import Retryable
from vidprocme.core.ids import JobId, task_id
from vidprocme.core.job import Next, Outcome, OutcomeKind
from vidprocme.core.media import MediaInfo, VideoStream
from vidprocme.core.wire import to_wire
from vidprocme.wiring import House

Capsys = pytest.CaptureFixture[str]
ALLOWED = "127.0.0.0/8"  # imports from this machine


class Elsewhere(Answers):
    """A server with one video, and nothing else."""

    def answer(self) -> None:
        found = self.path == "/dock.mp4"
        body = b"the dock at night" if found else b""
        self.say(200 if found else 404, body)


@pytest.fixture
def elsewhere() -> Iterator[str]:
    with answering(Elsewhere) as address:
        yield f"http://{address}"


@pytest.fixture(params=["here", "there"])
def open_house(request: pytest.FixtureRequest, house: House, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """One that fetches from this machine; the verbs reach it in their own process, and then over HTTP."""
    monkeypatch.setenv("VIDPROCME_OUTBOUND_ALLOW", ALLOWED)
    if request.param == "here":
        yield house
        return
    settings = Settings(data=house.data, redis_url=house.settings.redis_url, outbound_allow=ALLOWED)
    with House(settings) as made, serving(create_app(made)) as client:
        monkeypatch.setenv("VIDPROCME_SERVER", str(client.base_url))
        yield made


@pytest.fixture
def beside() -> Iterator[ThreadPoolExecutor]:
    """What happens meanwhile, on a thread that stays: a server ends with the thread that began it."""
    with ThreadPoolExecutor(1) as workers:
        yield workers


def succeed(house: House, job: JobId) -> None:
    picture = VideoStream(0, "h264", 320, 180, 320, 180, 0, "yuv420p", Fraction(1, 25), None)
    media = MediaInfo("mov", 17, Fraction(1), Fraction(0), 25, True, picture)
    attempt(house, task_id(job, "probe", 0), Next.SUCCEED, Outcome(OutcomeKind.OK, {"media": to_wire(media)}))


def until(found: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 30
    while not found():
        assert time.monotonic() < end_s
        time.sleep(0.02)


def test_an_address_is_followed_until_its_job_has_ended(
    open_house: House, elsewhere: str, capsys: Capsys, beside: ThreadPoolExecutor
) -> None:
    def work() -> None:
        until(lambda: bool(open_house.queue.jobs()))
        succeed(open_house, open_house.queue.jobs()[0].job.id)

    working = beside.submit(work)
    url = f"{elsewhere}/dock.mp4"

    out, err = said(capsys, "submit", url, "--model", "none", "--wait")

    working.result(0)
    (view,) = open_house.queue.jobs()
    assert out.startswith("upl_") and "1 submitted." in err and "known already" not in err
    assert f"{url}: {view.job.id}" in err.replace("\n", " ") and f"{url}: succeeded" in err
    lines = said(capsys, "submit", url, "--model", "none", "--wait", "--json")[
        0
    ].splitlines()  # the same job, ended already
    given, became, ended = map(json.loads, lines)
    assert (given["given"], became["id"], became["job"]) == (url, given["id"], view.job.id)
    assert (ended["id"], ended["state"]) == (view.job.id, "succeeded")


def test_an_address_without_a_video_is_a_failure_with_its_reason(
    open_house: House, elsewhere: str, capsys: Capsys
) -> None:
    err = said(capsys, "submit", f"{elsewhere}/none.mp4", "--model", "none", "--wait", status=1)[1]
    assert "failed: IMPORT_REFUSED" in err and "answers 404" in " ".join(err.split()) and open_house.queue.jobs() == ()


@pytest.fixture
def server(beside: ThreadPoolExecutor, house: House, redis_url: str) -> Iterator[Served]:  # noqa: ARG001 - ends after it
    with served(house.data, redis_url) as made:
        made.start()
        yield made


def test_neither_an_outage_nor_a_dropped_job_ends_the_wait_for_the_others(
    house: House, server: Served, tmp_path: Path, capsys: Capsys, beside: ThreadPoolExecutor
) -> None:
    kept, dropped = submit(house, tmp_path, "kept.mp4"), submit(house, tmp_path, "dropped.mp4")

    def happen() -> None:
        time.sleep(0.5)
        server.vanish()
        house.control.cancel(dropped)
        house.control.drop(dropped)
        time.sleep(2.0)  # it is asked for at least once meanwhile
        server.start()
        time.sleep(1.5)
        succeed(house, kept)

    happening = beside.submit(happen)
    client = HttpClient(server.url)

    well = Waiting(client, {dropped: "dropped.mp4", kept: "kept.mp4"}).until_ended()

    happening.result(0)
    err = capsys.readouterr().err
    assert not well  # one of the two came to nothing
    assert err.count("Asked again.") == 1
    assert "dropped.mp4: gone: JOB_UNKNOWN" in err and "kept.mp4: succeeded" in err
    client.close()


def test_a_house_that_stays_away_is_given_up(
    house: House, server: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capsys
) -> None:
    monkeypatch.setattr("vidprocme.client.patience.Patience.__init__.__defaults__", ((0.1, 0.1),))
    job = submit(house, tmp_path)
    server.vanish()
    client = HttpClient(server.url)
    with pytest.raises(Retryable, match="cannot be reached"):
        Waiting(client, {job: "goat.mp4"}).until_ended()
    assert capsys.readouterr().err.count("Asked again.") == 1
    client.close()


def test_a_job_that_failed_weighs_more_than_a_name_that_was_wrong(
    open_house: House, tmp_path: Path, capsys: Capsys, beside: ThreadPoolExecutor
) -> None:
    def happen() -> None:
        until(lambda: bool(open_house.queue.jobs()))
        open_house.control.cancel(open_house.queue.jobs()[0].job.id)

    (tmp_path / "bad.mp4").write_text("bad")
    happening = beside.submit(happen)
    said(
        capsys, "submit", str(tmp_path / "bad.mp4"), str(tmp_path / "nosuch.mp4"), "--model", "none", "--wait", status=1
    )
    happening.result(0)
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main(["submit", str(tmp_path / "bad.mp4"), "--model", "demmo"])
    assert stop.value.code == 2 and "MODEL_UNKNOWN" in capsys.readouterr().err


def test_many_jobs_are_asked_for_together(house: House, tmp_path: Path, capsys: Capsys) -> None:
    jobs: dict[str, str] = {submit(house, tmp_path, f"goat{number}.mp4"): f"goat{number}.mp4" for number in range(130)}
    with serving(create_app(house)) as made:
        client = HttpClient(str(made.base_url))
        until(lambda: len(list(client.items("/v1/jobs"))) == len(jobs))  # the list is in the follower's time
        asked: list[str] = []
        client._http.event_hooks["request"] = [lambda request: asked.append(request.url.path)]
        for job in [*jobs][:-1]:
            succeed(house, JobId(job))
        house.control.cancel(JobId([*jobs][-1]))

        well = Waiting(client, jobs).until_ended()

        err = capsys.readouterr().err
        assert not well and err.count(": succeeded") == 129 and "goat129.mp4: cancelled" in err
        assert asked.count("/v1/jobs") <= 4 and len(asked) <= 6, asked
        client.close()
