"""Whatever names something else names something that is there: selectors, ports, references of Terraform."""

from __future__ import annotations

import re

from infra.checks.plan import (
    Body,
    Plan,
    Workload,
    many,
    match_labels,
    object_name,
    one,
    picks,
    resources,
    strings,
    unknown,
    workloads,
)
from infra.lib.labels import selector

REFERENCE = re.compile(r"(?<![$])[$]{([^}]+)}")
# What a Service is described with: a word that is not here may open it to the world.
SERVICE = frozenset({"type", "selector", "port", "publish_not_ready_addresses"})
SERVICE_PORT = frozenset({"name", "port", "target_port", "protocol"})


def selectors_fit(plan: Plan) -> list[str]:
    """A workload's selector picks its own pods, and no other workload's."""
    wrong = []
    found = workloads(plan)
    for workload in found:
        wanted = match_labels(workload.spec.get("selector"))
        if not picks(wanted, workload.labels):
            wrong.append(f"{workload.name} does not pick its own pods")
        others = [other.name for other in found if other is not workload and picks(wanted, other.labels)]
        wrong += [f"{workload.name} picks the pods of {other}" for other in others]
    return wrong


def services_reach_somebody(plan: Plan) -> list[str]:
    """Each is named after the component that it reaches, by one port on both sides, and from inside the cluster only."""
    wrong = []
    for _, body in resources(plan, "kubernetes_service_v1"):
        spec, name = one(body["spec"]), object_name(body)
        behind = [workload for workload in workloads(plan) if picks(spec.get("selector", {}), workload.labels)]
        if not behind or spec.get("selector") != selector(name):
            wrong.append(f"the Service {name} picks no pods of that name")
        for port in many(spec.get("port")):
            wrong += [
                f"the Service {name} sends to port {port['target_port']}, which {workload.name} does not open"
                for workload in behind
                if str(port["target_port"]) not in _ports(workload)
            ]
            if str(port["port"]) != str(port["target_port"]):
                wrong.append(f"the Service {name} is called at {port['port']} and sends to {port['target_port']}")
            wrong += [f"the Service {name} has {word} at its port" for word in unknown(port, SERVICE_PORT)]
        if spec.get("type", "ClusterIP") != "ClusterIP":
            wrong.append(f"the Service {name} is reachable from outside the cluster, where nobody is asked for a key")
        wrong += [f"the Service {name} has {word}, which no rule knows" for word in unknown(spec, SERVICE)]
    return wrong


def the_server_is_watched(plan: Plan) -> list[str]:
    """Prometheus reaches the server also while /readyz says 503: that is when Redis is away or the disk is full, and a Service
    without that address would take the numbers away which the alerts about it look at."""
    return [
        f"the Service {object_name(body)} hides a server that is not ready, and its metrics"
        for _, body in resources(plan, "kubernetes_service_v1")
        if object_name(body) == "server" and one(body["spec"]).get("publish_not_ready_addresses") is not True
    ]


def budgets_pick_somebody(plan: Plan) -> list[str]:
    return [
        f"the budget {object_name(body)} picks no pods"
        for _, body in resources(plan, "kubernetes_pod_disruption_budget_v1")
        if not any(
            picks(match_labels(one(body["spec"]).get("selector")), workload.labels) for workload in workloads(plan)
        )
    ]


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
