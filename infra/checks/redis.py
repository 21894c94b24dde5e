"""The one durable truth about work: written down before it is answered, nothing dropped, on a disk, and never two of it."""

from __future__ import annotations

import re
import shlex

from infra.checks.plan import Body, Plan, Workload, many, one, referred, workloads
from infra.checks.probes import patience_s

CONFIG, SECRET = "kubernetes_config_map_v1", "kubernetes_secret_v1"
PORT = "6379"
# What redis.conf says, and nothing else: a line that no rule knows may undo one that a rule wants.
CONF = {
    "bind": "* -::*",
    "port": PORT,
    "dir": "/data",
    "appendonly": "yes",
    "appendfsync": "always",
    "maxmemory-policy": "noeviction",
    "save": "",
}
# Redis' own units (its redis.conf): k = 1000, kb = 1024.
UNITS = {"": 1, "b": 1, "k": 10**3, "kb": 1 << 10, "m": 10**6, "mb": 1 << 20, "g": 10**9, "gb": 1 << 30}
# At start it reads its whole file, and answers LOADING meanwhile; ten minutes are what lib/redis.py gives.
LEAST_START_S = 300


def redis_keeps(plan: Plan) -> list[str]:
    """What it is told, as it reads it: its own file, then its arguments; of two lines of a name the last one counts."""
    wrong = []
    for redis in _sets(plan):
        [(where, container)] = list(redis.containers())[:1]
        folders = _folders(plan, redis, container)
        conf, auth = folders.get("redis.conf", ("", "")), folders.get("auth.conf", ("", ""))
        if container.get("command") != ["redis-server"] or container.get("args") != [conf[0]]:
            wrong.append(f"{where} is told more or less than its redis.conf")
        wrong += _wrong_lines(conf[1], auth[0]) + _below_its_limit(conf[1], container)
        if re.fullmatch(r"requirepass \$\{random_password\.[\w-]+\.result\}\n", auth[1]) is None:
            wrong.append("the file that redis.conf includes is not Redis' password alone")
    return wrong


def one_redis(plan: Plan) -> list[str]:
    """One pod with its disk, which outlives it: two would be two truths."""
    wrong = []
    for redis in _sets(plan):
        if redis.kind != "kubernetes_stateful_set_v1" or str(redis.spec.get("replicas")) != "1":
            wrong.append("there must be one Redis, not none and not two")
        folders = {one(it["metadata"])["name"] for it in many(redis.spec.get("volume_claim_template"))}
        mounts = {it["mount_path"]: it for _, container in redis.containers() for it in many(container["volume_mount"])}
        if one(mounts.get("/data")).get("name") not in folders:
            wrong.append("Redis writes to a folder that ends with its pod")
        keeping = one(redis.spec.get("persistent_volume_claim_retention_policy"))
        wrong += [
            "Redis' disk goes when its set goes or shrinks"
            for when in ("when_deleted", "when_scaled")
            if keeping.get(when) != "Retain"
        ]
    return wrong


def redis_may_read_its_file(plan: Plan) -> list[str]:
    """Nobody asks whether it is alive before it has read it."""
    return [
        f"{where} has less than {LEAST_START_S} s to read its file"
        for redis in _sets(plan)
        for where, container in redis.containers()
        if patience_s(one(container.get("startup_probe"))) < LEAST_START_S
    ]


def _sets(plan: Plan) -> list[Workload]:
    return [workload for workload in workloads(plan) if workload.component == "redis"]


def _folders(plan: Plan, redis: Workload, container: Body) -> dict[str, tuple[str, str]]:
    """The files of ConfigMaps and Secrets that a container sees: name -> (path, text)."""
    volumes = {volume["name"]: volume for volume in many(redis.pod.get("volume"))}
    found = {}
    for mount in many(container.get("volume_mount")):
        volume = one(volumes.get(mount["name"]))
        config = referred(plan, one(volume.get("config_map")).get("name"), CONFIG)
        secret = referred(plan, one(volume.get("secret")).get("secret_name"), SECRET)
        for name, text in {**one(config.get("data")), **one(secret.get("data"))}.items():
            found[name] = (f"{mount['mount_path']}/{name}", str(text))
    return found


def _read(conf: str) -> dict[str, str]:
    """A redis.conf as Redis reads it: names in any case, quotes taken off, the last line of a name counts.

    Raises:
        ValueError: quotes that are not closed, which Redis refuses too.
    """
    lines = [line.strip() for line in conf.splitlines()]
    words = [shlex.split(line) for line in lines if line and not line.startswith("#")]
    return {first.lower(): " ".join(rest) for first, *rest in words}


def _wrong_lines(conf: str, auth: str) -> list[str]:
    try:
        found = _read(conf)
    except ValueError as error:
        return [f"redis.conf cannot be read: {error}"]
    wanted = {**CONF, "include": auth}
    wrong = [
        f"redis.conf must say `{name} {value}`, and its last word is {found.get(name)!r}"
        for name, value in wanted.items()
        if found.get(name) != value
    ]
    if len(re.findall(r"^\s*include\s", conf, re.MULTILINE | re.IGNORECASE)) > 1:
        wrong.append("redis.conf includes more than its password")
    return wrong + [
        f"redis.conf says `{name}`, which no rule knows" for name in sorted({*found} - {*wanted, "maxmemory"})
    ]


def _below_its_limit(conf: str, container: Body) -> list[str]:
    said = re.findall(r"^\s*maxmemory\s+(\d+)([a-z]*)\s*$", conf, re.MULTILINE | re.IGNORECASE)
    if not said or said[-1][1].lower() not in UNITS or int(said[-1][0]) == 0:
        return ["redis.conf names no maxmemory: it would be killed instead of refusing"]
    most = int(said[-1][0]) * UNITS[said[-1][1].lower()]
    limit = str(one(one(container.get("resources")).get("limits")).get("memory", "0Mi"))
    if not limit.endswith("Mi") or most > int(limit[:-2]) * (1 << 20) * 6 // 10:
        return [f"Redis may hold {most >> 20} MB and is killed at {limit}: a rewrite of its file needs room"]
    return []
