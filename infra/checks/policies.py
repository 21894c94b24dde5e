"""Who may speak to whom: the policies say what this table says, no more and no less."""

from __future__ import annotations

from collections.abc import Iterator

from infra.checks.plan import Body, Plan, components, many, object_name, one, resources, workloads
from infra.lib.labels import COMPONENT, NAME
from infra.lib.settings import PORT

POLICIES = "kubernetes_network_policy_v1"
ANYBODY = "anybody"
# Who is called: by whom, and at which port. The model server's port is a setting: the one that its pod opens.
FLOWS: dict[str, tuple[tuple[str, ...], str]] = {
    "redis": (("server", "worker"), "6379"),
    "server": ((ANYBODY,), str(PORT)),
    "model-server": (("server", "worker"), ""),
    "prometheus": (("grafana",), "9090"),
    "alertmanager": (("prometheus",), "9093"),
}
SILENT = {"redis"}  # answers, and never calls
Flow = tuple[str, str, str]  # who calls, whom, at which port


def nobody_is_heard_by_default(plan: Plan) -> list[str]:
    """One policy takes every pod of the namespace and lets nobody in."""
    if not workloads(plan):
        return []
    deny = {"pod_selector": {}, "policy_types": ["Ingress"]}
    found = [body for _, body in resources(plan, POLICIES) if _said(one(body["spec"])) == deny]
    return [] if found else ["no policy denies what is not allowed"]


def policies_are_the_table(plan: Plan) -> list[str]:
    """Policies are added up, so one that says more opens what another one closes; one that says less stops the work."""
    allowed: set[Flow] = set()
    wrong = []
    for _, body in resources(plan, POLICIES):
        try:
            allowed |= set(_flows(one(body["spec"])))
        except ValueError as error:
            wrong.append(f"the policy {object_name(body)} {error}")
    wanted = set(_wanted(plan))
    wrong += [f"{who} may speak to {whom} at port {port}" for who, whom, port in sorted(allowed - wanted)]
    return wrong + [f"{who} cannot reach {whom} at port {port}" for who, whom, port in sorted(wanted - allowed)]


def the_silent_are_silent(plan: Plan) -> list[str]:
    """No packet leaves these on their own account, and only these: the others work by calling."""
    mute = {
        _component(one(body["spec"]).get("pod_selector"))
        for _, body in resources(plan, POLICIES)
        if "Egress" in one(body["spec"]).get("policy_types", [])
    }
    wanted = SILENT & components(plan)
    wrong = [f"{name} may call whom it likes" for name in sorted(wanted - mute)]
    return wrong + [f"{name or 'a selector that cannot be read'} cannot call" for name in sorted(mute - wanted)]


def the_namespace_is_restricted(plan: Plan) -> list[str]:
    return [
        f"the namespace {object_name(body)} takes pods that are not restricted"
        for _, body in resources(plan, "kubernetes_namespace_v1")
        if one(body["metadata"]).get("labels", {}).get("pod-security.kubernetes.io/enforce") != "restricted"
    ]


def _flows(spec: Body) -> Iterator[Flow]:
    """What one policy allows.

    Raises:
        ValueError: it says something in other words than ours; what is wrong, as the end of a sentence.
    """
    spec = _said(spec)
    types, rules = spec.get("policy_types"), many(spec.get("ingress"))
    whom = _component(spec.get("pod_selector"))
    if not set(spec) <= {"pod_selector", "policy_types", "ingress"} or types not in (["Ingress"], ["Egress"]):
        raise ValueError("says more than who may come in")
    if not whom or (rules and (whom == ANYBODY or types != ["Ingress"])):
        raise ValueError("does not name the one component that is called")
    for rule in rules:
        callers = [_caller(peer) for peer in many(rule.get("from"))]
        ports = [_port(port) for port in many(rule.get("ports"))]
        if not callers or not all(callers):
            raise ValueError("lets in whom it does not name")
        if not ports or not all(ports):
            raise ValueError("does not name the port")
        yield from ((who, whom, port) for who in callers for port in ports)


def _wanted(plan: Plan) -> Iterator[Flow]:
    there = components(plan)
    opened = {
        workload.component: str(port["container_port"])
        for workload in workloads(plan)
        for _, container in workload.containers()
        for port in many(container.get("port"))
    }
    for whom, (callers, port) in FLOWS.items():
        if whom in there:
            yield from ((who, whom, port or opened.get(whom, "?")) for who in callers if who in there | {ANYBODY})


def _said(spec: Body) -> Body:
    """A policy without the blocks that are there and say nothing; an empty selector says much."""
    return {key: value for key, value in spec.items() if key == "pod_selector" or value not in (None, [], {})}


def _component(selector: object) -> str:
    """The component that a selector of ours picks; ANYBODY for an empty one; "" for one that cannot be read."""
    if selector in ({}, [{}]):
        return ANYBODY
    block = one(selector)
    labels = one(block.get("match_labels"))
    if set(block) != {"match_labels"} or not {COMPONENT} <= set(labels) <= {COMPONENT, NAME}:
        return ""
    return str(labels[COMPONENT]) if labels.get(NAME, "vidprocme") == "vidprocme" else ""


def _caller(peer: Body) -> str:
    return _component(peer["pod_selector"]) if set(peer) == {"pod_selector"} else ""


def _port(port: Body) -> str:
    return str(port["port"]) if set(port) == {"port", "protocol"} and port["protocol"] == "TCP" else ""
