"""What every pod must be: bounded, without rights, apart from others, and of an image that stays what it is."""

from __future__ import annotations

from infra.checks.plan import Body, Plan, many, one, unknown, workloads
from infra.lib.settings import LEASE_S, why_not_an_image

# What pods and containers are described with. A word that is not here may share the node's processes or ports with a pod, give
# it a user, or run a program beside the one that all rules look at.
POD = frozenset(
    {
        "automount_service_account_token",
        "container",
        "enable_service_links",
        "init_container",
        "node_selector",
        "security_context",
        "service_account_name",
        "termination_grace_period_seconds",
        "toleration",
        "volume",
    }
)
CONTAINER = frozenset(
    {
        "args",
        "command",
        "env",
        "image",
        "image_pull_policy",
        "liveness_probe",
        "name",
        "port",
        "readiness_probe",
        "resources",
        "security_context",
        "startup_probe",
        "volume_mount",
    }
)
OPENED = frozenset({"name", "container_port", "protocol"})
VARIABLE = frozenset({"name", "value", "value_from"})
VOLUME = frozenset({"name", "config_map", "empty_dir", "persistent_volume_claim", "secret"})
USERS = ("run_as_user", "run_as_group", "fs_group")
ONE_WRITER = ("server", "prometheus")  # each has its folder for itself


def images_stay(plan: Plan) -> list[str]:
    return [
        f"{where}: image {why}"
        for workload in workloads(plan)
        for where, container in workload.containers()
        if (why := why_not_an_image(container["image"]))
    ]


def containers_are_bounded(plan: Plan) -> list[str]:
    """CPU and memory, asked for and limited, memory promised whole; folders on the node's disk have a size."""
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
            asked, most = one(room.get("requests")), one(room.get("limits"))
            if asked.get("memory") != most.get("memory"):
                wrong.append(f"{where} is killed at {most.get('memory')} and was promised {asked.get('memory')}")
        for volume in many(workload.pod.get("volume")):
            if "empty_dir" in volume and not one(volume["empty_dir"]).get("size_limit"):
                wrong.append(f"{workload.name}: the folder {volume['name']} may fill the node's disk")
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
    """No token, no service variables, nothing of the node's, nobody who is root by number."""
    wrong = []
    for workload in workloads(plan):
        pod, name = workload.pod, workload.name
        if pod.get("automount_service_account_token") is not False:
            wrong.append(f"{name} is given the token of its service account")
        if pod.get("enable_service_links") is not False:
            wrong.append(f"{name} is given variables for every Service, which may be named like settings")
        context = one(pod.get("security_context"))
        wrong += [f"{name} names no {user} but root" for user in USERS if _is_root(context.get(user))]
        for where, container in workload.containers():
            own = one(container.get("security_context"))
            wrong += [f"{where} is root: {user} = {own[user]}" for user in USERS if user in own and _is_root(own[user])]
    return wrong


def pods_are_plain(plan: Plan) -> list[str]:
    """Nothing in a pod but what the rules know."""
    wrong = []
    for workload in workloads(plan):
        blocks = [(workload.name, workload.pod, POD)]
        blocks += [(f"{workload.name}/{it.get('name')}", it, VOLUME) for it in many(workload.pod.get("volume"))]
        for where, container in workload.containers():
            blocks.append((where, container, CONTAINER))
            blocks += [(f"{where}: a port", port, OPENED) for port in many(container.get("port"))]
            blocks += [(f"{where}: {it.get('name')}", it, VARIABLE) for it in many(container.get("env"))]
        for where, block, known in blocks:
            wrong += [f"{where} has {word}, which no rule knows" for word in unknown(block, known)]
    return wrong


def workers_may_finish(plan: Plan) -> list[str]:
    """A pod that is asked to go gets at least a lease; else others do its work again while it still runs."""
    return [
        f"{workload.name} is killed after {grace} s, and a lease is {LEASE_S} s"
        for workload in workloads(plan)
        if workload.component == "worker"
        and (grace := int(workload.pod.get("termination_grace_period_seconds", 30))) < LEASE_S
    ]


def one_writer_a_folder(plan: Plan) -> list[str]:
    """A data folder has one server at a time: the old one goes before the new one comes. The same with measurements."""
    return [
        f"{workload.name} may run twice on one data folder"
        for workload in workloads(plan)
        if workload.component in ONE_WRITER
        and (one(workload.spec.get("strategy")).get("type") != "Recreate" or str(workload.spec.get("replicas")) != "1")
    ]


def gpus_are_reached(plan: Plan) -> list[str]:
    """On Google Cloud: a pod that asks for a GPU asks for the nodes that have them, and bears their taint. One that does not
    is kept away by both."""
    wrong = []
    for workload in workloads(plan) if "google" in plan.get("provider", {}) else []:
        asks = any("nvidia.com/gpu" in str(container.get("resources")) for _, container in workload.containers())
        bears = any(
            (it.get("key"), it.get("effect")) == ("nvidia.com/gpu", "NoSchedule")
            for it in many(workload.pod.get("toleration"))
        )
        sent = "vidprocme.dev/gpu" in one(workload.pod.get("node_selector"))
        if {bears, sent} != {asks}:
            wrong.append(f"{workload.name} {'never comes to a GPU' if asks else 'may take a place beside a GPU'}")
    return wrong


def _is_root(user: object) -> bool:
    """0, also written 00; or nobody in particular, which is whom the image says."""
    return not (str(user).isdigit() and int(str(user)) > 0)
