"""The embedded server may use so much memory and no more: new work is refused before the machine has none left."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.queue.things import lease_of, new_job, new_task, submitted
from vidprocme.config import load
from vidprocme.core.errors import BadWish, Retryable
from vidprocme.core.job import Stage
from vidprocme.executor.memory import total_bytes
from vidprocme.queue import embedded
from vidprocme.queue.keeper import read_facts
from vidprocme.wiring import House


@pytest.fixture(autouse=True)
def linger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(embedded.LINGER_VARIABLE, "0.3")


def house(data: Path, **environment: str) -> House:
    return House(load(environment={"VIDPROCME_DATA": str(data), **environment}))


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline, "waited 20 s for nothing"
        time.sleep(0.02)


@pytest.mark.slow
def test_the_embedded_server_has_a_limit_and_refuses_before_it(tmp_path: Path) -> None:
    with house(tmp_path / "data", VIDPROCME_REDIS_MEMORY_MB="8") as ours:
        queue = ours.queue
        _, probe = submitted(queue)  # type: ignore[arg-type]
        assert queue.server().limit_bytes == 8 << 20
        with pytest.raises(Retryable) as caught:
            while True:
                job = new_job()
                queue.submit(job, [new_task(job, Stage.PROBE, payload={"text": "x" * 200_000})])
                if queue.server().used_bytes > 0.8 * (8 << 20):
                    time.sleep(1.1)  # it is asked how full it is once a second
        assert caught.value.code == "QUEUE_FULL" and "VIDPROCME_REDIS_MEMORY_MB" in caught.value.hint
        assert "90 %" in caught.value.message and queue.server().used_bytes < 8 << 20
        lease_of(queue, probe)  # type: ignore[arg-type]  # work in hand goes on

        facts = read_facts(tmp_path / "data" / "redis")
        os.kill(facts["keeper_pid"], signal.SIGKILL)
        path = tmp_path / "data" / "redis" / "keeper.json"
        until(lambda: (now := json.loads(path.read_text()))["keeper_pid"] != facts["keeper_pid"] and now["ready"])
        assert queue.server().limit_bytes == 8 << 20, "the next keeper's server has it too"
    until(lambda: not embedded._keeper_lives(tmp_path / "data" / "redis"))


def test_nobody_said_how_much(tmp_path: Path) -> None:
    with house(tmp_path / "data") as ours:
        assert ours.queue.server().limit_bytes == total_bytes() // 4 > 0
    until(lambda: not embedded._keeper_lives(tmp_path / "data" / "redis"))
    with pytest.raises(BadWish, match="redis_memory_mb"):
        load(environment={"VIDPROCME_REDIS_MEMORY_MB": "-1"})
