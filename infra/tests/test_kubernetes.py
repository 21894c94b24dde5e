"""Kubernetes' own schemas, strict, take every object: the bindings know names, and not what may stand behind them."""

from __future__ import annotations

import kubernetes_validate
import pytest

from infra.synth import Plans
from infra.tests.manifests import manifests
from infra.tests.things import Fault, container, only, pod, policy, spec

VERSIONS = ("1.30", "1.34")  # the oldest that the house is meant for, and one of today


def refusals(plan: object, version: str) -> list[str]:
    assert isinstance(plan, dict)
    found = []
    for manifest in manifests(plan):
        try:
            kubernetes_validate.validate(manifest, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            found.append(f"{manifest['kind']} {manifest['metadata']['name']}: {error.message}")
    return found


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("stack", ["local", "gcp-house"])
def test_kubernetes_takes_every_object(plans: Plans, stack: str, version: str) -> None:
    assert len(list(manifests(plans[stack]))) > 25
    assert refusals(plans[stack], version) == []


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (lambda p: container(p, "server").update(volume_mountz=[]), "volumeMountz"),
        (lambda p: container(p, "server").update(livenessprobe={}), "livenessprobe"),
        (lambda p: container(p, "server").pop("name"), "'name' is a required property"),
        (lambda p: container(p, "server").update(args="up"), "is not of type 'array'"),
        (lambda p: container(p, "redis")["resources"]["limits"].update(cpu=["1"]), "not valid under any"),
        (lambda p: pod(p, "server").update(termination_grace_period_seconds="long"), "'long' is not of type 'integer'"),
        (lambda p: spec(p, "redis").pop("selector"), "'selector' is a required property"),
        (lambda p: policy(p, "to-redis").update(ingres=[]), "ingres"),
        (lambda p: only(p, "kubernetes_service_v1", "server")["spec"]["port"][0].pop("port"), "'port' is a required"),
    ],
)
def test_kubernetes_refuses_a_fault(plans: Plans, fault: Fault, says: str) -> None:
    fault(plans["local"])

    found = refusals(plans["local"], VERSIONS[-1])

    assert any(says in sentence for sentence in found), found


def test_a_kind_that_is_not_known_is_no_silence(plans: Plans) -> None:
    plans["local"]["resource"]["kubernetes_cron_job_v1"] = {"x": {}}

    with pytest.raises(KeyError, match="cron_job"):
        list(manifests(plans["local"]))
