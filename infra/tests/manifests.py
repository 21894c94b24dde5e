"""Kubernetes objects of a plan as Kubernetes itself would be given them, so that its own schemas can judge them.

Terraform's provider renames: snake_case for camelCase, one for many, texts for numbers. Here it is undone, for what we use.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from infra.checks.plan import one, resources

KINDS = {
    "kubernetes_config_map_v1": ("v1", "ConfigMap"),
    "kubernetes_deployment_v1": ("apps/v1", "Deployment"),
    "kubernetes_namespace_v1": ("v1", "Namespace"),
    "kubernetes_network_policy_v1": ("networking.k8s.io/v1", "NetworkPolicy"),
    "kubernetes_persistent_volume_claim_v1": ("v1", "PersistentVolumeClaim"),
    "kubernetes_pod_disruption_budget_v1": ("policy/v1", "PodDisruptionBudget"),
    "kubernetes_secret_v1": ("v1", "Secret"),
    "kubernetes_service_account_v1": ("v1", "ServiceAccount"),
    "kubernetes_service_v1": ("v1", "Service"),
    "kubernetes_stateful_set_v1": ("apps/v1", "StatefulSet"),
}
TERRAFORMS_OWN = ("//", "depends_on", "lifecycle", "wait_for_rollout", "wait_until_bound")
MANY = {
    "container": "containers",
    "init_container": "initContainers",
    "port": "ports",
    "toleration": "tolerations",
    "volume": "volumes",
    "volume_claim_template": "volumeClaimTemplates",
    "volume_mount": "volumeMounts",
}
NUMBERS = frozenset({"replicas", "run_as_user", "run_as_group", "fs_group", "port", "target_port", "max_unavailable"})
# Keys below these are names of somebody's, not words of Kubernetes.
NAMES = frozenset({"labels", "annotations", "match_labels", "node_selector", "data", "requests", "limits", "selector"})
BLOCKS = frozenset(
    {"metadata", "persistent_volume_claim_retention_policy", "tcp_socket"}
)  # the provider's lists of one


def manifests(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every Kubernetes object of a plan.

    Raises:
        KeyError: the plan holds a kind that is not known here.
    """
    kinds = [kind for kind in plan.get("resource", {}) if kind.startswith("kubernetes_")]
    for kind in kinds:
        api_version, name = KINDS[kind]
        for _, body in resources(plan, kind):
            own = {key: value for key, value in body.items() if key not in TERRAFORMS_OWN}
            if name == "Secret":
                own["stringData"] = own.pop("data")
            yield {"apiVersion": api_version, "kind": name, **_object(own)}


def _object(block: dict[str, Any]) -> dict[str, Any]:
    return {_name(key, value): _value(key, value) for key, value in block.items()}


def _value(key: str, value: Any) -> Any:
    if key in BLOCKS:
        value = one(value)
    if key in NAMES and isinstance(value, dict) and "match_labels" not in value:
        return value
    if isinstance(value, dict):
        return _object(value)
    if isinstance(value, list):
        return [_object(item) if isinstance(item, dict) else item for item in value]
    if key == "default_mode":
        return int(value, 8)
    if key in NUMBERS and isinstance(value, str) and value.isdigit():
        return int(value)
    return value


def _name(key: str, value: Any) -> str:
    if key in MANY and isinstance(value, list):
        return MANY[key]
    if key == "claim_name" or key == "stringData":
        return "claimName" if key == "claim_name" else key
    return re.sub(r"_(\w)", lambda found: found[1].upper(), key)
