"""Whatever names something else names something that is there: selectors, ports, mounts, references of Terraform."""

from __future__ import annotations

import re

from infra.checks.plan import (
    Body,
    Plan,
    Workload,
    many,
    object_name,
    one,
    picked,
    picks,
    resources,
    strings,
    workloads,
)

REFERENCE = re.compile(r"(?<![$])[$]{([^}]+)}")


def selectors_fit(plan: Plan) -> list[str]:
    """A workload's selector picks its own pods, and no other workload's."""
    wrong = []
    found = workloads(plan)
    for workload in found:
        wanted = one(workload.spec.get("selector")).get("match_labels", {})
        if not picks(wanted, workload.labels):
            wrong.append(f"{workload.name} does not pick its own pods")
        others = [other.name for other in found if other is not workload and picks(wanted, other.labels)]
        wrong += [f"{workload.name} picks the pods of {other}" for other in others]
    return wrong


def services_reach_somebody(plan: Plan) -> list[str]:
    wrong = []
    for _, body in resources(plan, "kubernetes_service_v1"):
        spec, name = one(body["spec"]), object_name(body)
        behind = [workload for workload in workloads(plan) if picks(spec.get("selector", {}), workload.labels)]
        if not behind:
            wrong.append(f"the Service {name} picks no pods")
        for port in many(spec.get("port")):
            wrong += [
                f"the Service {name} sends to port {port['target_port']}, which {workload.name} does not open"
                for workload in behind
                if str(port["target_port"]) not in _ports(workload)
            ]
        if spec.get("type", "ClusterIP") != "ClusterIP":
            wrong.append(f"the Service {name} is reachable from outside the cluster, and there are no keys")
    return wrong


def the_server_is_watched_when_it_is_not_ready(plan: Plan) -> list[str]:
    """Else the alerts on what makes it unready (Redis away, a full disk) can never fire: Prometheus comes by the Service."""
    return [
        "the Service server leaves out a server that is not ready, and with it what Prometheus should see"
        for _, body in resources(plan, "kubernetes_service_v1")
        if object_name(body) == "server" and one(body["spec"]).get("publish_not_ready_addresses") is not True
    ]


def budgets_pick_somebody(plan: Plan) -> list[str]:
    return [
        f"the budget {object_name(body)} picks no pods"
        for _, body in resources(plan, "kubernetes_pod_disruption_budget_v1")
        if not picked(plan, one(one(body["spec"])["selector"]).get("match_labels", {}))
    ]


def volumes_fit(plan: Plan) -> list[str]:
    """Every mount has its volume and every volume a mount."""
    wrong = []
    for workload in workloads(plan):
        templates = {one(it["metadata"])["name"] for it in many(workload.spec.get("volume_claim_template"))}
        volumes = {volume["name"] for volume in many(workload.pod.get("volume"))} | templates
        mounts = {it["name"] for _, container in workload.containers() for it in many(container.get("volume_mount"))}
        wrong += [f"{workload.name} mounts {name}, which is no volume" for name in sorted(mounts - volumes)]
        wrong += [f"{workload.name} mounts {name} nowhere" for name in sorted(volumes - mounts)]
    return wrong


def references_exist(plan: Plan) -> list[str]:
    """What Terraform is to fill in comes from a resource or data source that the plan has."""
    made = {f"{kind}.{name}" for kind, it in plan.get("resource", {}).items() for name in it}
    made |= {f"data.{kind}.{name}" for kind, it in plan.get("data", {}).items() for name in it}
    wrong = []
    for path, text in strings({key: value for key, value in plan.items() if key != "//"}):
        for inside in REFERENCE.findall(text):
            if not any(inside.startswith(f"{name}.") for name in made):
                wrong.append(f"{path} refers to {inside}, which is not there")
        if path.partition("[")[0].endswith("depends_on") and text not in made:
            wrong.append(f"{path} waits for {text}, which is not there")
    return wrong


def _ports(workload: Workload) -> set[str]:
    found: set[str] = set()
    for _, container in workload.containers():
        ports: list[Body] = many(container.get("port"))
        found |= {str(port["container_port"]) for port in ports}
    return found
