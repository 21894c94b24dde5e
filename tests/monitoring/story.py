"""What happens to one server in two minutes, with Prometheus looking on: a good day, then every fault that has an alert."""

from __future__ import annotations

import contextlib
import math
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import redis

from monitoring import dashboard
from tests.cli.served import draw, environment, noise
from tests.monitoring.files import FOLDER
from tests.monitoring.serving import Server, serving
from tests.monitoring.watching import Watch, await_, program, watching
from tests.processes import kill
from tests.servers import RedisServer

MANY = 8  # more than VidprocmeManyLost asks for
RETRIES = 7  # more than VidprocmeManyRetries asks for
WINDOW = "15s"  # for $__rate_interval, and for ten minutes


@dataclass
class Story:
    """What was seen. `told`: by alert, how Alertmanager had it; one that never came is not there."""

    metrics: str = ""  # of the good day
    fired_on_a_good_day: set[str] = field(default_factory=set)
    told: dict[str, dict[str, Any]] = field(default_factory=dict)
    panels: dict[tuple[str, str], int] = field(default_factory=dict)  # see _panels
    inhibited: dict[str, Any] = field(default_factory=dict)  # an alert while Redis was away
    waits: dict[str, Any] = field(default_factory=dict)  # VidprocmeWaitingTooLong while there was no pool
    codes: set[tuple[str, str]] = field(default_factory=set)  # (stage, code) that "Errors by code" drew
    verdicts: dict[str, dict[str, float]] = field(default_factory=dict)  # by moment, each verdict that had a number

    def await_told(self, watch: Watch, name: str, limit_s: float = 30.0) -> None:
        """Go on without it when it does not come: the others have a right to be seen."""
        with contextlib.suppress(TimeoutError):
            self.told[name] = watch.await_told(name, limit_s)


def tell(folder: Path) -> Story:
    """Live through it. About two minutes: the urgent bin's bound is one."""
    story = Story()
    redis_server = RedisServer(folder / "redis")
    redis_server.start()
    data = folder / "data"
    try:
        # Nobody listens there. Known before the pool starts, which offers one place for each server.
        words = ["--data", str(data), "models", "add", "http://127.0.0.1:9/v1", "--name", "away"]
        subprocess.run([sys.executable, "-m", "vidprocme", *words], env=environment(), check=True, capture_output=True)
        kept = {
            "VIDPROCME_REDIS_URL": redis_server.url,
            "VIDPROCME_KEEP_DEAD": "1",
        }  # the second dead letter is one too many
        with serving(folder, "--sim-gpus", "1", **kept) as server:
            with watching(folder / "watch", [server.address]) as watch:
                began_s = time.time()
                _a_good_day(story, server, watch, folder, began_s)
                _bad_work(story, server, watch, folder, redis_server)
                _no_pool(story, server, watch, folder, redis_server)
                story.panels = dict(_panels(watch, began_s))
                story.codes = _codes(watch, began_s)
                _nothing_left(story, server, watch, redis_server)
    finally:
        redis_server.close()
    return story


def _a_good_day(story: Story, server: Server, watch: Watch, folder: Path, began_s: float) -> None:
    draw(folder / "good.mp4", 3)
    assert server.ended(server.post(folder / "good.mp4", model="demo", renditions="240p")) == "succeeded"
    watch.await_scrapes(5)
    story.metrics = server.metrics()
    story.fired_on_a_good_day = watch.ever_fired(began_s)
    story.verdicts["good day"] = _verdicts(watch)


def _bad_work(story: Story, server: Server, watch: Watch, folder: Path, redis_server: RedisServer) -> None:
    """A file that is no video, a model server that is away, somebody who kills processes, and videos that make them crash."""
    (folder / "text.mp4").write_text("this is no video\n" * 100)
    job = server.post(folder / "text.mp4", model="none")
    away = []
    for seed in range(1, RETRIES + 1):
        draw(folder / f"away-{seed}.mp4", 1, seed=seed)
        away.append(server.post(folder / f"away-{seed}.mp4", model="away", renditions="240p"))
    assert server.ended(job) == "failed"
    story.await_told(watch, "VidprocmeJobFailed")
    noise(folder / "hard.mp4", 40)
    hard = server.post(folder / "hard.mp4", model="none", renditions="720p,480p,360p", chunk="10")
    # More chunks than cores: one waits. Once they are killed they wait for their retry, which is no pool's reason.
    watch.await_drawn("vidprocme_waiting_reasons > 0")
    await_(lambda: _killed_so_far(server) >= MANY, f"{MANY} lost attempts")
    story.await_told(watch, "VidprocmeManyLost")
    server.cancel(hard)
    story.await_told(watch, "VidprocmeManyRetries")
    for one in away:
        server.cancel(one)
    assert server.ended(hard) == "cancelled"
    words = ["--data", str(server.data), "jobs", "drop", hard, "--yes"]
    here = environment(VIDPROCME_REDIS_URL=redis_server.url)
    subprocess.run([sys.executable, "-m", "vidprocme", *words], env=here, check=True, capture_output=True)
    for seconds in (20, 21):
        noise(folder / f"poison-{seconds}.mp4", seconds)
        poison = server.post(folder / f"poison-{seconds}.mp4", model="none", renditions="360p")
        await_(partial(_crashed, server, poison), "a video that is set aside")
    await_(lambda: _count(server, "vidprocme_dead_letters_given_up_total"), "a dead letter too many to be given up")
    watch.await_scrapes(2)
    story.await_told(watch, "VidprocmeDeadLetters")


def _crashed(server: Server, job: str) -> bool:
    """Make what runs now crash; has it failed for that?"""
    for process in server.attempts():
        process.send_signal(signal.SIGSEGV)
    return bool(server.get(f"/v1/jobs/{job}")["state"] == "failed")


def _count(server: Server, name: str) -> float:
    """A counter without labels, now."""
    (number,) = re.findall(rf"^{name} (\S+)$", server.metrics(), re.M)
    return float(number)


def _killed_so_far(server: Server) -> int:
    """Kill what runs now; how many attempts the queue has counted as lost."""
    for process in server.attempts():
        kill(process)
    counts = re.findall(r'^vidprocme_attempts_total\{outcome="lost",stage="\w+"\} (\S+)$', server.metrics(), re.M)
    return sum(int(float(count)) for count in counts)


def _no_pool(story: Story, server: Server, watch: Watch, folder: Path, redis_server: RedisServer) -> None:
    """The pool is killed and nobody starts another one; somebody is in a hurry; meanwhile Redis has troubles of its own."""
    server.process.send_signal(signal.SIGSTOP)  # the supervisor, which would
    server.pool().kill()
    draw(folder / "urgent.mp4", 1, seed=9)
    urgent = server.post(folder / "urgent.mp4", model="none", renditions="240p", bin="urgent")
    story.await_told(watch, "VidprocmeNoPool")

    client = redis.Redis.from_url(redis_server.url)
    used = int(client.info("memory")["used_memory"])  # type: ignore[index]  # the stub also covers the async client
    client.config_set("maxmemory", int(used * 1.1))
    story.await_told(watch, "VidprocmeQueueMemory")
    client.config_set("maxmemory", 0)
    client.close()

    story.await_told(watch, "VidprocmeWaitingTooLong", 90.0)
    story.verdicts["no pool"] = _verdicts(watch)
    story.waits = _inhibited(watch, "VidprocmeWaitingTooLong")
    server.process.send_signal(signal.SIGCONT)
    assert server.ended(urgent) == "succeeded"
    for name in ("VidprocmeNoPool", "VidprocmeWaitingTooLong", "VidprocmeQueueMemory"):
        watch.await_over(name)


def _nothing_left(story: Story, server: Server, watch: Watch, redis_server: RedisServer) -> None:
    """The disk of Redis is full, then Redis is gone, then the server. And somebody tries whether he is told."""
    try_whether_somebody_is_told(watch)
    story.await_told(watch, "Trial")
    redis_server.limit_disk(0)
    story.await_told(watch, "VidprocmeQueueNotPersistent")
    redis_server.limit_disk(None)
    watch.await_over("VidprocmeQueueNotPersistent")

    redis_server.kill()
    story.await_told(watch, "VidprocmeQueueDown")
    story.inhibited = _inhibited(watch, "VidprocmeJobFailed")
    story.verdicts["no queue"] = _verdicts(watch)
    server.process.send_signal(signal.SIGSTOP)
    killed = server.child("vidprocme.api.server")
    assert killed is not None
    killed.kill()
    story.await_told(watch, "VidprocmeServerDown")


def try_whether_somebody_is_told(watch: Watch) -> None:
    """The command of docs/operating.md, at this Alertmanager's address."""
    (line,) = re.findall(r"amtool (alert add .*)$", (FOLDER.parent / "docs" / "operating.md").read_text(), re.M)
    words = shlex.split(line.replace("http://127.0.0.1:9093", watch.alertmanager))
    subprocess.run([program("amtool"), *words], check=True, capture_output=True, timeout=30)


def _inhibited(watch: Watch, name: str) -> dict[str, Any]:
    """The alert once another one keeps it quiet; empty when none ever does."""
    with contextlib.suppress(TimeoutError):
        found: dict[str, Any] = await_(
            lambda: (alert := watch.told().get(name)) and alert["status"]["inhibitedBy"] and alert,
            f"{name} to be inhibited",
            30.0,
        )
        return found
    return {}


def _verdicts(watch: Watch) -> dict[str, float]:
    """What the first row of the dashboard shows now. A verdict that has nothing to show is not there."""
    shown = {verdict.title: watch.ask(verdict.expr) for verdict in dashboard.VERDICT}
    return {title: float(found[0]["value"][1]) for title, found in shown.items() if found}


def _codes(watch: Watch, began_s: float) -> set[tuple[str, str]]:
    (expression,) = (expression for title, expression in dashboard.queries() if title == "Errors by code")
    found = watch.ask_since(expression.replace("10m", WINDOW), began_s)
    return {(series["metric"]["stage"], series["metric"]["code"]) for series in found}


def _panels(watch: Watch, began_s: float) -> Iterator[tuple[tuple[str, str], int]]:
    """Every query of the dashboard over the whole day: how many numbers it draws that are neither NaN nor 0."""
    for title, expression in dashboard.queries():
        found = watch.ask_since(expression.replace("$__rate_interval", WINDOW).replace("10m", WINDOW), began_s)
        numbers = [float(value) for series in found for _, value in series["values"]]
        yield (title, expression), sum(not math.isnan(number) and number != 0 for number in numbers)
