"""Prometheus as docker-compose.hostnet.yml starts it, with ports that somebody chose."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.monitoring.files import FOLDER
from tests.monitoring.watching import await_, free_ports


@pytest.mark.prometheus
def test_prometheus_finds_the_ports_that_were_chosen(tmp_path: Path) -> None:
    own, server, alertmanager = free_ports(3)
    chosen = {"PROMETHEUS_PORT": own, "VIDPROCME_PORT": server, "ALERTMANAGER_PORT": alertmanager}
    service = yaml.safe_load((FOLDER.parent / "docker-compose.hostnet.yml").read_text())["services"]["prometheus"]
    for folder in ("etc", "data"):
        (tmp_path / folder).mkdir()
    for volume in service["volumes"][:2]:  # what is mounted, as a file of our own
        source, inside, _ = volume.split(":")
        shutil.copy(FOLDER.parent / source, tmp_path / "etc" / Path(inside).name)
    (script,) = service["command"]
    for name, port in chosen.items():
        script = re.sub(rf"\$\{{{name}:-\d+}}", str(port), script)  # as compose does it
    script = script.replace("/etc/prometheus", str(tmp_path / "etc")).replace(" /prometheus", f" {tmp_path / 'data'}")
    script = script.replace("=/prometheus", f"={tmp_path / 'data'}")

    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([*service["entrypoint"], script], stdout=log, stderr=log)
    try:
        asked = f"http://127.0.0.1:{own}/api/v1"
        targets = await_(lambda: _data(f"{asked}/targets", "activeTargets"), (tmp_path / "log").read_text())
        told = await_(lambda: _data(f"{asked}/alertmanagers", "activeAlertmanagers"), "an Alertmanager")
        rules = _data(f"{asked}/rules", "groups")
    finally:
        process.terminate()
        assert process.wait(30) == 0, "it is the shell's child, and no signal reaches it"

    assert [target["scrapeUrl"] for target in targets] == [f"http://127.0.0.1:{server}/metrics"]
    assert [one["url"] for one in told] == [f"http://127.0.0.1:{alertmanager}/api/v2/alerts"]
    assert [group["name"] for group in rules] == ["vidprocme"]


def _data(url: str, part: str) -> Any:
    try:
        return httpx.get(url, timeout=5, trust_env=False).json()["data"][part]
    except httpx.TransportError:
        return None
