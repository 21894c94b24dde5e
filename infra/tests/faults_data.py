"""Faults in what must not be lost or seen, and in the cloud, each with the rule that is to see it."""

from __future__ import annotations

from infra.checks import cloud, data, references
from infra.tests.things import Case, Fault, conf, container, only, spec

SET = "kubernetes_stateful_set_v1"
BUCKET, CLUSTER = "google_storage_bucket", "google_container_cluster"
POOL, MEMBER = "google_container_node_pool", "google_storage_bucket_iam_member"


def gives(role: str) -> Fault:
    return lambda plan: only(plan, MEMBER).update(role=role)


def lacks(key: str) -> Fault:
    return lambda plan: only(plan, CLUSTER).pop(key)


DATA_FAULTS = (
    Case(references.references_exist, "local", lambda p: p["resource"].pop("random_password"), "random_password"),
    Case(references.references_exist, "gcp-house", lambda p: p.pop("data"), "data.google_container_cluster"),
    Case(references.references_exist, "gcp-ground", lambda p: p["resource"].pop("google_project_service"), "waits for"),
    Case(data.texts_are_texts, "local", lambda p: container(p, "server").update(name=str(object())), "object at"),
    Case(data.texts_are_texts, "local", lambda p: container(p, "server").update(name="${TfToken[TOKEN.1]}"), "TfToken"),
    Case(data.redis_keeps, "local", lambda p: conf(p, "appendonly yes", "appendonly no"), "appendonly yes"),
    Case(data.redis_keeps, "gcp-house", lambda p: conf(p, "everysec", "no"), "everysec"),
    Case(data.redis_keeps, "local", lambda p: conf(p, "noeviction", "allkeys-lru"), "noeviction"),
    Case(data.redis_keeps, "local", lambda p: conf(p, "include ", "# "), "password"),
    Case(data.redis_keeps, "gcp-house", lambda p: conf(p, "maxmemory 768mb", "maxmemory 1400mb"), "1400 MB"),
    Case(data.redis_keeps, "gcp-house", lambda p: conf(p, "maxmemory 768mb", ""), "names no maxmemory"),
    Case(data.redis_keeps, "local", lambda p: spec(p, "redis").pop("volume_claim_template"), "ends with its pod"),
    Case(
        data.redis_keeps,
        "local",
        lambda p: spec(p, "redis").pop("persistent_volume_claim_retention_policy"),
        "disk goes",
    ),
    Case(data.redis_keeps, "local", lambda p: p["resource"].pop(SET), "0 Redis"),
    Case(data.disks_are_protected, "gcp-house", lambda p: only(p, SET).pop("lifecycle"), "may be destroyed"),
    Case(
        data.disks_are_protected,
        "gcp-house",
        lambda p: only(p, "kubernetes_persistent_volume_claim_v1", "data").pop("lifecycle"),
        "may be destroyed",
    ),
    Case(
        data.no_secret_in_clear,
        "local",
        lambda p: only(p, "kubernetes_secret_v1", "redis")["data"].update(password="hunter2"),
        "password in clear",
    ),
    Case(
        data.no_secret_in_clear,
        "gcp-house",
        lambda p: only(p, "google_secret_manager_secret_version").update(secret_data="hunter2"),
        "in clear",
    ),
    Case(
        data.no_secret_in_clear,
        "local",
        lambda p: container(p, "grafana")["env"].append({"name": "GF_SECURITY_ADMIN_PASSWORD", "value": "admin"}),
        "in clear",
    ),
    Case(
        data.no_secret_in_clear,
        "local",
        lambda p: container(p, "server")["env"].append({"name": "X", "value": "redis://:hunter2@redis:6379/0"}),
        "password in an address",
    ),
    Case(
        data.no_secret_in_clear,
        "local",
        lambda p: p.update(locals={"key": "-----BEGIN RSA PRIVATE " + "KEY-----"}),
        "private key",
    ),
)

CLOUD_FAULTS = (
    Case(
        cloud.buckets_are_closed,
        "gcp-ground",
        lambda p: only(p, BUCKET).update(public_access_prevention="inherited"),
        "made public",
    ),
    Case(
        cloud.buckets_are_closed,
        "gcp-ground",
        lambda p: only(p, BUCKET).update(uniform_bucket_level_access=False),
        "single objects",
    ),
    Case(
        cloud.buckets_are_closed,
        "gcp-ground",
        lambda p: p["resource"].update(google_storage_bucket_acl={}),
        "bucket_acl",
    ),
    Case(cloud.nobody_is_everybody, "gcp-ground", lambda p: only(p, MEMBER).update(member="allUsers"), "allUsers"),
    Case(
        cloud.nobody_is_everybody,
        "gcp-ground",
        lambda p: p["resource"].update(google_storage_bucket_iam_binding={"x": {"members": ["allAuthenticatedUsers"]}}),
        "allAuthenticatedUsers",
    ),
    *(
        Case(cloud.rights_are_least, "gcp-ground", gives(role), role)
        for role in ("roles/editor", "roles/owner", "roles/storage.admin", "roles/storage.objectAdmin", "roles/*")
    ),
    Case(
        cloud.rights_are_least,
        "gcp-ground",
        lambda p: only(p, "google_project_iam_member").update(role="roles/storage.objectUser"),
        "on the whole project",
    ),
    Case(
        cloud.rights_are_least,
        "gcp-ground",
        lambda p: p["resource"].update(google_project_iam_binding={}),
        "replaces rights",
    ),
    Case(
        cloud.rights_are_least,
        "gcp-house",
        lambda p: only(p, "google_service_account_iam_member").update(member="principalSet://pool/*"),
        "principalSet",
    ),
    Case(
        cloud.nodes_are_ours,
        "gcp-ground",
        lambda p: only(p, POOL, "cpu")["node_config"].pop("service_account"),
        "everything that the default account may",
    ),
    Case(
        cloud.nodes_are_ours,
        "gcp-ground",
        lambda p: only(p, POOL, "gpu")["node_config"].pop("workload_metadata_config"),
        "see the node's identity",
    ),
    Case(
        cloud.nodes_are_ours,
        "gcp-ground",
        lambda p: only(p, POOL, "gpu")["node_config"].pop("shielded_instance_config"),
        "boots",
    ),
    Case(cloud.nodes_are_ours, "gcp-ground", lambda p: only(p, POOL, "cpu").pop("management"), "looked after"),
    Case(
        cloud.gpus_may_be_none,
        "gcp-ground",
        lambda p: only(p, POOL, "gpu")["autoscaling"].update(total_min_node_count=1),
        "always has GPUs",
    ),
    Case(cloud.gpus_may_be_none, "gcp-ground", lambda p: only(p, POOL, "gpu").update(node_count=1), "always has GPUs"),
    Case(cloud.gpus_may_be_none, "gcp-ground", lambda p: only(p, POOL, "gpu").pop("initial_node_count"), "always has"),
    Case(
        cloud.gpus_may_be_none, "gcp-ground", lambda p: only(p, POOL, "gpu")["node_config"].pop("taint"), "need no GPU"
    ),
    *(
        Case(cloud.the_cluster_is_closed, "gcp-ground", lacks(key), says)
        for key, says in (
            ("private_cluster_config", "nodes have public"),
            ("control_plane_endpoints_config", "control plane has a public"),
            ("workload_identity_config", "identity"),
            ("datapath_provider", "policies"),
            ("enable_shielded_nodes", "shielded"),
            ("release_channel", "upgraded"),
            ("networking_mode", "subnet"),
            ("node_config", "default account"),
        )
    ),
    Case(
        cloud.services_come_first,
        "gcp-ground",
        lambda p: only(p, "google_compute_network").pop("depends_on"),
        "google_compute_router",
    ),
    Case(cloud.services_come_first, "gcp-ground", lambda p: only(p, BUCKET).pop("depends_on"), "google_storage_bucket"),
    Case(
        data.files_are_literal,
        "local",
        lambda p: only(p, "kubernetes_config_map_v1", "redis-config")["data"].update(x="a ${b}"),
        "redis-config/x",
    ),
    Case(cloud.data_is_kept, "gcp-ground", lambda p: only(p, CLUSTER).update(deletion_protection=False), "destroyed"),
    Case(cloud.data_is_kept, "gcp-ground", lambda p: only(p, BUCKET).pop("lifecycle"), "destroyed"),
    Case(cloud.data_is_kept, "gcp-ground", lambda p: only(p, BUCKET).update(force_destroy=True), "destroyed"),
    Case(cloud.data_is_kept, "gcp-ground", lambda p: only(p, BUCKET).pop("soft_delete_policy"), "is gone"),
    Case(
        cloud.data_is_kept,
        "gcp-ground",
        lambda p: only(p, BUCKET)["lifecycle_rule"].append({"action": {"type": "Delete"}}),
        "deletes by age",
    ),
    Case(cloud.state_is_kept, "gcp-ground", lambda p: p["terraform"].pop("backend"), "under [state]"),
    Case(
        cloud.state_is_kept,
        "gcp-house",
        lambda p: p["terraform"].update(backend={"local": {"path": "x"}}),
        "file on this machine",
    ),
    Case(
        cloud.data_is_kept,
        "gcp-house",
        lambda p: only(p, "google_secret_manager_secret").update(deletion_protection=False),
        "destroyed",
    ),
)
FAULTS = DATA_FAULTS + CLOUD_FAULTS
