"""`vidprocme doctor` on this machine: what it says is what was tried."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.test_models import model_server, nobody
from vidprocme.cli.main import main
from vidprocme.queue import embedded
from vidprocme.queue.binaries import from_wheel
from vidprocme.queue.redis import RedisQueue


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith("VIDPROCME_"):
            monkeypatch.delenv(name)
    folder = tmp_path / "data"
    monkeypatch.setenv("VIDPROCME_DATA", str(folder))
    monkeypatch.setenv("VIDPROCME_REDIS_LINGER_S", "0.2")
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with embedded.open(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


def examined(capsys: pytest.CaptureFixture[str]) -> tuple[int, list[dict[str, str]]]:
    with pytest.raises(SystemExit) as stop:
        main(["doctor", "--json"])
    status = stop.value.code
    assert isinstance(status, int)
    return status, json.loads(capsys.readouterr().out)["findings"]


def levels(findings: list[dict[str, str]], topic: str) -> list[str]:
    return [finding["level"] for finding in findings if finding["topic"] == topic]


def test_this_machine_can_work(capsys: pytest.CaptureFixture[str], data: Path) -> None:
    status, findings = examined(capsys)

    assert status == 0, findings
    topics = {finding["topic"] for finding in findings}
    assert topics >= {"python", "data", "disk", "cpu", "memory", "ffmpeg", "encoders", "redis", "gpu", "model demo"}
    encoders = next(finding["text"] for finding in findings if finding["topic"] == "encoders")
    assert all(name in encoders for name in ("libx264", "mjpeg", "aac"))
    assert levels(findings, "model demo") == ["ok"]
    assert levels(findings, "models") == ["warn"]
    assert str(data) in json.dumps(findings)
    assert all(finding["fix"] for finding in findings if finding["level"] != "ok")


def test_for_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["doctor"])
    out = capsys.readouterr().out

    assert stop.value.code == 0
    assert max(map(len, out.splitlines())) <= 80
    assert out.splitlines()[-1].endswith(" 0 to mend")


@pytest.mark.bundled_redis
def test_the_wheels_redis_is_warned_about(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = from_wheel()
    assert wheel is not None
    monkeypatch.setenv("VIDPROCME_REDIS_SERVER", wheel)

    status, findings = examined(capsys)

    assert status == 0
    warned = [finding for finding in findings if finding["topic"] == "redis" and finding["level"] == "warn"]
    assert "CVE-2025-49844" in warned[0]["text"]
    assert "redis-server" in warned[0]["fix"]


def test_what_is_broken_fails_and_the_rest_is_still_examined(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No Redis, an ffmpeg that is none, and a model whose file is gone, all at once."""
    from vidprocme.vision.registry import DEMO, Registry

    demo = Registry(tmp_path / "data").get(DEMO)
    copy = tmp_path / "mine"
    copy.mkdir()
    for path in (demo.path, demo.mmproj):
        (copy / Path(path).name).write_bytes(Path(path).read_bytes())
    Registry(tmp_path / "data").add(str(copy / Path(demo.path).name), "mine", str(copy / Path(demo.mmproj).name))
    (copy / Path(demo.path).name).unlink()
    monkeypatch.setenv("VIDPROCME_REDIS_URL", f"unix://{tmp_path}/nobody.sock")
    monkeypatch.setenv("VIDPROCME_FFMPEG", "/bin/false")

    status, findings = examined(capsys)

    assert status == 8
    assert levels(findings, "redis") == ["fail"]
    assert levels(findings, "ffmpeg") == ["fail"]
    assert levels(findings, "model mine") == ["fail"]
    assert levels(findings, "model demo") == ["ok"]
    assert all(finding["fix"] for finding in findings if finding["level"] == "fail")


def test_a_model_server_is_asked_whether_it_is_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, redis_url: str, tmp_path: Path
) -> None:
    from vidprocme.vision.registry import Registry

    monkeypatch.setenv("VIDPROCME_REDIS_URL", redis_url)
    with model_server() as there, nobody() as away:
        Registry(tmp_path / "data").add(there, "there")
        Registry(tmp_path / "data").add(away, "away")
        status, findings = examined(capsys)

    assert status == 0
    assert levels(findings, "model there") == ["ok"]
    (warned,) = [finding for finding in findings if finding["topic"] == "model away"]
    assert warned["level"] == "warn" and away in warned["text"] and "models rm away" in warned["fix"]


def test_a_redis_that_somebody_runs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, redis_url: str
) -> None:
    monkeypatch.setenv("VIDPROCME_REDIS_URL", redis_url)

    _, findings = examined(capsys)

    (redis,) = [finding for finding in findings if finding["topic"] == "redis"]
    assert redis["level"] == "ok"
    assert "aof no" in redis["text"]


def test_a_data_folder_that_cannot_be_made(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("VIDPROCME_DATA", str(tmp_path / "file" / "data"))

    status, findings = examined(capsys)

    assert status == 8
    assert levels(findings, "data") == ["fail"]


def test_the_queues_keys_are_walked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, redis_url: str
) -> None:
    monkeypatch.setenv("VIDPROCME_REDIS_URL", redis_url)

    def asked(*words: str) -> tuple[object, str]:
        with pytest.raises(SystemExit) as stop:
            main(["doctor", "--queue", *words])
        return stop.value.code, capsys.readouterr().out

    assert asked() == (0, "0 jobs, 0 tasks, 2 keys: sound\n")  # the names of the dataset and of its form
    queue = RedisQueue.connect(redis_url, ours=True)
    try:
        queue.command("SET", queue.keys.of("nobody:knows"), "x")
        queue.command("HSET", queue.keys.of("keys"), "wish", "job_gone")
        status, out = asked()
        assert status == 1 and "2 keys" not in out and max(map(len, out.splitlines())) <= 80
        assert "nobody:knows" in out and "job_gone" in out and "2 wrong" in out
        status, out = asked("--json")
        found = json.loads(out)["findings"]
        assert status == 1 and {finding["key"]: finding["kind"] for finding in found} == {
            "nobody:knows": "unknown-key",
            "keys": "key-of-nothing",
        }
    finally:
        queue.command("DEL", queue.keys.of("nobody:knows"), queue.keys.of("keys"))
        queue.close()
