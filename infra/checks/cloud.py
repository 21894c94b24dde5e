"""What must hold on Google Cloud: nothing public, least rights, GPUs that cost nothing while idle, data that stays."""

from __future__ import annotations

import re

from infra.checks.plan import Plan, many, one, referred, resources, strings
from infra.checks.rights import is_account

EVERYBODY = ("allUsers", "allAuthenticatedUsers")
# Families of machines that come with GPUs, asked for or not (Compute Engine: "GPU machine types").
GPU_MACHINES = ("a2-", "a3-", "a4-", "a4x-", "g2-", "g4-")


def buckets_are_closed(plan: Plan) -> list[str]:
    wrong = []
    for name, body in resources(plan, "google_storage_bucket"):
        if body.get("public_access_prevention") != "enforced":
            wrong.append(f"the bucket {name} may be made public")
        if body.get("uniform_bucket_level_access") is not True:
            wrong.append(f"the bucket {name} has rules for single objects")
    return wrong


def nobody_is_everybody(plan: Plan) -> list[str]:
    return [f"{path} is {text}" for path, text in strings(plan.get("resource", {})) if text in EVERYBODY]


def nodes_are_ours(plan: Plan) -> list[str]:
    """An account of our own (the default one is an editor of the project), shielded, private, and blind to the node's identity."""
    wrong = []
    for name, body in resources(plan, "google_container_node_pool"):
        node = one(body.get("node_config"))
        if not is_account(plan, node.get("service_account"), "nodes", "email"):
            wrong.append(f"{name} runs as another account than the one for nodes")
        if one(node.get("workload_metadata_config")).get("mode") != "GKE_METADATA":
            wrong.append(f"pods on {name} see the node's identity")
        if one(node.get("shielded_instance_config")).get("enable_secure_boot") is not True:
            wrong.append(f"{name} boots what it is given")
        if one(body.get("network_config")).get("enable_private_nodes", True) is not True:
            wrong.append(f"{name} has public addresses")
        management = one(body.get("management"))
        if management.get("auto_repair") is not True or management.get("auto_upgrade") is not True:
            wrong.append(f"{name} is not looked after")
        if not one(body.get("autoscaling")).get("total_max_node_count") or body.get("node_count"):
            wrong.append(f"{name} has no limit, or a number of nodes whatever the work")
    return wrong


def gpus_may_be_none(plan: Plan) -> list[str]:
    """A pool with GPUs can be empty, and only pods that ask for GPUs come there."""
    wrong = []
    for name, body in resources(plan, "google_container_node_pool"):
        node = one(body.get("node_config"))
        if not many(node.get("guest_accelerator")) and not str(node.get("machine_type", "")).startswith(GPU_MACHINES):
            continue
        scaling = one(body.get("autoscaling"))
        least = [scaling.get(key) for key in ("min_node_count", "total_min_node_count") if scaling.get(key) is not None]
        if least != [0] or body.get("initial_node_count") != 0 or body.get("node_count"):
            wrong.append(f"{name} always has GPUs, whether somebody needs them or not")
        taints = {(taint.get("key"), taint.get("effect")) for taint in many(node.get("taint"))}
        if ("nvidia.com/gpu", "NO_SCHEDULE") not in taints:
            wrong.append(f"{name} takes pods that need no GPU")
    return wrong


def the_cluster_is_closed(plan: Plan) -> list[str]:
    wrong = []
    for name, body in resources(plan, "google_container_cluster"):
        private = one(body.get("private_cluster_config"))
        endpoints = one(body.get("control_plane_endpoints_config"))
        wanted = {
            "its nodes have public addresses": private.get("enable_private_nodes") is True,
            "its control plane has a public address": one(endpoints.get("ip_endpoints_config")).get("enabled") is False,
            "pods have no identity of their own": bool(one(body.get("workload_identity_config")).get("workload_pool")),
            "its network policies are not obeyed": body.get("datapath_provider") == "ADVANCED_DATAPATH",
            "its nodes are not shielded": body.get("enable_shielded_nodes") is True,
            "it is not upgraded": bool(one(body.get("release_channel")).get("channel")),
            "its addresses do not come from the subnet": body.get("networking_mode") == "VPC_NATIVE",
            "it runs on another account than the one for nodes": is_account(
                plan, one(body.get("node_config")).get("service_account"), "nodes", "email"
            ),
            "it knows rights beside IAM's and Kubernetes' own": not body.get("enable_legacy_abac"),
            "it gives out certificates or passwords": not body.get("master_auth"),
            "it does not lie where its subnet lies": body.get("location")
            == referred(plan, body.get("subnetwork"), "google_compute_subnetwork", "id").get("region"),
        }
        wrong += [f"{name}: {sentence}" for sentence, holds in wanted.items() if not holds]
    return wrong


def data_is_kept(plan: Plan) -> list[str]:
    """In a plan for keeps: cluster, bucket and secrets cannot be destroyed; what is deleted in the bucket can come back."""
    wrong = []
    for name, body in resources(plan, "google_container_cluster", "google_secret_manager_secret"):
        if body.get("deletion_protection") is not True:
            wrong.append(f"{name} may be destroyed")
    for name, body in resources(plan, "google_storage_bucket"):
        if body.get("force_destroy") or not one(body.get("lifecycle")).get("prevent_destroy"):
            wrong.append(f"{name} may be destroyed")
        if one(body.get("soft_delete_policy")).get("retention_duration_seconds", 0) < 7 * 86400:
            wrong.append(f"what is deleted in {name} is gone")
        for rule in many(body.get("lifecycle_rule")):
            if one(rule.get("action")).get("type") != "AbortIncompleteMultipartUpload":
                wrong.append(f"{name} moves or deletes by age, and does not know what is still wanted")
    return wrong


def state_is_kept(plan: Plan) -> list[str]:
    """In a plan for keeps: what Terraform knows lies in a bucket. In a file it would be gone with this machine, or with a
    workflow's run, and the next apply would make everything a second time."""
    if "gcs" in plan.get("terraform", {}).get("backend", {}):
        return []
    return ["Terraform's state would be a file on this machine: name a bucket under [state], or set protect = false"]


def services_come_first(plan: Plan) -> list[str]:
    """Where Google's services are switched on, everything waits for that: itself, or what it refers to."""
    if "google_project_service" not in plan.get("resource", {}):
        return []
    after = {
        f"{kind}.{name}": {word for _, text in strings(body) for word in re.findall(r"google_\w+\.[\w-]+", text)}
        for kind, made in plan["resource"].items()
        for name, body in made.items()
    }

    def waits(name: str, seen: frozenset[str] = frozenset()) -> bool:
        return name.startswith("google_project_service.") or any(
            waits(other, seen | {name}) for other in after.get(name, set()) - seen - {name}
        )

    return [f"{name} may be made before its service is switched on" for name in after if not waits(name)]
