"""Who may speak to whom: what is not allowed is denied, and what is allowed names pods that are there."""

from __future__ import annotations

from infra.checks.plan import Plan, many, match_labels, object_name, one, picked, resources, workloads

POLICIES = "kubernetes_network_policy_v1"


def nobody_is_heard_by_default(plan: Plan) -> list[str]:
    """One policy takes every pod of the namespace and lets nobody in."""
    if not workloads(plan):
        return []
    for _, body in resources(plan, POLICIES):
        spec = one(body["spec"])
        if (
            "Ingress" in spec.get("policy_types", [])
            and not spec.get("ingress")
            and not match_labels(spec["pod_selector"])
        ):
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
            f"the policy {name} picks no pods with {match_labels(it)}"
            for it in selectors
            if not picked(plan, match_labels(it))
        ]
    return wrong


def redis_hears_only_its_clients(plan: Plan) -> list[str]:
    """Redis: server and workers."""
    wrong = []
    for _, body in resources(plan, POLICIES):
        spec = one(body["spec"])
        target = match_labels(spec["pod_selector"])
        if target.get("app.kubernetes.io/component") != "redis":
            continue
        callers = [peer for rule in many(spec.get("ingress")) for peer in many(rule.get("from"))]
        heard = {
            match_labels(peer.get("pod_selector")).get("app.kubernetes.io/component", "anybody") for peer in callers
        }
        wrong += [f"{who} may speak to Redis" for who in sorted(heard - {"server", "worker"})]
    return wrong


def the_namespace_is_restricted(plan: Plan) -> list[str]:
    return [
        f"the namespace {object_name(body)} takes pods that are not restricted"
        for _, body in resources(plan, "kubernetes_namespace_v1")
        if one(body["metadata"]).get("labels", {}).get("pod-security.kubernetes.io/enforce") != "restricted"
    ]
