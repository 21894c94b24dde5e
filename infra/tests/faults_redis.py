"""Faults in Redis, each with the rule that is to see it."""

from __future__ import annotations

from infra.checks import redis
from infra.tests.faults import on
from infra.tests.things import Case, Fault, Plan, conf, container, only, pod, spec

SET = "kubernetes_stateful_set_v1"
LAST = 'save ""'


def later(line: str) -> Fault:
    """A line after all others."""
    return lambda plan: conf(plan, LAST, f"{LAST}\n{line}")


def args(*more: str) -> Fault:
    return lambda plan: container(plan, "redis").update(args=["/etc/redis/redis.conf", *more])


def password_file(text: str) -> Fault:
    return lambda plan: only(plan, "kubernetes_secret_v1", "redis")["data"].update({"auth.conf": text})


def keeps_not(when: str) -> Fault:
    def fault(plan: Plan) -> None:
        spec(plan, "redis")["persistent_volume_claim_retention_policy"][0][when] = "Delete"

    return fault


def as_a_deployment(plan: Plan) -> None:
    plan["resource"]["kubernetes_deployment_v1"].update(plan["resource"].pop(SET))


FAULTS = (
    Case(redis.redis_keeps, "local", lambda p: conf(p, "appendonly yes", "appendonly no"), "`appendonly yes`"),
    Case(
        redis.redis_keeps,
        "gcp-house",
        lambda p: conf(p, "appendfsync always", "appendfsync everysec"),
        "`appendfsync always`",
    ),
    Case(redis.redis_keeps, "local", lambda p: conf(p, "noeviction", "allkeys-lru"), "`maxmemory-policy noeviction`"),
    Case(redis.redis_keeps, "local", lambda p: conf(p, "include ", "# "), "`include /etc/redis-auth/auth.conf`"),
    # The last line of a name counts, whatever stands above it.
    *(
        Case(redis.redis_keeps, "gcp-house", later(line), f"`{line.split()[0].lower()} ")
        for line in (
            "appendonly no",
            "APPENDONLY no",
            "appendfsync no",
            "maxmemory-policy allkeys-lru",
            "dir /tmp",
            "port 6380",
            "bind 127.0.0.1",
            "save 60 1",
            "include /etc/redis/other.conf",
        )
    ),
    Case(redis.redis_keeps, "local", later('"appendonly" "no"'), "`appendonly yes`"),
    Case(redis.redis_keeps, "local", lambda p: conf(p, "include", "include /x\ninclude"), "more than its password"),
    Case(redis.redis_keeps, "local", later("requirepass hunter2"), "`requirepass`, which no rule knows"),
    Case(redis.redis_keeps, "local", later("rename-command CONFIG x"), "`rename-command`"),
    Case(redis.redis_keeps, "local", later('dir "/data'), "cannot be read"),
    Case(redis.redis_keeps, "local", args("--appendonly", "no"), "more or less than its redis.conf"),
    Case(redis.redis_keeps, "local", args("--requirepass", "hunter2"), "more or less"),
    Case(
        redis.redis_keeps, "local", lambda p: container(p, "redis").update(args=["/etc/redis/x.conf"]), "more or less"
    ),
    Case(redis.redis_keeps, "local", lambda p: container(p, "redis").update(command=["sh"]), "more or less"),
    Case(redis.redis_keeps, "local", password_file(""), "not Redis' password alone"),
    Case(redis.redis_keeps, "local", password_file("requirepass hunter2\n"), "not Redis' password alone"),
    *(
        Case(redis.redis_keeps, "gcp-house", on(lambda p, said: conf(p, "maxmemory 768mb", said), said), says)
        for said, says in (
            ("maxmemory 1400mb", "1400 MB"),
            ("maxmemory 2gb", "2048 MB"),
            ("maxmemory 768mb\nmaxmemory 922mb", "922 MB"),
            ("", "names no maxmemory"),
            ("maxmemory 0", "names no maxmemory"),
            ("maxmemory 9tb", "names no maxmemory"),
        )
    ),
    Case(
        redis.redis_keeps,
        "local",
        lambda p: container(p, "redis")["resources"]["limits"].update(memory="1Gi"),
        "killed at 1Gi",
    ),
    Case(
        redis.redis_keeps,
        "local",
        lambda p: container(p, "redis")["resources"]["limits"].update(memory="2G"),
        "killed at 2G",
    ),
    Case(
        redis.redis_keeps,
        "local",
        lambda p: pod(p, "redis")["volume"][0]["config_map"].update(name="nope"),
        "`appendonly yes`, and its last word is None",
    ),
    Case(redis.one_redis, "gcp-house", lambda p: spec(p, "redis").update(replicas="2"), "not none and not two"),
    Case(redis.one_redis, "gcp-house", lambda p: spec(p, "redis").update(replicas="0"), "not none and not two"),
    Case(redis.one_redis, "local", as_a_deployment, "must be one Redis"),
    Case(redis.one_redis, "local", lambda p: spec(p, "redis").pop("volume_claim_template"), "ends with its pod"),
    Case(redis.one_redis, "local", lambda p: spec(p, "redis").pop("persistent_volume_claim_retention_policy"), "goes"),
    Case(redis.one_redis, "local", keeps_not("when_deleted"), "disk goes"),
    Case(redis.one_redis, "local", keeps_not("when_scaled"), "disk goes"),
    Case(
        redis.redis_may_read_its_file,
        "gcp-house",
        lambda p: container(p, "redis").pop("startup_probe"),
        "less than 300 s to read its file",
    ),
    Case(
        redis.redis_may_read_its_file,
        "local",
        lambda p: container(p, "redis")["startup_probe"].update(failure_threshold=59),
        "less than 300 s to read its file",
    ),
)
