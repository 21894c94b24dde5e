"""Ids that a shell offers on Tab; and that nothing is offered, started or said when something is wrong."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.things import submit
from vidprocme.wiring import House


def offered(words: str) -> tuple[list[str], str]:
    """What a shell is offered for the last word, and what was said on stderr."""
    asked = {"_VIDPROCME_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    argv = [sys.executable, "-m", "vidprocme"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=25, env={**os.environ, **asked})
    return [line.removeprefix("plain,") for line in done.stdout.split()], done.stderr


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine takes longer than a person likes to wait."""
    monkeypatch.setenv("VIDPROCME_COMPLETE_LIMIT_S", "30")


@pytest.mark.usefixtures("both_ways", "patient")
def test_ids_are_offered(house: House, tmp_path: Path) -> None:
    job, other = submit(house, tmp_path, "a.mp4"), submit(house, tmp_path, "b.mp4")

    assert offered("vidprocme jobs show job_") == ([other, job], "")
    assert offered(f"vidprocme logs {job[:-2].lower()[4:]}") == ([job], "")
    assert offered("vidprocme videos show vid_x") == ([], "")


def test_a_server_that_is_away_or_silent_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDPROCME_SERVER", "http://127.0.0.1:1")
    assert offered("vidprocme watch job_") == ([], "")
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes the connection and says nothing
        monkeypatch.setenv("VIDPROCME_SERVER", f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert offered("vidprocme watch job_") == ([], "")


def test_a_tab_starts_no_redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIDPROCME_SERVER", raising=False)
    monkeypatch.delenv("VIDPROCME_REDIS_URL", raising=False)
    assert offered(f"vidprocme --data {tmp_path}/none jobs show job_") == ([], "")
    assert not (tmp_path / "none").exists()
