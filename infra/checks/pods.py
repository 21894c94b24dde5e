"""What every pod must be: asked about, bounded, without rights, and of an image that stays what it is."""

from __future__ import annotations

from infra.checks.plan import OTHER_WORKLOADS, Body, Plan, many, one, workloads
from infra.lib.settings import LEASE_S, why_not_an_image


def every_pod_is_seen(plan: Plan) -> list[str]:
    """The other checks look at Deployments and StatefulSets: nothing else may make pods."""
    return [
        f"{kind} makes pods that no check looks at"
        for kind in plan.get("resource", {})
        if any(kind.removesuffix("_v1") == f"kubernetes_{other}" for other in OTHER_WORKLOADS)
    ] + ([] if workloads(plan) or not _is_kubernetes(plan) else ["the plan has no workload"])


def images_stay(plan: Plan) -> list[str]:
    return [
        f"{where}: image {why}"
        for workload in workloads(plan)
        for where, container in workload.containers()
        if (why := why_not_an_image(container["image"]))
    ]


def containers_are_bounded(plan: Plan) -> list[str]:
    """CPU and memory, asked for and limited; folders on the node's disk have a size."""
    wrong = []
    for workload in workloads(plan):
        for where, container in workload.containers():
            room = one(container.get("resources"))
            wrong += [
                f"{where} has no {what} for {kind}"
                for what in ("requests", "limits")
                for kind in ("cpu", "memory")
                if not one(room.get(what)).get(kind)
            ]
        for volume in many(workload.pod.get("volume")):
            if "empty_dir" in volume and not one(volume["empty_dir"]).get("size_limit"):
                wrong.append(f"{workload.name}: the folder {volume['name']} may fill the node's disk")
    return wrong


def containers_are_asked(plan: Plan) -> list[str]:
    """Probes: is it alive, is it ready. Not for containers that run before the others, which end."""
    return [
        f"{workload.name}/{container['name']} has no {probe}"
        for workload in workloads(plan)
        for container in many(workload.pod.get("container"))
        for probe in ("liveness_probe", "readiness_probe")
        if not one(container.get(probe))
    ]


def nothing_is_killed_for_what_it_waits_for(plan: Plan) -> list[str]:
    """A liveness probe asks the process and no more: one that needs Redis, a disk or readiness restarts what only waits."""
    wrong = []
    for workload in workloads(plan):
        for container in many(workload.pod.get("container")):
            probe = one(container.get("liveness_probe"))
            if one(probe.get("http_get")).get("path") == "/readyz":
                wrong.append(f"{workload.name}/{container['name']} is killed when it is not ready")
            if "redis-cli" in one(probe.get("exec")).get("command", []):
                wrong.append(
                    f"{workload.name}/{container['name']} is killed when its disk is full, and forgets what it holds"
                )
    return wrong


def containers_have_no_rights(plan: Plan) -> list[str]:
    wrong = []
    for workload in workloads(plan):
        for where, container in workload.containers():
            wrong += [f"{where} {what}" for what in _rights(one(container.get("security_context")))]
    return wrong


def _rights(context: Body) -> list[str]:
    wrong = []
    if context.get("run_as_non_root") is not True:
        wrong.append("may run as root")
    if context.get("allow_privilege_escalation") is not False:
        wrong.append("may gain privileges")
    if context.get("privileged"):
        wrong.append("is privileged")
    if context.get("read_only_root_filesystem") is not True:
        wrong.append("may write to its image")
    capabilities = one(context.get("capabilities"))
    if capabilities.get("drop") != ["ALL"] or capabilities.get("add"):
        wrong.append("holds capabilities")
    if one(context.get("seccomp_profile")).get("type") != "RuntimeDefault":
        wrong.append("has no seccomp profile")
    return wrong


def pods_are_apart(plan: Plan) -> list[str]:
    """No token, no service variables, nothing of the node's."""
    wrong = []
    for workload in workloads(plan):
        pod, name = workload.pod, workload.name
        if pod.get("automount_service_account_token") is not False:
            wrong.append(f"{name} is given the token of its service account")
        if pod.get("enable_service_links") is not False:
            wrong.append(f"{name} is given variables for every Service, which may be named like settings")
        wrong += [
            f"{name} shares the node's {it[5:]}" for it in ("host_network", "host_pid", "host_ipc") if pod.get(it)
        ]
        wrong += [f"{name} mounts a folder of the node" for it in many(pod.get("volume")) if "host_path" in it]
        user = str(one(pod.get("security_context")).get("run_as_user", "0"))
        if user == "0":
            wrong.append(f"{name} names no user but root")
    return wrong


def workers_may_finish(plan: Plan) -> list[str]:
    """A pod that is asked to go gets at least a lease; else others do its work again while it still runs."""
    return [
        f"{workload.name} is killed after {grace} s, and a lease is {LEASE_S} s"
        for workload in workloads(plan)
        if workload.component == "worker"
        and (grace := int(workload.pod.get("termination_grace_period_seconds", 30))) < LEASE_S
    ]


def one_server(plan: Plan) -> list[str]:
    """The data folder has one server at a time: the old one goes before the new one comes."""
    return [
        f"{workload.name} may run twice on one data folder"
        for workload in workloads(plan)
        if workload.component == "server"
        and (one(workload.spec.get("strategy")).get("type") != "Recreate" or str(workload.spec.get("replicas")) != "1")
    ]


def _is_kubernetes(plan: Plan) -> bool:
    return "kubernetes" in plan.get("provider", {})
