"""What a plan may consist of. All rules look at known kinds; what is not on the list would pass them all."""

from __future__ import annotations

from infra.checks.plan import Plan, resources, workloads

HOUSE = frozenset(
    {
        "kubernetes_config_map_v1",
        "kubernetes_deployment_v1",
        "kubernetes_namespace_v1",
        "kubernetes_network_policy_v1",
        "kubernetes_persistent_volume_claim_v1",
        "kubernetes_pod_disruption_budget_v1",
        "kubernetes_secret_v1",
        "kubernetes_service_account_v1",
        "kubernetes_service_v1",
        "kubernetes_stateful_set_v1",
        "random_password",
    }
)
HOUSE_ON_GOOGLE = HOUSE | {
    "google_secret_manager_secret",
    "google_secret_manager_secret_iam_member",
    "google_secret_manager_secret_version",
    "google_service_account_iam_member",
    "data.google_client_config",
    "data.google_container_cluster",
}
GROUND = frozenset(
    {
        "google_artifact_registry_repository",
        "google_artifact_registry_repository_iam_member",
        "google_compute_network",
        "google_compute_router",
        "google_compute_router_nat",
        "google_compute_subnetwork",
        "google_container_cluster",
        "google_container_node_pool",
        "google_project_iam_member",
        "google_project_service",
        "google_service_account",
        "google_storage_bucket",
        "google_storage_bucket_iam_member",
    }
)
# A stack is known by its providers.
STACKS = {
    frozenset({"kubernetes", "random"}): HOUSE,
    frozenset({"google", "kubernetes", "random"}): HOUSE_ON_GOOGLE,
    frozenset({"google"}): GROUND,
}
PARTS = frozenset({"//", "data", "output", "provider", "resource", "terraform"})
# A program that Terraform runs; a resource that is made never, or more often than the rules see it.
TRICKS = ("provisioner", "connection", "count", "for_each")
COMPONENTS = frozenset({"redis", "server", "worker", "model-server", "prometheus", "alertmanager", "grafana"})


def kinds_are_known(plan: Plan) -> list[str]:
    """Each stack has its list of kinds, and each resource is made once, by its provider."""
    providers = frozenset(plan.get("provider", {}))
    if providers not in STACKS:
        return [f"no stack has the providers {', '.join(sorted(providers))}"]
    found = set(plan.get("resource", {})) | {f"data.{kind}" for kind in plan.get("data", {})}
    wrong = [f"{kind} is no kind of this stack: no rule looks at it" for kind in sorted(found - STACKS[providers])]
    wrong += [f"the plan has a part {part}, which no rule looks at" for part in sorted(set(plan) - PARTS)]
    for kind in plan.get("resource", {}):
        wrong += [f"{name} has a {trick}" for name, body in resources(plan, kind) for trick in TRICKS if trick in body]
    return wrong


def the_house_is_whole(plan: Plan) -> list[str]:
    """One Redis, one server, some workers; every workload is a part of the house that the rules know."""
    if "kubernetes" not in plan.get("provider", {}):
        return []
    found = [workload.component for workload in workloads(plan)]
    wrong = [f"the plan has {found.count(name)} of {name}" for name in ("redis", "server") if found.count(name) != 1]
    wrong += [] if "worker" in found else ["the plan has no worker"]
    return wrong + [
        f"{workload.name} is no part of the house that a rule knows"
        for workload in workloads(plan)
        if workload.component not in COMPONENTS
    ]
