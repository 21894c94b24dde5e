"""The house's own pods: the server, and pools of workers. One image, two verbs; its entry point (tini) is kept, which takes in
orphans and hands signals on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cdktn_provider_kubernetes import pod_disruption_budget_v1
from constructs import Construct

from infra.lib import pods, workloads
from infra.lib.labels import labels, selector
from infra.lib.namespace import Namespace
from infra.lib.pods import Container, Mount, Pod
from infra.lib.redis import Redis
from infra.lib.registry import FILE
from infra.lib.settings import PORT, House, Pool, Size
from infra.lib.structs import Data, make

SERVER, WORKER = "server", "worker"
USER = 10001  # `USER` in the Dockerfile
DATA = "/data"
TMP_MIB = 1024


@dataclass(frozen=True, slots=True)
class Common:
    """What server and workers share.

    blobs: a bucket's URL; "": blobs lie in the data folder. data_claim: the disk that server and workers share; "": the
    server has its own, and a worker's data folder ends with it (all that counts lies in Redis and the bucket).
    models: the ConfigMap that holds models.json. changed: an annotation that changes with it.
    """

    space: Namespace
    redis: Redis
    house: House
    models: str
    changed: Mapping[str, str]
    blobs: str = ""
    data_claim: str = ""

    def env(self) -> dict[str, str]:
        found = {
            **self.redis.env,
            "VIDPROCME_DATA": DATA,
            "VIDPROCME_LOG_LEVEL": self.house.log_level,
            "HOME": "/tmp",
        }
        if self.blobs:
            found["VIDPROCME_BLOBS"] = self.blobs
        return found

    def models_mount(self) -> tuple[Mount, Data]:
        """The registry, a file inside the data folder. It is there even when it is empty: where it was mounted once, an
        empty file is left on the disk, and that would be no registry."""
        mount = Mount("models", f"{DATA}/{FILE}", sub_path=FILE, read_only=True)
        return mount, pods.config_files("models", self.models)


class Server(Construct):
    """`vidprocme up --no-pool`: HTTP for the namespace, one pod. Two would each want the data folder for themselves."""

    def __init__(self, scope: Construct, common: Common, data_claim: str) -> None:
        super().__init__(scope, SERVER)
        settings = common.house.server
        models, models_volume = common.models_mount()
        volumes = (pods.claimed("data", data_claim), pods.empty_dir("tmp", TMP_MIB), models_volume)
        container = Container(
            name=SERVER,
            image=common.house.image,
            size=settings.size,
            # Nobody is asked for a key; who may reach it is the network policies' to say.
            args=("up", "--no-pool", "--host", "0.0.0.0", "--port", str(PORT), "--allow-network"),
            # A port-forward is on the loopback of somebody's machine, where every page of a browser reaches it.
            env=common.env() | {"VIDPROCME_HOSTS": f"{SERVER},{SERVER}.{common.space.name}", "VIDPROCME_AUTH": "off"},
            secrets=common.redis.secrets,
            port=("http", PORT),
            startup=pods.http("/healthz", PORT, every_s=2, failures=60),
            liveness=pods.http("/healthz", PORT),
            readiness=pods.http("/readyz", PORT),
            mounts=(Mount("data", DATA), Mount("tmp", "/tmp"), models),
        )
        pod = Pod(container, USER, volumes, common.space.account, grace_s=60)
        workloads.deployment(
            self,
            SERVER,
            namespace=common.space.name,
            component=SERVER,
            pod=pod,
            recreate=True,
            annotations=common.changed,
        )
        # One pod: to hide it while /readyz says no would only hide its metrics, and the alerts that wait for them.
        workloads.service(self, SERVER, namespace=common.space.name, component=SERVER, port=PORT, unready=True)
        common.space.allow(SERVER, PORT, anybody=True)


class Workers(Construct):
    """`vidprocme worker`: one pool a pod. A pod that is asked to go finishes what runs; what it cannot is taken over."""

    def __init__(self, scope: Construct, common: Common, pool: Pool) -> None:
        super().__init__(scope, f"{WORKER}-{pool.name}")
        name = f"{WORKER}-{pool.name}"
        models, models_volume = common.models_mount()
        shared = common.data_claim
        volumes = (
            pods.claimed("data", shared) if shared else pods.empty_dir("data", pool.data_gib * 1024),
            pods.empty_dir("scratch", pool.scratch_gib * 1024),
            pods.empty_dir("tmp", TMP_MIB),
            models_volume,
        )
        # Its loop has moved within the last 120 s, so that a Redis which hangs starts no pod again. The verb is a program that
        # starts, so it is not asked often.
        alive = ("vidprocme", "alive")
        container = Container(
            name=WORKER,
            image=common.house.image,
            size=Size(pool.cores * 1000, pool.memory_mib),
            args=("worker", "--sim-gpus", str(pool.sim_gpus)),
            env=common.env(),
            secrets=common.redis.secrets,
            startup=pods.run(*alive, every_s=5, failures=24, timeout_s=10),
            liveness=pods.run(*alive, every_s=30, timeout_s=15),
            readiness=pods.run(*alive, every_s=60, timeout_s=15),
            mounts=(Mount("data", DATA), Mount("scratch", f"{DATA}/scratch"), Mount("tmp", "/tmp"), models),
        )
        pod = Pod(container, USER, volumes, common.space.account, grace_s=pool.drain_s)
        workloads.deployment(
            self,
            name,
            namespace=common.space.name,
            component=WORKER,
            pod=pod,
            replicas=pool.replicas,
            pool=pool.name,
            # Its folders on the node hold nothing that is missed: an autoscaler may move it.
            annotations={"cluster-autoscaler.kubernetes.io/safe-to-evict": "true", **common.changed},
        )
        # For one pod a budget would either say nothing or keep its node from being drained for ever.
        if pool.replicas > 1:
            self._budget(name, common.space.name, pool.name)

    def _budget(self, name: str, namespace: str, pool: str) -> None:
        data: Data = {
            "metadata": {"name": name, "namespace": namespace, "labels": labels(WORKER, pool)},
            "spec": {"max_unavailable": "1", "selector": {"match_labels": selector(WORKER, pool)}},
        }
        make(pod_disruption_budget_v1, "PodDisruptionBudgetV1", self, "budget", data)
