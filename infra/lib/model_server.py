"""A model server (llama-server, vLLM: anything that speaks OpenAI's API with pictures) in the namespace."""

from __future__ import annotations

from collections.abc import Mapping

from constructs import Construct

from infra.lib import pods, workloads
from infra.lib.namespace import Namespace
from infra.lib.pods import Container, Mount, Pod
from infra.lib.settings import MODEL_SERVER
from infra.lib.settings import ModelServer as Settings
from infra.lib.structs import Data

NAME = MODEL_SERVER
USER = 10002


class ModelServer(Construct):
    """Holds weights on a disk of its own at /models, and a GPU while it has replicas. Pools know it by lib/registry.py."""

    def __init__(
        self,
        scope: Construct,
        space: Namespace,
        settings: Settings,
        *,
        storage_class: str,
        protect: bool,
        node_labels: Mapping[str, str],
        tolerations: tuple[Data, ...],
    ) -> None:
        super().__init__(scope, NAME)
        weights = workloads.claim(
            self,
            "models",
            namespace=space.name,
            component=NAME,
            gib=settings.models_gib,
            storage_class=storage_class,
            protect=protect,
        )
        container = Container(
            name=NAME,
            image=settings.image,
            size=settings.size,
            command=settings.command,
            args=settings.args,
            env={"HOME": "/tmp"},
            port=("http", settings.port),
            # Weights are read from a disk: a quarter of an hour for some ten GB on a slow one.
            startup=pods.http(settings.health, settings.port, every_s=10, failures=90),
            liveness=pods.http(settings.health, settings.port, every_s=20, timeout_s=10),
            readiness=pods.http(settings.health, settings.port),
            mounts=(Mount("models", "/models", read_only=True), Mount("tmp", "/tmp")),
            gpus=settings.gpus,
        )
        pod = Pod(
            container,
            USER,
            (pods.claimed("models", weights), pods.empty_dir("tmp", 8192)),
            grace_s=60,
            node_labels=node_labels if settings.gpus else {},
            tolerations=tolerations if settings.gpus else (),
        )
        workloads.deployment(
            self,
            NAME,
            namespace=space.name,
            component=NAME,
            pod=pod,
            replicas=settings.replicas,
            recreate=True,  # one GPU and one disk: the new pod could never start beside the old one
            wait=False,  # it is ready when somebody has filled its disk
        )
        workloads.service(self, NAME, namespace=space.name, component=NAME, port=settings.port)
        space.allow(NAME, settings.port, ("server", "worker"))
