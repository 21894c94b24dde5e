"""What must not be lost, and what must not be seen."""

from __future__ import annotations

import re

from infra.checks.plan import Plan, Workload, is_reference, many, object_name, one, resources, strings, workloads

SECRET_NAME = re.compile(r"PASSWORD|SECRET|TOKEN|API_?KEY|CREDENTIAL", re.IGNORECASE)
# user:password@ in an address; a password that Kubernetes or Terraform fills in is none.
IN_ADDRESS = re.compile(r"://[^/@\s:]*:(?!\$[({])[^/@\s]+@")
PRIVATE_KEY = re.compile("-----BEGIN [A-Z ]*PRIVATE " + "KEY-----")


def texts_are_texts(plan: Plan) -> list[str]:
    """A reference that was turned into a text by hand stands in the plan as a Python object's name, and means nothing there."""
    return [f"{path} is {text}" for path, text in strings(plan) if re.search(r"<\S+ object at 0x|TfToken", text)]


def redis_keeps(plan: Plan) -> list[str]:
    """Written down each second, nothing dropped, on a disk, below its memory limit, and not without a password."""
    if not workloads(plan):
        return []
    sets = [workload for workload in workloads(plan) if workload.component == "redis"]
    texts = [
        text
        for _, body in resources(plan, "kubernetes_config_map_v1")
        for name, text in body.get("data", {}).items()
        if name == "redis.conf"
    ]
    if len(sets) != 1 or len(texts) != 1:
        return [f"there are {len(sets)} Redis and {len(texts)} redis.conf in the plan"]
    wrong = [f"redis.conf lacks `{line}`" for line in _lacking(texts[0])]
    return wrong + _on_a_disk(sets[0]) + _below_its_limit(sets[0], texts[0])


def _lacking(conf: str) -> list[str]:
    lines = [line.strip() for line in conf.splitlines()]
    wanted = ["appendonly yes", "appendfsync everysec", "maxmemory-policy noeviction"]
    missing = [line for line in wanted if line not in lines]
    return missing + ([] if any(line.startswith("include ") for line in lines) else ["include (its password)"])


def _on_a_disk(redis: Workload) -> list[str]:
    folders = {one(it["metadata"])["name"] for it in many(redis.spec.get("volume_claim_template"))}
    mounts = {
        it["mount_path"]: it["name"] for _, container in redis.containers() for it in many(container["volume_mount"])
    }
    wrong = [] if mounts.get("/data") in folders else ["Redis writes to a folder that ends with its pod"]
    keeping = one(redis.spec.get("persistent_volume_claim_retention_policy"))
    return wrong + ([] if keeping.get("when_deleted") == "Retain" else ["Redis' disk goes when its set goes"])


def _below_its_limit(redis: Workload, conf: str) -> list[str]:
    memory = re.search(r"^maxmemory (\d+)mb$", conf, re.MULTILINE)
    if memory is None:
        return ["redis.conf names no maxmemory: it would be killed instead of refusing"]
    limits = [one(one(it["resources"])["limits"])["memory"] for _, it in redis.containers()]
    return [
        f"Redis may hold {memory[1]} MB and is killed at {limit}: a rewrite of its file needs room"
        for limit in limits
        if int(memory[1]) > int(str(limit).removesuffix("Mi")) * 6 // 10
    ]


def disks_are_protected(plan: Plan) -> list[str]:
    """In a plan for keeps: disks with the truth and with uploads, and Redis with its password, cannot be destroyed.

    Prometheus' measurements may be lost.
    """
    kept = [
        *resources(plan, "kubernetes_stateful_set_v1"),
        *(
            (name, it)
            for name, it in resources(plan, "kubernetes_persistent_volume_claim_v1")
            if not _of(it, "prometheus")
        ),
        *((name, it) for name, it in resources(plan, "random_password") if "redis" in name),
    ]
    return [f"{name} may be destroyed" for name, body in kept if not one(body.get("lifecycle")).get("prevent_destroy")]


def _of(body: dict[str, object], component: str) -> bool:
    return object_name(body) == component


def no_secret_in_clear(plan: Plan) -> list[str]:
    """Secrets are references that Terraform fills in; variables with telling names come from Secrets."""
    wrong = []
    for _, body in resources(plan, "kubernetes_secret_v1", "kubernetes_secret"):
        wrong += [
            f"the Secret {object_name(body)} holds {key} in clear"
            for key, text in one(body.get("data")).items()
            if not is_reference(text)
        ]
    for name, body in resources(plan, "google_secret_manager_secret_version"):
        if not is_reference(str(body.get("secret_data", ""))):
            wrong.append(f"{name} holds its secret in clear")
    for workload in workloads(plan):
        for where, container in workload.containers():
            wrong += [
                f"{where} has {variable['name']} in clear"
                for variable in many(container.get("env"))
                if SECRET_NAME.search(variable["name"]) and variable.get("value")
            ]
    for path, text in strings({key: value for key, value in plan.items() if key != "//"}):
        if IN_ADDRESS.search(text):
            wrong.append(f"{path} holds a password in an address")
        if PRIVATE_KEY.search(text):
            wrong.append(f"{path} holds a private key")
    return wrong


def files_are_literal(plan: Plan) -> list[str]:
    """Dashboards and rules have signs of their own that look like Terraform's: it must not fill them in."""
    return [
        f"{object_name(body)}/{name} holds what Terraform would replace"
        for _, body in resources(plan, "kubernetes_config_map_v1")
        for name, text in body.get("data", {}).items()
        if re.search(r"(?<![$])[$]{|(?<!%)%{", text)
    ]
