"""What pods are told by name: Secrets, files, disks and accounts that the plan has, and addresses of Services that it has."""

from __future__ import annotations

import re
from collections.abc import Iterator

from infra.checks.kinds import COMPONENTS
from infra.checks.plan import Body, Plan, Workload, many, object_name, one, referred, resources, strings, workloads

NAMESPACE, ACCOUNT = "kubernetes_namespace_v1", "kubernetes_service_account_v1"
CONFIG, SECRET, CLAIM = "kubernetes_config_map_v1", "kubernetes_secret_v1", "kubernetes_persistent_volume_claim_v1"
ADDRESS = re.compile(r"\b(?:https?|redis)://(?:[^/@\s]*@)?(?P<host>[a-z0-9-]+)(?::(?P<port>\d+))?(?![\w.-])")
OURS = ("server", "worker")  # vidprocme's own pods


def all_is_in_one_namespace(plan: Plan) -> list[str]:
    """In the one that the plan makes: names, policies and the standard for pods hold there, and nowhere else."""
    if not workloads(plan):
        return []
    made = list(resources(plan, NAMESPACE))
    if len(made) != 1:
        return [f"the plan makes {len(made)} namespaces"]
    return [
        f"{kind} {object_name(body)} is not in the namespace that the plan makes"
        for kind in plan["resource"]
        if kind.startswith("kubernetes_") and kind != NAMESPACE
        for _, body in resources(plan, kind)
        if referred(plan, one(body.get("metadata")).get("namespace"), NAMESPACE) is not made[0][1]
    ]


def pods_name_what_is_there(plan: Plan) -> list[str]:
    """By references, so that Terraform makes it first; and the key or file that is asked for is in it."""
    wrong = []
    for workload in workloads(plan):
        files: dict[str, Body] = {}
        for volume in many(workload.pod.get("volume")):
            for key, name, kind in (
                ("config_map", "name", CONFIG),
                ("secret", "secret_name", SECRET),
                ("persistent_volume_claim", "claim_name", CLAIM),
            ):
                named = one(volume.get(key)).get(name)
                files[volume["name"]] = files.get(volume["name"]) or one(referred(plan, named, kind).get("data"))
                if key in volume and not referred(plan, named, kind):
                    wrong.append(f"{workload.name}: the volume {volume['name']} is {named!r}, which is not in the plan")
        for where, container in workload.containers():
            wrong += [f"{where}: {sentence}" for sentence in _keys(plan, container, files)]
    return wrong


def pods_have_their_account(plan: Plan) -> list[str]:
    """The account that may use the bucket is vidprocme's pods' alone."""
    wrong = []
    for workload in workloads(plan):
        named = workload.pod.get("service_account_name")
        if workload.component in OURS and not referred(plan, named, ACCOUNT):
            wrong.append(f"{workload.name} is without the account that may use the bucket")
        if workload.component not in OURS and named:
            wrong.append(f"{workload.name} has the account {named}, and needs none")
    return wrong


def addresses_are_services(plan: Plan) -> list[str]:
    """A host without a dot in a variable, or one that is named like a part of the house in a file, is a Service with that port."""
    services = {
        (object_name(body), str(port["port"]))
        for _, body in resources(plan, "kubernetes_service_v1")
        for port in many(one(body["spec"]).get("port"))
    }
    told = [
        (f"{where} {it['name']}", host, port)
        for workload in workloads(plan)
        for where, container in workload.containers()
        for it in many(container.get("env"))
        for host, port in _addresses(str(it.get("value", "")))
    ]
    told += [
        (f"{object_name(body)}/{path}", host, port)
        for _, body in resources(plan, CONFIG)
        for path, text in strings(body.get("data"))
        for host, port in _addresses(text)
        if host in COMPONENTS
    ]
    wrong = [
        f"{where} names {host}:{port}, which is no Service"
        for where, host, port in told
        if (host, port) not in services
    ]
    names = {name for name, _ in services}
    sets = [it for it in workloads(plan) if it.kind == "kubernetes_stateful_set_v1"]
    return wrong + [f"{it.name} has no Service of its name" for it in sets if it.spec.get("service_name") not in names]


def pods_share_the_work(plan: Plan) -> list[str]:
    """Server and workers have one Redis, with its password, and one bucket; on Google Cloud they do have a bucket."""
    ours = [workload for workload in workloads(plan) if workload.component in OURS]
    wrong = []
    for name in ("VIDPROCME_REDIS_URL", "VIDPROCME_BLOBS"):
        values = {_variable(workload, name) for workload in ours}
        if len(values) > 1:
            wrong.append(f"server and workers have different {name}")
        if name == "VIDPROCME_REDIS_URL" and values - {"redis://:$(REDIS_PASSWORD)@redis:6379/0"}:
            wrong.append(f"{name} is not the Redis of the house, with its password")
        if name == "VIDPROCME_BLOBS" and "google" in plan.get("provider", {}):
            wrong += [f"{name} = {value!r} is no bucket" for value in values if not value.startswith("gs://")]
    return wrong


def variables_are_filled_in(plan: Plan) -> list[str]:
    """Kubernetes fills in $(NAME) from variables that stand before, and leaves the sign as it is otherwise; each name once."""
    wrong = []
    for workload in workloads(plan):
        for where, container in workload.containers():
            before: set[str] = set()
            for variable in many(container.get("env")):
                wanted = set(re.findall(r"\$\((\w+)\)", str(variable.get("value", ""))))
                wrong += [f"{where}: {variable['name']} wants {it} before it" for it in sorted(wanted - before)]
                if variable["name"] in before:
                    wrong.append(f"{where} is told {variable['name']} twice")
                before.add(variable["name"])
    return wrong


def _keys(plan: Plan, container: Body, files: dict[str, Body]) -> Iterator[str]:
    for variable in many(container.get("env")):
        if "value_from" in variable:
            asked = one(one(variable["value_from"]).get("secret_key_ref"))
            if asked.get("key") not in one(referred(plan, asked.get("name"), SECRET).get("data")):
                yield f"{variable['name']} is {asked.get('key')!r} of a Secret that has no such key"
    for mount in many(container.get("volume_mount")):
        if mount.get("sub_path") and mount["sub_path"] not in files.get(mount["name"], {}):
            yield f"mounts {mount['sub_path']}, which is no file of {mount['name']}"


def _addresses(text: str) -> Iterator[tuple[str, str]]:
    for found in ADDRESS.finditer(text):
        yield found["host"], found["port"] or ""


def _variable(workload: Workload, name: str) -> str:
    """ "" where it is not told."""
    found = [
        it.get("value")
        for _, container in workload.containers()
        for it in many(container.get("env"))
        if it["name"] == name
    ]
    return str(found[-1]) if found else ""
