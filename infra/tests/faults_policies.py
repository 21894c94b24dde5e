"""Faults in who may speak to whom, each with the rule that is to see it."""

from __future__ import annotations

from infra.checks import policies
from infra.checks.plan import Body, one
from infra.tests.faults import on
from infra.tests.things import Case, Fault, Plan, container, only, policy

POLICIES = "kubernetes_network_policy_v1"


def without(name: str) -> Fault:
    def fault(plan: Plan) -> None:
        found = only(plan, POLICIES, name)
        made = plan["resource"][POLICIES]
        plan["resource"][POLICIES] = {key: body for key, body in made.items() if body is not found}

    return fault


def beside(spec: Body) -> Fault:
    """One more policy, in the namespace of the others."""

    def fault(plan: Plan) -> None:
        metadata = {**only(plan, POLICIES, "default-deny")["metadata"], "name": "more"}
        plan["resource"][POLICIES]["more"] = {"metadata": metadata, "spec": {"policy_types": ["Ingress"], **spec}}

    return fault


def rule(plan: Plan, name: str) -> Body:
    found = policy(plan, name)["ingress"][0]
    assert isinstance(found, dict)
    return found


def peer(**words: object) -> Fault:
    return lambda plan: rule(plan, "to-redis")["from"][0].update(words)


def picks(component: str, **labels: str) -> Body:
    return {"pod_selector": {"match_labels": {"app.kubernetes.io/component": component, **labels}}}


def at_another_port(plan: Plan) -> None:
    """Policy and pod agree, and the table does not."""
    rule(plan, "to-redis")["ports"][0]["port"] = "6380"
    container(plan, "redis")["port"][0]["container_port"] = 6380


PORT = [{"port": "6379", "protocol": "TCP"}]
OTHER_PEERS: tuple[Body, ...] = (
    {"namespace_selector": {}},
    {"ip_block": {"cidr": "0.0.0.0/0"}},
    {"pod_selector": {"match_expressions": [{"key": "x", "operator": "Exists"}]}},
    {"pod_selector": {**picks("server")["pod_selector"], "match_expressions": [{"key": "x", "operator": "Exists"}]}},
    picks("server", app="x"),
    picks("server", **{"app.kubernetes.io/name": "other"}),
)
FAULTS = (
    *(
        Case(
            policies.nobody_is_heard_by_default,
            stack,
            on(lambda p, said: policy(p, "default-deny").update(said), said),
            "no policy denies",
        )
        for stack, said in (
            ("local", {"policy_types": ["Egress"]}),
            ("gcp-house", {"ingress": [{}]}),
            ("gcp-house", {"pod_selector": {"match_expressions": [{"key": "x", "operator": "Exists"}]}}),
            ("local", {"pod_selector": {"match_labels": {"app.kubernetes.io/component": "redis"}}}),
        )
    ),
    Case(policies.nobody_is_heard_by_default, "local", without("default-deny"), "no policy denies"),
    # More than the table says.
    Case(
        policies.policies_are_the_table,
        "gcp-house",
        beside({"pod_selector": {}, "ingress": [{"from": [{"pod_selector": {}}]}]}),
        "the policy more does not name the one component",
    ),
    Case(
        policies.policies_are_the_table,
        "gcp-house",
        beside({**picks("redis"), "ingress": [{"from": [picks("grafana")], "ports": PORT}]}),
        "grafana may speak to redis at port 6379",
    ),
    Case(
        policies.policies_are_the_table,
        "gcp-house",
        beside({"pod_selector": {"match_labels": {"app.kubernetes.io/name": "vidprocme"}}, "ingress": [{}]}),
        "the policy more does not name the one component",
    ),
    Case(
        policies.policies_are_the_table,
        "local",
        lambda p: rule(p, "to-redis")["from"].append({"pod_selector": {}}),
        "anybody may speak to redis at port 6379",
    ),
    Case(
        policies.policies_are_the_table,
        "gcp-house",
        lambda p: rule(p, "to-redis")["ports"][0].update(port="6380"),
        "worker may speak to redis at port 6380",
    ),
    Case(
        policies.policies_are_the_table, "local", lambda p: rule(p, "to-redis").pop("ports"), "does not name the port"
    ),
    *(
        Case(
            policies.policies_are_the_table,
            "local",
            on(lambda p, said: rule(p, "to-redis")["ports"][0].update(said), said),
            "does not name the port",
        )
        for said in ({"end_port": 9999}, {"protocol": "UDP"})
    ),
    Case(policies.policies_are_the_table, "local", lambda p: rule(p, "to-server").pop("from"), "whom it does not name"),
    *(
        Case(policies.policies_are_the_table, "gcp-house", peer(**said), "to-redis lets in whom it does not name")
        for said in OTHER_PEERS
    ),
    Case(
        policies.policies_are_the_table,
        "local",
        lambda p: policy(p, "to-redis").update(egress=[{"to": []}]),
        "says more than who may come in",
    ),
    Case(
        policies.policies_are_the_table,
        "local",
        lambda p: policy(p, "to-redis").update(policy_types=["Ingress", "Egress"]),
        "says more than who may come in",
    ),
    Case(
        policies.policies_are_the_table,
        "local",
        lambda p: policy(p, "to-redis").update(policy_types=["Egress"]),
        "the policy to-redis does not name",
    ),
    Case(policies.policies_are_the_table, "gcp-house", at_another_port, "server may speak to redis at port 6380"),
    # Less than the table says.
    *(
        Case(
            policies.policies_are_the_table,
            "gcp-house",
            without(f"to-{whom}"),
            f"{who} cannot reach {whom} at port {port}",
        )
        for who, whom, port in (
            ("server", "redis", 6379),
            ("worker", "redis", 6379),
            ("anybody", "server", 8484),
            ("server", "model-server", 8080),
            ("worker", "model-server", 8080),
            ("grafana", "prometheus", 9090),
            ("prometheus", "alertmanager", 9093),
        )
    ),
    Case(
        policies.policies_are_the_table,
        "gcp-house",
        lambda p: rule(p, "to-redis")["from"].pop(),
        "worker cannot reach redis at port 6379",
    ),
    Case(
        policies.policies_are_the_table,
        "local",
        lambda p: policy(p, "to-redis")["pod_selector"]["match_labels"].update(x="y"),
        "does not name the one component",
    ),
    Case(policies.the_silent_are_silent, "local", without("from-redis"), "redis may call whom it likes"),
    Case(
        policies.the_silent_are_silent,
        "local",
        beside({**picks("worker"), "policy_types": ["Egress"]}),
        "worker cannot call",
    ),
    Case(
        policies.the_silent_are_silent,
        "local",
        beside({"pod_selector": {"match_labels": {"x": "y"}}, "policy_types": ["Egress"]}),
        "cannot be read cannot call",
    ),
    Case(
        policies.the_namespace_is_restricted,
        "local",
        lambda p: one(only(p, "kubernetes_namespace_v1")["metadata"]).pop("labels"),
        "not restricted",
    ),
)
