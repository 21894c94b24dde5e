"""The plans hold every rule, and every rule sees the fault that it is there for."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from infra.checks import cloud, data, every, pods, wiring
from infra.checks.every import Check
from infra.checks.plan import one
from infra.synth import Plans
from infra.tests.things import Fault, conf, container, only, pod, policy, spec

STACKS = ("local", "gcp-ground", "gcp-house")


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("check", every.ALWAYS, ids=lambda check: check.__name__)
def test_the_rule_holds(plans: Plans, stack: str, check: Check) -> None:
    assert check(plans[stack]) == []


@pytest.mark.parametrize("stack", ("gcp-ground", "gcp-house"))
@pytest.mark.parametrize("check", every.FOR_KEEPS, ids=lambda check: check.__name__)
def test_what_is_for_keeps_is_kept(plans: Plans, stack: str, check: Check) -> None:
    assert check(plans[stack]) == []


@dataclass(frozen=True)
class Case:
    """A fault in a stack, and what the check says about it."""

    check: Check
    stack: str
    fault: Fault
    says: str


DEPLOYMENT, SET = "kubernetes_deployment_v1", "kubernetes_stateful_set_v1"
BUCKET, CLUSTER = "google_storage_bucket", "google_container_cluster"
POOL, MEMBER = "google_container_node_pool", "google_storage_bucket_iam_member"
INIT = {"name": "first", "image": "redis:7.2.7-bookworm"}


def right(key: str, value: object) -> Fault:
    return lambda plan: container(plan, "server")["security_context"].update({key: value})


def gives(role: str) -> Fault:
    return lambda plan: only(plan, MEMBER).update(role=role)


def lacks(key: str) -> Fault:
    return lambda plan: only(plan, CLUSTER).pop(key)


POD_FAULTS = (
    Case(pods.every_pod_is_seen, "local", lambda p: p["resource"].update(kubernetes_job_v1={}), "kubernetes_job_v1"),
    Case(pods.every_pod_is_seen, "local", lambda p: [p["resource"].pop(it) for it in (DEPLOYMENT, SET)], "no workload"),
    Case(pods.images_stay, "local", lambda p: container(p, "server").update(image="vidprocme:latest"), "latest"),
    Case(pods.images_stay, "local", lambda p: container(p, "redis").update(image="redis"), "tag or a digest"),
    Case(pods.images_stay, "local", lambda p: pod(p, "redis").update(init_container=[{**INIT, "image": "x"}]), "first"),
    Case(pods.containers_are_bounded, "local", lambda p: container(p, "server").pop("resources"), "server/server"),
    Case(
        pods.containers_are_bounded,
        "gcp-house",
        lambda p: container(p, "redis")["resources"]["limits"].pop("memory"),
        "redis/redis has no limits for memory",
    ),
    Case(pods.containers_are_bounded, "local", lambda p: pod(p, "redis").update(init_container=[INIT]), "redis/first"),
    Case(
        pods.containers_are_bounded,
        "local",
        lambda p: pod(p, "worker-cpu")["volume"].append({"name": "more", "empty_dir": {}}),
        "may fill the node's disk",
    ),
    Case(pods.containers_are_asked, "local", lambda p: container(p, "worker-cpu").pop("liveness_probe"), "liveness"),
    Case(pods.containers_are_asked, "local", lambda p: container(p, "grafana").pop("readiness_probe"), "readiness"),
    *(
        Case(
            pods.containers_have_no_rights,
            "local",
            right(key, value),
            says,
        )
        for key, value, says in (
            ("run_as_non_root", False, "root"),
            ("allow_privilege_escalation", True, "gain privileges"),
            ("privileged", True, "is privileged"),
            ("read_only_root_filesystem", False, "write to its image"),
            ("capabilities", {"drop": ["ALL"], "add": ["SYS_ADMIN"]}, "capabilities"),
            ("capabilities", {}, "capabilities"),
            ("seccomp_profile", {"type": "Unconfined"}, "seccomp"),
        )
    ),
    Case(
        pods.containers_have_no_rights, "local", lambda p: pod(p, "redis").update(init_container=[INIT]), "redis/first"
    ),
    Case(pods.pods_are_apart, "local", lambda p: pod(p, "server").pop("automount_service_account_token"), "token"),
    Case(pods.pods_are_apart, "local", lambda p: pod(p, "server").pop("enable_service_links"), "variables"),
    Case(pods.pods_are_apart, "local", lambda p: pod(p, "server").update(host_network=True), "network"),
    Case(
        pods.pods_are_apart,
        "local",
        lambda p: pod(p, "server")["volume"].append({"name": "x", "host_path": {"path": "/"}}),
        "folder of the node",
    ),
    Case(pods.pods_are_apart, "local", lambda p: pod(p, "server")["security_context"].pop("run_as_user"), "root"),
    Case(
        pods.workers_may_finish,
        "gcp-house",
        lambda p: pod(p, "worker-cpu").update(termination_grace_period_seconds=14),
        "killed after 14 s",
    ),
    Case(pods.one_server, "local", lambda p: spec(p, "server").update(replicas="2"), "twice"),
    Case(pods.one_server, "local", lambda p: spec(p, "server").update(strategy={"type": "RollingUpdate"}), "twice"),
)

WIRING_FAULTS = (
    Case(
        wiring.selectors_fit,
        "local",
        lambda p: spec(p, "server")["selector"]["match_labels"].update(x="y"),
        "does not pick its own",
    ),
    Case(
        wiring.selectors_fit,
        "local",
        lambda p: spec(p, "server")["selector"]["match_labels"].pop("app.kubernetes.io/component"),
        "server picks the pods of",
    ),
    Case(
        wiring.services_reach_somebody,
        "local",
        lambda p: only(p, "kubernetes_service_v1", "redis")["spec"]["selector"].update(x="y"),
        "picks no pods",
    ),
    Case(
        wiring.services_reach_somebody,
        "local",
        lambda p: only(p, "kubernetes_service_v1", "server")["spec"]["port"][0].update(target_port="8080"),
        "does not open",
    ),
    Case(
        wiring.services_reach_somebody,
        "gcp-house",
        lambda p: only(p, "kubernetes_service_v1", "server")["spec"].update(type="LoadBalancer"),
        "outside the cluster",
    ),
    Case(
        wiring.budgets_pick_somebody,
        "gcp-house",
        lambda p: only(p, "kubernetes_pod_disruption_budget_v1")["spec"]["selector"]["match_labels"].update(x="y"),
        "picks no pods",
    ),
    Case(
        wiring.nobody_is_heard_by_default,
        "local",
        lambda p: policy(p, "default-deny").update(policy_types=["Egress"]),
        "no policy denies",
    ),
    Case(
        wiring.nobody_is_heard_by_default,
        "gcp-house",
        lambda p: policy(p, "default-deny").update(ingress=[{}]),
        "no policy denies",
    ),
    Case(
        wiring.policies_pick_somebody,
        "local",
        lambda p: policy(p, "to-server")["ingress"][0].pop("from"),
        "lets everybody in",
    ),
    Case(
        wiring.policies_pick_somebody,
        "local",
        lambda p: policy(p, "to-server")["ingress"][0]["from"].append({"ip_block": {"cidr": "0.0.0.0/0"}}),
        "lets in",
    ),
    Case(
        wiring.policies_pick_somebody,
        "local",
        lambda p: policy(p, "to-redis")["pod_selector"]["match_labels"].update(x="y"),
        "picks no pods",
    ),
    Case(
        wiring.redis_hears_only_its_clients,
        "local",
        lambda p: policy(p, "to-redis")["ingress"][0]["from"].append({"pod_selector": {}}),
        "anybody may speak",
    ),
    Case(
        wiring.volumes_fit,
        "local",
        lambda p: container(p, "server")["volume_mount"].append({"name": "gone", "mount_path": "/x"}),
        "no volume",
    ),
    Case(wiring.volumes_fit, "local", lambda p: container(p, "server")["volume_mount"].pop(), "nowhere"),
    Case(
        wiring.the_namespace_is_restricted,
        "local",
        lambda p: one(only(p, "kubernetes_namespace_v1")["metadata"]).pop("labels"),
        "not restricted",
    ),
)

DATA_FAULTS = (
    Case(data.texts_are_texts, "local", lambda p: container(p, "server").update(name=str(object())), "object at"),
    Case(data.texts_are_texts, "local", lambda p: container(p, "server").update(name="${TfToken[TOKEN.1]}"), "TfToken"),
    Case(data.redis_keeps, "local", lambda p: conf(p, "appendonly yes", "appendonly no"), "appendonly yes"),
    Case(data.redis_keeps, "gcp-house", lambda p: conf(p, "everysec", "no"), "everysec"),
    Case(data.redis_keeps, "local", lambda p: conf(p, "noeviction", "allkeys-lru"), "noeviction"),
    Case(data.redis_keeps, "local", lambda p: conf(p, "include ", "# "), "password"),
    Case(data.redis_keeps, "local", lambda p: conf(p, "maxmemory 768mb", "maxmemory 1400mb"), "1400 MB"),
    Case(data.redis_keeps, "local", lambda p: conf(p, "maxmemory 768mb", ""), "names no maxmemory"),
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
    Case(
        cloud.data_is_kept,
        "gcp-house",
        lambda p: only(p, "google_secret_manager_secret").update(deletion_protection=False),
        "destroyed",
    ),
)
FAULTS = POD_FAULTS + WIRING_FAULTS + DATA_FAULTS + CLOUD_FAULTS


@pytest.mark.parametrize("case", FAULTS, ids=lambda case: f"{case.check.__name__}-{case.says.replace(' ', '_')}")
def test_the_rule_sees_the_fault(plans: Plans, case: Case) -> None:
    plan = plans[case.stack]

    case.fault(plan)

    assert any(case.says in sentence for sentence in case.check(plan)), case.check(plan)


def test_every_rule_has_a_fault_that_it_sees() -> None:
    assert {case.check for case in FAULTS} == set(every.ALWAYS + every.FOR_KEEPS)
