"""Several programs on one data folder: they share one queue and one Redis, and each may die."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from scripts.numbered import Numbered, make, numbers
from tests.cli.served import up
from tests.journeys.conftest import Clip, Person, until
from vidprocme.core.ids import JobId
from vidprocme.queue import embedded
from vidprocme.queue.redis import RedisQueue

Draw = Callable[..., Clip]


def test_a_live_pool_does_the_work_of_a_run(draw: Draw, tmp_path: Path) -> None:
    person = Person(tmp_path / "data", tmp_path / "out")
    with up(tmp_path):
        status, (document,), _ = person.process(str(draw(101, 12).path), "--model", "demo")
        assert status == 0 and len(document["captions"]) == 12
        holders = {record.holder for record in attempts(person, document["job"])}
        with embedded.open(person.data) as server:
            queue = RedisQueue.connect(server.url, ours=True)
            pools = {pool.id for pool in queue.pools()}
            queue.close()
        assert holders <= pools  # all of it was run by the server's pool, which is still there


@pytest.mark.slow
def test_a_server_and_two_runs_on_one_folder_each_killed_in_turn(draw: Draw, tmp_path: Path) -> None:
    person = Person(tmp_path / "data", tmp_path / "out")
    source = make(
        tmp_path / "long.mp4",
        Numbered(fps=Fraction(15), frames=600, width_px=640, height_px=360, gop=15, audio_start=Fraction(0)),
    )
    words = ("--model", "none", "--chunk", "5", "--renditions", "360p,240p", "--json", "--out", str(person.out))
    first = person.start("process", *words, str(source))
    until(lambda: (person.data / "redis" / "keeper.json").exists(), "the first run's queue")
    with up(tmp_path) as server:
        second = person.start("process", *words, str(draw(101, 12).path), str(source))
        until(lambda: server.get("/v1/jobs")["items"], "a job")
        first.send_signal(signal.SIGKILL)
        first.communicate()
        server.pool().send_signal(signal.SIGKILL)
        stdout, stderr = second.communicate(timeout=120)
        assert second.returncode == 0, stderr
        third = person.start("process", *words, str(source))
        third.send_signal(signal.SIGKILL)
        third.communicate()

    assert stdout.count('"state": "succeeded"') == 2
    assert numbers(person.out / "long" / "240p.mp4") == list(range(600))
    with embedded.open(person.data) as redis:
        queue = RedisQueue.connect(redis.url, ours=True)
        names = [str(e.task) for e in queue.events("0", 10_000) if e.kind == "task.succeeded"]
        queue.close()
    assert max(Counter(names).values()) == 1  # whoever died, no task succeeded twice


def attempts(person: Person, job: str) -> list:  # type: ignore[type-arg]
    with embedded.open(person.data) as server:
        queue = RedisQueue.connect(server.url, ours=True)
        found = [record for view in queue.tasks(JobId(job)) for record in queue.attempts(view.task.id)]
        queue.close()
    return found
