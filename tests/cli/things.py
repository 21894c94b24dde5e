"""A house over a real queue, and what a person reads of it at 80 columns."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vidprocme.cli.main import main
from vidprocme.config import Settings
from vidprocme.core.errors import ErrorInfo, Fate
from vidprocme.core.ids import JobId, TaskId, task_id
from vidprocme.core.job import Bin, Next, Outcome, OutcomeKind
from vidprocme.core.resources import Resources
from vidprocme.queue.base import Claim, Settlement
from vidprocme.wiring import House

HOLDER = "pool_test"


def made_house(data: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """A house whose settings the verbs find in their environment."""
    for name in list(os.environ):
        if name.startswith("VIDPROCME_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("VIDPROCME_DATA", str(data))
    monkeypatch.setenv("VIDPROCME_REDIS_URL", redis_url)
    monkeypatch.setenv("COLUMNS", "80")
    with House(Settings(data=data, redis_url=redis_url)) as made:
        made.queue.client.flushdb()  # type: ignore[attr-defined]
        yield made


def submit(
    house: House, folder: Path, name: str = "goat.mp4", bin_: Bin = Bin.NORMAL, tenant: str = "default"
) -> JobId:
    path = folder / name
    path.write_text(f"the content of {name}")
    time.sleep(0.001)  # lists are in the order of milliseconds
    recipe = house.recipe({"model": "none"})
    return house.control.submit(house.source_of(path), recipe, bin_=bin_, tenant=tenant).job


def attempt(
    house: House, task: TaskId, next_: Next, outcome: Outcome, delay_ms: int = 60_000, *, crashed: bool = False
) -> None:
    """One attempt, ended as a pool would end it."""
    turn = house.queue.turn(HOLDER, [], [Claim(task, "node/cpu", Resources())], lease_ms=60_000)
    settlement = Settlement(turn.claimed[0].lease, next_, outcome, delay_ms, crashed)
    house.queue.turn(HOLDER, [settlement], [], lease_ms=60_000)


def fail(house: House, job: JobId, next_: Next = Next.FAIL, fate: Fate = Fate.NEVER) -> None:
    """One attempt at its probe."""
    error = ErrorInfo("NOT_MEDIA", "This file is text.", "Send a video.", {"tail": ["first", "moov\x1b[2J"]}, fate)
    attempt(house, task_id(job, "probe", 0), next_, Outcome(OutcomeKind.FAILED, error=error))


def kill(house: House, job: JobId) -> None:
    """Use up the tries of its probe."""
    task = house.queue.task(task_id(job, "probe", 0))
    assert task is not None
    for _ in range(task.task.limits.tries):
        error = ErrorInfo("FFMPEG_FAILED", "ffmpeg exit 1: no room", "Look at the disk.", {"tail": ["a", "no room"]})
        attempt(house, task.task.id, Next.RETRY, Outcome(OutcomeKind.FAILED, error=error), delay_ms=0)
        house.queue.turn(HOLDER, [], [], lease_ms=60_000)  # what is due is ready again
    assert task.task.id in house.queue.dead()


def late(house: House, folder: Path) -> JobId:
    """A job whose deadline passed before it began."""
    path = folder / "goat.mp4"
    path.write_text("late")
    deadline_ms = house.queue.now_ms() + 1
    job = house.control.submit(house.source_of(path), house.recipe({"model": "none"}), deadline_ms=deadline_ms).job
    time.sleep(0.01)
    house.queue.turn(HOLDER, [], [], lease_ms=60_000)
    return job


def said(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> tuple[str, str]:
    """What a verb says on stdout and stderr; no line of words is wider than the terminal."""
    with pytest.raises(SystemExit) as stop:
        main(list(words))
    out, err = capsys.readouterr()
    assert (stop.value.code or 0) == status, err
    if not {"--json", "wide", "api", "completion"} & set(words):
        wide = [line for line in (out + err).splitlines() if len(line) > 80]
        assert all(max(map(len, line.split())) > 60 for line in wide), wide  # a path is not broken
    return out, err


def documents(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> list[Any]:
    """The JSON objects, one a line."""
    return [json.loads(line) for line in said(capsys, *words, "--json", status=status)[0].splitlines()]
