"""Redis: the one durable truth about work, so it writes everything down and never forgets on its own.

It runs in the cluster, on a disk of its own, also on Google Cloud. Memorystore for Redis keeps snapshots only (an hour apart at
best), and its basic tier is emptied by maintenance; an append-only file comes with Memorystore's clusters
(for Redis Cluster and for Valkey), which vidprocme does not speak. docs/decisions/0001 has the sources.
"""

from __future__ import annotations

from cdktn import TerraformResourceLifecycle
from cdktn_provider_kubernetes import stateful_set_v1
from cdktn_provider_random import password
from constructs import Construct

from infra.lib import pods, workloads
from infra.lib.labels import labels, selector
from infra.lib.namespace import Namespace
from infra.lib.pods import Container, Mount, Pod
from infra.lib.settings import Redis as Settings
from infra.lib.structs import Data, make

NAME, PORT = "redis", 6379
USER = 999  # `redis` in the official image (its Dockerfile; Debian variant)
AUTH = "/etc/redis-auth/auth.conf"
PASSWORD = "REDIS_PASSWORD"

CONF = f"""\
# Every write is on the disk before it is answered (with everysec it is put off while the disk lags, and answered all the same),
# and nothing is dropped when memory is full: submit is refused instead.
include {AUTH}
bind * -::*
port {PORT}
dir /data
appendonly yes
appendfsync always
maxmemory %(maxmemory_mib)dmb
maxmemory-policy noeviction
save ""
"""


class Redis(Construct):
    """One Redis with its disk. `env` and `secrets` are what a client of it is given."""

    def __init__(
        self, scope: Construct, space: Namespace, settings: Settings, *, storage_class: str, protect: bool
    ) -> None:
        super().__init__(scope, NAME)
        made = password.Password(
            self,
            "password",
            length=32,
            special=False,  # it stands in a URL
            lifecycle=TerraformResourceLifecycle(prevent_destroy=protect),
        )
        self.password = made.result
        files = {"password": made.result, "auth.conf": f"requirepass {made.result}\n"}
        self._secret = workloads.secret(self, NAME, files, namespace=space.name, component=NAME)
        self.secrets = {PASSWORD: (self._secret, "password")}
        self.env = {"VIDPROCME_REDIS_URL": f"redis://:$({PASSWORD})@{NAME}:{PORT}/0"}
        conf = {"redis.conf": CONF % {"maxmemory_mib": settings.maxmemory_mib}}
        config = workloads.config_map(self, f"{NAME}-config", conf, namespace=space.name, component=NAME)
        workloads.service(self, NAME, namespace=space.name, component=NAME, port=PORT)
        self._stateful_set(space, settings, config, workloads.changed_with(conf), storage_class, protect=protect)
        space.allow(NAME, PORT, ("server", "worker"))
        space.silence(NAME)

    def _stateful_set(
        self,
        space: Namespace,
        settings: Settings,
        config: str,
        annotations: dict[str, str],
        storage_class: str,
        *,
        protect: bool,
    ) -> None:
        # -e: an error (a wrong password, a file that is still being read) is an exit status, not only a line.
        ask = ("redis-cli", "-e", "ping")
        container = Container(
            name=NAME,
            image=settings.image,
            size=settings.size,
            command=("redis-server",),
            args=("/etc/redis/redis.conf",),
            secrets={"REDISCLI_AUTH": (self._secret, "password")},
            port=("redis", PORT),
            # A file of some GB is read at start; until then it answers LOADING. Ten minutes for it.
            startup=pods.run(*ask, every_s=5, failures=120),
            # A full disk makes PING an error (MISCONF); killing Redis would not empty it, and reads still work.
            liveness=pods.tcp(PORT, every_s=15, failures=4),
            readiness=pods.run(*ask, every_s=5),
            mounts=(
                Mount("data", "/data"),
                Mount("config", "/etc/redis", read_only=True),
                Mount("auth", "/etc/redis-auth", read_only=True),
            ),
        )
        volumes = (pods.config_files("config", config), pods.secret_files("auth", self._secret))
        pod = Pod(container, USER, volumes, grace_s=60)
        spec: Data = {
            "replicas": "1",
            "service_name": NAME,
            "selector": {"match_labels": selector(NAME)},
            "template": {"metadata": {"labels": labels(NAME), "annotations": annotations}, "spec": pod.data()},
            "volume_claim_template": [
                {
                    "metadata": {"name": "data", "labels": selector(NAME)},
                    "spec": {
                        "access_modes": ["ReadWriteOnce"],
                        "storage_class_name": storage_class,
                        "resources": {"requests": {"storage": f"{settings.disk_gib}Gi"}},
                    },
                }
            ],
            # The disk stays when the set goes.
            "persistent_volume_claim_retention_policy": [{"when_deleted": "Retain", "when_scaled": "Retain"}],
        }
        data = {"metadata": {"name": NAME, "namespace": space.name, "labels": labels(NAME)}, "spec": spec}
        make(stateful_set_v1, "StatefulSetV1", self, "set", data, protect=protect)
