"""The image: who it runs as, what is in it and what is not, and the way of a video through its containers."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.cli.served import draw
from tests.docker.engine import ROOT, Stack, await_, built_image, docker, stack

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1200)]

HARDENED = ["--rm", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--network", "none"]


@pytest.fixture(scope="session")
def image() -> str:
    return built_image()


@pytest.fixture(scope="session")
def running(image: str) -> Iterator[Stack]:
    with stack(image) as made:
        yield made


def run(image: str, *words: str) -> str:
    """vidprocme in a container of its own that may write nothing but its volume, and has no network."""
    return docker("run", *HARDENED, image, *words)


def shell(image: str, command: str) -> str:
    return docker("run", *HARDENED, "--entrypoint", "/bin/sh", image, "-c", command)


def test_it_runs_as_a_user_without_rights(image: str) -> None:
    assert shell(image, "id -u; id -g; touch /opt/venv/x 2>/dev/null || echo refused").split() == [
        "10001",
        "10001",
        "refused",
    ]


def test_it_has_no_build_tools_and_no_secret(image: str) -> None:
    tools = "gcc cc g++ make node npm git curl hatchling uv pip"
    found = shell(
        image, f"for t in {tools}; do command -v $t; done; ls /opt/venv/bin/pip /run/secrets 2>/dev/null; true"
    )
    # The official Python image brings its own pip, outside of our environment.
    assert [line for line in found.splitlines() if not line.startswith("/usr/")] == []
    assert all(not line.endswith(("gcc", "cc", "g++", "make", "node", "npm", "git")) for line in found.splitlines())


def test_it_says_what_to_do_with_it(image: str) -> None:
    assert "worker" in docker("run", "--rm", image)
    facts = json.loads(docker("image", "inspect", image))[0]["Config"]
    assert facts["Healthcheck"]["Test"] == ["CMD", "vidprocme", "alive"]
    assert facts["User"] == "10001" and facts["Env"][0].startswith("PATH=/opt/venv/bin:")


def test_ffmpeg_redis_and_the_engine_are_inside(image: str) -> None:
    said = json.loads(run(image, "doctor", "--json"))
    topics = {finding["topic"] for finding in said["findings"] if finding["level"] == "ok"}
    assert said["ok"] and {"ffmpeg", "model demo"} <= topics, said


def test_a_limit_of_the_container_is_the_number_of_cores(image: str) -> None:
    ask = "from vidprocme.executor.devices import cores, cpu_quota; print(cpu_quota(), cores())"
    said = docker("run", *HARDENED, "--cpus", "1.5", "--entrypoint", "python", image, "-c", ask)
    assert said.split() == ["1.5", "1"]


def test_a_video_goes_through_one_container_without_a_network(image: str, tmp_path: Path) -> None:
    """`docker run IMAGE process`: the embedded Redis, ffmpeg and the engine, read-only but for the volume."""
    said = draw(tmp_path / "shapes.mp4", 2)
    tmp_path.chmod(0o777)
    mounts = ["-v", f"{tmp_path}:/videos", "-w", "/videos"]
    done = docker(
        "run", *HARDENED, *mounts, image, "process", "shapes.mp4", "--model", "demo", "--out", "out", "--json"
    )
    assert [caption["text"] for caption in json.loads(done)["captions"]] == said
    assert (tmp_path / "out").stat().st_uid == 10001


def test_the_runbooks_command_writes_into_a_folder_of_ones_own(image: str, tmp_path: Path) -> None:
    """docs/operating.md, for somebody who is not root: the folder is his alone, and /data belongs to the image's user."""
    said = draw(tmp_path / "goat.mp4", 2)
    os.chown(tmp_path / "goat.mp4", 1000, 1000)
    os.chown(tmp_path, 1000, 1000)
    tmp_path.chmod(0o755)
    (line,) = re.findall(
        r"^    docker (run .* process goat.mp4 .*)$", (ROOT / "docs" / "operating.md").read_text(), re.M
    )
    for shown, meant in (("$PWD", str(tmp_path)), ("$(id -u)", "1000"), ("vidprocme:dev", image)):
        assert shown in line
        line = line.replace(shown, meant)

    docker(*shlex.split(line), "--model", "demo")

    result = tmp_path / "out" / "goat" / "result.json"
    assert [caption["text"] for caption in json.loads(result.read_text())["captions"]] == said
    assert result.stat().st_uid == 1000


def test_a_data_folder_that_another_container_uses_is_refused_in_words(image: str) -> None:
    volume = docker("volume", "create").strip()
    first = docker("run", "--detach", *HARDENED, "-v", f"{volume}:/data", image, "worker").strip()
    try:
        await_(lambda: "moved" in docker("exec", first, "vidprocme", "alive", check=False), "the first never lived")
        refused = docker("run", *HARDENED, "-v", f"{volume}:/data", image, "jobs", "ls", check=False)
        assert "QUEUE_IN_ANOTHER_CONTAINER" in refused and "VIDPROCME_REDIS_URL" in refused
    finally:
        docker("kill", first)
        await_(lambda: docker("volume", "rm", volume, check=False).strip() == volume, "the volume is still in use")


def test_what_runs_is_healthy(running: Stack) -> None:
    for service in ("redis", "server", "worker-1", "worker-2"):
        await_(partial(is_healthy, running, service), f"{service} is not healthy")


def test_a_video_sent_over_http_comes_back_described(running: Stack, tmp_path: Path) -> None:
    said = draw(tmp_path / "shapes.mp4", 4, seed=5)
    job = running.ended(running.post(tmp_path / "shapes.mp4", model="demo"))
    assert job["state"] == "succeeded", job
    assert [caption["text"] for caption in job["captions"]] == said
    hits = await_(lambda: running.get("/v1/search?q=" + "+".join(said[1].split()[1:4]))["items"], "not found")
    assert job["id"] in {hit["job_id"] for hit in hits}


def test_a_worker_that_was_frozen_while_another_started_is_seen_again(running: Stack) -> None:
    before = set(running.pools())
    docker("pause", running.container("worker-1"))
    await_(lambda: len(running.pools()) < 2, "the frozen worker is still there")
    running.compose("restart", "worker-2")
    await_(lambda: set(running.pools()) - before, "the other one did not start again")
    docker("unpause", running.container("worker-1"))
    await_(lambda: len(running.pools()) == 2 and set(running.pools()) & before, "it is not seen again")


def test_a_worker_killed_amid_a_job_and_the_job_ends_once(running: Stack, tmp_path: Path) -> None:
    said = draw(tmp_path / "long.mp4", 40, seed=11, size=(1280, 720))
    job = running.post(tmp_path / "long.mp4", model="demo")
    busy = await_(lambda: busy_worker(running), "no worker ever ran an attempt")
    docker("pause", running.container(busy))  # so that it is surely killed amid an attempt
    assert running.get(f"/v1/jobs/{job}")["ended_at"] is None

    docker("kill", running.container(busy))
    ended = running.ended(job)

    assert ended["state"] == "succeeded", ended
    assert [caption["text"] for caption in ended["captions"]] == said
    assert set(ended["tasks"]) == {"succeeded"}
    events = running.compose("exec", "-T", "redis", "redis-cli", "-p", running.env["REDIS_PORT"], "--json", "XRANGE",
                             "{vp}:ev", "-", "+")  # fmt: skip
    rows = [dict(zip(fields[::2], fields[1::2], strict=True)) for _, fields in json.loads(events)]
    mine = [row for row in rows if row["job"] == job]
    assert [row["kind"] for row in mine].count("job.ended") == 1
    done = [row["task"] for row in mine if row["kind"] == "task.succeeded"]
    assert len(done) == len(set(done)) == ended["tasks"]["succeeded"]
    assert any(row.get("outcome") == "lost" for row in mine), "nothing was lost: it was killed too late"


def is_healthy(running: Stack, service: str) -> bool:
    return running.health(service) == "healthy"


def busy_worker(running: Stack) -> str | None:
    """A worker whose container runs an ffmpeg now."""
    for service in ("worker-1", "worker-2"):
        if "ffmpeg" in docker("top", running.container(service), "-eo", "pid,comm,args"):
            return service
    return None
