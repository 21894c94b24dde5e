"""The queue's clock is another one than this machine's: what is told of waiting goes by the queue's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.serving import serving
from tests.cli.things import documents, fail, made_house, said, submit
from tests.dispatch.test_clock import HOUR_S, Clock, kill
from tests.servers import RedisServer
from vidprocme.api.server import create_app
from vidprocme.core.errors import Fate
from vidprocme.core.job import Next
from vidprocme.wiring import House

Capsys = pytest.CaptureFixture[str]


@pytest.fixture(params=[-HOUR_S, HOUR_S], ids=["slow", "fast"])
def far_off(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """A house whose queue lives an hour ago, or in an hour."""
    clock = Clock(tmp_path / "offset")
    clock.jump(request.param)
    server = RedisServer(tmp_path / "redis", environment=clock.environment())
    server.start()
    try:
        yield from made_house(tmp_path / "data", server.url, monkeypatch)
    finally:
        kill(server)


@pytest.mark.faketime
def test_ages_and_waits_go_by_the_queues_clock(far_off: House, tmp_path: Path, capsys: Capsys) -> None:
    waits, job = submit(far_off, tmp_path, "waits.mp4"), submit(far_off, tmp_path)
    fail(far_off, job, Next.RETRY, Fate.RETRY)  # tried again in 60 s

    (bins,) = documents(capsys, "bins", "ls")
    (shown,) = documents(capsys, "jobs", "show", job)
    rows = {row.split()[0]: row.split()[4:6] for row in said(capsys, "jobs", "ls")[0].splitlines()[1:]}

    assert bins["items"][2]["oldest_wait_s"] < 60
    left_s = int(re.findall(r"tried again in (\d+) s", shown["waiting"][0]["text"])[0])
    assert 30 <= left_s <= 60
    assert rows[waits[-8:]][1] == "s"
    assert documents(capsys, "jobs", "ls", "--since", "1m")[0]["items"]


@pytest.mark.faketime
def test_how_long_the_oldest_waits_is_measured_by_the_queues_clock(far_off: House, tmp_path: Path) -> None:
    submit(far_off, tmp_path)
    with serving(create_app(far_off)) as client:
        lines = client.get("/metrics").text.splitlines()

    (oldest,) = [line for line in lines if line.startswith("vidprocme_oldest_wait_seconds") and 'bin="normal"' in line]
    assert 0 < float(oldest.split()[-1]) < 60
