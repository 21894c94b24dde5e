"""The files of monitoring/, as they are for one machine, turned to the names that a cluster has. Data in, data out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from infra.lib.reading import WrongSettings
from infra.lib.settings import PORT

FOLDER = Path(__file__).resolve().parents[2] / "monitoring"
SERVER = f"server:{PORT}"
ALERTMANAGER = "alertmanager:9093"
PROMETHEUS_URL = "http://prometheus:9090"

GRAFANA = "grafana/provisioning"


@dataclass(frozen=True, slots=True)
class Files:
    """ConfigMap contents by where they are mounted."""

    prometheus: dict[str, str]
    alertmanager: dict[str, str]
    datasources: dict[str, str]
    providers: dict[str, str]
    dashboards: dict[str, str]


def load(folder: Path = FOLDER) -> Files:
    """
    Raises:
        WrongSettings: a file is missing, or has no place for the server.
    """
    datasource = yaml.safe_load(_read(folder / GRAFANA / "datasources" / "prometheus.yml"))
    return Files(
        prometheus={
            "prometheus.yml": _dump(scraping_the_service(yaml.safe_load(_read(folder / "prometheus.yml")))),
            "rules.yml": _read(folder / "rules.yml"),
        },
        alertmanager={"alertmanager.yml": _read(folder / "alertmanager.yml")},
        datasources={"prometheus.yml": _dump(asking_the_service(datasource))},
        providers={"vidprocme.yml": _read(folder / GRAFANA / "dashboards" / "vidprocme.yml")},
        dashboards={"vidprocme.json": _read(folder / "grafana" / "dashboards" / "vidprocme.json")},
    )


def scraping_the_service(config: dict[str, Any]) -> dict[str, Any]:
    """prometheus.yml with the cluster's names: the server's Service, Alertmanager's, rules beside it.

    Raises:
        WrongSettings: it has no job that scrapes vidprocme.
    """
    jobs = [_job(job) for job in config.get("scrape_configs", [])]
    if not any(_targets(job) == [SERVER] for job in jobs):
        raise WrongSettings("monitoring/prometheus.yml has no job named vidprocme, so nothing would be watched.")
    return {
        **config,
        "rule_files": ["/etc/prometheus/rules.yml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [ALERTMANAGER]}]}]},
        "scrape_configs": jobs,
    }


def asking_the_service(datasource: dict[str, Any]) -> dict[str, Any]:
    """Grafana's datasource with Prometheus' Service as its address; its uid, which the dashboard names, stays."""
    return {**datasource, "datasources": [{**entry, "url": PROMETHEUS_URL} for entry in datasource["datasources"]]}


def _job(job: dict[str, Any]) -> dict[str, Any]:
    target = {"vidprocme": SERVER, "alertmanager": ALERTMANAGER, "prometheus": "127.0.0.1:9090"}.get(job["job_name"])
    if target is None:
        return job
    entries = job.get("static_configs") or [{}]
    return {**job, "static_configs": [{**entries[0], "targets": [target]}]}


def _targets(job: dict[str, Any]) -> list[str]:
    return [target for entry in job.get("static_configs", []) for target in entry.get("targets", [])]


def _dump(data: dict[str, Any]) -> str:
    return yaml.safe_dump(data, sort_keys=False, width=120)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise WrongSettings(f"{path} cannot be read: {error.strerror}. Leave monitoring out, or restore it.") from error
