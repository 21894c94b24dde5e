"""Faults in pods and in what ties them together, each with the rule that is to see it."""

from __future__ import annotations

from infra.checks import pods, policies, references
from infra.checks.plan import one
from infra.tests.things import Case, Fault, container, only, pod, policy, spec

DEPLOYMENT, SET = "kubernetes_deployment_v1", "kubernetes_stateful_set_v1"
INIT = {"name": "first", "image": "redis:7.2.16-bookworm"}


def right(key: str, value: object) -> Fault:
    return lambda plan: container(plan, "server")["security_context"].update({key: value})


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
    Case(
        pods.nothing_is_killed_for_what_it_waits_for,
        "local",
        lambda p: container(p, "server").update(liveness_probe=container(p, "server")["readiness_probe"]),
        "server/server is killed when it is not ready",
    ),
    Case(
        pods.nothing_is_killed_for_what_it_waits_for,
        "gcp-house",
        lambda p: container(p, "redis").update(liveness_probe=container(p, "redis")["readiness_probe"]),
        "redis/redis is killed when its disk is full",
    ),
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
        references.the_server_is_watched_when_it_is_not_ready,
        "local",
        lambda p: only(p, "kubernetes_service_v1", "server")["spec"].pop("publish_not_ready_addresses"),
        "Prometheus should see",
    ),
    Case(
        references.selectors_fit,
        "local",
        lambda p: spec(p, "server")["selector"]["match_labels"].update(x="y"),
        "does not pick its own",
    ),
    Case(
        references.selectors_fit,
        "local",
        lambda p: spec(p, "server")["selector"]["match_labels"].pop("app.kubernetes.io/component"),
        "server picks the pods of",
    ),
    Case(
        references.services_reach_somebody,
        "local",
        lambda p: only(p, "kubernetes_service_v1", "redis")["spec"]["selector"].update(x="y"),
        "picks no pods",
    ),
    Case(
        references.services_reach_somebody,
        "local",
        lambda p: only(p, "kubernetes_service_v1", "server")["spec"]["port"][0].update(target_port="8080"),
        "does not open",
    ),
    Case(
        references.services_reach_somebody,
        "gcp-house",
        lambda p: only(p, "kubernetes_service_v1", "server")["spec"].update(type="LoadBalancer"),
        "outside the cluster",
    ),
    Case(
        references.budgets_pick_somebody,
        "gcp-house",
        lambda p: only(p, "kubernetes_pod_disruption_budget_v1")["spec"]["selector"]["match_labels"].update(x="y"),
        "picks no pods",
    ),
    Case(
        policies.nobody_is_heard_by_default,
        "local",
        lambda p: policy(p, "default-deny").update(policy_types=["Egress"]),
        "no policy denies",
    ),
    Case(
        policies.nobody_is_heard_by_default,
        "gcp-house",
        lambda p: policy(p, "default-deny").update(ingress=[{}]),
        "no policy denies",
    ),
    Case(
        policies.policies_pick_somebody,
        "local",
        lambda p: policy(p, "to-server")["ingress"][0].pop("from"),
        "lets everybody in",
    ),
    Case(
        policies.policies_pick_somebody,
        "local",
        lambda p: policy(p, "to-server")["ingress"][0]["from"].append({"ip_block": {"cidr": "0.0.0.0/0"}}),
        "lets in",
    ),
    Case(
        policies.policies_pick_somebody,
        "local",
        lambda p: policy(p, "to-redis")["pod_selector"]["match_labels"].update(x="y"),
        "picks no pods",
    ),
    Case(
        policies.redis_hears_only_its_clients,
        "local",
        lambda p: policy(p, "to-redis")["ingress"][0]["from"].append({"pod_selector": {}}),
        "anybody may speak",
    ),
    Case(
        references.volumes_fit,
        "local",
        lambda p: container(p, "server")["volume_mount"].append({"name": "gone", "mount_path": "/x"}),
        "no volume",
    ),
    Case(references.volumes_fit, "local", lambda p: container(p, "server")["volume_mount"].pop(), "nowhere"),
    Case(
        policies.the_namespace_is_restricted,
        "local",
        lambda p: one(only(p, "kubernetes_namespace_v1")["metadata"]).pop("labels"),
        "not restricted",
    ),
)
FAULTS = POD_FAULTS + WIRING_FAULTS
