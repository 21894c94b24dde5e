"""What cannot be started is said, whatever is missing, and nothing else suffers."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import pytest

from tests.executor.things import attempt, family, local, outcome_of, poll_until
from vidprocme.core.errors import Fate
from vidprocme.core.job import OutcomeKind, Stage
from vidprocme.executor.base import NOT_STARTED, Finished, Progress


def test_a_fork_server_that_cannot_be_started_again_is_asked_for_with_each_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = local(tmp_path)
    try:
        executor.start()
        (server,) = family(executor)
        python = sys.executable
        monkeypatch.setattr(sys, "executable", str(tmp_path / "gone"))
        server.kill()
        poll_until(executor, lambda: not psutil.pid_exists(server.pid))
        for one in (attempt(Stage.INDEX), attempt(Stage.INDEX)):
            executor.submit(one)
            outcome = outcome_of(executor, one)
            assert outcome.kind is OutcomeKind.LOST and outcome.error is not None
            assert (outcome.error.code, outcome.error.fate) == (NOT_STARTED, Fate.LOST)

        monkeypatch.setattr(sys, "executable", python)
        after = attempt(Stage.INDEX)
        executor.submit(after)
        assert outcome_of(executor, after).kind is OutcomeKind.OK
    finally:
        executor.close()


def test_an_attempt_is_heard_of_when_its_process_runs(tmp_path: Path) -> None:
    """Long before it has progress to tell: a pool that rested knows by this that it can start attempts again."""
    executor = local(tmp_path)
    try:
        executor.start()
        one = attempt(Stage.INDEX)
        executor.submit(one)
        reports = poll_until(executor, lambda: not executor._running)
        reports += executor.poll(0)
        assert reports[0] == Progress(one.id, 0.0) and isinstance(reports[-1], Finished)
    finally:
        executor.close()
