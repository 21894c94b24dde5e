"""`vidprocme submit`, `api`, `completion` and the keys of servers, over a real queue and a real server."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.serving import serving
from tests.cli.things import fail, said, submit
from vidprocme.api.server import create_app
from vidprocme.cli.exits import status_of
from vidprocme.cli.keychain import Keychain
from vidprocme.cli.main import main
from vidprocme.client.web import Refused
from vidprocme.core.errors import BadWish, Fatal, Retryable
from vidprocme.core.ids import JobId
from vidprocme.wiring import House


@pytest.fixture
def server(house: House) -> Iterator[str]:
    with serving(create_app(house)) as client:
        yield str(client.base_url)


def ended(*words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(list(words))
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_files_and_folders_come_in_and_one_that_is_wrong_ends_nothing(
    house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "videos"
    (folder / "deep").mkdir(parents=True)
    for name in ("a.mp4", "b.mov", "deep/c.mkv", "notes.txt"):
        (folder / name).write_text(f"this is {name}")
    again = tmp_path / "again.txt"

    code = ended("submit", str(folder), "missing.mp4", "--model", "none", "--bin", "high", "--retry-file", str(again))

    out, err = capsys.readouterr()
    jobs = [house.queue.job(JobId(line)) for line in out.split()]
    assert [(view.job.source.name, view.job.bin.value) for view in jobs if view] == [
        ("a.mp4", "high"),
        ("b.mov", "high"),
    ]
    assert "missing.mp4: FILE_MISSING" in err and "2 submitted, 1 failed." in err
    assert (code, again.read_text()) == (2, "missing.mp4\n")
    assert ended("submit", str(folder), "--recursive", "--model", "none", "--json") == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(Path(one["given"]).name, one["created"]) for one in told] == [
        ("a.mp4", False),
        ("b.mov", False),
        ("c.mkv", True),
    ]


def test_a_dry_run_changes_nothing(house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.mp4").write_text("a")
    assert ended("submit", str(tmp_path / "a.mp4"), "--dry-run") == 0
    assert "1 would be submitted" in capsys.readouterr().err and house.queue.jobs() == ()
    assert ended("submit", str(tmp_path / "a.mp4"), "none.mp4", "--dry-run", "--json") == 2
    good, bad = map(json.loads, capsys.readouterr().out.splitlines())
    assert good == {"given": str(tmp_path / "a.mp4"), "would": "submit"}
    assert (bad["given"], bad["would"], bad["error"]["code"]) == ("none.mp4", None, "FILE_MISSING")


def test_names_from_a_list_and_none_at_all(house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.mp4").write_text("a")
    (tmp_path / "list").write_text(f"{tmp_path}/a.mp4\n\n")
    assert ended("submit", "--from-file", str(tmp_path / "list"), "--model", "none", "-q") == 0
    assert len(house.queue.jobs()) == 1 and capsys.readouterr().err == ""
    assert ended("submit") == 2
    assert "NOTHING_GIVEN" in capsys.readouterr().err


def test_waiting_tells_how_it_ended(house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fail(house, submit(house, tmp_path))
    # The same wish again is the same job: it gets fresh tries, and fails again.
    job = house.queue.jobs()[0].job.id
    house.control.cancel(job)

    assert ended("submit", str(tmp_path / "goat.mp4"), "--model", "none", "--dry-run") == 0
    capsys.readouterr()
    from vidprocme.cli.waiting import Waiting
    from vidprocme.client.local import LocalClient

    client = LocalClient(house)
    assert not Waiting(client, {job: "goat.mp4"}).until_ended()
    assert "goat.mp4: failed: NOT_MEDIA: This file is text. Send a video." in capsys.readouterr().err
    client.close()


def test_any_path_can_be_asked_here_or_of_a_server(
    house: House, server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = submit(house, tmp_path)
    here = json.loads(said(capsys, "api", "GET", f"/v1/jobs/{job}")[0])
    there = json.loads(said(capsys, "--server", server, "api", "GET", f"/v1/jobs/{job}")[0])
    assert here == there and here["id"] == job
    items = said(capsys, "api", "GET", "/v1/jobs", "--all")[0]
    assert json.loads(items)["id"] == job
    submit(house, tmp_path, "second.mp4")
    assert len(said(capsys, "api", "GET", "/v1/jobs", "--all", "--field", "limit=1")[0].splitlines()) == 2
    assert len(json.loads(said(capsys, "api", "GET", "/v1/jobs?limit=1&state=queued")[0])["items"]) == 1
    for path in ("bins", "tenants", "nodes", "alert-rules", "webhooks"):  # lists without pages
        assert ended("--server", server, "api", "GET", f"/v1/{path}", "--all") == 0, path
    assert ended("api", "GET", "/v1/jobs/job_none") == 5
    assert ended("api", "POST", f"/v1/jobs/{job}/retry") == 6
    assert ended("api", "GET", "/v1/jobs", "--field", "limit") == 2
    assert ended("api", "POST", "/v1/jobs", "--data", "[") == 2
    capsys.readouterr()
    monkeypatch.setenv("VIDPROCME_SERVER", "http://127.0.0.1:1")
    assert ended("api", "GET", "/v1/jobs") == 3
    assert "SERVER_UNREACHABLE" in capsys.readouterr().err


def test_a_verb_of_this_machine_does_not_pretend_to_ask_a_server(
    house: House,  # noqa: ARG001
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert ended("--server", "http://127.0.0.1:1", "gc", "--dry-run") == 2
    assert "LOCAL_VERB: `vidprocme gc` works on a data" in capsys.readouterr().err.replace("\n", " ")


def test_a_shell_gets_its_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for shell in ("bash", "zsh", "fish"):
        assert "_VIDPROCME_COMPLETE" in said(capsys, "completion", shell)[0]
    monkeypatch.setenv("_VIDPROCME_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "vidprocme sub")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert ended() == 0
    assert "submit" in capsys.readouterr().out


def test_keys_of_servers_are_for_their_owner_only(tmp_path: Path) -> None:
    chain = Keychain(tmp_path / "deep" / "keys.json")
    chain.keep("Example.org:8484/", "vp_1")
    assert chain.key_of("http://example.org:8484") == "vp_1" and chain.key_of("other") == ""
    assert stat.S_IMODE(os.stat(chain.path).st_mode) == 0o600  # noqa: PTH116
    assert chain.forget("example.org:8484") and not chain.forget("example.org:8484") and chain.servers() == []
    chain.path.write_text("{")
    with pytest.raises(Fatal) as caught:
        chain.key_of("x")
    assert caught.value.code == "KEYS_UNREADABLE"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Fatal("ODD", ""), 1),
        (BadWish("BIN_UNKNOWN", ""), 2),
        (Retryable("QUEUE_UNREACHABLE", ""), 3),
        (Retryable("SERVER_UNREACHABLE", ""), 3),
        (Refused(401, "KEY_NEEDED", "", "", {}), 4),
        (BadWish("SCOPE_TOO_SMALL", ""), 4),
        (Refused(404, "NOT_FOUND", "", "", {}), 5),
        (BadWish("JOB_UNKNOWN", ""), 5),
        (Refused(412, "ETAG_MISMATCH", "", "", {}), 6),
        (Fatal("JOB_ENDED", ""), 6),
        (Retryable("SERVER_SLOW", ""), 7),
    ],
)
def test_exit_statuses_are_stable(error: Fatal | Retryable, status: int) -> None:
    assert status_of(error) == status
