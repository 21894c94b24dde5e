"""What every verb's exit status says, over HTTP and without it; and that asking for help costs nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.keyed import ADMIN, keyed
from tests.cli.things import said, submit
from vidprocme.config import Settings
from vidprocme.wiring import House

Capsys = pytest.CaptureFixture[str]

# One call of each verb that goes through the client.
CALLS = [
    ("jobs", "ls"),
    ("jobs", "show", "8FQ2"),
    ("jobs", "dead"),
    ("jobs", "cancel", "8FQ2"),
    ("jobs", "retry", "8FQ2"),
    ("jobs", "move", "8FQ2", "--to", "high"),
    ("jobs", "drop", "8FQ2"),
    ("jobs", "cancel", "--all-matching", "--yes"),
    ("logs", "8FQ2"),
    ("logs", "8FQ2", "--task", "probe:0"),
    ("watch", "8FQ2"),
    ("watch",),
    ("status",),
    ("search", "goat"),
    ("videos", "ls"),
    ("videos", "show", "vid_1"),
    ("videos", "rm", "vid_1", "--yes"),
    ("export", "vid_1"),
    ("bins", "ls"),
    ("bins", "pause", "bulk"),
    ("nodes", "ls"),
    ("nodes", "drain", "n"),
    ("tenants", "ls"),
    ("alerts", "ls"),
    ("alerts", "ack", "alert_1"),
    ("webhooks", "ls"),
    ("keys", "ls"),
    ("api", "GET", "/v1/jobs"),
]
# What there is not, and what does not fit.
UNKNOWN = [
    ("jobs", "show", "8FQ2"),
    ("jobs", "cancel", "job_no"),
    ("jobs", "retry", "8FQ2"),
    ("jobs", "move", "8FQ2", "--to", "high"),
    ("jobs", "drop", "8FQ2"),
    ("logs", "8FQ2"),
    ("logs", "job_no", "--task", "probe:0"),
    ("watch", "8FQ2"),
    ("videos", "show", "vid_1"),
    ("videos", "rm", "vid_1", "--yes"),
    ("export", "vid_1"),
    ("export", "job_no"),
    ("alerts", "ack", "alert_1"),
    ("webhooks", "rm", "hook_1"),
    ("keys", "rm", "nobody"),
    ("api", "GET", "/v1/jobs/job_no"),
]


def named(call: tuple[str, ...]) -> str:
    return " ".join(call)


@pytest.fixture(scope="module")
def locked(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that lets nobody in without a key."""
    settings = Settings(data=tmp_path_factory.mktemp("data"), redis_url=redis_url, admin_key=ADMIN)
    with House(settings) as house, keyed(house) as asking:
        yield str(asking.anonymous.base_url)


@pytest.mark.parametrize("call", CALLS, ids=named)
def test_a_server_that_is_away(call: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: Capsys) -> None:
    monkeypatch.setenv("VIDPROCME_SERVER", "http://127.0.0.1:1")
    assert "SERVER_UNREACHABLE" in said(capsys, *call, status=3)[1]


# Of each verb one: who comes with many wrong keys is no longer listened to.
@pytest.mark.parametrize("call", {call[0]: call for call in CALLS}.values(), ids=named)
def test_a_key_that_opens_nothing(
    call: tuple[str, ...], locked: str, monkeypatch: pytest.MonkeyPatch, capsys: Capsys
) -> None:
    monkeypatch.setenv("VIDPROCME_SERVER", locked)
    monkeypatch.setenv("VIDPROCME_KEY", "vp_wrong")
    assert "KEY_UNKNOWN" in said(capsys, *call, status=4)[1]


@pytest.mark.usefixtures("house", "both_ways")
def test_what_there_is_not(capsys: Capsys) -> None:
    for call in UNKNOWN:
        assert "_UNKNOWN" in (err := said(capsys, *call, status=5)[1]) or "_NOT_FOUND" in err, call


@pytest.mark.usefixtures("both_ways")
def test_what_does_not_fit(house: House, tmp_path: Path, capsys: Capsys) -> None:
    job = submit(house, tmp_path)
    for call in (("retry", job), ("drop", job), ("move", job, "--to", "normal")):
        said(capsys, "jobs", *call, status=6)
    said(capsys, "jobs", "cancel", job)
    said(capsys, "jobs", "cancel", job, status=6)
    said(capsys, "watch", job, status=1)


@pytest.mark.parametrize("word", ["--version", "--help"])
def test_asking_for_help_imports_nothing_heavy(word: str) -> None:
    code = (
        "import sys\nfrom vidprocme.cli.main import main\n"
        "try:\n main([sys.argv[1]])\nexcept SystemExit as end:\n assert not end.code\n"
        "print(sorted({'pydantic', 'httpx', 'rich', 'redis', 'fastapi', 'numpy', 'asyncio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, word], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
