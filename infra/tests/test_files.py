"""The files that pods are given: those of monitoring/, and the registry of models."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.checks.plan import many, one, resources
from infra.gcp.settings import Gcp
from infra.lib.monitoring_files import FOLDER, texts
from infra.lib.reading import WrongSettings, read
from infra.lib.registry import registry
from infra.lib.settings import Model
from infra.local.settings import Local
from infra.main import EXAMPLE, LOCAL
from infra.synth import Plans
from infra.tests.things import container, only, pod
from vidprocme.vision.registry import Registry


def mounted(plan: dict[str, Any], component: str, name: str) -> str:
    """A file of a component as its pods see it."""
    [text] = [
        body["data"][name]
        for _, body in resources(plan, "kubernetes_config_map_v1")
        if name in body["data"] and body["metadata"]["name"].startswith(f"{component}-")
    ]
    return str(text).replace("$${", "${").replace("%%{", "%{")


def environment(plan: dict[str, Any], component: str) -> dict[str, str]:
    return {it["name"]: it["value"] for it in container(plan, component)["env"] if "value" in it}


def test_every_address_is_a_service_of_the_cluster(plans: Plans) -> None:
    """The files are those of docker-compose.yml, and every name in them is a Service with that port."""
    plan = plans["local"]
    services = {
        f"{body['metadata']['name']}:{port['port']}"
        for _, body in resources(plan, "kubernetes_service_v1")
        for port in many(body["spec"]["port"])
    }
    config = yaml.safe_load(mounted(plan, "prometheus", "prometheus.yml"))
    scraped = [target for job in config["scrape_configs"] for it in job["static_configs"] for target in it["targets"]]
    [managers] = config["alerting"]["alertmanagers"]

    assert "server:8484" in scraped and set(scraped) <= services
    assert set(managers["static_configs"][0]["targets"]) <= services
    assert environment(plan, "grafana")["PROMETHEUS_URL"].removeprefix("http://") in services


def test_the_files_are_as_they_are(plans: Plans) -> None:
    """To a letter; Terraform's own signs are doubled, which it undoes. ${PROMETHEUS_URL} is Grafana's to fill in."""
    paths = (
        ("prometheus", "prometheus.yml"),
        ("prometheus", "rules.yml"),
        ("alertmanager", "alertmanager.yml"),
        ("grafana", "grafana/provisioning/datasources/prometheus.yml"),
        ("grafana", "grafana/provisioning/dashboards/vidprocme.yml"),
        ("grafana", "grafana/dashboards/vidprocme.json"),
    )
    for component, path in paths:
        assert mounted(plans["local"], component, Path(path).name) == (FOLDER / path).read_text(encoding="utf-8")
    assert "url: ${PROMETHEUS_URL}" in mounted(plans["local"], "grafana", "prometheus.yml")


def test_what_the_files_name_is_mounted(plans: Plans) -> None:
    """Rules beside prometheus.yml, which names them without a folder, and the dashboards where Grafana is told to look."""
    assert yaml.safe_load(mounted(plans["local"], "prometheus", "prometheus.yml"))["rule_files"] == ["rules.yml"]
    maps = [it["config_map"] for it in pod(plans["local"], "prometheus")["volume"] if "config_map" in it]
    assert len(maps) == 1 and mounted(plans["local"], "prometheus", "rules.yml")

    told = [
        it["options"]["path"] for it in yaml.safe_load(mounted(plans["local"], "grafana", "vidprocme.yml"))["providers"]
    ]
    folders = [it["mount_path"] for it in container(plans["local"], "grafana")["volume_mount"]]
    assert told and set(told) <= set(folders)
    home = Path(environment(plans["local"], "grafana")["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert str(home.parent) in folders and mounted(plans["local"], "grafana", home.name)


def test_grafana_is_told_the_same_as_by_compose(plans: Plans) -> None:
    """But for addresses, what docker-compose.yml tells it, it is told in a cluster too."""
    services = yaml.safe_load((FOLDER.parent / "docker-compose.yml").read_text(encoding="utf-8"))["services"]

    assert services["grafana"]["environment"].items() <= environment(plans["local"], "grafana").items()


def test_files_that_are_missing_are_told(tmp_path: Path) -> None:
    with pytest.raises(WrongSettings, match=r"rules.yml cannot be read: No such file"):
        texts("rules.yml", folder=tmp_path)


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
