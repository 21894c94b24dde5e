"""Where programs write. Images cannot be written, so each folder that a program writes is mounted, and what must stay is on a
disk that outlives the pod."""

from __future__ import annotations

from infra.checks.plan import Body, Plan, Workload, many, object_name, one, referred, resources, workloads

CLAIM = "kubernetes_persistent_volume_claim_v1"
# Folders that a program writes to.
WRITES = {
    "redis": ("/data",),
    "server": ("/data", "/tmp"),
    "worker": ("/data", "/data/scratch", "/tmp"),
    "model-server": ("/tmp",),
    "prometheus": ("/prometheus",),
    "alertmanager": ("/alertmanager",),
    "grafana": ("/var/lib/grafana", "/tmp"),
}
# Folders on a disk of its own. A worker's is one only where there is no bucket.
KEEPS = {"redis": "/data", "server": "/data", "model-server": "/models", "prometheus": "/prometheus"}
LOSES = "prometheus"  # measurements may be lost without harm to the work


def volumes_fit(plan: Plan) -> list[str]:
    """Every mount has its volume and every volume a mount."""
    wrong = []
    for workload in workloads(plan):
        volumes = set(_volumes(workload))
        mounts = {it["name"] for _, container in workload.containers() for it in many(container.get("volume_mount"))}
        wrong += [f"{workload.name} mounts {name}, which is no volume" for name in sorted(mounts - volumes)]
        wrong += [f"{workload.name} mounts {name} nowhere" for name in sorted(volumes - mounts)]
    return wrong


def programs_can_write(plan: Plan) -> list[str]:
    """Each folder that a program writes to is a mount that takes writes, of a disk or of a folder of the node's."""
    wrong = []
    for workload in workloads(plan):
        volumes = _volumes(workload)
        for folder in WRITES.get(workload.component, ()):
            mount = _mount(workload, folder)
            if not mount or mount.get("read_only") or mount.get("sub_path"):
                wrong.append(f"{workload.name} cannot write to {folder}")
            elif not set(one(volumes.get(mount["name"]))) & {"empty_dir", "persistent_volume_claim", "template"}:
                wrong.append(f"{workload.name} writes to {folder}, which takes no writes")
    return wrong


def data_outlives_pods(plan: Plan) -> list[str]:
    """What must stay is on a claim that the plan has. Workers have a bucket, or the very disk of the server."""
    wrong = []
    server = [_disk(plan, it, KEEPS["server"]) for it in workloads(plan) if it.component == "server"]
    for workload in workloads(plan):
        folder = KEEPS.get(workload.component)
        if folder is not None and not _disk(plan, workload, folder):
            wrong.append(f"{workload.name}: {folder} ends with its pod")
        alone = not _has_a_bucket(workload) and [_disk(plan, workload, KEEPS["server"])] != server
        if workload.component == "worker" and alone:
            wrong.append(f"{workload.name} has no bucket, and not the disk of the server")
    return wrong


def disks_are_apart(plan: Plan) -> list[str]:
    """Two components never share a disk, but server and workers."""
    users: dict[str, set[str]] = {}
    for workload in workloads(plan):
        for volume in many(workload.pod.get("volume")):
            claim = str(one(volume.get("persistent_volume_claim")).get("claim_name", ""))
            users.setdefault(claim, set()).add(workload.component)
    return [
        f"{' and '.join(sorted(names))} write to one disk"
        for claim, names in users.items()
        if claim and len(names) > 1 and names != {"server", "worker"}
    ]


def disks_are_protected(plan: Plan) -> list[str]:
    """In a plan for keeps: disks with the truth and with uploads, and Redis with its password, cannot be destroyed.

    Prometheus' measurements may be lost: that is the disk which Prometheus mounts, and nobody else.
    """
    mounted = {
        object_name(body): workload.component
        for workload in sorted(workloads(plan), key=lambda it: it.component != LOSES)
        for volume in many(workload.pod.get("volume"))
        if (body := referred(plan, one(volume.get("persistent_volume_claim")).get("claim_name"), CLAIM))
    }
    claims = [(name, body) for name, body in resources(plan, CLAIM) if mounted.get(object_name(body)) != LOSES]
    kept = [*resources(plan, "kubernetes_stateful_set_v1", "random_password"), *claims]
    return [f"{name} may be destroyed" for name, body in kept if not one(body.get("lifecycle")).get("prevent_destroy")]


def _volumes(workload: Workload) -> dict[str, Body]:
    """By name; what a set claims for each of its pods is a `template`."""
    found = {volume["name"]: volume for volume in many(workload.pod.get("volume"))}
    templates = many(workload.spec.get("volume_claim_template"))
    return found | {one(it["metadata"])["name"]: {"template": it} for it in templates}


def _mount(workload: Workload, folder: str) -> Body:
    [(_, container)] = list(workload.containers())[:1]
    return one([it for it in many(container.get("volume_mount")) if it["mount_path"] == folder])


def _disk(plan: Plan, workload: Workload, folder: str) -> str:
    """The disk that is mounted there: what the claim is called in the plan; "" for none, and for a claim that is not there."""
    volume = one(_volumes(workload).get(str(_mount(workload, folder).get("name"))))
    claim = str(one(volume.get("persistent_volume_claim")).get("claim_name", ""))
    return claim if referred(plan, claim, CLAIM) else "its own" if "template" in volume else ""


def _has_a_bucket(workload: Workload) -> bool:
    return any(
        it["name"] == "VIDPROCME_BLOBS" and it.get("value")
        for _, container in workload.containers()
        for it in many(container.get("env"))
    )
