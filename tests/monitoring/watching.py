"""A real Prometheus and Alertmanager on loopback that watch servers, with the project's own rules."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.monitoring.files import FOLDER, read

EVERY = "1s"  # in place of 15 s between scrapes and evaluations
FOR = "3s"  # in place of the minutes for which an alert's expression must hold
LIMIT_S = 100.0


def program(*names: str) -> str:
    """The first of these that is on the PATH (Debian names Alertmanager `prometheus-alertmanager`)."""
    found = next((path for name in names if (path := shutil.which(name))), None)
    assert found, f"none of {names} is on the PATH: apt install prometheus prometheus-alertmanager"
    return found


def promtool(*words: str, text: str | None = None, cwd: Path = FOLDER) -> subprocess.CompletedProcess[str]:
    argv = [program("promtool"), *words]
    return subprocess.run(argv, input=text, capture_output=True, text=True, cwd=cwd, timeout=60, check=False)


def await_(what: Callable[[], Any], why: str, limit_s: float = LIMIT_S) -> Any:
    """The first true answer, asked for again and again: another program's state is nothing one could wait on.

    Raises:
        TimeoutError: with `why`.
    """
    deadline = time.monotonic() + limit_s
    while not (answer := what()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {limit_s:g} s for: {why}")
        time.sleep(0.1)
    return answer


def hurried() -> dict[str, Any]:
    """rules.yml with every `for` shortened. Expressions and thresholds stay as they are."""
    rules: dict[str, Any] = read("rules.yml")
    for group in rules["groups"]:
        for rule in group["rules"]:
            if "for" in rule:
                rule["for"] = FOR
    return rules


@dataclass(frozen=True)
class Watch:
    """A running pair."""

    prometheus: str  # their addresses
    alertmanager: str

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """An instant query's result."""
        return list(_get(f"{self.prometheus}/api/v1/query", query=expression)["data"]["result"])

    def ask_since(self, expression: str, since_s: float) -> list[dict[str, Any]]:
        """A query over the time since then, a point a second."""
        words = {"query": expression, "start": f"{since_s:.3f}", "end": f"{time.time():.3f}", "step": "1"}
        return list(_get(f"{self.prometheus}/api/v1/query_range", **words)["data"]["result"])

    def ever_fired(self, since_s: float) -> set[str]:
        found = self.ask_since('ALERTS{alertstate="firing"}', since_s)
        return {series["metric"]["alertname"] for series in found}

    def told(self) -> dict[str, dict[str, Any]]:
        """The alerts that Alertmanager has now, inhibited ones too, by name (one of several with the same)."""
        found = _get(f"{self.alertmanager}/api/v2/alerts", active="true", inhibited="true")
        return {alert["labels"]["alertname"]: alert for alert in found}

    def await_told(self, name: str, limit_s: float = LIMIT_S) -> dict[str, Any]:
        """An alert, once it has reached Alertmanager."""
        alert: dict[str, Any] = await_(lambda: self.told().get(name), f"{name} at Alertmanager", limit_s)
        return alert

    def await_over(self, name: str) -> None:
        """Return when Prometheus has taken the alert back."""
        await_(lambda: not self.ask(f'ALERTS{{alertname="{name}", alertstate="firing"}}'), f"the end of {name}")

    def await_drawn(self, expression: str) -> None:
        """Return when the expression has an answer."""
        await_(lambda: self.ask(expression), expression)

    def await_scrapes(self, count: int) -> None:
        """Return when so many scrapes began after this call."""
        begun = time.time()
        await_(
            lambda: len(self._scraped_since(begun)) >= count,
            f"{count} scrapes",
        )

    def _scraped_since(self, begun_s: float) -> list[Any]:
        found = self.ask('up{job="vidprocme"}[2m]')
        return [at for series in found for at, _ in series["values"] if at > begun_s]


def _get(url: str, **words: str) -> Any:
    answer = httpx.get(url, params=words, timeout=10, trust_env=False)
    assert answer.status_code == 200, answer.text
    return answer.json()


@contextmanager
def watching(folder: Path, targets: Sequence[str]) -> Iterator[Watch]:
    """A pair that watches these servers (`host:port`). Everything of it lies in `folder`, and ends with it."""
    folder.mkdir(parents=True)
    mine, other = free_ports(2)
    config = read("prometheus.yml")
    config["global"] |= {"scrape_interval": EVERY, "scrape_timeout": EVERY, "evaluation_interval": EVERY}
    config["alerting"]["alertmanagers"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{other}"]}]
    (scrape,) = config["scrape_configs"]
    scrape["static_configs"] = [{"targets": list(targets)}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    (folder / "rules.yml").write_text(yaml.safe_dump(hurried(), sort_keys=False))
    watch = Watch(f"http://127.0.0.1:{mine}", f"http://127.0.0.1:{other}")
    with contextlib.ExitStack() as running:
        alertmanager = [
            program("prometheus-alertmanager", "alertmanager"),
            f"--config.file={FOLDER / 'alertmanager.yml'}",
            f"--storage.path={folder / 'alerts'}",
            f"--web.listen-address=127.0.0.1:{other}",
            "--cluster.listen-address=",
        ]
        prometheus = [
            program("prometheus"),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'series'}",
            f"--web.listen-address=127.0.0.1:{mine}",
            "--log.level=warn",
        ]
        for name, argv, url in (("am", alertmanager, watch.alertmanager), ("prom", prometheus, watch.prometheus)):
            running.enter_context(_running(argv, folder / f"{name}.log", f"{url}/-/ready"))
        yield watch


@contextmanager
def _running(argv: list[str], log: Path, ready: str) -> Iterator[None]:
    with log.open("w") as out:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=log.parent)
    try:
        await_(lambda: process.poll() is not None or _answers(ready), f"{argv[0]} to be ready", 30)
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.kill()
        process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def free_ports(count: int) -> list[int]:
    """Ports that are free now; all are held until all are known."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(one.getsockname()[1]) for one in sockets]
