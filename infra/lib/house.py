"""The house in a namespace, the same on one machine and in a cloud; what differs is a Site."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from constructs import Construct

from infra.lib import workloads
from infra.lib.model_server import ModelServer
from infra.lib.monitoring import Monitoring
from infra.lib.namespace import Namespace
from infra.lib.redis import Redis
from infra.lib.registry import FILE, registry
from infra.lib.settings import House as Settings
from infra.lib.structs import Data
from infra.lib.vidprocme import SERVER, Common, Server, Workers


@dataclass(frozen=True, slots=True)
class Site:
    """Where the house stands.

    storage_class: of its disks. blobs: a bucket's URL; "": server and workers share one disk for all data, which takes one
    node. protect: Terraform refuses to remove disks and passwords. gpu_labels, gpu_tolerations: nodes with GPUs.
    """

    storage_class: str
    blobs: str = ""
    protect: bool = False
    account_annotations: Mapping[str, str] = field(default_factory=dict)
    gpu_labels: Mapping[str, str] = field(default_factory=dict)
    gpu_tolerations: tuple[Data, ...] = ()


class House(Construct):
    """Namespace, Redis, server, pools, and the model server and monitoring where they are wished for."""

    def __init__(self, scope: Construct, settings: Settings, site: Site) -> None:
        super().__init__(scope, "house")
        space = Namespace(self, settings.namespace, site.account_annotations)
        self.redis = Redis(self, space, settings.redis, storage_class=site.storage_class, protect=site.protect)
        data = workloads.claim(
            Construct(self, "data"),
            "data",
            namespace=space.name,
            component=SERVER,
            gib=settings.server.disk_gib,
            storage_class=site.storage_class,
            protect=site.protect,
        )
        if settings.model_server is not None:
            ModelServer(
                self,
                space,
                settings.model_server,
                storage_class=site.storage_class,
                protect=site.protect,
                node_labels=site.gpu_labels,
                tolerations=site.gpu_tolerations,
            )
        files = {FILE: registry(settings)}
        models = workloads.config_map(self, "models", files, namespace=space.name, component=SERVER)
        common = Common(
            space,
            self.redis,
            settings,
            models,
            workloads.changed_with(files),
            blobs=site.blobs,
            data_claim="" if site.blobs else data,
        )
        Server(self, common, data)
        for pool in settings.pools:
            Workers(self, common, pool)
        if settings.monitoring is not None:
            Monitoring(self, space, settings.monitoring, storage_class=site.storage_class)
