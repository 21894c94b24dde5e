"""What must fit together: selectors and labels, names and mounts, who may speak to whom."""

from __future__ import annotations

import re
from collections.abc import Mapping

from infra.checks.plan import Body, Plan, Workload, many, object_name, one, resources, strings, workloads

REFERENCE = re.compile(r"(?<![$])[$]{([^}]+)}")
POLICIES = "kubernetes_network_policy_v1"


def selectors_fit(plan: Plan) -> list[str]:
    """A workload's selector picks its own pods, and no other workload's."""
    wrong = []
    found = workloads(plan)
    for workload in found:
        wanted = one(workload.spec.get("selector")).get("match_labels", {})
        if not _picks(wanted, workload.labels):
            wrong.append(f"{workload.name} does not pick its own pods")
        others = [other.name for other in found if other is not workload and _picks(wanted, other.labels)]
        wrong += [f"{workload.name} picks the pods of {other}" for other in others]
    return wrong


def services_reach_somebody(plan: Plan) -> list[str]:
    wrong = []
    for _, body in resources(plan, "kubernetes_service_v1"):
        spec, name = one(body["spec"]), object_name(body)
        behind = [workload for workload in workloads(plan) if _picks(spec.get("selector", {}), workload.labels)]
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
        if not _picked(plan, one(one(body["spec"])["selector"]).get("match_labels", {}))
    ]


def nobody_is_heard_by_default(plan: Plan) -> list[str]:
    """One policy takes every pod of the namespace and lets nobody in."""
    if not workloads(plan):
        return []
    for _, body in resources(plan, POLICIES):
        spec = one(body["spec"])
        if "Ingress" in spec.get("policy_types", []) and not spec.get("ingress") and not _wanted(spec["pod_selector"]):
            return []
    return ["no policy denies what is not allowed"]


def policies_pick_somebody(plan: Plan) -> list[str]:
    """Every selector of a policy, of the pod and of those that call, picks pods: a slip of the pen would allow nothing."""
    wrong = []
    for _, body in resources(plan, POLICIES):
        spec, name = one(body["spec"]), object_name(body)
        selectors = [spec["pod_selector"]]
        for rule in many(spec.get("ingress")):
            peers = many(rule.get("from"))
            if not peers:
                wrong.append(f"the policy {name} lets everybody in")
            selectors += [peer["pod_selector"] for peer in peers if "pod_selector" in peer]
            wrong += [f"the policy {name} lets in {peer}" for peer in peers if "pod_selector" not in peer]
        wrong += [
            f"the policy {name} picks no pods with {_wanted(it)}" for it in selectors if not _picked(plan, _wanted(it))
        ]
    return wrong


def redis_hears_only_its_clients(plan: Plan) -> list[str]:
    """Redis: server and workers."""
    wrong = []
    for _, body in resources(plan, POLICIES):
        spec = one(body["spec"])
        target = _wanted(spec["pod_selector"])
        if target.get("app.kubernetes.io/component") != "redis":
            continue
        callers = [peer for rule in many(spec.get("ingress")) for peer in many(rule.get("from"))]
        heard = {_wanted(peer.get("pod_selector")).get("app.kubernetes.io/component", "anybody") for peer in callers}
        wrong += [f"{who} may speak to Redis" for who in sorted(heard - {"server", "worker"})]
    return wrong


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


def the_namespace_is_restricted(plan: Plan) -> list[str]:
    return [
        f"the namespace {object_name(body)} takes pods that are not restricted"
        for _, body in resources(plan, "kubernetes_namespace_v1")
        if one(body["metadata"]).get("labels", {}).get("pod-security.kubernetes.io/enforce") != "restricted"
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


def _wanted(selector: object) -> dict[str, str]:
    return dict(one(selector).get("match_labels") or {})


def _picks(wanted: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return bool(wanted) and all(labels.get(key) == value for key, value in wanted.items())


def _picked(plan: Plan, wanted: Mapping[str, str]) -> bool:
    """An empty selector picks every pod."""
    return any(not wanted or _picks(wanted, workload.labels) for workload in workloads(plan))


def _ports(workload: Workload) -> set[str]:
    found: set[str] = set()
    for _, container in workload.containers():
        ports: list[Body] = many(container.get("port"))
        found |= {str(port["container_port"]) for port in ports}
    return found
