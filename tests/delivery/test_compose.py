"""The two compose files: one system, on a network of its own or on the host's."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from vidprocme.config import Settings

ROOT = Path(__file__).resolve().parents[2]
PORTS = {
    "redis": "${REDIS_PORT:-6379}",
    "server": "${VIDPROCME_PORT:-8484}",
    "prometheus": "${PROMETHEUS_PORT:-9090}",
    "alertmanager": "${ALERTMANAGER_PORT:-9093}",
    "grafana": "${GRAFANA_PORT:-3000}",
}
# On the host's network the ports of server and Alertmanager can be chosen, and Prometheus must find them there
# (tests/monitoring/test_hostnet.py runs it).
COPY = "/prometheus/prometheus.yml"
WITH_PORTS = (
    'sed -e "s|- rules.yml|- /etc/prometheus/rules.yml|"'
    f' -e "s|:8484|:{PORTS["server"]}|" -e "s|:9093|:{PORTS["alertmanager"]}|" /etc/prometheus/prometheus.yml'
)
OURS = ("server", "worker-1", "worker-2")


def document(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / name).read_text())
    return loaded


NORMAL, HOST = document("docker-compose.yml"), document("docker-compose.hostnet.yml")


def on_the_host(service: str, wanted: dict[str, Any]) -> dict[str, Any]:
    """What a service of docker-compose.yml is on the host's network: the same at 127.0.0.1, with a port that can be chosen."""
    port = PORTS.get(service, "")
    text = json.dumps({key: value for key, value in wanted.items() if key != "ports"})
    for name, its_port in PORTS.items():
        text = re.sub(rf"//{name}:\d+", f"//127.0.0.1:{its_port}", text)
    text = re.sub(r"(http://127\.0\.0\.1):\d{4}\b", rf"\1:{port}", text)
    text = text.replace("monitoring/prometheus.yml", "monitoring/prometheus.hostnet.yml")
    made: dict[str, Any] = json.loads(text) | {"network_mode": "host"}
    match service:
        case "redis":
            at = made["command"].index("--protected-mode")
            made["command"][at : at + 2] = ["--bind", "127.0.0.1", "--port", port]
            made["healthcheck"]["test"][2:2] = ["-p", port]
        case "server":
            made["command"] = ["up", "--no-pool", "--host", "127.0.0.1", "--port", port]
        case "prometheus":
            words = " ".join([*made["command"], f"--web.listen-address=127.0.0.1:{port}"])
            copied = words.replace("/etc/prometheus/prometheus.yml", COPY)
            made |= {"entrypoint": ["/bin/sh", "-ec"], "command": [f"{WITH_PORTS} > {COPY}; exec prometheus {copied}"]}
        case "alertmanager":
            made["command"].append(f"--web.listen-address=127.0.0.1:{port}")
        case "grafana":
            made["environment"] |= {"GF_SERVER_HTTP_ADDR": "127.0.0.1", "GF_SERVER_HTTP_PORT": port}
    return made


@pytest.mark.parametrize("service", sorted(NORMAL["services"]))
def test_on_the_hosts_network_it_is_the_same_at_another_address(service: str) -> None:
    assert HOST["services"][service] == on_the_host(service, NORMAL["services"][service])


def test_both_have_the_same_parts() -> None:
    assert list(HOST["services"]) == list(NORMAL["services"])
    assert HOST["volumes"] == NORMAL["volumes"]


@pytest.mark.parametrize("service", sorted(NORMAL["services"]))
def test_each_service_comes_back_is_checked_and_has_few_rights(service: str) -> None:
    wanted = NORMAL["services"][service]
    assert wanted["restart"] == "unless-stopped"
    assert "healthcheck" in wanted or service in OURS  # the image has its own
    assert wanted.get("read_only") or service == "grafana"  # it keeps plugins' files beside its own
    assert wanted["cap_drop"] == ["ALL"] and wanted["security_opt"] == ["no-new-privileges:true"]
    assert not re.search(r":latest\b", wanted["image"]) and ":" in wanted["image"].partition(":-")[2]


@pytest.mark.parametrize("service", OURS)
def test_ours_share_one_data_folder_wait_for_redis_and_may_drain(service: str) -> None:
    wanted = NORMAL["services"][service]
    assert wanted["volumes"] == ["data:/data"] and wanted["tmpfs"] == ["/tmp"]
    assert wanted["depends_on"] == {"redis": {"condition": "service_healthy"}}
    # Longer than a lease: what is killed at its end is taken over at once afterwards.
    assert int(wanted["stop_grace_period"].removesuffix("s")) * 1000 > Settings().lease_ms
    if service != "server":
        assert wanted["command"] == ["worker", "--sim-gpus", "1"]


def test_redis_is_no_root() -> None:
    assert NORMAL["services"]["redis"]["user"] == "redis"


def test_nothing_is_published_beyond_this_machine() -> None:
    """Nobody is asked for a key there."""
    ports = [port for service in NORMAL["services"].values() for port in service.get("ports", [])]
    assert len(ports) == 4 and all(port.startswith("127.0.0.1:") for port in ports)


def test_redis_keeps_what_was_accepted() -> None:
    words = NORMAL["services"]["redis"]["command"]
    said = dict(zip(words[::2], words[1::2], strict=True))
    assert (said["--appendonly"], said["--appendfsync"]) == ("yes", "always")
    # The limit is what VidprocmeQueueMemory measures by, and what makes a refusal of a kill.
    assert (said["--maxmemory"], said["--maxmemory-policy"]) == ("${REDIS_MAXMEMORY:-768mb}", "noeviction")
    assert "redis:/data" in NORMAL["services"]["redis"]["volumes"]


def test_what_is_mounted_is_there() -> None:
    for stack in (NORMAL, HOST):
        for service in stack["services"].values():
            for volume in service.get("volumes", []):
                source = volume.partition(":")[0]
                assert (ROOT / source).exists() if source.startswith(".") else source in stack["volumes"]


@pytest.mark.parametrize("settings", ["settings.local.toml", "settings.gcp.example.toml"])
def test_a_cluster_runs_the_same_images(settings: str) -> None:
    house = tomllib.loads((ROOT / "infra" / settings).read_text())["house"]
    here = {name: service["image"].partition(":-")[2].rstrip("}") for name, service in NORMAL["services"].items()}
    there = house["monitoring"] | {"redis": house["redis"]["image"]}
    assert {name: there[name] for name in ("redis", "prometheus", "alertmanager", "grafana")} == {
        name: here[name] for name in ("redis", "prometheus", "alertmanager", "grafana")
    }


def test_redis_has_none_of_the_holes_that_are_known() -> None:
    """7.2.11 mends CVE-2025-49844 (a way out of Lua), 7.2.14 CVE-2026-23479, -25243 and -23631: Redis' release notes."""
    major, minor, patch = re.findall(r"redis:(\d+)\.(\d+)\.(\d+)", NORMAL["services"]["redis"]["image"])[0]
    assert (int(major), int(minor), int(patch)) >= (7, 2, 14)


def test_grafana_is_as_quiet_as_in_a_cluster() -> None:
    """What infra/lib/monitoring.py says, read as text: its environment is not here."""
    there = re.findall(r'"(GF_\w+)": "(\w+)"', (ROOT / "infra" / "lib" / "monitoring.py").read_text())
    here = NORMAL["services"]["grafana"]["environment"]
    assert len(there) == 9 and dict(there).items() <= here.items()
    home = here["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"].replace("/var/lib/grafana", "monitoring/grafana")
    assert (ROOT / home).is_file()
