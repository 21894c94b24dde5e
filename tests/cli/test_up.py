"""`vidprocme up`, whole: videos go in over HTTP and come out described, whoever dies in between."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.cli.served import Up, await_, draw, environment, noise, up
from tests.processes import left
from vidprocme.monitor.alive import Mark
from vidprocme.queue.sockets import socket_path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("up"), "--sim-gpus", "1") as running:
        yield running


def counter(server: Up, name: str, **labels: str) -> float:
    text = numbers(server)
    (value,) = [
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and sample.labels == labels
    ]
    return float(value)


def numbers(server: Up) -> str:
    return httpx.get(f"{server.url}/metrics", timeout=30, trust_env=False).text


def transcode(job: dict[str, Any]) -> dict[str, int]:
    """How far the transcodes are; none while there are none."""
    return next((stage for stage in job["stages"] if stage["name"] == "transcode"), {"running": 0, "done": 0})


def run(*words: str, data: Path | None = None) -> subprocess.CompletedProcess[str]:
    before = ["--data", str(data)] if data else []
    argv = [sys.executable, "-m", "vidprocme", *before, *words]
    return subprocess.run(argv, capture_output=True, text=True, env=environment(), timeout=120, check=False)


def test_a_video_goes_in_and_comes_out_described(server: Up, tmp_path: Path) -> None:
    said = draw(tmp_path / "shapes.mp4", 3)
    before = counter(server, "vidprocme_jobs_total", state="succeeded")

    job = server.ended(server.post(tmp_path / "shapes.mp4", model="demo"))

    assert job["state"] == "succeeded", job
    assert [caption["text"] for caption in job["captions"]] == said
    assert [(c["start_s"], c["end_s"]) for c in job["captions"]] == [(0, 1), (1, 2), (2, 3)]
    assert counter(server, "vidprocme_jobs_total", state="succeeded") == before + 1
    hits = await_(lambda: server.get("/v1/search?q=" + "+".join(said[1].split()[1:4]))["items"], "not found")
    assert (hits[0]["job_id"], hits[0]["start_s"], hits[0]["end_s"]) == (job["id"], 1, 2)
    vtt = httpx.get(server.url + job["captions_url"], trust_env=False)
    assert vtt.headers["content-type"].startswith("text/vtt")
    assert all(words in vtt.text for words in said)


def test_a_rendition_is_served_in_ranges(server: Up, tmp_path: Path) -> None:
    draw(tmp_path / "again.mp4", 1, seed=3)
    job = server.ended(server.post(tmp_path / "again.mp4", model="none"))
    (rendition,) = job["renditions"]
    url = server.url + rendition["url"]

    whole = httpx.get(url, trust_env=False)
    part = httpx.get(url, headers={"range": "bytes=4-7"}, trust_env=False)
    known = httpx.get(url, headers={"if-none-match": whole.headers["etag"]}, trust_env=False)
    beyond = httpx.get(url, headers={"range": f"bytes={rendition['bytes']}-"}, trust_env=False)

    assert (whole.status_code, len(whole.content)) == (200, rendition["bytes"])
    assert (part.status_code, part.content) == (206, b"ftyp")
    assert part.headers["content-range"] == f"bytes 4-7/{rendition['bytes']}"
    assert (known.status_code, known.content) == (304, b"")
    assert beyond.status_code == 416
    head = httpx.head(url, trust_env=False)
    assert (head.status_code, head.headers["content-length"]) == (200, str(rendition["bytes"]))


def test_what_is_no_video_fails_in_words(server: Up, tmp_path: Path) -> None:
    (tmp_path / "letter.mp4").write_text("Dear reader, this is not a video.\n" * 50)

    job = server.ended(server.post(tmp_path / "letter.mp4", model="none"))
    shown = run("jobs", "show", job["id"][-7:].lower(), data=server.data)

    assert job["state"] == "failed"
    assert job["error"]["code"] and job["error"]["message"]
    assert shown.returncode == 0, shown.stderr
    assert job["error"]["code"] in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80


def test_the_address_is_written_for_others(server: Up) -> None:
    found = json.loads((server.data / "server.json").read_text())

    assert (found["url"], found["pid"]) == (server.url, server.process.pid)


def test_alive_says_that_server_and_pool_move(server: Up) -> None:
    await_(lambda: server.ready()["parts"].get("pools", {}).get("ok"), "no pool")
    done = run("alive", data=server.data)

    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["pool", "server"]


@pytest.mark.slow
def test_alive_says_who_stands_still(tmp_path: Path) -> None:
    with up(tmp_path) as server:
        await_(lambda: server.ready()["parts"].get("pools", {}).get("ok"), "no pool")
        pool = server.pool()
        pool.suspend()
        done = await_(
            lambda: (run_ := run("alive", "--within", "2", data=server.data)).returncode == 1 and run_, "alive"
        )
        pool.resume()
        await_(lambda: run("alive", "--within", "2", data=server.data).returncode == 0, "not alive again")
    over = run("alive", data=server.data)

    assert f"pool {pool.pid} moved" in done.stdout and "stands still" in done.stdout
    assert over.returncode == 1 and "No pool and no server" in over.stderr


def test_what_the_command_line_says_reaches_the_pool(tmp_path: Path) -> None:
    with up(tmp_path, "--cores", "1", "--sim-gpus", "3") as server:
        await_(lambda: server.ready()["parts"].get("pools", {}).get("ok"), "no pool")
        text = await_(lambda: "place_slots{" in (said := numbers(server)) and said, "it does not report")
    slots = [line for line in text.splitlines() if line.startswith("vidprocme_place_slots{")]
    assert sorted(line.split('kind="')[1].split('"')[0] for line in slots) == ["cpu", "gpu", "gpu", "gpu"]
    assert all(line.endswith(" 1.0") for line in slots)


def test_a_loop_that_has_not_moved_for_minutes_stands_still(tmp_path: Path) -> None:
    """By default: shorter than a person notices, longer than a Redis that hangs holds it up (80 s)."""
    mark = Mark(tmp_path, "pool")
    (path,) = (tmp_path / "alive").iterdir()
    for age_s, status in ((100, 0), (150, 1)):
        os.utime(path, (time.time() - age_s, time.time() - age_s))
        assert run("alive", data=tmp_path).returncode == status
    mark.close()


def test_a_run_without_a_server_is_alive_too(tmp_path: Path) -> None:
    """A container may well run `process`, and the image's health check asks `alive`."""
    noise(tmp_path / "clip.mp4", 10)
    argv = [sys.executable, "-m", "vidprocme", "--data", str(tmp_path / "data"), "process", str(tmp_path / "clip.mp4")]
    options = ["--model", "none", "--out", str(tmp_path / "out")]
    with subprocess.Popen([*argv, *options], stderr=subprocess.DEVNULL, env=environment()) as process:
        try:
            done = await_(lambda: (said := run("alive", data=tmp_path / "data")).returncode == 0 and said, "not alive")
        finally:
            process.terminate()
    assert done.stdout.startswith(f"run {process.pid} moved")


def test_a_server_alone_leaves_the_work_to_workers_and_follows_what_they_publish(tmp_path: Path) -> None:
    said = draw(tmp_path / "shapes.mp4", 2)
    with up(tmp_path, "--no-pool") as server:
        job = server.post(tmp_path / "shapes.mp4", model="demo")
        waiting = server.get(f"/v1/jobs/{job}")
        assert [child.cmdline()[2] for child in psutil.Process(server.process.pid).children()] == [
            "vidprocme.api.server"
        ]
        assert waiting["tasks"] == {"ready": 1}
        # A worker with a data folder of its own, as in another container: it shares the queue and the blobs alone.
        apart = environment(
            VIDPROCME_DATA=str(tmp_path / "apart"),
            VIDPROCME_REDIS_URL=str(socket_path(server.data)),
            VIDPROCME_BLOBS=str(server.data / "blobs"),
        )
        with subprocess.Popen([sys.executable, "-m", "vidprocme", "worker", "--sim-gpus", "1"], env=apart) as worker:
            try:
                ended = server.ended(job)
                hits = await_(lambda: server.get("/v1/search?q=" + said[0].split()[2])["items"], "not found")
            finally:
                worker.terminate()
        assert worker.returncode == 0

    assert [caption["text"] for caption in ended["captions"]] == said
    assert hits[0]["job_id"] == job


def test_a_second_server_on_the_folder_is_refused(server: Up) -> None:
    done = run("up", "--port", "0", data=server.data)

    assert done.returncode == 1
    assert "ALREADY_UP" in done.stderr
    assert server.url in done.stderr


def test_a_pool_killed_amid_a_job_comes_back_and_finishes_it_once(server: Up, tmp_path: Path) -> None:
    said = draw(tmp_path / "long.mp4", 12, seed=11, size=(640, 360))
    pool = server.pool()
    below = pool.children(recursive=True)
    succeeded = counter(server, "vidprocme_jobs_total", state="succeeded")
    job = server.post(tmp_path / "long.mp4", model="demo")
    await_(lambda: server.get(f"/v1/jobs/{job}")["tasks"].get("running"), "never ran")
    pool.suspend()  # so that it is surely killed amid the job
    assert server.get(f"/v1/jobs/{job}")["ended_at"] is None
    below += pool.children(recursive=True)

    pool.kill()
    ended = server.ended(job)

    assert ended["state"] == "succeeded"
    assert [caption["text"] for caption in ended["captions"]] == said
    assert set(ended["tasks"]) == {"succeeded"}
    assert counter(server, "vidprocme_jobs_total", state="succeeded") == succeeded + 1
    assert server.pool().pid != pool.pid
    assert left(below) == []


def test_a_killed_server_comes_back_at_the_same_address(server: Up) -> None:
    killed = server.server()
    jobs = server.get("/v1/jobs")["items"]

    killed.kill()
    killed.wait()

    # A connection that comes before the new one runs waits in the socket, which never closed.
    assert server.get("/v1/jobs")["items"] == jobs
    assert server.server().pid != killed.pid


def test_a_killed_redis_comes_back_with_every_job(server: Up) -> None:
    jobs = server.get("/v1/jobs")["items"]
    facts = json.loads((server.data / "redis" / "keeper.json").read_text())

    psutil.Process(facts["server_pid"]).kill()

    # While it is away answers are problems with 503; then everything is there again, and the pool with it.
    await_(lambda: server.get("/v1/jobs").get("items") == jobs, "the jobs are not there again")
    await_(lambda: server.ready()["parts"].get("pools", {}).get("ok"), "the pool is not there again")
    assert json.loads((server.data / "redis" / "keeper.json").read_text())["server_pid"] != facts["server_pid"]


def test_term_lets_running_attempts_end_and_leaves_no_process(tmp_path: Path) -> None:
    noise(tmp_path / "clip.mp4", 2)
    with up(tmp_path) as server:
        job = server.post(tmp_path / "clip.mp4", model="none")
        await_(lambda: transcode(server.get(f"/v1/jobs/{job}"))["running"], "never ran")
        processes = server.all()

        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0

        assert left(processes) == []
        assert not (server.data / "server.json").exists()
        with pytest.raises(httpx.ConnectError):
            httpx.get(server.url, trust_env=False)
    shown = json.loads(run("jobs", "show", job, "--json", data=server.data).stdout)
    assert "running" not in shown["tasks"]
    assert transcode(shown)["done"] == 1
    assert shown["troubles"] == []


def test_a_second_term_hands_running_work_back_uncharged(tmp_path: Path) -> None:
    noise(tmp_path / "clip.mp4", 20)  # minutes of work
    with up(tmp_path) as server:
        job = server.post(tmp_path / "clip.mp4", model="none", video_preset="veryslow")
        await_(lambda: transcode(server.get(f"/v1/jobs/{job}"))["running"], "never ran")
        processes = server.all()

        server.process.send_signal(signal.SIGTERM)
        await_(lambda: "Draining" in server.log.read_text(), "it did not drain")
        server.process.send_signal(signal.SIGTERM)

        assert server.process.wait(60) == 0
        assert left(processes) == []
    shown = json.loads(run("jobs", "show", job, "--json", data=server.data).stdout)
    assert shown["state"] == "running"
    assert shown["tasks"].get("ready", 0) >= 1, shown
    assert "running" not in shown["tasks"]
    assert transcode(shown)["done"] == 0
    assert shown["troubles"] == []


def test_when_the_supervisor_is_killed_its_children_end(tmp_path: Path) -> None:
    with up(tmp_path) as server:
        processes = server.all()

        server.process.kill()

        assert left(processes) == []


def test_a_worker_drains(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "vidprocme", "--data", str(tmp_path / "data"), "worker", "--sim-gpus", "2"]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("At work on")
        below = psutil.Process(process.pid).children(recursive=True)

        process.send_signal(signal.SIGTERM)

        assert process.wait(30) == 0
        assert left(below) == []


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run("up", "--port", port, data=tmp_path / "data")

    assert done.returncode == 1
    assert "PORT_TAKEN" in done.stderr
    assert port in done.stderr
    assert "--port 0" in done.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_a_network_is_refused_unless_allowed(tmp_path: Path, host: str) -> None:
    done = run("up", "--host", host, "--port", "0", data=tmp_path / "data")

    assert done.returncode == 2
    assert "NETWORK_REFUSED" in done.stderr
    assert "--allow-network" in done.stderr


def test_a_network_may_be_allowed(tmp_path: Path) -> None:
    with up(tmp_path, "--host", "0.0.0.0", "--allow-network") as server:
        headers = {"host": "videos.example"}
        refused = httpx.get(f"{server.url}/v1/jobs", headers=headers, trust_env=False)
        made = run("keys", "add", "laptop", "--scope", "read", data=server.data)
        headers["authorization"] = f"Bearer {made.stdout.strip()}"
        answer = httpx.get(f"{server.url}/v1/jobs", headers=headers, trust_env=False)

        assert (refused.status_code, refused.json()["code"]) == (401, "KEY_NEEDED")
        assert answer.json()["items"] == []
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0


def test_a_host_that_is_none_is_named(tmp_path: Path) -> None:
    done = run("up", "--host", "no.such.host.invalid", "--port", "0", data=tmp_path / "data")

    assert done.returncode == 2
    assert "HOST_UNUSABLE" in done.stderr
