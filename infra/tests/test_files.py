"""The files that pods are given: monitoring/ with the cluster's names, and the registry of models."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.checks.plan import many, one, resources
from infra.gcp.settings import Gcp
from infra.lib.monitoring_files import FOLDER, asking_the_service, load, scraping_the_service
from infra.lib.reading import WrongSettings, read
from infra.lib.registry import registry
from infra.lib.settings import Model
from infra.local.settings import Local
from infra.main import EXAMPLE, LOCAL
from infra.synth import Plans
from infra.tests.things import container, only
from vidprocme.vision.registry import Registry


def test_prometheus_scrapes_the_service(plans: Plans) -> None:
    service = only(plans["local"], "kubernetes_service_v1", "server")
    name, port = service["metadata"]["name"], many(service["spec"]["port"])[0]["port"]
    config = yaml.safe_load(
        only(plans["local"], "kubernetes_config_map_v1", "prometheus-config")["data"]["prometheus.yml"]
    )

    targets = [it["targets"] for job in config["scrape_configs"] for it in job.get("static_configs", [])]

    assert [f"{name}:{port}"] in targets
    assert config["rule_files"] == ["/etc/prometheus/rules.yml"]
    manager = only(plans["local"], "kubernetes_service_v1", "alertmanager")
    assert config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] == [
        f"{manager['metadata']['name']}:{manager['spec']['port'][0]['port']}"
    ]


def test_every_target_and_address_is_a_service_of_the_cluster(plans: Plans) -> None:
    """No name of the compose file is left over."""
    services = {
        f"{body['metadata']['name']}:{port['port']}"
        for _, body in resources(plans["local"], "kubernetes_service_v1")
        for port in many(body["spec"]["port"])
    }
    files = load()
    jobs = yaml.safe_load(files.prometheus["prometheus.yml"])["scrape_configs"]
    targets = {target for job in jobs for it in job.get("static_configs", []) for target in it["targets"]}
    sources = yaml.safe_load(files.datasources["prometheus.yml"])["datasources"]

    assert {target for target in targets if not target.startswith("127.0.0.1:")} <= services
    assert {source["url"].removeprefix("http://") for source in sources} <= services


def test_what_is_not_a_name_stays_as_it_is() -> None:
    before = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    after = scraping_the_service(before)

    assert {key: after[key] for key in before if key not in ("rule_files", "alerting", "scrape_configs")} == {
        key: before[key] for key in before if key not in ("rule_files", "alerting", "scrape_configs")
    }
    assert [job["job_name"] for job in after["scrape_configs"]] == [job["job_name"] for job in before["scrape_configs"]]
    files = load()
    assert files.prometheus["rules.yml"] == (FOLDER / "rules.yml").read_text()
    assert files.dashboards["vidprocme.json"] == (FOLDER / "grafana/dashboards/vidprocme.json").read_text()


def test_the_dashboards_folder_is_the_one_that_grafana_is_told(plans: Plans) -> None:
    told = [it["options"]["path"] for it in yaml.safe_load(load().providers["vidprocme.yml"])["providers"]]
    mounted = [it["mount_path"] for it in container(plans["local"], "grafana")["volume_mount"]]

    assert told and set(told) <= set(mounted)


def test_a_config_that_watches_nothing_is_refused() -> None:
    config: dict[str, Any] = {"scrape_configs": [{"job_name": "other", "static_configs": [{"targets": ["x:1"]}]}]}

    with pytest.raises(WrongSettings, match="no job named vidprocme"):
        scraping_the_service(config)


def test_the_uid_that_dashboards_name_stays() -> None:
    given = {"apiVersion": 1, "datasources": [{"uid": "u", "url": "http://elsewhere:1", "type": "prometheus"}]}

    assert asking_the_service(given)["datasources"] == [
        {"uid": "u", "url": "http://prometheus:9090", "type": "prometheus"}
    ]


def test_files_that_are_missing_are_told(tmp_path: Path) -> None:
    with pytest.raises(WrongSettings, match="cannot be read: No such file"):
        load(tmp_path)


def test_vidprocme_reads_the_registry(tmp_path: Path) -> None:
    """The file that Terraform writes, read by the code that runs in the pods."""
    house = read(Local, LOCAL).house
    models = (Model("first", "http://a:8080/v1", "qwen"), Model("second", "https://b/v1"))

    (tmp_path / "models.json").write_text(registry(replace(house, models=models)))

    found = Registry(tmp_path)
    assert [model.id for model in found.all()] == ["demo", "first", "second"]
    default = found.default()
    assert default is not None and default.on_server
    assert (default.id, default.url, default.server_model) == ("first", "http://a:8080/v1", "qwen")

    (tmp_path / "models.json").write_text(registry(house))
    assert found.default() is None


def test_the_registry_lies_where_pods_look(plans: Plans) -> None:
    plan = plans["gcp-house"]
    text = only(plan, "kubernetes_config_map_v1", "models")["data"]["models.json"]

    assert json.loads(text)["d"] == {"models": []}  # the example's model server has no replicas yet
    for name in ("server", "worker-cpu"):
        mounts = {it["mount_path"] for it in container(plan, name)["volume_mount"]}
        env = {it["name"]: it.get("value") for it in container(plan, name)["env"]}
        assert f"{env['VIDPROCME_DATA']}/models.json" in mounts


def test_a_model_server_that_runs_is_the_default(plans: Plans) -> None:
    service = only(plans["gcp-house"], "kubernetes_service_v1", "model-server")
    house = read(Gcp, EXAMPLE).house
    assert house.model_server is not None

    text = registry(replace(house, model_server=replace(house.model_server, replicas=1)))

    [model] = json.loads(text)["d"]["models"]
    assert model["url"] == f"http://{service['metadata']['name']}:{service['spec']['port'][0]['port']}/v1"


def test_what_pods_are_told_are_settings_that_exist(plans: Plans) -> None:
    """A variable that vidprocme does not know would be a setting that nobody reads."""
    from vidprocme.config import Settings

    known = {f"VIDPROCME_{name.upper()}" for name in Settings.__dataclass_fields__}
    told = {
        it["name"]
        for stack in ("local", "gcp-house")
        for name in ("server", "worker-cpu")
        for it in container(plans[stack], name)["env"]
        if it["name"].startswith("VIDPROCME_")
    }
    assert {"VIDPROCME_DATA", "VIDPROCME_REDIS_URL", "VIDPROCME_BLOBS"} <= told <= known


def test_the_password_comes_before_the_address_that_holds_it(plans: Plans) -> None:
    """Kubernetes fills $(NAME) from variables that stand before."""
    names = [it["name"] for it in container(plans["local"], "server")["env"]]
    [url] = [it["value"] for it in container(plans["local"], "server")["env"] if it["name"] == "VIDPROCME_REDIS_URL"]

    assert url == "redis://:$(REDIS_PASSWORD)@redis:6379/0"
    assert names.index("REDIS_PASSWORD") < names.index("VIDPROCME_REDIS_URL")
    assert one(container(plans["local"], "server")["env"][0]["value_from"])["secret_key_ref"]["name"]
